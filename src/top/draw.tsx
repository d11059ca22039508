import measure from "fast-string-truncated-width";
import { Box, Text } from "ink";
import { BINDINGS, MOVES } from "./bindings.js";
import type { Data } from "./data.js";
import { bindingsOf, filterOf, HELP, type Model, type Prompt, placeOf, rowsNow } from "./model.js";
import { CONTROLS } from "./sequences.js";
import { age, type Cell, type Column, type Row, type Tone, VIEW, VIEWS } from "./views.js";

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

/** Colours that can be read on black and on white; every tone is also said by a word or a shape. */
const TONES: Readonly<Record<Tone, { color?: string; bold?: true; dimColor?: true }>> = {
  ...{ plain: {}, strong: { bold: true }, dim: { dimColor: true } },
  ...{ good: { color: "green" }, busy: { color: "green", bold: true }, bad: { color: "red" } },
  asks: { color: "magenta", bold: true },
};

/** The text in exactly `width` columns. */
export function fitted(text: string, width: number, right = false): string {
  const cut = truncate(text.replace(CONTROLS, " "), width);
  const blank = " ".repeat(Math.max(0, width - widthOf(cut)));
  return right ? blank + cut : cut + blank;
}

function truncate(text: string, limit: number): string {
  const { index, ellipsed } = measure(text, { limit, ellipsis: "…" });
  return ellipsed ? `${text.slice(0, index)}…` : text.slice(0, index);
}

const widthOf = (text: string) => measure(text).width;

/** The widths of the columns that fit, in their order; the one that grows takes the rest. */
function widthsOf(columns: readonly Column[], room: number): number[] {
  const used = (count: number) => columns.slice(0, count).reduce((sum, { width }) => sum + width + 1, 0);
  let count = columns.length;
  while (count > 1 && used(count) > room) count--;
  const left = Math.max(0, room - used(count));
  return columns.slice(0, count).map(({ width, grows }) => (grows ? width + left : width));
}

interface FrameProps {
  model: Model;
  data: Data;
  size: Size;
  detail: Shown;
  frozen: boolean;
}

/** The whole screen. */
export function Frame({ model, data, size, detail, frozen }: FrameProps) {
  const places = placesOf(size, data, hasDetail(model));
  const { low } = places;
  const { prompt, page } = model;
  return (
    <Box flexDirection="column" width={size.columns} height={size.rows}>
      <Header model={model} data={data} columns={size.columns} />
      {!low.counts && <Text wrap="truncate">{countsOf(data, frozen)}</Text>}
      {data.inbox.slice(0, places.inbox).map((item) => (
        <Text key={item.id} wrap="truncate" {...TONES.asks}>
          {fitted(
            `! ${item.subject} ${ASKS[item.kind] ?? item.kind}: ${item.summary}${since(item.since, data.now)}`,
            size.columns,
          )}
        </Text>
      ))}
      {page !== null ? (
        <PageView
          model={model}
          size={size}
          rows={places.list.rows + (places.detail && !places.side ? places.detail.rows : 0) + Number(!low.heads)}
        />
      ) : (
        <Box flexDirection={places.side ? "row" : "column"} flexGrow={1}>
          <List model={model} data={data} places={places} />
          {places.detail && (
            <DetailView places={places.detail} side={places.side} shown={detail} scrolled={model.scrolled} />
          )}
        </Box>
      )}
      {!low.keys && (
        <Text wrap="truncate" dimColor>
          {fitted(keysOf(model, data, size.columns), size.columns)}
        </Text>
      )}
      {prompt === null ? <LastLine model={model} columns={size.columns} /> : <PromptLine prompt={prompt} />}
    </Box>
  );
}

const ASKS: Readonly<Record<string, string>> = {
  ...{ permission: "asks", input: "waits for you", brake: "is stopped", held: "is held", check: "is red" },
  budget: "is out of budget",
};

const since = (at: string | null, now: number) => (at === null ? "" : ` (${age(at, now)})`);

function Header({ model, data, columns }: { model: Model; data: Data; columns: number }) {
  const names = VIEWS.map((view, index) => ({ view, text: ` ${index + 1} ${VIEW[view].title} ` }));
  return (
    <Text wrap="truncate">
      <Text bold>{fitted(`mu ${data.workstream}`, Math.max(8, Math.min(24, columns - 66)))}</Text>
      {names.map(({ view, text }) => (
        <Text key={view} inverse={view === model.view} bold={view === model.view}>
          {view === model.view ? text.replace(/^ /, "[").replace(/ $/, "]") : text}
        </Text>
      ))}
    </Text>
  );
}

function countsOf({ agents, counts, inbox, spentUsd }: Data, frozen: boolean): string {
  const states = new Map<string, number>();
  for (const { status } of agents) states.set(status ?? "unknown", (states.get(status ?? "unknown") ?? 0) + 1);
  const crew = [...states].sort().map(([status, count]) => `${count} ${status.replace("_", " ")}`);
  return [
    ...(frozen ? ["STOPPED"] : []),
    inbox.length === 0 ? "nobody needs you" : `${inbox.length} ${inbox.length === 1 ? "needs" : "need"} you`,
    agents.length === 0 ? "no agents" : crew.join(", "),
    `${counts.ready} ready, ${counts.inProgress} in progress, ${counts.blocked} blocked${counts.held > 0 ? `, ${counts.held} held` : ""}`,
    `$${spentUsd.toFixed(2)} today`,
  ].join(" · ");
}

