import { EventEmitter } from "node:events";
import type { ReadStream, WriteStream } from "node:tty";
import * as ink from "ink";
import type { TmuxHost } from "../agents/crew.js";
import { followAgents } from "../agents/status/observe.js";
import type { Scene } from "../dispatch/facts.js";
import { brakeReason } from "../dispatch/facts.js";
import { Fault } from "../errors.js";
import type { Words } from "./bindings.js";
import type { Data } from "./data.js";
import { Frame, firstShown, hasDetail, placesOf, promptStart, type Shown, type Size } from "./draw.js";
import { type Key, readKeys } from "./keys.js";
import { type Effect, lineOf, type Model, placeOf, press, rowsNow, START, withOffers } from "./model.js";
import { readData, versionOf } from "./read.js";
import { openScreen } from "./screen.js";
import { COLOURS, plain, stylesAlone } from "./sequences.js";
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
/** Between two captures of the pane that the detail shows, in ms. */
const SCREEN_MS = 1_000;

/** Shows a workstream on the whole terminal until the person leaves it. Faults as `readScene` and the store's. */
export async function showTop(world: TopWorld): Promise<void> {
  const { host, input, output, signal } = world;
  const screen = openScreen(output);
  const sizeOf = (): Size => ({ columns: Math.max(20, output.columns || 80), rows: Math.max(5, output.rows || 24) });
  const first = await world.scene();
  let scene = first;
  let model: Model = START;
  let data: Data = await readData(host, scene, { view: model.view, looked: false });
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

  // In the built program Ink is in a file that has to get ready.
  await (ink as { ready?: Promise<void> }).ready;
  // Ink lays the frame out and hands it over whole; what changed of it is written here.
  const sink = Object.assign(new EventEmitter(), { columns: 80, rows: 24, write: (frame: string) => show(frame) });
  const show = (frame: string) => {
    const { prompt } = model;
    const { rows } = sizeOf();
    const column = prompt ? promptStart(prompt) + [...prompt.text].slice(0, prompt.cursor).join("").length : 0;
    const lines = (world.colour ? frame : frame.replace(COLOURS, "")).split("\n");
    screen.draw(lines.slice(0, rows), prompt ? { row: rows - 1, column } : undefined);
    return true;
  };
  const frame = () => (
    <Frame model={model} data={data} size={sizeOf()} detail={detail} frozen={brakeReason(scene) !== null} />
  );
  const drawn = ink.render(frame(), {
    stdout: sink as unknown as WriteStream,
    stdin: sink as unknown as ReadStream,
    debug: true,
    exitOnCtrlC: false,
    patchConsole: false,
  });
  const draw = () => {
    sink.columns = sizeOf().columns;
    drawn.rerender(frame());
    screen.title(`mu ${data.workstream}${data.inbox.length > 0 ? `: ${data.inbox.length} waiting` : ""}`);
  };

  const reader = repeatedly(over, crash, async () => {
    scene = await world.scene();
    data = await readData(host, scene, { view: model.view, looked });
    draw();
    details.ask();
  });
  const details = repeatedly(over, crash, async () => {
    const next = await readDetail(world, model, data, sizeOf(), over);
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
    model = { ...model, last: { line, said: plain(lines[0] ?? ""), ok: code === 0 } };
    if (page && lines.length > 1) model = { ...model, page: { title: `mu ${words.join(" ")}`, lines, top: 0 } };
    draw();
    reader.ask();
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
    const step = press(model, { data, height: list.rows, rowAt, frozen: brakeReason(scene) !== null }, key);
    model = step.model;
    if (model.view !== before.view) {
      detail = { title: "", lines: [] };
      reader.ask();
    } else if (model.chosen !== before.chosen || model.details !== before.details) details.ask();
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
  const away = async <T,>(work: () => Promise<T>): Promise<T> => {
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
    sink.emit("resize");
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
    const endings = [host.context.store.watch(news.ask)];
    const looking = look(world, first, over, () => {
      looked = true;
      reader.ask();
    }).catch(crash);
    // A pane prints without telling anybody.
    const capturing = setInterval(() => detailOf(model)?.isPane && details.ask(), SCREEN_MS);
    endings.push(() => clearInterval(capturing));
    details.ask();
    try {
      const left = new Promise<void>((resolve) => over.addEventListener("abort", () => resolve(), { once: true }));
      await Promise.race([left, drawn.waitUntilExit()]);
    } finally {
      ended.abort();
      for (const end of endings) end();
      await looking;
    }
    if (broken !== undefined) throw broken;
  } finally {
    output.removeListener("resize", resized);
    process.removeListener("exit", leave);
    leave();
    drawn.unmount();
    drawn.cleanup();
  }
}

/** Looks at the panes until the end; without tmux what was stored stands. */
async function look({ host }: TopWorld, { workstream }: Scene, over: AbortSignal, changed: () => void): Promise<void> {
  while (!over.aborted) {
    try {
      for await (const _ of followAgents(host, workstream.name, over)) changed();
    } catch (error) {
      if (over.aborted) return;
      if (!(error instanceof Fault)) throw error;
    }
    changed();
    await host.context.clock.sleep(SCREEN_MS, over).catch(() => {});
  }
}

const detailOf = ({ view, details }: Model) => VIEW[view].details[details[view] ?? 0];

/** What the chosen row's detail shows now. */
async function readDetail(world: TopWorld, model: Model, data: Data, size: Size, signal: AbortSignal): Promise<Shown> {
  const rows = rowsNow(model, data);
  const row = rows[placeOf(model, rows)];
  const detail = detailOf(model);
  if (row === undefined || detail === undefined) return { title: "", lines: [] };
  if (detail.isPane) return readScreen(world, row.id, data, size);
  const words = detail.of(row, data);
  if (words === undefined) return { title: detail.name, lines: [] };
  const { columns } = placesOf(size, data, true).detail ?? { columns: size.columns };
  const { text } = await world.run(words, columns, signal);
  return { title: lineOf(words), lines: text.trimEnd().split("\n") };
}

/** The last rows of an agent's pane, with their colours. */
async function readScreen({ host }: TopWorld, name: string, data: Data, size: Size): Promise<Shown> {
  const title = `screen of ${name}`;
  const pane = data.agents.find((agent) => agent.name === name)?.pane ?? null;
  if (pane === null) return { title, lines: ["It has no pane."] };
  const shown = (await host.tmux.captureScreens([pane], { escapes: true })).get(pane);
  if (shown === undefined) return { title, lines: ["Its pane is gone."] };
  const end = shown.lines.findLastIndex((line) => plain(line).trim() !== "") + 1;
  const height = placesOf(size, data, true).detail?.rows ?? size.rows;
  return { title, lines: shown.lines.slice(Math.max(0, end - height + 1), end).map(stylesAlone) };
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
      await new Promise((resolve) => setTimeout(resolve, pause));
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
