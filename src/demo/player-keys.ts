/** What a person, or tmux, does at the keyboard. */
export type Key =
  | { name: "text" | "paste"; text: string }
  | { name: "enter" | "newline" | "backspace" | "escape" | "clear" | "interrupt" | "end" };

/** The keys in a chunk of terminal input, and the start of a sequence whose end has not arrived yet. */
export interface Decoded {
  keys: Key[];
  rest: string;
}

const PASTE_START = "\x1b[200~";
const PASTE_END = "\x1b[201~";

const CONTROLS: Readonly<Record<string, Key>> = {
  "\r": { name: "enter" },
  "\n": { name: "newline" },
  "\x7f": { name: "backspace" },
  "\b": { name: "backspace" },
  "\x15": { name: "clear" },
  "\x03": { name: "interrupt" },
  "\x04": { name: "end" },
  "\t": { name: "text", text: "    " },
};

/** Splits `input` into keys. What it cannot use (arrows, function keys, answers of the terminal) is dropped. */
export function decodeKeys(input: string): Decoded {
  const keys: Key[] = [];
  let rest = input;
  while (rest !== "") {
    const token = nextToken(rest);
    if (!token) break;
    if (token.key) keys.push(token.key);
    rest = rest.slice(token.length);
  }
  return { keys, rest };
}

/** What an unfinished sequence means when nothing follows it: a bare ESC is the Escape key. */
export function flushKeys(rest: string): Decoded {
  if (rest.startsWith(PASTE_START) || rest === "") return { keys: [], rest };
  const after = decodeKeys(rest.slice(1));
  return { keys: [{ name: "escape" }, ...after.keys], rest: after.rest };
}

interface Token {
  length: number;
  key?: Key;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal speaks in them
const PLAIN_TEXT = /^[^\x00-\x1f\x7f]+/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal speaks in them
const ESCAPE_SEQUENCE = /^\x1b(?:\[[\x20-\x3f]*[\x40-\x7e]|O[\x20-\x7e]|[\]P][^\x07\x1b]*(?:\x07|\x1b\\))/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal speaks in them
const UNFINISHED_SEQUENCE = /^\x1b(?:\[[\x20-\x3f]*|O|[\]P][^\x07\x1b]*\x1b?)?$/;

/** The first key of `input`; undefined while more input is needed to tell. */
function nextToken(input: string): Token | undefined {
  const text = PLAIN_TEXT.exec(input)?.[0];
  if (text !== undefined) return { length: text.length, key: { name: "text", text } };
  if (input.startsWith(PASTE_START)) return pasteToken(input);
  if (!input.startsWith("\x1b")) return controlToken(input);
  const sequence = ESCAPE_SEQUENCE.exec(input)?.[0];
  if (sequence !== undefined) return { length: sequence.length };
  if (UNFINISHED_SEQUENCE.test(input)) return undefined;
  return { length: 1, key: { name: "escape" } };
}

function pasteToken(input: string): Token | undefined {
  const end = input.indexOf(PASTE_END);
  if (end < 0) return undefined;
  const text = input.slice(PASTE_START.length, end).replace(/\r\n?/g, "\n");
  return { length: end + PASTE_END.length, key: { name: "paste", text } };
}

function controlToken(input: string): Token {
  const key = CONTROLS[input.charAt(0)];
  return key ? { length: 1, key } : { length: 1 };
}
