import measure from "fast-string-truncated-width";
import { BINDINGS, MOVES } from "./bindings.js";
import type { Data } from "./data.js";
import { bindingsOf, filterOf, HELP, type Model, type Prompt, placeOf, rowsNow } from "./model.js";
import { CONTROLS, SEQUENCES } from "./sequences.js";
import { age, type Column, type Row, type Tone, VIEW, VIEWS } from "./views.js";

export interface Size {
  columns: number;
  rows: number;
}

/** What stands beside or below the list: where it is from, and its rows. */
export interface Shown {
  title: string;
  lines: readonly string[];
}

/** Where what stands: all in terminal rows and columns. */
export interface Places {
  /** Rows of the inbox. */
  inbox: number;
  /** A low terminal has no row for these. */
  low: { keys: boolean; counts: boolean; heads: boolean };
  list: { top: number; rows: number; columns: number };
  /** Null where there is no room for it. */
  detail: { rows: number; columns: number } | null;
  side: boolean;
}

/** From this width on the detail stands beside the list. */
const SIDE_BY_SIDE = 110;
/** Without so many rows there is only the list. */
const FEWEST_ROWS = 14;
export function placesOf({ columns, rows }: Size, { inbox }: Pick<Data, "inbox">, hasDetail: boolean): Places {
  const low = { keys: rows < 6, counts: rows < 7, heads: rows < 8 };
  const asked = Math.min(inbox.length, rows >= 30 ? 4 : rows >= 20 ? 2 : rows >= 8 ? 1 : 0);
  // The header and the last line stand in any case.
  const top = 1 + Number(!low.counts) + asked + Number(!low.heads);
  const room = Math.max(1, rows - top - 1 - Number(!low.keys));
  const side = hasDetail && columns >= SIDE_BY_SIDE;
  const facts = { inbox: asked, low, side };
  if (side) {
    const list = Math.max(60, Math.floor(columns * 0.5));
    return {
      ...{ ...facts, list: { top, rows: room, columns: list } },
      detail: { rows: room, columns: columns - list - 1 },
    };
  }
  const below = !hasDetail || rows < FEWEST_ROWS ? 0 : Math.floor(room * 0.5);
  return {
    ...{ ...facts, list: { top, rows: room - below, columns } },
    detail: below > 1 ? { rows: below, columns } : null,
  };
}

/** Whether the view says more of a row than the list. */
export const hasDetail = ({ view }: Pick<Model, "view">) => VIEW[view].details.length > 0;

/** The first row of a list that is shown, so that the chosen one is. */
export function firstShown(at: number, count: number, rows: number): number {
  return Math.max(0, Math.min(at - Math.floor(rows / 2), count - rows));
}

/** Colours that can be read on black and on white, as SGR parameters; every tone is also said by a word or a shape. */
const TONES: Readonly<Record<Tone, { style: string; colour: string }>> = {
  plain: { style: "", colour: "" },
  strong: { style: "1", colour: "" },
  dim: { style: "2", colour: "" },
  good: { style: "", colour: "32" },
  busy: { style: "1", colour: "32" },
  bad: { style: "", colour: "31" },
  asks: { style: "1", colour: "35" },
};

type Dye = (text: string, tone: Tone) => string;

const styled = (codes: string, text: string) => (codes === "" || text === "" ? text : `\x1b[${codes}m${text}\x1b[0m`);
const chosen = (text: string) => styled("1;7", text);

/** Without colour the styles stay. */
const dyeOf = (colour: boolean): Dye => {
  return (text, tone) => {
    const { style, colour: code } = TONES[tone];
    return styled([style, colour ? code : ""].filter(Boolean).join(";"), text);
  };
};

/** The text in exactly `width` columns, without what would steer the terminal. */
export function fitted(text: string, width: number, right = false): string {
  const cut = truncate(text.replace(CONTROLS, " "), width);
  const blank = " ".repeat(Math.max(0, width - widthOf(cut)));
  return right ? blank + cut : cut + blank;
}

function truncate(text: string, limit: number): string {
  const { index, ellipsed } = measure(text, { limit: Math.max(0, limit), ellipsis: "…" });
  return ellipsed ? `${text.slice(0, index)}…` : text.slice(0, index);
}

const widthOf = (text: string) => measure(text).width;

