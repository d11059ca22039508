import { completeFilter } from "../filter.js";
import { type Ask, BINDINGS, type Binding, splitWords, type Words } from "./bindings.js";
import type { Data } from "./data.js";
import type { Key } from "./keys.js";
import { CONTROLS } from "./sequences.js";
import { LAYOUTS, type Layout, type Row, rowsOf, VIEW, VIEWS, type ViewName } from "./views.js";

/** A text that is being typed at the foot of the screen. */
export interface Prompt {
  kind: "filter" | "line" | "ask";
  label: string;
  text: string;
  /** Where the next character goes, in code points. */
  cursor: number;
  ask?: Ask;
  /** What the text can be completed to, and which of it stands there. */
  offers?: { texts: readonly string[]; at: number } | undefined;
}

/** Text over the whole middle of the screen: help, or what a line said. */
export interface Page {
  title: string;
  lines: readonly string[];
  top: number;
}

/** Everything about the screen that is not about the crew. */
export interface Model {
  view: ViewName;
  layout: Layout;
  /** The id of the row that is chosen, by view; the first one without it. */
  chosen: Partial<Record<ViewName, string>>;
  /** Where it stood, so that its neighbour is chosen when it goes. */
  places: Partial<Record<ViewName, number>>;
  filters: Partial<Record<ViewName, string>>;
  /** Which detail each view shows. */
  details: Partial<Record<ViewName, number>>;
  /** How far the detail is scrolled, in rows. */
  scrolled: number;
  prompt: Prompt | null;
  page: Page | null;
  /** The key that was pressed once and wants to be pressed twice. */
  armed: string | null;
  /** The last line that a key ran, and how it went; `ok` is null while it runs. */
  last: { line: string; said: string; ok: boolean | null } | null;
}

export const START: Model = {
  view: "crew",
  layout: "tree",
  ...{ chosen: {}, places: {}, filters: {}, details: {}, scrolled: 0 },
  ...{ prompt: null, page: null, armed: null, last: null },
};

/** What the world has to do after a key. */
export type Effect =
  | { do: "run"; words: Words; page: boolean }
  | { do: "terminal"; words: Words }
  | { do: "complete"; words: Words }
  | { do: "quit" }
  | { do: "suspend" };

export interface Step {
  model: Model;
  effect?: Effect;
}

/** What a key depends on beside the model. */
export interface Seen {
  data: Data;
  /** Rows of the list that fit, and how many rows of the page there are. */
  height: number;
  /** Which row of the list a row of the screen shows. */
  rowAt(screenRow: number): number | undefined;
  frozen: boolean;
}

export const filterOf = (model: Model) => model.filters[model.view] ?? "";
export const rowsNow = (model: Model, data: Data) =>
  rowsOf(model.view, data, { layout: model.layout, filter: filterOf(model) });

/** The place of the chosen row; where it is gone, of its neighbour that can be chosen. */
export function placeOf(model: Model, rows: readonly Row[]): number {
  const id = model.chosen[model.view];
  const at = id === undefined ? -1 : rows.findIndex((row) => row.id === id);
  if (at >= 0) return at;
  return nearest(rows, Math.min(model.places[model.view] ?? 0, rows.length - 1), 1);
}

/** The nearest row from `at` on that is no heading, in that direction or else in the other. */
function nearest(rows: readonly Row[], at: number, step: 1 | -1): number {
  const isRow = (index: number) => rows[index] !== undefined && rows[index]?.subject !== null;
  for (const way of [step, -step])
    for (let index = at; index >= 0 && index < rows.length; index += way) if (isRow(index)) return index;
  return Math.max(0, at);
}

const EMPTY: Row = { id: "", subject: null, cells: [], fields: {} };

/** Keys of this moment: those of the view that do something for the chosen row. */
export function bindingsOf(model: Model, row: Row | undefined): Binding[] {
  const isThere = row !== undefined && row.subject !== null;
  return BINDINGS.filter(({ views, anywhere }) => views.includes(model.view) && (anywhere || isThere));
}

/** What a key changes, and what has to be done. */
export function press(model: Model, seen: Seen, key: Key): Step {
  const { name } = key;
  if (name === "ctrl+z") return { model, effect: { do: "suspend" } };
  if (name === "ctrl+c")
    return model.prompt ? { model: { ...model, prompt: null } } : { model, effect: { do: "quit" } };
  if (model.prompt !== null) return typing(model, model.prompt, seen, key);
  if (model.page !== null) return paging(model, model.page, seen, key);
  const armed = model.armed;
  const calm: Model = { ...model, armed: null };
  return moving(calm, seen, key) ?? acting(calm, seen, name, armed) ?? { model: calm };
}

