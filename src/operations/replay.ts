import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import * as z from "zod";
import type { Reader } from "../db/schema.js";
import { pages } from "../db/statement.js";
import { Fault, ignoreFault } from "../errors.js";
import { type Moment, momentOf } from "../journal/past/moment.js";
import { openPast, type Past } from "../journal/past/past.js";
import { counted, duration, quote } from "../names.js";
import type { State } from "../state.js";
import { isPastWorkstream, workstreamRow } from "../workstreams/workstream.js";
import { castOf, type Frame } from "./cast.js";
import { type App, defineOperation, linesOf, shape, type TypeOf } from "./define.js";
import { field, type InputOf, optionalText, workstreamField } from "./fields.js";
import { type AS_OF, atField, foldersOf, stateThen } from "./past.js";
import { stateCard } from "./state.js";

/** Frames on a terminal are at least this far apart, and at most so far however long nothing happened, in ms. */
const [SHORTEST_MS, LONGEST_MS] = [250, 2_000];

/** What is on a frame, so that it fits a small terminal. */
const SHOWN = { limit: 5, events: 4 };

const replayFields = () => ({
  workstream: workstreamField("one", { past: true }),
  from: atField("Where to begin: an event's number in mu log, a date, or a time such as 22:00"),
  speed: field(z.number().min(0.001).max(1e9).default(30), "How many times faster than it happened"),
  cast: optionalText("Write it to this new file, as an asciicast, instead of playing it", { value: "file" }),
});

type Input = InputOf<typeof replayFields>;

/** What was replayed. */
const REPLAYED = shape({
  workstream: "string",
  frames: "number",
  /** How long it plays, in seconds. */
  seconds: "number",
  /** The file that it was written to. */
  cast: "string | null",
});

type Step = { pauseMs: number; state: State & { asOf: TypeOf<typeof AS_OF> } };

export const replay = defineOperation({
  name: "replay",
  summary: "Replay a workstream's history as its card",
  description:
    "Plays on a terminal, until Ctrl-C or the newest event; quiet times are cut to two seconds. Elsewhere it prints the frames one after the other without waiting, and with --json one object per line. --cast writes a file for asciinema instead.",
  effect: "read",
  redraws: true,
  input: replayFields,
  output: REPLAYED,
  examples: [
    { command: "mu replay --speed 600", shows: "ten minutes in a second" },
    { command: "mu replay --from 5 --cast story.cast", shows: "from event #5 on, into a file" },
    { command: "mu replay --from 99999", shows: "no such event", fault: "past.no_such_event" },
  ],
  async run(app, { cast, ...input }) {
    const frames: Frame[] = [];
    const paint = await app.program.paintFile(COLUMNS);
    let [count, ms] = [0, 0];
    for await (const { pauseMs, state } of stepsOf(app, input)) {
      count++;
      ms += pauseMs;
      if (cast !== undefined)
        frames.push({ at: ms / 1000, lines: linesOf(stateCard(state, paint)).join("\n").split("\n") });
    }
    const path = cast === undefined ? null : resolve(app.request.cwd, cast);
    if (path !== null) await writeCast(path, frames, `mu replay -w ${input.workstream}`);
    return { workstream: input.workstream, frames: count, seconds: ms / 1000, cast: path };
  },
  follow: (app, { cast, ...input }) => (cast === undefined ? play(app, input) : undefined),
  render: ({ workstream, frames, seconds, cast }) =>
    `${cast === null ? workstream : `Wrote ${cast}`}: ${counted(frames, "frame")}, ${duration(seconds * 1000)}`,
  renderFollowed: (state: Step["state"], paint) => linesOf([stateCard(state, paint), ""]).join("\n"),
});

/** Who watches on a terminal gets the frames in time. */
async function* play(app: App, input: Omit<Input, "cast">): AsyncGenerator<Step["state"]> {
  const { clock } = app.context;
  const { signal, terminal } = app.request;
  for await (const { pauseMs, state } of stepsOf(app, input)) {
    if (terminal?.isWatched) await clock.sleep(pauseMs, signal);
    if (signal.aborted) return;
    yield state;
  }
}

/** The states of a workstream in their order, each with how long the one before it is shown. */
async function* stepsOf(app: App, { workstream, from, speed }: Omit<Input, "cast">): AsyncGenerator<Step> {
  const { store, clock } = app.context;
  if (!(await isPastWorkstream(store.db, workstream))) await workstreamRow(store.db, workstream);
  const start = from === undefined ? undefined : await momentOf(store.db, from, clock.now());
  let [past, before]: [Past?, string?] = [];
  try {
    for await (const moment of momentsIn(store.db, workstream, start, SHORTEST_MS * speed)) {
      if (app.request.signal.aborted) return;
      past ??= await openPast(store.db, moment.event, foldersOf(app));
      await past.moveTo(moment.event);
      const state = await stateThen(app, past, moment, workstream, SHOWN).catch(ignoreFault("workstream.not_found"));
      if (state === undefined) continue;
      const waited = before === undefined ? 0 : (Date.parse(moment.at) - Date.parse(before)) / speed;
      before = moment.at;
      yield { pauseMs: Math.min(LONGEST_MS, Math.max(0, waited)), state };
    }
  } finally {
    await past?.close();
  }
}

/** A start, and then the last event of each `stepMs` in which something happened in a chain. */
async function* momentsIn(
  db: Reader,
  scope: string,
  start: Moment | undefined,
  stepMs: number,
): AsyncGenerator<Moment> {
  if (start !== undefined) yield start;
  let events = db.selectFrom("events").select(["id", "n", "at"]).where("scope", "=", scope);
  if (start !== undefined) events = events.where("id", ">", start.event);
  let [last, since]: [Moment?, number?] = [];
  for await (const page of pages(events, "n")) {
    for (const { id, at } of page) {
      const now = Date.parse(at);
      if (last !== undefined && since !== undefined && Math.abs(now - since) >= stepMs) {
        yield last;
        since = now;
      }
      since ??= now;
      last = { event: id, at };
    }
  }
  if (last !== undefined) yield last;
}

const COLUMNS = 80;

/** Writes the frames for a terminal that is as high as the highest. Faults `file.exists`, `file.not_writable`. */
async function writeCast(path: string, frames: readonly Frame[], title: string): Promise<void> {
  const rows = frames.reduce((most, { lines }) => Math.max(most, lines.length), 1);
  try {
    await writeFile(path, castOf(frames, { columns: COLUMNS, rows }, title), { flag: "wx", mode: 0o644 });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") throw new Fault("conflict", "file.exists", `The file ${quote(path)} is there already.`);
    throw new Fault(
      "unavailable",
      "file.not_writable",
      `The file ${quote(path)} cannot be written (${code ?? message}).`,
    );
  }
}
