import type { ReadStream, WriteStream } from "node:tty";
import type { TmuxHost } from "../agents/crew.js";
import { keepLooking, type Picture } from "../agents/status/look.js";
import type { Scene } from "../dispatch/facts.js";
import { brakeReason } from "../dispatch/facts.js";
import { Fault } from "../errors.js";
import type { TaskRef } from "../names.js";
import { taskRow } from "../tasks/task.js";
import type { Words } from "./bindings.js";
import type { Data } from "./data.js";
import { caretOf, drawFrame, firstShown, hasDetail, placesOf, type Shown, type Size } from "./draw.js";
import { type Key, readKeys } from "./keys.js";
import { type Effect, lineOf, type Model, placeOf, press, rowsNow, START, withOffers } from "./model.js";
import { readData, versionOf } from "./read.js";
import { openScreen } from "./screen.js";
import { plain, stylesAlone } from "./sequences.js";
import { VIEW } from "./views.js";

/** What a line of mu's said. */
export interface Said {
  code: number;
  text: string;
  /** It was not run: it wants the terminal. */
  terminal?: true;
}

/** The surroundings of the view. */
export interface TopWorld {
  host: TmuxHost;
  scene(): Promise<Scene>;
  /** Only this task's subtree is shown, and who works on it. */
  under?: TaskRef | undefined;
  /** Runs a line as if it was typed, for a person; `columns` wide. */
  run(words: Words, columns: number, signal: AbortSignal): Promise<Said>;
  /** Hands the terminal to a line of mu's until it ends. */
  onTerminal(words: Words): Promise<Said>;
  /** What the last word can be completed to. */
  complete(words: Words): Promise<string[]>;
  signal: AbortSignal;
  colour: boolean;
  input: ReadStream;
  output: WriteStream;
}

/** After a reading there is a pause of so many times what it took: thousands of tasks leave the processor to the crew. */
const PAUSE_TIMES = 4;
/** At least so long, in ms. */
const PAUSE_MS = 100;

/** Shows a workstream on the whole terminal until the person leaves it. Faults as `readScene`, `taskRow` and the store's. */
export async function showTop(world: TopWorld): Promise<void> {
  const { host, input, output, signal } = world;
  const screen = openScreen(output);
  const sizeOf = (): Size => ({ columns: Math.max(20, output.columns || 80), rows: Math.max(5, output.rows || 24) });
  const first = await world.scene();
  let scene = first;
  const under = world.under && (await taskRow(host.context.store.db, world.under)).id;
  let model: Model = START;
  let data: Data = await readData(host, scene, { view: model.view, looked: false, under });
  let detail: Shown = { title: "", lines: [] };
  const ended = new AbortController();
  const over = AbortSignal.any([signal, ended.signal]);
  let looked = false;
  let broken: unknown;
  /** A bug of mu's own ends the view, and is told where everybody can read it. */
  const crash = (error: unknown) => {
    broken ??= error;
    ended.abort();
  };

  let frozen = brakeReason(scene) !== null;
  const draw = () => {
    const { prompt } = model;
    const size = sizeOf();
    const rows = drawFrame({ model, data, size, detail, frozen, colour: world.colour });
    screen.draw(rows, prompt ? { row: rows.length - 1, column: caretOf(prompt) } : undefined);
    screen.title(`mu ${data.workstream}${data.inbox.length > 0 ? `: ${data.inbox.length} waiting` : ""}`);
  };

  const reader = repeatedly(over, crash, async () => {
    scene = await world.scene();
    frozen = brakeReason(scene) !== null;
    data = await readData(host, scene, { view: model.view, looked, under });
    draw();
    details.ask();
  });
  /** The pane of the chosen agent as the last look saw it, until it is drawn. */
  let picture: Picture | undefined;
  const details = repeatedly(over, crash, async () => {
    const seen = picture;
    picture = undefined;
    const next = await readDetail(world, { model, data, size: sizeOf(), seen }, over);
    if (next.title === detail.title && next.lines.join("\n") === detail.lines.join("\n")) return;
    detail = next;
    draw();
  });

  const act = async (effect: Effect) => {
    switch (effect.do) {
      case "quit":
        return ended.abort();
      case "suspend":
        return suspend();
      case "terminal":
        return said(effect.words, await away(() => world.onTerminal(effect.words)), false);
      case "run": {
        const answer = await world.run(effect.words, sizeOf().columns, over);
        if (answer.terminal) return act({ do: "terminal", words: effect.words });
        return said(effect.words, answer, effect.page);
      }
      case "complete": {
        const typed = model.prompt?.text;
        const texts = await world.complete(effect.words);
        if (model.prompt?.text !== typed || typed === undefined) return;
        const before = typed.slice(0, typed.length - (/\S*$/.exec(typed)?.[0].length ?? 0));
        model = withOffers(model, { texts: texts.map((text) => `${before}${text}`), at: 0 });
        return draw();
      }
    }
  };
  const said = (words: Words, { code, text }: Said, page: boolean) => {
    const lines = text.trimEnd().split("\n");
    const line = model.last?.line ?? "";
    const isPage = page && lines.length > 1;
    // What a page shows is not said again below it.
    model = { ...model, last: { line, said: isPage ? "" : plain(lines[0] ?? ""), ok: code === 0 } };
    if (isPage) model = { ...model, page: { title: `mu ${words.join(" ")}`, lines, top: 0 } };
    draw();
    reader.ask();
  };
  const chosenRow = () => {
    const rows = rowsNow(model, data);
    return rows[placeOf(model, rows)];
  };
  const onKey = (key: Key) => {
    const rows = rowsNow(model, data);
    const { list } = placesOf(sizeOf(), data, hasDetail(model));
    const first = firstShown(placeOf(model, rows), rows.length, list.rows);
    const rowAt = (row: number) => {
      const at = first + row - list.top;
      return row >= list.top && row < list.top + list.rows && at < rows.length ? at : undefined;
    };
    const before = model;
    const chosen = rows[placeOf(model, rows)]?.id;
    const step = press(model, { data, height: list.rows, rowAt, frozen }, key);
    model = step.model;
    if (model.view !== before.view) {
      detail = { title: "", lines: [] };
      reader.ask();
    } else if (chosenRow()?.id !== chosen || model.details !== before.details) details.ask();
    draw();
    if (step.effect) void act(step.effect).catch(fail);
  };
  const fail = (error: unknown) => {
    if (over.aborted) return;
    model = { ...model, last: { line: model.last?.line ?? "", said: (error as Error).message, ok: false } };
    draw();
  };

  let keys = () => {};
  const enter = () => {
    screen.enter();
    input.setRawMode?.(true);
    input.resume();
    keys = readKeys(input, (key) => {
      try {
        onKey(key);
      } catch (error) {
        crash(error);
      }
    });
    draw();
  };
  const leave = () => {
    keys();
    input.setRawMode?.(false);
    input.pause();
    screen.leave();
  };
  /** Gives the terminal to something else for a while. */
  const away = async <T>(work: () => Promise<T>): Promise<T> => {
    leave();
    try {
      return await work();
    } finally {
      enter();
    }
  };
  const suspend = () =>
    away(
      () =>
        new Promise<void>((resolve) => {
          process.once("SIGCONT", () => resolve());
          process.kill(process.pid, "SIGTSTP");
        }),
    );
  const resized = () => {
    draw();
    details.ask();
  };
  process.once("exit", leave);
  output.on("resize", resized);
  enter();
  try {
    let known = "";
    const news = repeatedly(over, crash, async () => {
      const version = await versionOf(host, scene);
      if (version === known) return;
      known = version;
      reader.ask();
    });
    // What is stored stands on the screen before anything else is looked at.
    await new Promise((resolve) => setImmediate(resolve));
    const unwatch = host.context.store.watch(news.ask);
    const looking = keepLooking(host, first.workstream.name, over, {
      shown: () => (detailOf(model)?.isPane === true ? paneOf(data, chosenRow()?.id) : undefined),
      changed: (what, seen) => {
        looked = true;
        picture = seen;
        if (what === "statuses") reader.ask();
        else details.ask();
      },
    }).catch(crash);
    details.ask();
    await new Promise<void>((resolve) => {
      if (over.aborted) resolve();
      over.addEventListener("abort", () => resolve(), { once: true });
    });
    unwatch();
    await looking;
    if (broken !== undefined) throw broken;
  } finally {
    output.removeListener("resize", resized);
    process.removeListener("exit", leave);
    leave();
  }
}