/** A line that may hold colours of its own, in at most `width` columns. */
function cutStyled(line: string, width: number): string {
  let [left, cut] = [width, ""];
  for (const part of line.split(SEQUENCES)) {
    if (part.startsWith("\x1b")) {
      cut += part;
      continue;
    }
    const whole = measure(part, { limit: left });
    // A rule or a frame is not more for being cut.
    const ellipsis = left > 0 && /[\p{L}\p{N}]/u.test(part.slice(whole.index)) ? "…" : "";
    const { index, width: wide } = ellipsis === "" ? whole : measure(part, { limit: left, ellipsis });
    cut += part.slice(0, index) + ellipsis;
    left -= wide;
    if (index < part.length) break;
  }
  return cut === line ? line : `${cut}\x1b[0m`;
}

/** A column on the screen: which of the view's, and how wide. */
interface Placed {
  at: number;
  width: number;
}

/**
 * The columns that fit, in their order: those that say nothing in any row go, then the last ones. Each is as wide as its
 * texts; where they do not fit, at most as wide as the view says. The one that grows takes the rest.
 */
function placed(columns: readonly Column[], rows: readonly Row[], room: number): Placed[] {
  const texts = textWidths(columns, rows);
  const used = (some: readonly Placed[]) => some.reduce((sum, { width }) => sum + width + 1, 0);
  const all = columns.map(({ head }, at) => ({ at, width: Math.max(texts[at] ?? 0, widthOf(head)) }));
  const wide = all.filter(({ at }) => columns[at]?.grows || rows.length === 0 || (texts[at] ?? 0) > 0);
  const fits = used(wide) <= room;
  const some = fits ? wide : wide.map(({ at, width }) => ({ at, width: Math.min(width, columns[at]?.width ?? width) }));
  while (some.length > 1 && used(some) > room) some.pop();
  const left = Math.max(0, room - used(some));
  return some.map(({ at, width }) => ({ at, width: columns[at]?.grows ? width + left : width }));
}

/** The rows of one reading are the same list from frame to frame, and may be thousands. */
const measured = new WeakMap<readonly Row[], number[]>();

/** How wide the widest text of each column is. */
function textWidths(columns: readonly Column[], rows: readonly Row[]): number[] {
  const known = measured.get(rows);
  if (known !== undefined) return known;
  const widths = columns.map(() => 0);
  for (const { subject, cells } of rows) {
    if (subject === null) continue;
    for (let at = 0; at < widths.length; at++) {
      const text = cells[at]?.text ?? "";
      // No character is wider than two columns.
      if (text.length * 2 > (widths[at] ?? 0)) widths[at] = Math.max(widths[at] ?? 0, widthOf(text));
    }
  }
  measured.set(rows, widths);
  return widths;
}

/** What is drawn. */
export interface Scenery {
  model: Model;
  data: Data;
  size: Size;
  detail: Shown;
  frozen: boolean;
  colour: boolean;
}

/** The whole screen, as its rows. */
export function drawFrame({ model, data, size, detail, frozen, colour }: Scenery): string[] {
  const dye = dyeOf(colour);
  const places = placesOf(size, data, hasDetail(model));
  const { low, list } = places;
  const { columns } = size;
  const asked = data.inbox.slice(0, places.inbox).map((item) => {
    // The words before it say this already.
    const why = item.summary.replace(/^(?:Held \([^)]*\)|The brake is on): /, "");
    const text = `! ${item.subject} ${ASKS[item.kind] ?? item.kind}: ${why}${since(item.since, data.now)}`;
    return dye(fitted(text, columns), "asks");
  });
  const below = places.detail && !places.side ? places.detail.rows : 0;
  const height = list.rows + below + Number(!low.heads);
  const middle =
    model.page === null ? listAndDetail({ model, data, places, detail, dye }) : pageRows(model, columns, height, dye);
  return [
    headerOf(model, data, columns),
    ...(low.counts ? [] : [fitted(countsOf(data, frozen), columns)]),
    ...asked,
    ...Array.from({ length: height }, (_, at) => middle[at] ?? ""),
    ...(low.keys ? [] : [dye(fitted(keysOf(model, data, columns), columns), "dim")]),
    model.prompt === null ? lastLine(model, columns, dye) : promptLine(model.prompt, columns, dye),
  ].slice(-size.rows);
}

const ASKS: Readonly<Record<string, string>> = {
  ...{ permission: "asks", input: "waits for you", brake: "is stopped", held: "is held", check: "is red" },
  budget: "is out of budget",
};

const since = (at: string | null, now: number) => (at === null ? "" : ` (${age(at, now)})`);

