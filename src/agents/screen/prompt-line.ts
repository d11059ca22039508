import { type Screen, screenRows } from "./screen.js";

/** What the cursor's row holds left of it: a shell's prompt, and behind that what was typed. */
export function promptLine(screen: Screen): string {
  return (screenRows(screen)[screen.cursorY]?.text ?? "").slice(0, screen.cursorX).padEnd(screen.cursorX);
}

/**
 * Whether a shell's line is its prompt alone. `known` is that line with nothing typed; it may show other words by now. A line
 * of another form may be a question of `read`, an open quote or half a command, unless it is a prompt of the usual kinds.
 */
export function judgePromptLine(screen: Screen, known: string | null): "prompt" | "typed" | "unknown" {
  const line = promptLine(screen);
  if (screenRows(screen)[screen.cursorY]?.text.charAt(screen.cursorX).trim()) return "typed";
  if (known !== null && (line === known || hasFormOf(line, known))) return "prompt";
  if (known !== null && known.trim() !== "" && line.startsWith(known.trimEnd())) return "typed";
  const isSameMark = known === null || line.trimEnd().at(-1) === known.trimEnd().at(-1);
  if (isSameMark && PLAIN_PROMPT.test(line)) return "prompt";
  return BEHIND_PROMPT.test(line) ? "typed" : "unknown";
}

/** Its mark stands at its end only. `>` is left out: it is the mark of an open quote, too. */
const PLAIN_PROMPT = /^[^$#%❯➜»λ✗>]*[$#%❯➜»λ✗]\s*$/;
const BEHIND_PROMPT = /[$#%>❯➜»λ] \S(?:.*\S)?$/;

function hasFormOf(line: string, known: string): boolean {
  return /\W$/.test(known) && formOf(line) === formOf(known);
}

function formOf(line: string): string {
  return line.replace(/[✗✔✓±↑↓⇡⇣]+\s*/g, "").replace(/[\p{L}\p{N}_.~/-]+/gu, "w");
}
