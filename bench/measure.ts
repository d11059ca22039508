import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** One line of the table: a figure beside its floor. `met` is undefined for a figure that has no bar. */
export interface Figure {
  what: string;
  floor: string;
  figure: string;
  bar: string;
  met: boolean | undefined;
}

/** What a piece of work took, in ms: by the clock, and of the processor's time (user and system). */
export interface Cost {
  wallMs: number;
  cpuMs: number;
}

export const MU = fileURLToPath(new URL("../dist/main.cjs", import.meta.url));
const PROBE = fileURLToPath(new URL("probe.cjs", import.meta.url));

/** Runs each piece of work `rounds` times, in turns, and gives the medians: what disturbs one disturbs all. */
export async function inTurns<K extends string>(
  rounds: number,
  works: Record<K, () => Cost | Promise<Cost>>,
): Promise<Record<K, Cost>> {
  const names = Object.keys(works) as K[];
  const costs = Object.fromEntries(names.map((name) => [name, [] as Cost[]])) as Record<K, Cost[]>;
  for (let round = 0; round < rounds; round++) for (const name of names) costs[name].push(await works[name]());
  const medians = names.map((name) => [
    name,
    { wallMs: median(costs[name].map((cost) => cost.wallMs)), cpuMs: median(costs[name].map((cost) => cost.cpuMs)) },
  ]);
  return Object.fromEntries(medians);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? 0) + (sorted[sorted.length >> 1] ?? 0)) / 2;
}

/** What `work` costs this process, the collection of its garbage included. */
export async function costOf(work: () => unknown): Promise<Cost> {
  globalThis.gc?.();
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs, cpuMs: (user + system) / 1000 };
}

/** What `node …args` costs from its start to its end, as bash's `time` tells it. A failure throws. */
export function costOfNode(args: readonly string[], env: Record<string, string> = {}): Cost {
  return costOfProgram([process.execPath, ...args], env);
}

/** What a bash script costs with everything that it starts, in the same way. */
export function costOfScript(script: string, env: Record<string, string> = {}): Cost {
  return costOfProgram(["bash", "-ec", script], env);
}

function costOfProgram(argv: readonly string[], env: Record<string, string>): Cost {
  const script = 'TIMEFORMAT="%3R %3U %3S"; time "$0" "$@" >/dev/null';
  const { stderr } = bash(script, argv, env);
  const [wall = 0, user = 0, system = 0] = (stderr.trim().split("\n").at(-1) ?? "").split(" ").map(Number);
  return { wallMs: wall * 1000, cpuMs: (user + system) * 1000 };
}

/** Peak resident memory of `node …args`, in MB. */
export function peakMemory(args: readonly string[], env: Record<string, string> = {}): number {
  // bash forks for each of several commands, so that the peak is not inherited from this process.
  const { stderr } = bash('"$0" "$@" >/dev/null; exit $?', [process.execPath, ...args], {
    ...env,
    NODE_OPTIONS: `--require ${PROBE}`,
  });
  return JSON.parse(stderr.trim().split("\n").at(-1) ?? "").peakMb;
}

export const probed = { NODE_OPTIONS: `--require ${PROBE}` };

function bash(script: string, args: readonly string[], env: Record<string, string>) {
  const run = spawnSync("bash", ["-c", script, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 30,
    env: { ...process.env, ...env },
  });
  if (run.status !== 0) throw new Error(`${args.join(" ")} ended with ${run.status}: ${run.stderr}`);
  return run;
}

/** Runs `work` with a temporary folder, below `parent`, that is removed in any case. */
export async function inFolder<T>(work: (folder: string) => T | Promise<T>, parent = tmpdir()): Promise<T> {
  const folder = mkdtempSync(join(parent, "mu-bench-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    return await work(folder);
  } finally {
    remove();
    process.removeListener("exit", remove);
  }
}

/** `12 ms (wall 30 ms)`. */
export const shown = ({ cpuMs, wallMs }: Cost) => `${ms(cpuMs)} (wall ${ms(wallMs)})`;

export const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en")} ms`;
export const count = (value: number) => Math.round(value).toLocaleString("en");

/** Work beside the same by hand: the processor's time may be `factor` times as much. */
export function timesFloor(what: string, floor: Cost, figure: Cost, factor: number): Figure {
  const times = figure.cpuMs / floor.cpuMs;
  return {
    what,
    floor: shown(floor),
    figure: `${shown(figure)}: ${times.toFixed(2)} × floor`,
    bar: `≤ ${factor} × floor`,
    met: times <= factor,
  };
}
