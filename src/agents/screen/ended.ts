import { nonEmpty, type Row, type Screen, screenRows } from "./screen.js";

const SHELLS = new Set([
  "sh",
  "bash",
  "zsh",
  "fish",
  "dash",
  "ash",
  "ksh",
  "mksh",
  "tcsh",
  "csh",
  "nu",
  "xonsh",
  "pwsh",
]);

/** Whether a program's name is that of a shell (`-bash` is a login shell). */
export function isShell(command: string): boolean {
  return SHELLS.has(command.replace(/^-/, "").split("/").at(-1) ?? "");
}

/** tmux writes this row into a pane whose program has ended while `remain-on-exit` keeps the pane. */
const DEAD_PANE = /^Pane is dead(?: \((.*)\))?/;
const COMPLAINT =
  /\b(?:error|errors|fail\w*|fatal|panic|unable|cannot|can't|could not|couldn't|not found|no such|denied|refused|invalid|missing|required|unknown|unsupported|exception)\b/i;

/** Whether the pane's program has ended. */
export function hasEnded(screen: Screen): boolean {
  if (screen.dead) return true;
  const last = nonEmpty(screenRows(screen)).at(-1);
  return last !== undefined && DEAD_PANE.test(last.text) && screen.command === "";
}

/** Why it ended: tmux's exit status and the first complaint among its last words. */
export function lastWords(screen: Screen): { reason: string; evidence: Row[] } {
  const rows = nonEmpty(screenRows(screen)).slice(-12);
  const words = rows.filter((row) => !DEAD_PANE.test(row.text));
  const how = rows.map((row) => DEAD_PANE.exec(row.text)?.[1]).find((text) => text !== undefined);
  const why = words.find((row) => COMPLAINT.test(row.text)) ?? words.at(-1);
  const status = /status \d+|signal \S+/.exec(how ?? "")?.[0];
  const ended = status ? `the program ended with ${status}` : "the program ended";
  return {
    reason: why ? `${ended}: ${why.text.trim().slice(0, 200)}` : ended,
    evidence: [...(why ? [why] : []), ...rows.filter((row) => DEAD_PANE.test(row.text))],
  };
}
