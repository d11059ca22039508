import { Fault, type NextStep } from "../errors.js";

/** The oldest tmux that has per-pane options, `copy-mode -q` and `new-window -e`. */
export const OLDEST_TMUX = "3.2";

const DOCTOR: NextStep = { intent: "check this machine's tmux", command: "mu doctor" };

/** True when tmux said that there is no server behind the socket, so there are no panes either. */
export function isServerGone(refusal: string | undefined): boolean {
  return /^(no server running|no sessions|no current target|lost server|server exited|error connecting to .*\((No such file or directory|Connection refused)\))/.test(
    refusal ?? "",
  );
}

/** True when tmux said that the pane, window or session it was asked about does not exist. */
export function isTargetGone(refusal: string | undefined): boolean {
  return /can't find (pane|window|session)|no such (pane|window|session)|target pane has exited/.test(refusal ?? "");
}

/** The fault for a command that tmux refused; a pane that is gone is `pane.not_found`. */
export function refused(what: string, refusal: string, pane?: string): Fault {
  if (pane !== undefined && (isServerGone(refusal) || isTargetGone(refusal))) return paneNotFound(pane);
  if (isServerGone(refusal)) return new Fault("unavailable", "tmux.failed", `cannot ${what}: no tmux runs`, [DOCTOR]);
  return new Fault("unavailable", "tmux.failed", `cannot ${what}: tmux says "${refusal}"`, [DOCTOR]);
}

export function paneNotFound(pane: string): Fault {
  return new Fault("missing", "pane.not_found", `pane ${pane} is not there: it was closed, or its tmux ended`, [
    { intent: "see which agents still have a pane", command: "mu agent list" },
    { intent: "bring lost agents back", command: "mu recover" },
  ]);
}

/** The pane exists, but not as the living pane of the agent that the caller meant. */
export function paneRefused(pane: string, found: { dead: boolean; agentId: string }): Fault {
  if (found.dead) {
    return new Fault("conflict", "pane.dead", `the program in pane ${pane} has ended; nothing was sent`, [
      { intent: "bring lost agents back", command: "mu recover" },
    ]);
  }
  const owner = found.agentId === "" ? "no agent of mu" : `incarnation ${found.agentId}`;
  return new Fault("conflict", "pane.stranger", `pane ${pane} now belongs to ${owner}; nothing was sent`, [
    { intent: "see who is where", command: "mu agent list" },
  ]);
}

/** Somebody typed, or the program drew, after the pane was looked at. */
export function paneMoved(pane: string): Fault {
  return new Fault(
    "conflict",
    "pane.moved",
    `the cursor of pane ${pane} moved after it was looked at; nothing was sent`,
    [{ intent: "see what the pane shows", command: "mu agent list" }],
  );
}

export function notInstalled(): Fault {
  return new Fault("unavailable", "tmux.not_installed", "tmux is not installed, or not on PATH", [
    { intent: "install it on Debian or Ubuntu", command: "sudo apt-get install tmux" },
    { intent: "install it on macOS", command: "brew install tmux" },
  ]);
}

export function tooOld(version: string): Fault {
  return new Fault("unavailable", "tmux.too_old", `tmux ${version} is too old: mu needs ${OLDEST_TMUX} or newer`, [
    DOCTOR,
  ]);
}

export function timedOut(what: string, timeoutMs: number): Fault {
  return new Fault("unavailable", "tmux.failed", `tmux did not answer "${what}" within ${timeoutMs / 1000} s`, [
    DOCTOR,
  ]);
}

/** The server may well be alive: a sandbox or a permission keeps us from its socket. */
export function unreachable(refusal: string): Fault {
  return new Fault("unavailable", "tmux.unreachable", `the tmux socket cannot be reached from here: ${refusal}`, [
    { intent: "see who mu thinks you are", command: "mu me" },
    DOCTOR,
  ]);
}

export function commandTooLong(bytes: number, limit: number): Fault {
  return new Fault(
    "usage",
    "tmux.command_too_long",
    `the command and its environment are ${bytes} bytes; tmux takes ${limit} at most`,
    [{ intent: "start the agent first and send it the long text", command: "mu agent send <agent> --file <file>" }],
  );
}
