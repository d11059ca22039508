import { appendFileSync, mkdirSync } from "node:fs";
import { describe, expect, inject, it } from "vitest";
import { sample } from "../support/sample.js";
import { LEFT_OUT, type Scenario, scenarios } from "./scenarios.js";
import { isWriting, noStrace, readTrace } from "./strace.js";
import { type Cut, type Finding, openSweep } from "./sweep.js";

/** `npm test` kills these at 8 of their points each: all their points have been tried, and most met. All others are for `npm run sweep`. */
const SWEPT = ["task.add", "job.new", "init", "asset.add", "undo"];
const SAMPLED = { kills: 8, errors: 0 };

/** What `npm run sweep` asks for: verbs, and which faults. */
const asked = {
  verbs: process.env["MU_SWEEP_VERBS"]?.split(","),
  only: process.env["MU_SWEEP_ONLY"],
  most: Number(process.env["MU_SWEEP_MOST"] ?? Number.POSITIVE_INFINITY),
};

const all = await scenarios();
const chosen = all.filter(({ verb }) => asked.verbs?.includes(verb) ?? (inject("soak") || SWEPT.includes(verb)));

describe.skipIf(noStrace !== undefined)(`a verb that is cut off (${noStrace ?? "at its calls that write"})`, () => {
  it.concurrent.each(chosen.map((scenario) => [scenario.words, scenario] as const))("mu %s", async (_, scenario) => {
    const findings = await swept(scenario);
    expect(findings.filter(({ problems }) => problems.length > 0).map(line)).toEqual([]);
    // What was missed proves nothing: most of it must not be.
    expect(findings.filter(({ hit }) => hit).length).toBeGreaterThanOrEqual(findings.length / 2);
  });
});

async function swept(scenario: Scenario): Promise<Finding[]> {
  const sweep = await openSweep(scenario);
  const cuts: Cut[] = [
    ...(asked.only === "errors" ? [] : some(sweep.kills, SAMPLED.kills)),
    ...(asked.only === "kills" ? [] : some(sweep.errors, SAMPLED.errors)),
  ];
  const findings: Finding[] = [];
  try {
    for (const cut of cuts) {
      const finding = await sweep.cut(cut);
      findings.push(finding);
      report(finding);
    }
  } finally {
    await sweep.end();
  }
  return findings;
}

/** Those points that this run tries, spread evenly. */
function some(cuts: readonly Cut[], few: number): Cut[] {
  const chosen = sample(cuts, few);
  const step = Math.max(1, chosen.length / asked.most);
  return chosen.filter((_, n) => Math.floor(n / step) !== Math.floor((n - 1) / step));
}

const line = ({ point: { program, thread, call, n, what }, instead, problems }: Finding) =>
  [`${instead} at ${program === 0 ? "mu" : `git ${program}`}, ${thread}, ${call} ${n} of ${what}`, ...problems].join(
    "\n  ",
  );

/** Leaves what `npm run sweep` adds up, point by point: a long sweep may be ended early. */
function report(finding: Finding): void {
  const { verb, instead, hit, problems } = finding;
  const figures = { verb, isKill: instead === "SIGKILL", hit, isLoss: problems.length > 0, line: line(finding) };
  mkdirSync(".cache", { recursive: true });
  appendFileSync(".cache/sweep.jsonl", `${JSON.stringify(figures)}\n`);
}

it("knows every verb that it leaves out", async () => {
  const { loadOperations } = await import("../../src/operations/index.js");
  const writing = (await loadOperations()).filter(({ effect }) => effect !== "read").map(({ name }) => name);
  expect(Object.keys(LEFT_OUT).filter((verb) => !writing.includes(verb))).toEqual([]);
  expect(new Set([...all.map(({ verb }) => verb), ...Object.keys(LEFT_OUT)])).toEqual(new Set(writing));
});

it("reads from a trace the calls that write, thread by thread", () => {
  const trace = `7  execve("/usr/bin/node", ["node"], 0x7ff /* 3 vars */) = 0
7  openat(AT_FDCWD</p>, "/p/plan.yaml", O_RDONLY|O_CLOEXEC) = 3</p/plan.yaml>
8  openat(AT_FDCWD</p>, "/p/a", O_WRONLY|O_CREAT|O_EXCL, 0600 <unfinished ...>
7  write(5<pipe:[1]>, ""..., 1) = 1
7  openat(AT_FDCWD</p>, "/p/b", O_RDWR|O_CREAT, 0600) = 4</p/b>
8  <... openat resumed>) = 5</p/a>
7  pwrite64(4</p/b>, ""..., 4096, 0) = 4096
8  fsync(5</p/a> <unfinished ...>
7  write(1<pipe:[2]>, ""..., 12) = ?
8  <... fsync resumed>) = -1 EIO (Input/output error) (INJECTED)
7  +++ killed by SIGKILL +++`;
  const points = readTrace(trace).filter(isWriting);
  expect(points.filter(({ isInjected }) => isInjected).map(({ call }) => call)).toEqual(["fsync"]);
  expect(points.map(({ thread, call, n, what }) => `${thread} ${call} ${n} ${what}`)).toEqual([
    "pool openat 1 /p/a",
    "main openat 2 /p/b",
    "main pwrite64 1 /p/b",
    "pool fsync 1 /p/a",
    "main write 2 pipe:[2]",
  ]);
});
