import { emitKeypressEvents } from "node:readline";
import { PassThrough } from "node:stream";
import { MOUSE, UNFINISHED } from "./sequences.js";

/** A key, by what is printed on it: `a`, `G`, `enter`, `ctrl+c`, `up`; or what the mouse did; or a text that was pasted. */
export type Key =
  | { name: string; at?: undefined }
  | { name: "click" | "wheelup" | "wheeldown"; at: { column: number; row: number } }
  | { name: "paste"; text: string; at?: undefined };

/** What the terminal is asked for: clicks and the wheel with places beyond column 223, and marks around what is pasted. */
export const ASK_FOR_KEYS = "\x1b[?1000h\x1b[?1006h\x1b[?2004h";
export const ASK_NO_MORE = "\x1b[?2004l\x1b[?1006l\x1b[?1000l";

/** A lone Esc is told from the start of a sequence after this many ms. */
const ESCAPE_MS = 30;
/** A paste that never ends is given up at this many characters. */
const LONGEST_PASTE = 1_000_000;

const [PASTE_BEGINS, PASTE_ENDS] = ["\x1b[200~", "\x1b[201~"];

const NAMES: Readonly<Record<string, string>> = { return: "enter", escape: "esc" };

/** Calls `onKey` for each key of a terminal in raw mode; gives the function that ends it. */
export function readKeys(input: NodeJS.ReadableStream, onKey: (key: Key) => void): () => void {
  const plain = new PassThrough();
  emitKeypressEvents(plain, { escapeCodeTimeout: ESCAPE_MS } as never);
  plain.on("keypress", (text: string | undefined, key: Pressed) => {
    const name = nameOf(text, key);
    if (name !== undefined) onKey({ name });
  });
  let left = "";
  let pasted: string | undefined;
  const take = (chunk: Buffer | string) => {
    let text = left + chunk.toString();
    left = "";
    while (text !== "") {
      if (pasted !== undefined) {
        // The mark may come in two chunks, so that it is looked for in the whole.
        pasted += text;
        text = "";
        const end = pasted.indexOf(PASTE_ENDS);
        if (end < 0 && pasted.length <= LONGEST_PASTE) return;
        if (end >= 0) text = pasted.slice(end + PASTE_ENDS.length);
        onKey({ name: "paste", text: end < 0 ? pasted : pasted.slice(0, end) });
        pasted = undefined;
        continue;
      }
      const begin = text.indexOf(PASTE_BEGINS);
      const typed = begin < 0 ? text : text.slice(0, begin);
      text = begin < 0 ? "" : text.slice(begin + PASTE_BEGINS.length);
      if (begin >= 0) pasted = "";
      const rest = begin < 0 ? (UNFINISHED.exec(typed)?.[0] ?? "") : "";
      takeTyped(typed.slice(0, typed.length - rest.length));
      left = rest;
    }
  };
  const takeTyped = (typed: string) => {
    let from = 0;
    for (const found of typed.matchAll(MOUSE)) {
      if (found.index > from) plain.write(typed.slice(from, found.index));
      from = found.index + found[0].length;
      const [, button, column, row, end] = found;
      const name = ({ "0": "click", "64": "wheelup", "65": "wheeldown" } as const)[button ?? ""];
      if (name && end === "M") onKey({ name, at: { column: Number(column) - 1, row: Number(row) - 1 } });
    }
    if (from < typed.length) plain.write(typed.slice(from));
  };
  input.on("data", take);
  return () => {
    input.removeListener("data", take);
    plain.destroy();
  };
}

interface Pressed {
  name?: string | undefined;
  ctrl?: boolean;
  meta?: boolean;
  shift?: boolean;
}

function nameOf(text: string | undefined, { name, ctrl, meta, shift }: Pressed): string | undefined {
  if (meta && name !== "escape") return undefined;
  if (ctrl) return name && `ctrl+${name}`;
  if (name === "tab" && shift) return "shift+tab";
  const isText = text !== undefined && [...text].length === 1 && text >= " " && text !== "\x7f";
  if (isText) return text === " " ? "space" : text;
  return name === undefined ? undefined : (NAMES[name] ?? name);
}
