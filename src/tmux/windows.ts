import { Fault } from "../errors.js";
import {
  type Environment,
  formatText,
  isServerGone,
  isTargetGone,
  type Run,
  refused,
  runOrFail,
  runUnlessGone,
  tmuxLine,
} from "./run.js";

/** The window that keeps a session open while nothing else is in it. */
export const PLACEHOLDER_WINDOW = "_mu";

/** Whether a session of exactly this name exists. Faults: `tmux.failed`. */
export async function hasSession(run: Run, session: string): Promise<boolean> {
  const ask = ["has-session", "-t", `=${session}`];
  return (await runUnlessGone(run, { what: `look for session ${session}` }, [ask])) !== undefined;
}

/**
 * Creates the session with a placeholder window unless it exists; true if it was created. Every pane that is opened in
 * it, also by hand, gets `env`. Safe to call from many processes at once. Faults: `tmux.failed`.
 */
export async function openSession(
  run: Run,
  session: string,
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<boolean> {
  const named = ["-s", session, "-n", PLACEHOLDER_WINDOW, "-c", formatText(cwd), ...variables(env)];
  const { refusal } = await run([
    ["new-session", "-d", ...named, "--", ...WAITING],
    ["set-option", "-t", `=${session}:`, "destroy-unattached", "off"],
    ["set-option", "-w", "-t", `=${session}:^`, "automatic-rename", "off"],
  ]);
  if (refusal === undefined) return true;
  if (/^duplicate session/.test(refusal)) return false;
  throw refused(`create session ${session}`, refusal);
}

/** Variables as options of a tmux command. */
export function variables(env: Readonly<Record<string, string>> = {}): string[] {
  return Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
}

/** All sessions of the server by name; none where none runs. Faults: `tmux.failed`. */
export async function listSessions(run: Run): Promise<string[]> {
  const list = ["list-sessions", "-F", "#{session_name}"];
  const printed = await runUnlessGone(run, { what: "list the sessions", isGone: isServerGone }, [list]);
  return (printed ?? "").split("\n").filter((name) => name !== "");
}

/** Says what it is for, and ignores what is typed there. */
const WAITING = ["sh", "-c", "echo 'mu holds this session open for its agents.'; exec cat >/dev/null"];

/** False if there is no such session. Faults: `session.exists`, `tmux.failed`. */
export async function renameSession(run: Run, from: string, to: string): Promise<boolean> {
  const { refusal } = await run([["rename-session", "-t", `=${from}`, to]]);
  if (refusal === undefined) return true;
  if (isTargetGone(refusal)) return false;
  if (/^duplicate session/.test(refusal)) throw sessionExists(to);
  throw refused(`rename session ${from}`, refusal);
}

export function sessionExists(session: string, env?: Environment): Fault {
  const steps = env && [{ intent: "Attach to it", command: tmuxLine(env, "attach", "-t", `=${session}`) }];
  return new Fault("conflict", "session.exists", `A tmux session ${session} already exists.`, steps);
}

/** A no-op if it does not exist. */
export async function killSession(run: Run, session: string): Promise<void> {
  await runUnlessGone(run, { what: `close session ${session}` }, [["kill-session", "-t", `=${session}`]]);
}

/** Faults: `pane.not_found`. */
export async function renameWindow(run: Run, target: string, name: string): Promise<void> {
  const what = `rename the window of ${target}`;
  await runOrFail(run, { what, pane: target }, [["rename-window", "-t", target, formatText(name)]]);
}

/** Gives a pane a window of its own in an existing session. Faults: `pane.not_found`. */
export async function movePane(run: Run, pane: string, to: { session: string; window: string }): Promise<void> {
  const move = ["break-pane", "-d", "-s", pane, "-t", `=${to.session}:`];
  await runOrFail(run, { what: `move pane ${pane} to session ${to.session}`, pane }, [
    move,
    ["rename-window", "-t", pane, formatText(to.window)],
    ["set-option", "-w", "-t", pane, "automatic-rename", "off"],
    ["set-option", "-w", "-t", pane, "allow-rename", "off"],
  ]);
}

/** Selects the pane and its window in their session. Faults: `pane.not_found`. */
export async function focusPane(run: Run, pane: string): Promise<void> {
  const commands = ["select-window", "select-pane"].map((name) => [name, "-t", pane]);
  await runOrFail(run, { what: `show pane ${pane}`, pane }, commands);
}
