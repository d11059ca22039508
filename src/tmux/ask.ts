import type { Exec } from "../exec.js";
import { isServerGone, isTargetGone, refused } from "./faults.js";
import { callerPane, type ServerId } from "./panes.js";
import { createRun, type Environment, type Run, uniqueWord } from "./run.js";

/** Who a pane says it is. `agent` and `agentId` are what mu wrote; the title is whatever a program made of it. */
export interface PaneIdentityFacts {
  pane: string;
  server: ServerId;
  session: string;
  title: string;
  agent: string;
  agentId: string;
}

const FIELDS = ["pane_id", "#{pid}@#{start_time}", "session_name", "pane_title", "@mu_agent", "@mu_agent_id"];

/** Asks one pane who it is; undefined when it is not there. Faults: `tmux.failed`, `tmux.unreachable`. */
export async function askPane(run: Run, pane: string): Promise<PaneIdentityFacts | undefined> {
  const mark = uniqueWord();
  const format = FIELDS.map((name) => (name.startsWith("#") ? name : `#{${name}}`)).join(mark);
  const { stdout, refusal } = await run([["display-message", "-p", "-t", pane, format]]);
  if (isServerGone(refusal) || isTargetGone(refusal)) return undefined;
  if (refusal !== undefined) throw refused(`ask pane ${pane} who it is`, refusal);
  const [found, server = "", session = "", title = "", agent = "", agentId = ""] = stdout
    .replace(/\n$/, "")
    .split(mark);
  return found === pane ? { pane, server, session, title, agent, agentId } : undefined;
}

/** Asks panes of the server that the caller sits in, whatever `MU_TMUX_SOCKET` says: `$TMUX_PANE` is one of its. */
export function askOwnServer({ exec, env }: { exec: Exec; env: Environment }) {
  const socket = callerPane(env)?.socket;
  const run = createRun({ exec, env: { ...env, MU_TMUX_SOCKET: socket } });
  return (pane: string) => askPane(run, pane);
}
