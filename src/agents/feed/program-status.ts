import { type FeedEvent, type FeedKind, feedEvent } from "./event.js";

/** One report of the Program Status Protocol: `ESC ] 7501 ; state=…:app=…[:kind=…][:msg=base64] BEL`. */
export interface ProgramStatus {
  state: string;
  app?: string;
  kind?: string;
  msg?: string;
}

/**
 * Finds the reports in what a program wrote to its terminal. `rest` is an unfinished report at the end: put it before
 * the next bytes. Questions (`?`) and reports that cannot be read are passed over.
 */
export function parseProgramStatus(bytes: Uint8Array): { statuses: ProgramStatus[]; rest: Uint8Array } {
  const text = Buffer.from(bytes).toString("latin1");
  const statuses = [...text.matchAll(REPORT)].flatMap((match) => readReport(match[1] ?? "") ?? []);
  const open = text.lastIndexOf("\u001b");
  const begun = text.lastIndexOf(PREFIX);
  const last = begun >= 0 && !CLOSED.test(text.slice(begun)) ? begun : isPrefix(text.slice(open)) ? open : -1;
  const unfinished = last >= 0 && text.length - last <= MAX_REPORT;
  return { statuses, rest: unfinished ? bytes.slice(last) : new Uint8Array() };
}

const PREFIX = "\u001b]7501;";
/** Longer ones are no reports; an application's message is a sentence. */
const MAX_REPORT = 64 * 1024;
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are made of them
const REPORT = /\u001b\]7501;([\x20-\x7e]*)(?:\u0007|\u001b\\)/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are made of them
const CLOSED = /^\u001b\]7501;[\x20-\x7e]*(?:\u001b[^\\]|[\x00-\x1a\x1c-\x1f\x7f-\xff]|\u001b\\)/;

function isPrefix(text: string): boolean {
  return text !== "" && PREFIX.startsWith(text);
}

function readReport(body: string): ProgramStatus | undefined {
  const fields = new Map(body.split(":").map((field) => [field.split("=", 1)[0] ?? "", field.replace(/^[^=]*=/, "")]));
  const state = fields.get("state");
  if (!state) return undefined;
  const [app, kind, msg] = [fields.get("app"), fields.get("kind"), fields.get("msg")];
  return {
    state,
    ...(app && { app }),
    ...(kind && { kind }),
    ...(msg && { msg: Buffer.from(msg, "base64").toString("utf8") }),
  };
}

/**
 * The reports as events of an agent's feed. A report that only clears the display says nothing, and `idle` behind
 * `error` only repeats that the turn is over.
 */
export function foldProgramStatus(statuses: readonly (ProgramStatus & { at: number })[]): FeedEvent[] {
  return statuses.flatMap((status, index) => {
    const kind = kindOf(status);
    if (!kind || (status.state === "idle" && statuses[index - 1]?.state === "error")) return [];
    return feedEvent({ at: status.at, event: `osc7501.${status.state}` }, kind, {
      text: status.msg,
      detail: status.kind,
    });
  });
}

/** A login that is asked for blocks an agent as a permission does. */
function kindOf({ state, kind }: ProgramStatus): FeedKind | undefined {
  if (state === "blocked") return kind === "question" ? "question" : "permission";
  if (state === "idle" || state === "done") return "idle";
  if (state === "working" || state === "error") return state;
  return undefined;
}
