import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import type { Story } from "../test/simulator/simulate.js";
import { bundleChild } from "../test/support/child.js";

const USAGE = "usage: npm run simulate -- --seeds 1..1000 [--tasks 60] [--verbose]";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1..1000" },
    tasks: { type: "string", default: "60" },
    verbose: { type: "boolean", default: false },
  },
});

/** Plays the seeds on all cores; exits 1 if a problem was found. */
async function run(from: number, to: number, tasks: number): Promise<boolean> {
  const began = process.uptime();
  const folder = mkdtempSync(join(tmpdir(), "mu-simulate-"));
  const commit = execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
  const sum = { seeds: 0, runs: 0, kills: 0, problems: 0 };
  const tell = (story: Story) => {
    sum.seeds++;
    sum.runs += story.runs;
    sum.kills += story.kills;
    if (values.verbose) console.log(JSON.stringify(story));
    if (story.problem === undefined) return;
    sum.problems++;
    console.log(`seed ${story.seed} at ${commit}: ${story.problem}\n  with ${story.faults.join(", ")}`);
  };
  try {
    const program = await bundleChild(folder, "simulate-child");
    const workers = Math.min(availableParallelism(), to - from + 1);
    const playing = Array.from({ length: workers }, (_, at) =>
      each([program, ...[from + at, to, workers, tasks].map(String)], tell),
    );
    const codes = await Promise.all(playing);
    const isWhole = codes.every((code) => code === 0) && sum.seeds === to - from + 1;
    const seconds = (process.uptime() - began).toFixed(1);
    console.log(
      `${sum.seeds} seeds of ${tasks} tasks at ${commit}: ${sum.runs} runs, ${sum.kills} kills, ${sum.problems} problems, ${seconds} s`,
    );
    return isWhole && sum.problems === 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Runs a worker and hands on its lines; gives its exit code. */
async function each(args: readonly string[], tell: (story: Story) => void): Promise<number | null> {
  const child = spawn(process.execPath, ["--max-semi-space-size=32", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  for await (const line of createInterface({ input: child.stdout })) tell(JSON.parse(line) as Story);
  return ended;
}

const [, from, to = from] = /^(\d+)(?:\.\.(\d+))?$/.exec(values.seeds) ?? [];
const isGood = from !== undefined && Number(from) <= Number(to) && /^[1-9]\d*$/.test(values.tasks);
if (!isGood) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  void run(Number(from), Number(to), Number(values.tasks)).then((isWell) => {
    process.exitCode = isWell ? 0 : 1;
  });
}
