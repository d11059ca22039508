import { once } from "node:events";
import { afterEach, beforeEach, expect, it } from "vitest";
import { systemClock } from "../src/clock.js";
import { execProgram } from "../src/exec.js";
import { findProcess } from "../src/processes.js";
import { type Home, newHome, outcome } from "./support/cli.js";

let home: Home;
beforeEach(async () => {
  home = newHome();
  await home.here("workstream init demo");
  await home.here("task add build --title 'Build it'");
});
afterEach(() => home.end());

const status = async () => (await home.here("task show build --json")).json().task.status;

it("a check is heard while it runs, and its verdict decides", async () => {
  const red = await home.here("task close build --check 'echo broken; exit 3'");
  expect([red.code, red.stdout]).toEqual([1, ""]);
  expect(red.stderr).toMatch(/^broken\nmu: The check of build ended with 3, so it is still OPEN: echo broken; exit 3/);
  expect(red.stderr.match(/^broken$/gm)).toHaveLength(1);
  expect(await status()).toBe("OPEN");

  const green = await home.here("task close build --check 'echo good'");
  expect([green.code, green.stderr]).toEqual([0, "good\n"]);
  expect(green.stdout).toContain("check echo good: passed, verified");
  expect((await home.here("task list")).stdout).toMatch(/build +CLOSED verified/);
  expect((await home.here("task show build")).stdout).toMatch(
    /level +verified\n[\s\S]*check +passed after [\d.]+ s.*: echo good/,
  );
  expect((await home.here("log --limit 2")).stdout).toContain("closed build, echo good green");
});

it("a program gets one value or one fault, with the last lines in it", async () => {
  await home.here("workstream set check 'seq 60; exit 1'");
  const { error, code, check } = (await home.here("task close build --json")).fault();
  expect([error, code]).toEqual(["negative", "task.check_failed"]);
  expect(check).toMatchObject({ command: "seq 60; exit 1", exitCode: 1, author: "ann" });
  expect((await home.here("task show build --json")).json().check).toEqual(check);
  const closed = (await home.here("task close build --no-check --json")).json();
  expect(closed).toMatchObject({ task: { level: "claimed" }, check: null, warnings: [] });
});

it("Ctrl-C ends the check with all its processes, and the task stays", async () => {
  const running = home.start(["task", "close", "build", "--check", "sleep 1000 & echo $! $$; sleep 1000"]);
  const ended = outcome(running);
  const [first] = (await once(running.stderr as NodeJS.ReadableStream, "data")) as [Buffer];
  const pids = first.toString().trim().split(" ").map(Number);
  running.kill("SIGINT");
  const { code, stderr } = await ended;
  expect([code, stderr]).toEqual([130, expect.stringContaining("The check was interrupted; build is still OPEN.")]);
  expect(pids).toHaveLength(2);
  for (const pid of pids) {
    const found = await findProcess({ exec: execProgram, context: { clock: systemClock } }, { pid });
    expect(found === undefined || found.zombie).toBe(true);
  }
  expect(await status()).toBe("OPEN");
});
