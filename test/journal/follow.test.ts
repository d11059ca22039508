import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Home, newHome, outcome } from "../support/cli.js";

let home: Home;
beforeEach(async () => {
  home = newHome();
  expect((await home.mu("workstream init demo")).code).toBe(0);
});
afterEach(() => home.end());

/** The lines that a process prints, one at a time. */
function linesOf(child: ChildProcess): AsyncIterator<string> {
  return createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]();
}

async function next(lines: AsyncIterator<string>): Promise<{ text: string; kind: string }> {
  return JSON.parse((await lines.next()).value);
}

const ended = (child: ChildProcess) =>
  new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));

describe("mu log --follow", () => {
  it.each([
    ["--follow", "SIGINT", 130],
    ["--tail", "SIGTERM", 143],
  ] as const)("%s sees what another process writes, and ends quietly on %s", async (flag, signal, code) => {
    const child = home.start(`log ${flag} -n 1 --json`);
    let complaints = "";
    child.stderr?.on("data", (part) => (complaints += part));
    const lines = linesOf(child);
    expect(await next(lines)).toMatchObject({ op: "workstream.init" });
    for (const text of ["one", "two"]) {
      await home.mu(`log write ${text} --kind decision`);
      expect(await next(lines)).toMatchObject({ text: expect.stringContaining(text), kind: "decision" });
    }
    const end = ended(child);
    child.kill(signal);
    expect(await end).toEqual({ code, signal: null });
    expect(complaints).toBe("");
  });

  it("ends quietly when its pipe is closed", async () => {
    const pipe = outcomeOf(`mu log --follow | head -1; echo "\${PIPESTATUS[0]}"`);
    let over = false;
    void pipe.finally(() => (over = true));
    // A closed pipe is noticed by the next line that goes into it.
    while (!over) await home.mu("log write again");
    const { stdout, stderr } = await pipe;
    expect(stdout.trim().split("\n")).toEqual([expect.stringContaining("demo"), "0"]);
    expect(stderr).toBe("");
  });

  it("starts before there is a database", async () => {
    const env = { MU_DB_PATH: `${home.folder}/later/mu.db` };
    const child = home.start("log --follow --all --json", { env });
    const lines = linesOf(child);
    const first = next(lines);
    expect((await home.mu("workstream init later", { env })).code).toBe(0);
    // The follower may have started after that write: then a later one reaches it.
    let seen = false;
    void first.then(() => (seen = true));
    while (!seen) await home.mu("log write again -w later", { env });
    expect((await first).text).toBeTruthy();
  });
});

describe("a pipe that nobody reads", () => {
  it.each([
    ["mu completion bash | true", 0],
    ["mu task show nothing 2>&1 >/dev/null | true", 3],
    ["mu task show nothing --json 2>&1 | true", 3],
    ["mu nothing 2>&1 | true", 2],
  ])("%s", async (line, code) => {
    const { stdout, stderr } = await outcomeOf(`${line}; echo "\${PIPESTATUS[0]}"`);
    expect([stdout, stderr]).toEqual([`${code}\n`, ""]);
  });
});

describe("Ctrl-C", () => {
  it("ends a wait quietly", async () => {
    await home.mu("task add build");
    const child = home.start("task wait build --timeout 0 --json");
    const ran = outcome(child);
    // It is at work once it holds the database open; a signal before that ends it as well.
    await home.mu("task list");
    child.kill("SIGINT");
    const { code, signal, stderr } = await ran;
    expect([code ?? signal, stderr]).toEqual([code === null ? "SIGINT" : 130, ""]);
  });
});

const outcomeOf = (script: string) => home.sh(script, { shell: "bash" });