function headerOf(model: Model, data: Data, columns: number): string {
  const tabs = VIEWS.map((view, at) => {
    const text = `${at + 1} ${VIEW[view].title}`;
    return view === model.view ? chosen(`[${text}]`) : ` ${text} `;
  });
  const title = `mu ${data.workstream}${data.under === null ? "" : ` › ${data.under}`}`;
  const name = fitted(title, Math.max(8, Math.min(data.under === null ? 24 : 48, columns - 66)));
  return cutStyled(styled("1", name) + tabs.join(""), columns);
}
function countsOf({ agents, counts, inbox, spent }: Data, frozen: boolean): string {
  const states = new Map<string, number>();
  for (const { status } of agents) states.set(status ?? "unknown", (states.get(status ?? "unknown") ?? 0) + 1);
  const crew = [...states].sort().map(([status, count]) => `${count} ${status.replace("_", " ")}`);
  return [
    ...(frozen ? ["STOPPED"] : []),
    inbox.length === 0 ? "nobody needs you" : `${inbox.length} ${inbox.length === 1 ? "needs" : "need"} you`,
    agents.length === 0 ? "no agents" : crew.join(", "),
    `${counts.ready} ready, ${counts.inProgress} in progress, ${counts.blocked} blocked${counts.held > 0 ? `, ${counts.held} held` : ""}`,
    `${spent.isSure ? "" : "~"}$${spent.usd.toFixed(2)} today`,
  ].join(" · ");
}

interface ListProps {
  model: Model;
  data: Data;
  places: Places;
  detail: Shown;
  dye: Dye;
}

function listAndDetail(props: ListProps): string[] {
  const { places, detail, model, dye } = props;
  const rows = listRows(props);
  if (places.detail === null) return rows;
  const beside = detailRows(detail, places.detail, model.scrolled, places.side, dye);
  if (!places.side) return [...rows, ...beside];
  const blank = " ".repeat(places.list.columns);
  const height = Math.max(rows.length, beside.length);
  return Array.from({ length: height }, (_, at) => `${rows[at] ?? blank}${dye("│", "dim")}${beside[at] ?? ""}`);
}

/** The rows of the list with their heads, each as wide as the list, and as many as it has room for. */
function listRows({ model, data, places, dye }: ListProps): string[] {
  const { columns, none } = VIEW[model.view];
  const rows = rowsNow(model, data);
  const { rows: height, columns: width } = places.list;
  const at = placeOf(model, rows);
  const first = firstShown(at, rows.length, height);
  const shownColumns = placed(columns, rows, width - 2);
  const heads = shownColumns.map(({ at, width }) => fitted(columns[at]?.head ?? "", width, columns[at]?.right));
  const filter = filterOf(model);
  const isHeading = ({ subject }: Row) => subject === null;
  const before = rows.slice(0, at).filter(isHeading).length;
  const all = rows.length - rows.filter(isHeading).length;
  const place = rows.length > height ? `  ${at + 1 - before} of ${all}` : "";
  const empty = `  ${filter === "" ? none : `Nothing passes the filter ${filter}. Esc clears it.`}`;
  const shown = rows.slice(first, first + height).map((row, index) => {
    return drawRow(row, { columns, placed: shownColumns, width, isChosen: first + index === at, dye });
  });
  if (rows.length === 0) shown.push(dye(fitted(empty, width), "dim"));
  const blank = Array.from({ length: Math.max(0, height - shown.length) }, () => " ".repeat(width));
  const head = dye(
    `${fitted(rows.length === 0 ? "" : `  ${heads.join(" ")}`.trimEnd(), width - place.length)}${place}`,
    "dim",
  );
  return [...(places.low.heads ? [] : [head]), ...shown, ...blank];
}

interface RowProps {
  columns: readonly Column[];
  placed: readonly Placed[];
  width: number;
  isChosen: boolean;
  dye: Dye;
}

/** Rows of one reading stay the same from frame to frame, while a pane beside them prints each second. */
const drawn = new WeakMap<Row, { key: string; text: string }>();

function drawRow(row: Row, props: RowProps): string {
  const key = `${props.placed.map(({ at, width }) => `${at}:${width}`)} ${props.width} ${props.isChosen} ${props.dye("x", "busy")}`;
  const known = drawn.get(row);
  if (known?.key === key) return known.text;
  const text = paintRow(row, props);
  drawn.set(row, { key, text });
  return text;
}

function paintRow(row: Row, { columns, placed, width, isChosen, dye }: RowProps): string {
  if (row.subject === null)
    return styled(
      "1",
      fitted(
        `  ${row.cells
          .map(({ text }) => text)
          .join(" ")
          .trim()}`,
        width,
      ),
    );
  const texts = placed.map(({ at, width }) => fitted(row.cells[at]?.text ?? "", width, columns[at]?.right));
  const used = placed.reduce((sum, { width }) => sum + width + 1, 1);
  const blank = " ".repeat(Math.max(0, width - used));
  if (isChosen) return chosen(`> ${texts.join(" ")}${blank}`);
  return `  ${texts.map((text, n) => dye(text, row.cells[placed[n]?.at ?? 0]?.tone ?? "plain")).join(" ")}${blank}`;
}

