import {
  type Command,
  formatText,
  isServerGone,
  paneMoved,
  paneNotFound,
  paneRefused,
  quoteCommands,
  type Run,
  refused,
  uniqueWord,
} from "./run.js";

/** What is typed into, and what must still be true of it; checked in the same call, so nothing can come between. */
interface Target {
  pane: string;
  /** The `@mu_agent_id` that the pane carries. */
  agentId?: string;
  /** Where its cursor is. */
  cursor?: Cursor;
}

export interface Paste extends Target {
  /** Goes through `pasteText`. */
  text: string;
  /** Press Enter in the same call; without it the text stays in the composer. */
  enter?: boolean;
}

/** Where a pane's cursor was seen, from the upper left corner, 0 first. */
export interface Cursor {
  x: number;
  y: number;
}

export interface Keys extends Target {
  /** tmux key names (`Enter`, `C-c`), or characters to type as they are. */
  keys: readonly string[];
  as?: "names" | "characters";
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const PASTE_MARKS = /(?:\x1b\[|\x9b)20[01]~/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: all but tab and line feed, C1 included
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/**
 * Text that may be pasted: line ends are LF, tabs stay, and no control character is left that could end a
 * bracketed paste, press a key or talk to the terminal.
 */
export function pasteText(text: string): string {
  return text.replace(/\r\n?/g, "\n").replace(PASTE_MARKS, "").replace(CONTROLS, "");
}

/**
 * Pastes text of any length as one paste; a scrolled pane leaves copy mode first. Faults: `pane.not_found`,
 * `pane.dead`, `pane.stranger`, `pane.moved`.
 */
export async function paste(run: Run, { text, enter, ...target }: Paste): Promise<void> {
  const clean = pasteText(text);
  if (clean === "") return enter ? sendKeys(run, { ...target, keys: ["Enter"] }) : undefined;
  const buffer = uniqueWord();
  const pasteIt = ["paste-buffer", "-p", "-r", "-d", "-b", buffer, "-t", target.pane];
  const pressEnter = ["send-keys", "-t", target.pane, "--", "Enter"];
  try {
    await runOnLiving(run, target, {
      before: [["load-buffer", "-b", buffer, "-"]],
      input: clean,
      typing: [leaveCopyMode(target.pane), pasteIt, ...(enter ? [pressEnter] : [])],
    });
  } catch (error) {
    await run([["delete-buffer", "-b", buffer]]);
    throw error;
  }
}

/** Faults: `pane.not_found`, `pane.dead`, `pane.stranger`, `pane.moved`. */
export async function sendKeys(run: Run, { keys, as = "names", ...target }: Keys): Promise<void> {
  const send = ["send-keys", ...(as === "characters" ? ["-l"] : []), "-t", target.pane, "--", ...keys];
  await runOnLiving(run, target, { typing: [leaveCopyMode(target.pane), send] });
}

const leaveCopyMode = (pane: string): Command => ["copy-mode", "-q", "-t", pane];

/**
 * Runs `typing` only where the pane lives, is still the agent's and has its cursor where it was seen. The check is
 * part of the call because `paste-buffer`, `send-keys -H` and `copy-mode -q` on a dead pane end the whole server
 * (tmux 3.3a).
 */
async function runOnLiving(
  run: Run,
  { pane, agentId, cursor }: Target,
  { before = [], input, typing }: { before?: Command[]; input?: string; typing: Command[] },
): Promise<void> {
  const mark = uniqueWord();
  const found = ["#{pane_id} #{pane_dead}"];
  const wanted = [`${pane} 0`];
  if (agentId !== undefined) {
    found.push("#{@mu_agent_id}");
    wanted.push(formatText(agentId));
  }
  if (cursor !== undefined) {
    found.push("#{cursor_x} #{cursor_y}");
    wanted.push(`${cursor.x} ${cursor.y}`);
  }
  const report = `${mark} #{pane_id} #{pane_dead} #{@mu_agent_id}`;
  const condition = `#{==:${found.join(" ")},${wanted.join(" ")}}`;
  const otherwise = quoteCommands([["display-message", "-p", "-t", pane, report]]);
  const answer = await run(
    [...before, ["if-shell", "-F", "-t", pane, condition, quoteCommands(typing), otherwise]],
    input === undefined ? {} : { input },
  );
  if (isServerGone(answer.refusal)) throw paneNotFound(pane);
  if (answer.refusal !== undefined) throw refused(`type into pane ${pane}`, answer.refusal, pane);
  if (!answer.stdout.startsWith(mark)) return;
  const [, seen, dead, owner = ""] = answer.stdout.trim().split(" ");
  if (seen !== pane) throw paneNotFound(pane);
  if (dead !== "1" && (agentId === undefined || owner === agentId)) throw paneMoved(pane);
  throw paneRefused(pane, { dead: dead === "1", agentId: owner });
}
