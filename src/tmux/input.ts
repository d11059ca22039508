import { isServerGone, paneNotFound, paneRefused, refused } from "./faults.js";
import { type Command, formatText, quoteCommands, type Run, uniqueWord } from "./run.js";

export interface Paste {
  pane: string;
  /** Goes through `pasteText`. */
  text: string;
  /** Paste only while the pane carries this `@mu_agent_id`; checked in the same call, so nobody comes between. */
  agentId?: string;
  /** Press Enter so many ms after the text; without it the text stays in the composer. */
  enter?: { afterMs: number; sleep: (ms: number) => Promise<void> };
}

export interface Keys {
  pane: string;
  /** tmux key names (`Enter`, `C-c`), characters to type as they are, or bytes in hex. */
  keys: readonly string[];
  as?: "names" | "characters" | "hex";
  agentId?: string;
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
 * Pastes text of any length as one paste; a scrolled pane leaves copy mode first.
 * Faults: `pane.not_found`, `pane.dead`, `pane.stranger`.
 */
export async function paste(run: Run, { pane, text, agentId, enter }: Paste): Promise<void> {
  const clean = pasteText(text);
  if (clean !== "") await pasteBuffer(run, { pane, text: clean, ...(agentId !== undefined && { agentId }) });
  if (enter === undefined) return;
  await enter.sleep(enter.afterMs);
  await sendKeys(run, { pane, keys: ["Enter"], ...(agentId !== undefined && { agentId }) });
}

/** Faults: `pane.not_found`, `pane.dead`, `pane.stranger`. */
export async function sendKeys(run: Run, { pane, keys, as = "names", agentId }: Keys): Promise<void> {
  const flags = { names: [], characters: ["-l"], hex: ["-H"] }[as];
  const send = [
    ["copy-mode", "-q", "-t", pane],
    ["send-keys", ...flags, "-t", pane, "--", ...keys],
  ];
  await runOnLiving(run, { pane, agentId, typing: send });
}

async function pasteBuffer(run: Run, { pane, text, agentId }: Omit<Paste, "enter">): Promise<void> {
  const buffer = uniqueWord();
  const drop = ["delete-buffer", "-b", buffer];
  try {
    await runOnLiving(run, {
      pane,
      agentId,
      before: [["load-buffer", "-b", buffer, "-"]],
      input: text,
      typing: [
        ["copy-mode", "-q", "-t", pane],
        ["paste-buffer", "-p", "-r", "-d", "-b", buffer, "-t", pane],
      ],
    });
  } catch (error) {
    await run([drop]);
    throw error;
  }
}

/**
 * Runs `typing` only where the pane lives and is still the agent's. The check is part of the call because
 * `paste-buffer`, `send-keys -H` and `copy-mode -q` on a dead pane end the whole server (tmux 3.3a).
 */
async function runOnLiving(
  run: Run,
  on: { pane: string; agentId: string | undefined; before?: Command[]; input?: string; typing: Command[] },
): Promise<void> {
  const mark = uniqueWord();
  const [found, wanted] =
    on.agentId === undefined
      ? ["#{pane_id} #{pane_dead}", `${on.pane} 0`]
      : ["#{pane_id} #{pane_dead} #{@mu_agent_id}", `${on.pane} 0 ${formatText(on.agentId)}`];
  const report = `${mark} #{pane_id} #{pane_dead} #{@mu_agent_id}`;
  const otherwise = quoteCommands([["display-message", "-p", "-t", on.pane, report]]);
  const answer = await run(
    [
      ...(on.before ?? []),
      ["if-shell", "-F", "-t", on.pane, `#{==:${found},${wanted}}`, quoteCommands(on.typing), otherwise],
    ],
    on.input === undefined ? {} : { input: on.input },
  );
  if (isServerGone(answer.refusal)) throw paneNotFound(on.pane);
  if (answer.refusal !== undefined) throw refused(`type into pane ${on.pane}`, answer.refusal, on.pane);
  if (!answer.stdout.startsWith(mark)) return;
  const [, pane, dead, agentId = ""] = answer.stdout.trim().split(" ");
  throw pane === on.pane ? paneRefused(on.pane, { dead: dead === "1", agentId }) : paneNotFound(on.pane);
}