function moving(model: Model, seen: Seen, key: Key): Step | undefined {
  const rows = rowsNow(model, seen.data);
  const at = placeOf(model, rows);
  const by = (step: number): Step => ({ model: choose(model, rows, at + step, step < 0 ? -1 : 1) });
  const to = (view: ViewName | undefined): Step => ({ model: view ? { ...model, view, scrolled: 0 } : model });
  const turn = (step: number) => VIEWS[(VIEWS.indexOf(model.view) + step + VIEWS.length) % VIEWS.length];
  const page = Math.max(1, seen.height - 1);
  switch (key.name) {
    case "up":
    case "k":
      return by(-1);
    case "down":
    case "j":
      return by(1);
    case "wheelup":
      return by(-3);
    case "wheeldown":
      return by(3);
    case "pageup":
    case "ctrl+b":
      return by(-page);
    case "pagedown":
    case "ctrl+f":
      return by(page);
    case "home":
    case "g":
      return by(-rows.length);
    case "end":
    case "G":
      return { model: choose(model, rows, rows.length - 1, -1) };
    case "click": {
      const clicked = key.at && seen.rowAt(key.at.row);
      return clicked === undefined ? { model } : { model: choose(model, rows, clicked, 1) };
    }
    case "tab":
      return to(turn(1));
    case "shift+tab":
      return to(turn(-1));
    case "v": {
      const count = VIEW[model.view].details.length;
      const next = count === 0 ? 0 : ((model.details[model.view] ?? 0) + 1) % count;
      return { model: { ...model, details: { ...model.details, [model.view]: next }, scrolled: 0 } };
    }
    case "t":
      if (model.view !== "tasks") return { model };
      return { model: { ...model, layout: LAYOUTS[(LAYOUTS.indexOf(model.layout) + 1) % LAYOUTS.length] ?? "tree" } };
    case "J":
      return { model: { ...model, scrolled: model.scrolled + Math.ceil(page / 2) } };
    case "K":
      return { model: { ...model, scrolled: Math.max(0, model.scrolled - Math.ceil(page / 2)) } };
    case "/":
      return { model: { ...model, prompt: newPrompt("filter", "filter", filterOf(model)) } };
    case ":":
      return { model: { ...model, prompt: newPrompt("line", "mu", "") } };
    case "?":
      return { model: { ...model, prompt: newPrompt("filter", "help", ""), page: { title: HELP, lines: [], top: 0 } } };
    case "esc":
      return { model: { ...model, filters: { ...model.filters, [model.view]: "" }, last: null } };
    case "q":
      return { model, effect: { do: "quit" } };
  }
  if (/^[1-7]$/.test(key.name)) return to(VIEWS[Number(key.name) - 1]);
  return undefined;
}

const SCROLLS: ReadonlySet<string> = new Set(["up", "down", "pageup", "pagedown", "wheelup", "wheeldown"]);

/** The title of the page that lists the keys. */
export const HELP = "Keys";

function choose(model: Model, rows: readonly Row[], wanted: number, step: 1 | -1): Model {
  if (rows.length === 0) return model;
  const place = nearest(rows, Math.max(0, Math.min(rows.length - 1, wanted)), step);
  const { view } = model;
  const [chosen, places] = [
    { ...model.chosen, [view]: rows[place]?.id },
    { ...model.places, [view]: place },
  ];
  return { ...model, chosen, places, scrolled: 0 } as Model;
}

function acting(model: Model, { data, frozen }: Seen, name: string, armed: string | null): Step | undefined {
  const rows = rowsNow(model, data);
  const row = rows[placeOf(model, rows)];
  const binding = bindingsOf(model, row).find(({ key }) => key === name);
  if (binding === undefined) return undefined;
  const does = binding.does({ row: row ?? EMPTY, data, frozen });
  if ("label" in does) return { model: { ...model, prompt: { ...newPrompt("ask", does.label, ""), ask: does } } };
  if (does.twice && armed !== name) {
    const said = `${name} again runs: ${lineOf(does.line)}`;
    return { model: { ...model, armed: name, last: { line: "", said, ok: null } } };
  }
  if (does.terminal) return { model, effect: { do: "terminal", words: does.line } };
  return running(model, does.line, does.page === true);
}

function running(model: Model, words: Words, page: boolean): Step {
  const last = { line: lineOf(words), said: "…", ok: null };
  return { model: { ...model, prompt: null, last }, effect: { do: "run", words, page } };
}

const newPrompt = (kind: Prompt["kind"], label: string, text: string): Prompt => ({
  ...{ kind, label, text },
  cursor: [...text].length,
});