function List({ model, data, places }: { model: Model; data: Data; places: Places }) {
  const { columns, none } = VIEW[model.view];
  const rows = rowsNow(model, data);
  const { rows: height, columns: width } = places.list;
  const at = placeOf(model, rows);
  const first = firstShown(at, rows.length, height);
  const widths = widthsOf(columns, width - 2);
  const heads = columns
    .slice(0, widths.length)
    .map(({ head, right }, index) => fitted(head, widths[index] ?? 0, right));
  const filter = filterOf(model);
  const place = rows.length > height ? `  ${at + 1} of ${rows.length}` : "";
  return (
    <Box flexDirection="column" width={width} height={height + Number(!places.low.heads)}>
      {!places.low.heads && (
        <Text wrap="truncate" dimColor>
          {fitted(`  ${heads.join(" ")}`, width - place.length)}
          {place}
        </Text>
      )}
      {rows.length === 0 && (
        <Text dimColor>{`  ${filter === "" ? none : `Nothing passes the filter ${filter}. Esc clears it.`}`}</Text>
      )}
      {rows.slice(first, first + height).map((row, index) => (
        <ListRow key={row.id} row={row} columns={columns} widths={widths} chosen={first + index === at} />
      ))}
    </Box>
  );
}

interface ListRowProps {
  row: Row;
  columns: readonly Column[];
  widths: readonly number[];
  chosen: boolean;
}

function ListRow({ row, columns, widths, chosen }: ListRowProps) {
  if (row.subject === null)
    return (
      <Text wrap="truncate" bold>{`  ${row.cells
        .map(({ text }) => text)
        .join(" ")
        .trim()}`}</Text>
    );
  const text = ({ text }: Cell, index: number) => fitted(text, widths[index] ?? 0, columns[index]?.right);
  const cells = row.cells.slice(0, widths.length);
  if (chosen) return <Text wrap="truncate" inverse bold>{`> ${cells.map(text).join(" ")}`}</Text>;
  return (
    <Text wrap="truncate">
      {"  "}
      {cells.map((cell, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: columns have no other name and never move
        <Text key={index} {...TONES[cell.tone ?? "plain"]}>{`${text(cell, index)} `}</Text>
      ))}
    </Text>
  );
}

interface DetailProps {
  places: NonNullable<Places["detail"]>;
  side: boolean;
  shown: Shown;
  scrolled: number;
}

function DetailView({ places: { rows, columns }, side, shown, scrolled }: DetailProps) {
  const height = side ? rows : rows - 1;
  const first = Math.max(0, Math.min(scrolled, shown.lines.length - height));
  return (
    <Box flexDirection="column" width={columns} marginLeft={side ? 1 : 0}>
      <Text wrap="truncate" dimColor>
        {`── ${shown.title} `.padEnd(columns, "─")}
      </Text>
      {shown.lines.slice(first, first + height).map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines of a text have no other name
        <Text key={index} wrap="truncate">
          {line === "" ? " " : line}
        </Text>
      ))}
    </Box>
  );
}

/** Each key with what it does, as lines; those of the view first. */
export function helpLines(model: Model): string[] {
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

function PageView({ model, size, rows }: { model: Model; size: Size; rows: number }) {
  const { page, prompt } = model;
  if (page === null) return null;
  const wanted = prompt?.kind === "filter" ? prompt.text.toLowerCase() : "";
  const all = page.title === HELP ? helpLines(model) : page.lines;
  const lines = wanted === "" ? all : all.filter((line) => line.toLowerCase().includes(wanted));
  const top = Math.max(0, Math.min(page.top, lines.length - rows + 1));
  const more =
    lines.length > rows - 1 ? ` ${top + 1} to ${Math.min(lines.length, top + rows - 1)} of ${lines.length} ` : "";
  return (
    <Box flexDirection="column" flexGrow={1}>
      <Text wrap="truncate" dimColor>
        {`── ${page.title} ${more}`.padEnd(size.columns, "─")}
      </Text>
      {lines.slice(top, top + rows - 1).map((line, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: lines of a text have no other name
        <Text key={index} wrap="truncate">
          {line === "" ? " " : line}
        </Text>
      ))}
    </Box>
  );
}

/** The keys that work now: as many as fit, and always those that lead to the others. */
function keysOf(model: Model, data: Data, columns: number): string {
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

function LastLine({ model, columns }: { model: Model; columns: number }) {
  const { last } = model;
  if (last === null) {
    const filter = filterOf(model);
    return <Text dimColor>{fitted(filter === "" ? "" : `filter: ${filter}`, columns)}</Text>;
  }
  const tone = last.ok === false ? TONES.bad : last.ok === null ? TONES.plain : TONES.good;
  const line = last.line === "" ? "" : `${last.line}  `;
  const shown = fitted(line, Math.min(widthOf(line), Math.floor(columns / 2)));
  return (
    <Text wrap="truncate">
      <Text dimColor>{shown}</Text>
      <Text {...tone}>{fitted(last.said, columns - widthOf(shown))}</Text>
    </Text>
  );
}

/** Where the text of a prompt begins, in columns. */
export const promptStart = ({ label }: Prompt) => widthOf(label) + 2;

function PromptLine({ prompt }: { prompt: Prompt }) {
  const more =
    prompt.offers === undefined || prompt.offers.texts.length < 2
      ? ""
      : `   ${prompt.offers.at + 1} of ${prompt.offers.texts.length}`;
  return (
    <Text wrap="truncate">
      <Text bold>{`${prompt.label}> `}</Text>
      {prompt.text}
      <Text dimColor>{more}</Text>
    </Text>
  );
}