function detailRows(
  { title, lines }: Shown,
  { rows, columns }: { rows: number; columns: number },
  scrolled: number,
  side: boolean,
  dye: Dye,
): string[] {
  const height = side ? rows : rows - 1;
  const first = Math.max(0, Math.min(scrolled, lines.length - height));
  return [
    dye(ruled(title, columns), "dim"),
    ...lines.slice(first, first + height).map((line) => cutStyled(line, columns)),
  ];
}

/** A title in a rule. */
function ruled(title: string, columns: number): string {
  if (title === "") return "";
  const text = truncate(`── ${title} `.replace(CONTROLS, " "), columns);
  return text + "─".repeat(Math.max(0, columns - widthOf(text)));
}

/** Each key with what it does, as lines; those of the view first. */
function helpLines(model: Pick<Model, "view">): string[] {
  const line = (keys: readonly string[], what: string) => `  ${keys.join(" ").padEnd(18)} ${what}`;
  const own = BINDINGS.filter(({ views }) => views.includes(model.view));
  const rest = VIEWS.filter((view) => view !== model.view).flatMap((view) => {
    const keys = BINDINGS.filter(({ views }) => views.includes(view) && views.length < VIEWS.length);
    return keys.length === 0 ? [] : ["", VIEW[view].title, ...keys.map(({ key, what }) => line([key], what))];
  });
  return [
    `${VIEW[model.view].title}`,
    ...own.map(({ key, what }) => line([key], what)),
    ...["", "Everywhere", ...MOVES.map(({ keys, what }) => line(keys, what))],
    ...rest,
  ];
}

function pageRows({ page, prompt, ...model }: Model, columns: number, rows: number, dye: Dye): string[] {
  if (page === null) return [];
  const wanted = prompt?.kind === "filter" ? prompt.text.toLowerCase() : "";
  const all = page.title === HELP ? helpLines(model) : page.lines;
  const lines = wanted === "" ? all : all.filter((line) => line.toLowerCase().includes(wanted));
  const height = Math.max(0, rows - 1);
  const top = Math.max(0, Math.min(page.top, lines.length - height));
  const more = lines.length > height ? ` ${top + 1} to ${Math.min(lines.length, top + height)} of ${lines.length}` : "";
  return [
    dye(ruled(`${page.title}${more}`, columns), "dim"),
    ...lines.slice(top, top + height).map((line) => cutStyled(line, columns)),
  ];
}

/** The keys that work now: as many as fit, and always those that lead to the others. */
function keysOf(model: Model, data: Data, columns: number): string {
  if (model.prompt !== null && model.page !== null) return "what is typed is searched · ↑↓ scroll · esc leaves";
  if (model.prompt !== null) return "enter does it · tab completes · esc leaves";
  if (model.page !== null) return "↑↓ scroll · esc leaves";
  const rows = rowsNow(model, data);
  const own = bindingsOf(model, rows[placeOf(model, rows)]).map(({ key, what }) => `${key} ${what}`);
  const more = VIEW[model.view].details.length > 1 ? ["v detail"] : [];
  const layout = model.view === "tasks" ? ["t layout"] : [];
  const kept = ["/ filter", ": line", "? help", "q quit"];
  const shown: string[] = [];
  for (const key of [...own, ...more, ...layout]) {
    if (widthOf([...shown, key, ...kept].join(" · ")) > columns) break;
    shown.push(key);
  }
  return [...shown, ...kept].join(" · ");
}

function lastLine(model: Model, columns: number, dye: Dye): string {
  const { last } = model;
  if (last === null) {
    const filter = filterOf(model);
    return dye(fitted(filter === "" ? "" : `filter: ${filter}`, columns), "dim");
  }
  const tone = last.ok === false ? "bad" : last.ok === null ? "plain" : "good";
  const line = last.line === "" ? "" : truncate(`${last.line}  `, Math.floor(columns / 2));
  return dye(line, "dim") + dye(fitted(last.said, columns - widthOf(line)), tone);
}

/** Where the cursor of a prompt stands, in columns. */
export const caretOf = ({ label, text, cursor }: Prompt) =>
  widthOf(label) + 2 + widthOf([...text].slice(0, cursor).join(""));

function promptLine({ label, text, offers }: Prompt, columns: number, dye: Dye): string {
  const more = offers === undefined || offers.texts.length < 2 ? "" : `   ${offers.at + 1} of ${offers.texts.length}`;
  return cutStyled(`${styled("1", `${label}> `)}${text.replace(CONTROLS, " ")}${dye(more, "dim")}`, columns);
}