const detailOf = ({ view, details }: Model) => VIEW[view].details[details[view] ?? 0];

/** What the chosen row's detail shows now. */
async function readDetail(
  world: TopWorld,
  { model, data, size, seen }: { model: Model; data: Data; size: Size; seen: Picture | undefined },
  signal: AbortSignal,
): Promise<Shown> {
  const rows = rowsNow(model, data);
  const row = rows[placeOf(model, rows)];
  const detail = detailOf(model);
  if (row === undefined || detail === undefined) return { title: "", lines: [] };
  if (detail.isPane) return readScreen(world, row.id, { data, size, seen });
  const words = detail.of(row, data);
  if (words === undefined) return { title: detail.name, lines: [] };
  const { columns } = placesOf(size, data, true).detail ?? { columns: size.columns };
  const { text } = await world.run(words, columns, signal);
  return { title: lineOf(words), lines: text.trimEnd().split("\n") };
}

/** The last rows of an agent's pane, with their colours. */
async function readScreen(
  { host }: TopWorld,
  name: string,
  { data, size, seen }: { data: Data; size: Size; seen: Picture | undefined },
): Promise<Shown> {
  const title = `screen of ${name}`;
  const pane = paneOf(data, name);
  if (pane === undefined) return { title, lines: ["It has no pane."] };
  const shown = seen?.pane === pane ? seen : (await host.tmux.captureScreens([pane], { escapes: true })).get(pane);
  if (shown === undefined) return { title, lines: ["Its pane is gone."] };
  const end = shown.lines.findLastIndex((line) => plain(line).trim() !== "") + 1;
  const height = placesOf(size, data, true).detail?.rows ?? size.rows;
  return { title, lines: shown.lines.slice(Math.max(0, end - height + 1), end).map(stylesAlone) };
}

const paneOf = ({ agents }: Data, name: string | undefined) =>
  agents.find((one) => one.name === name)?.pane ?? undefined;

function pauseFor(ms: number, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(() => {
      over.removeEventListener("abort", end);
      resolve();
    }, ms);
    over.addEventListener("abort", end, { once: true });
  });
}

/** Runs `work` when asked, one at a time and never twice for what was asked meanwhile, with a pause after each. */
function repeatedly(over: AbortSignal, crash: (error: unknown) => void, work: () => Promise<void>): { ask(): void } {
  let [running, asked] = [false, false];
  const run = async () => {
    running = true;
    while (asked && !over.aborted) {
      asked = false;
      const began = performance.now();
      await work().catch((error) => {
        // What can be expected to fail, such as a busy database, may go well the next time.
        if (!over.aborted && !(error instanceof Fault)) crash(error);
      });
      const pause = Math.max(PAUSE_MS, (performance.now() - began) * PAUSE_TIMES);
      await pauseFor(pause, over);
    }
    running = false;
  };
  return {
    ask() {
      asked = true;
      if (!running) void run();
    },
  };
}