/** A line as one types it. */
export function lineOf(words: Words): string {
  const quoted = words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`));
  return ["mu", ...quoted].join(" ");
}

function typing(model: Model, prompt: Prompt, seen: Seen, key: Key): Step {
  const set = (changes: Partial<Prompt>): Step => {
    const next = { ...prompt, offers: undefined, ...changes };
    return { model: shownAsTyped({ ...model, prompt: next }) };
  };
  const letters = [...prompt.text];
  const splice = (from: number, until: number, text = ""): Step => {
    const inserted = [...text.replace(/\s*[\r\n]+\s*/g, " ").replace(CONTROLS, "")];
    const next = [...letters.slice(0, from), ...inserted, ...letters.slice(until)];
    return set({ text: next.join(""), cursor: from + inserted.length });
  };
  const { cursor } = prompt;
  const wordStart = () => {
    let from = cursor;
    while (from > 0 && letters[from - 1] === " ") from--;
    while (from > 0 && letters[from - 1] !== " ") from--;
    return from;
  };
  // What is listed below the words that are searched for scrolls while they are typed.
  if (prompt.kind === "filter" && model.page !== null && SCROLLS.has(key.name))
    return paging(model, model.page, seen, key);
  switch (key.name) {
    case "esc":
      return left(model, prompt);
    case "enter":
      return entered(model, prompt);
    case "tab":
    case "shift+tab":
      return completing(model, prompt, seen, key.name === "tab" ? 1 : -1);
    case "left":
      return set({ cursor: Math.max(0, cursor - 1) });
    case "right":
      return set({ cursor: Math.min(letters.length, cursor + 1) });
    case "home":
    case "ctrl+a":
      return set({ cursor: 0 });
    case "end":
    case "ctrl+e":
      return set({ cursor: letters.length });
    case "backspace":
      return cursor === 0 ? { model } : splice(cursor - 1, cursor);
    case "delete":
      return splice(cursor, cursor + 1);
    case "ctrl+u":
      return splice(0, cursor);
    case "ctrl+k":
      return splice(cursor, letters.length);
    case "ctrl+w":
      return splice(wordStart(), cursor);
    case "space":
      return splice(cursor, cursor, " ");
  }
  if ("text" in key) return splice(cursor, cursor, key.text);
  if ([...key.name].length !== 1) return { model };
  const answers = prompt.text === "" && prompt.ask?.keys?.includes(key.name);
  const words = answers ? prompt.ask?.line(key.name) : undefined;
  return words === undefined ? splice(cursor, cursor, key.name) : running(model, words, false);
}

/** A filter filters while it is typed. */
function shownAsTyped(model: Model): Model {
  const { prompt, view, page } = model;
  if (prompt?.kind !== "filter") return model;
  if (page !== null) return { ...model, page: { ...page, top: 0 } };
  return { ...model, filters: { ...model.filters, [view]: prompt.text } };
}

function left(model: Model, { kind }: Prompt): Step {
  const filters = kind === "filter" && model.page === null ? { ...model.filters, [model.view]: "" } : model.filters;
  return { model: { ...model, prompt: null, page: kind === "filter" ? null : model.page, filters } };
}

function entered(model: Model, { kind, text, ask }: Prompt): Step {
  if (kind === "filter") return { model: { ...model, prompt: null, page: null } };
  if (text.trim() === "") return { model: { ...model, prompt: null } };
  const words = kind === "line" ? splitWords(text.replace(/^\s*mu\s+/, "")) : ask?.line(text);
  return words === undefined ? { model } : running(model, words, kind === "line");
}

function completing(model: Model, prompt: Prompt, { data }: Seen, step: 1 | -1): Step {
  const { offers, kind, text, ask } = prompt;
  if (offers !== undefined) {
    const at = (offers.at + step + offers.texts.length) % offers.texts.length;
    return { model: withOffers(model, { ...offers, at }) };
  }
  if (kind === "filter") {
    const rows = rowsOf(model.view, data, { layout: model.layout, filter: "" });
    return {
      model: withOffers(model, {
        texts: completeFilter(
          text,
          rows.map(({ fields }) => fields),
        ),
        at: 0,
      }),
    };
  }
  if (ask?.completes === "agent") {
    const names = data.agents.map(({ name }) => name).filter((name) => name.startsWith(text));
    return { model: withOffers(model, { texts: names, at: 0 }) };
  }
  if (kind !== "line" && ask?.completes !== "line") return { model };
  const words = splitWords(kind === "line" ? text : `${prompt.label} ${text}`);
  return { model, effect: { do: "complete", words: text === "" || text.endsWith(" ") ? [...words, ""] : words } };
}

/** The prompt with what its text can be completed to; whole texts. */
export function withOffers(model: Model, offers: NonNullable<Prompt["offers"]>): Model {
  const text = offers.texts[offers.at];
  if (model.prompt === null || text === undefined) return model;
  return shownAsTyped({ ...model, prompt: { ...model.prompt, text, cursor: [...text].length, offers } });
}

function paging(model: Model, page: Page, { height }: Seen, { name }: Key): Step {
  const by = (step: number): Step => ({ model: { ...model, page: { ...page, top: Math.max(0, page.top + step) } } });
  const steps: Readonly<Record<string, number>> = {
    ...{ up: -1, k: -1, down: 1, j: 1, wheelup: -3, wheeldown: 3 },
    ...{ pageup: -height, "ctrl+b": -height, pagedown: height, "ctrl+f": height, space: height },
    ...{ home: -page.lines.length, g: -page.lines.length, end: page.lines.length, G: page.lines.length },
  };
  const step = steps[name];
  if (step !== undefined) return by(step);
  return ["esc", "q", "enter"].includes(name) ? { model: { ...model, page: null } } : { model };
}
