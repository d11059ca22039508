import { HOOK_MARK } from "../spool/line.js";

/** What a new or compacted conversation is told: who it is, its task, what to do next. */
export const PRIME_COMMAND = "mu prime";

/**
 * What is asked at the end of a turn: prints `{"decision":"block","reason":<the next prompt>}` when a delivery waits,
 * else nothing. It reads the hook's JSON on its standard input.
 */
export const DRAIN_COMMAND = "mu delivery drain --hook";

/** The only hooks that run mu. Outside a mu pane, or where mu is not in the PATH, they do nothing and succeed. */
export function muLine(command: string): string {
  const here = `[ -n "\${MU_AGENT_ID:-}" ] && command -v mu >/dev/null 2>&1`;
  return `: ${HOOK_MARK}; ${here} && ${command} 2>/dev/null; exit 0`;
}
