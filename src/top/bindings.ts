import type { Data } from "./data.js";
import type { Row, ViewName } from "./views.js";

/** The words of a line of mu's, after `mu`. */
export type Words = readonly string[];

/** A question at the foot of the screen, whose answer makes a line. */
export interface Ask {
  label: string;
  /** What the answer is completed from. */
  completes?: "agent" | "line";
  /** Keys that answer at once while nothing is typed. */
  keys?: readonly string[];
  line(answer: string): Words | undefined;
}

interface On {
  row: Row;
  data: Data;
  frozen: boolean;
}

/** What a key does to the crew or its work: every one is a line of mu's. */
export interface Binding {
  key: string;
  views: readonly ViewName[];
  what: string;
  /** Its line, or a question that makes one. */
  does(on: On): { line: Words; terminal?: true; twice?: true; page?: true } | Ask;
  /** It needs no row. */
  anywhere?: true;
}

const at = ({ row, data }: On) => `${data.workstream}/${row.subject}`;
const inWorkstream = ({ data }: Pick<On, "data">) => ["-w", data.workstream];
const TASK_VIEWS: readonly ViewName[] = ["tasks", "graph"];

/** Words of a line as a shell splits them, without anything else that shells do. */
export function splitWords(text: string): string[] {
  const words = text.match(/(?:"(?:\\.|[^"\\])*"?|'[^']*'?|\\.|[^\s"'\\])+/g) ?? [];
  return words.map((word) =>
    word.replace(/"((?:\\.|[^"\\])*)"?|'([^']*)'?|\\(.)/g, (_, double, single, escaped) =>
      double !== undefined ? double.replace(/\\(["\\$`])/g, "$1") : (single ?? escaped),
    ),
  );
}

export const BINDINGS: readonly Binding[] = [
  {
    ...{ key: "space", views: ["crew"], what: "answer or send" },
    does: (on) => {
      const { item } = on.row;
      if (item === undefined) return { label: `to ${on.row.subject}`, line: (text) => ["agent", "send", at(on), text] };
      const keys = item.choices.map(({ key }) => key).filter((key) => key.length === 1);
      const label = `answer ${on.row.subject}${keys.length > 0 ? ` (${keys.join(" ")} at once)` : ""}`;
      return { label, keys, line: (text) => ["inbox", "answer", item.id, text, ...inWorkstream(on)] };
    },
  },
  {
    ...{ key: "enter", views: ["crew"], what: "attach" },
    does: (on) => ({ line: ["agent", "attach", at(on)], terminal: true }),
  },
  {
    ...{ key: "n", views: ["crew"], what: "new agent", anywhere: true },
    does: (on) => ({
      label: "agent spawn",
      completes: "line",
      line: (text) => ["agent", "spawn", ...splitWords(text), ...inWorkstream(on)],
    }),
  },
  {
    ...{ key: "i", views: ["crew"], what: "interrupt" },
    does: (on) => ({ line: ["agent", "interrupt", at(on)] }),
  },
  {
    ...{ key: "f", views: ["crew"], what: "freeze or thaw all", anywhere: true },
    does: (on) => ({ line: [on.frozen ? "thaw" : "freeze", ...inWorkstream(on)] }),
  },
  {
    ...{ key: "x", views: ["crew"], what: "close" },
    does: (on) => ({ line: ["agent", "close", at(on)], twice: true }),
  },
  {
    ...{ key: "n", views: TASK_VIEWS, what: "new task", anywhere: true },
    does: (on) => ({ label: "task add", line: (text) => ["task", "add", text, ...inWorkstream(on)] }),
  },
  {
    ...{ key: "e", views: TASK_VIEWS, what: "edit" },
    does: (on) => ({ line: ["task", "edit", at(on)], terminal: true }),
  },
  {
    ...{ key: "c", views: TASK_VIEWS, what: "claim for" },
    does: (on) => ({
      label: `claim ${on.row.subject} for`,
      completes: "agent",
      line: (text) => ["task", "claim", at(on), "--for", text.trim()],
    }),
  },
  {
    ...{ key: "h", views: TASK_VIEWS, what: "hold" },
    does: (on) => ({
      label: `hold ${on.row.subject}, because`,
      line: (text) => ["task", "escalate", at(on), text],
    }),
  },
  {
    ...{ key: "r", views: TASK_VIEWS, what: "requeue" },
    does: (on) => ({ line: ["task", "requeue", at(on)] }),
  },
  {
    ...{ key: "x", views: TASK_VIEWS, what: "close" },
    does: (on) => ({ line: ["task", "close", at(on)], twice: true }),
  },
  {
    ...{ key: "o", views: ["landing"], what: "dry run" },
    does: (on) => ({ line: ["land", at(on), "--dry-run"], page: true }),
  },
  {
    ...{ key: "l", views: ["landing"], what: "land" },
    does: (on) => ({ line: ["land", at(on)], page: true }),
  },
  {
    ...{ key: "a", views: ["landing"], what: "approve" },
    does: (on) => ({ line: ["review", "approve", at(on)] }),
  },
  {
    ...{ key: "b", views: ["landing"], what: "send back" },
    does: (on) => ({
      label: `${on.row.subject} goes back, because`,
      line: (text) => ["review", "return", at(on), "--comment", text],
    }),
  },
  {
    ...{
      key: "u",
      views: ["crew", "tasks", "graph", "landing", "conflicts", "money", "log"],
      what: "undo",
      anywhere: true,
    },
    does: (on) => ({ line: ["undo", "--yes", ...inWorkstream(on)], twice: true }),
  },
];

/** What keys do to the screen alone. */
export const MOVES: readonly { keys: readonly string[]; what: string }[] = [
  { keys: ["1", "2", "3", "4", "5", "6", "7"], what: "a view by its number" },
  { keys: ["tab", "shift+tab"], what: "the next or previous view" },
  { keys: ["up", "k"], what: "up" },
  { keys: ["down", "j"], what: "down" },
  { keys: ["pageup", "ctrl+b"], what: "a page up" },
  { keys: ["pagedown", "ctrl+f"], what: "a page down" },
  { keys: ["home", "g"], what: "the first" },
  { keys: ["end", "G"], what: "the last" },
  { keys: ["v"], what: "what the detail shows" },
  { keys: ["t"], what: "tasks as a tree, a board or what is ready" },
  { keys: ["J", "K"], what: "the detail down or up" },
  { keys: ["/"], what: "filter" },
  { keys: [":"], what: "any line of mu's" },
  { keys: ["?"], what: "help" },
  { keys: ["esc"], what: "back" },
  { keys: ["ctrl+z"], what: "to the shell for a while" },
  { keys: ["q", "ctrl+c"], what: "quit" },
];
