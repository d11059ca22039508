import { openPlace, type Place, type Point, type Traced } from "./place.js";
import type { Scenario } from "./scenarios.js";
import { faultsOf, look, lostSince, type Moment } from "./soundness.js";
import { errorsOf, type Instead, isWriting } from "./strace.js";

/** What came of a fault at one point. A missed point proves nothing: the trace does not show it. */
export interface Finding extends Cut {
  verb: string;
  hit: boolean;
  /** What was wrong afterwards; `[]` when all is well. */
  problems: string[];
}

/** A point and what happens there instead of the call. */
export interface Cut {
  point: Point;
  instead: Instead;
}

/** A verb that can be cut off, whose ends are known when nothing happens to it. */
export interface Sweep {
  kills: Cut[];
  errors: Cut[];
  cut(cut: Cut): Promise<Finding>;
  end(): Promise<void>;
}

/** How a line ends: what it answers when it works, or its fault. */
type Ending = Pick<Traced, "code" | "stdout" | "stderr">;

/** Runs a scenario to its end, and once more, so as to know its points and its two possible answers. */
export async function openSweep(scenario: Scenario): Promise<Sweep> {
  const { verb, words } = scenario;
  const place = await openPlace(scenario);
  const { app } = place;
  const before = await look(app);
  const first = await place.trace(words);
  const clean = await look(place.app);
  const wrong = await faultsOf(place.app);
  const second = await place.run(words);
  if (wrong.length > 0) throw new Error(`mu ${words} alone leaves ${wrong.join(", ")}`);
  if (first.stdout === "") throw new Error(`mu ${words} ended with ${first.code}: ${first.stderr}`);
  const known = { words, before, clean, fresh: freshIn(clean, before), endings: [first, second] };
  return {
    kills: endsOfRows(first.calls.filter(isWriting)).map((point) => ({ point, instead: "SIGKILL" })),
    errors: endsOfRows(failing(first.calls)).flatMap((point) => errorsOf(point).map((instead) => ({ point, instead }))),
    end: place.end,
    cut: async ({ point, instead }) => {
      await place.putBack();
      // A project with panes is another one each time.
      const began = place.app === app ? before : await look(place.app);
      const ran = await place.inject(words, point, instead);
      const hit = instead === "SIGKILL" ? isKilledAt(ran, point) : failedOnlyAt(ran, point);
      if (!hit) return { verb, point, instead, hit, problems: [] };
      const problems = await problemsAfter(place, ran, instead, { ...known, before: began });
      return { verb, point, instead, hit, problems };
    },
  };
}

/**
 * Calls without the middle of a row: one thread writes page after page of one of SQLite's files, and nothing else happens
 * between. Whoever opens the database afterwards sees the same of them all: none, until the row's last page says that they
 * count.
 */
function endsOfRows(calls: readonly Point[]): Point[] {
  const isRow = (one: Point | undefined, other: Point | undefined) =>
    one?.call === "pwrite64" && other?.call === "pwrite64" && one.what === other.what && isOfOne(one, other);
  return calls.filter((call, n) => !isRow(calls[n - 1], call) || !isRow(call, calls[n + 1]));
}

const isOfOne = (one: Point, other: Point) => one.program === other.program && one.thread === other.thread;

/** Calls that may fail. That one program of mu's cannot be started means that none can: each starts in a process. */
function failing(calls: readonly Point[]): Point[] {
  const isStart = ({ call, thread, program }: Point) => call === "execve" && thread === "pool" && program === 0;
  const start = calls.find(isStart);
  return calls.filter(
    (call) => call === start || (call.call !== "execve" && (isWriting(call) || call.call === "openat")),
  );
}

interface Known {
  words: string;
  before: Moment;
  /** How it is once the line has run to its end, and what happened by then. */
  clean: Moment;
  fresh: readonly string[];
  endings: readonly Ending[];
}

async function problemsAfter(place: Place, ran: Traced, instead: Instead, known: Known): Promise<string[]> {
  const { words, before, clean, fresh, endings } = known;
  const sound = async (when: string) => {
    const faults = [...(await faultsOf(place.app)), ...(await lostSince(place.app, before, clean))];
    return faults.map((fault) => `${when}: ${fault}`);
  };
  const problems = [...endingProblems(ran, instead, endings), ...(await sound("after it"))];
  const missing = async () => without(fresh, freshIn(await look(place.app), before));
  if (ran.stdout !== "") problems.push(...(await missing()).map((event) => `acknowledged, but missing: ${event}`));

  const again = await place.run(words);
  if (!endings.some((ending) => isSameEnding(ending, again))) problems.push(`again: ${again.code} ${again.stderr}`);
  problems.push(...(await sound("again")), ...(await missing()).map((event) => `again, but missing: ${event}`));
  return problems;
}

/** A call that failed gives exit code 5 and the path, or has done no harm. */
function endingProblems({ code, stdout, stderr }: Ending, instead: Instead, known: readonly Ending[]): string[] {
  if (instead === "SIGKILL" || known.some((ending) => ending.code === code)) return [];
  // The doctor reports what is wrong.
  if (code === 1 && stdout.includes('"ok":false')) return [];
  const isTold =
    code === 5 && /"message":"(?:[^"\\]|\\.)*(\/|git|tmux|standard output)/.test(stderr) && !/^\s+at /m.test(stderr);
  return isTold ? [] : [`ended with ${code}: ${stderr}`];
}

/** What has happened since. */
function freshIn({ events }: Moment, before: Moment): string[] {
  return [...events].filter(([hash]) => !before.events.has(hash)).map(([, event]) => event);
}

const without = (all: readonly string[], some: readonly string[]) => all.filter((one) => !some.includes(one));

/** Whether the last call of the thread that was killed is this one. */
function isKilledAt({ signal, code, calls }: Traced, point: Point): boolean {
  const last = calls.filter(({ thread, program }) => thread === point.thread && program === point.program).at(-1);
  const isKilled = signal === "SIGKILL" || code === 137;
  return isKilled && last !== undefined && isSame(last, point);
}

/** An error counts the calls of each thread for itself, so that it may meet two of them. */
function failedOnlyAt({ calls }: Traced, point: Point): boolean {
  const failed = calls.filter(({ isInjected }) => isInjected);
  return failed.length > 0 && failed.every((call) => isSame(call, point));
}

/** The same call of another run: names that are made up differ. */
function isSame(one: Point, other: Point): boolean {
  const { program, thread, call, n } = one;
  const isThere = program === other.program && thread === other.thread && call === other.call && n === other.n;
  return isThere && withoutRandom(one.what) === withoutRandom(other.what);
}

const withoutRandom = (what: string) => what.replaceAll(/[0-9a-f]{6,}|[A-Za-z0-9]{6}(?=\W|$)|\d+/g, "*");

function isSameEnding(one: Ending, other: Ending): boolean {
  return one.code === other.code && (one.code === 0 || codeOf(one) === codeOf(other));
}

function codeOf({ stderr }: Ending): string | undefined {
  return /"code":"([^"]*)"/.exec(stderr)?.[1];
}
