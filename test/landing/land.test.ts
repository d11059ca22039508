import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openYard, type Yard } from "./yard.js";

let yard: Yard;
beforeEach(async () => {
  yard = await openYard();
});
afterEach(() => yard.end());

const names = (items: readonly { task: string }[]) => items.map(({ task }) => task);

describe("landing", () => {
  it("lands independent work on main, oldest first, and updates the checkout", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    await yard.finished("docs", { "docs.txt": "d\n" });
    const before = await yard.main();
    const landing = await yard.land();

    expect(names(landing.landed)).toEqual(["build", "docs"]);
    expect(landing.target).toEqual({ branch: "main", from: before, to: await yard.main() });
    expect(await yard.subjects()).toEqual(["work of build", "work of docs"]);
    expect(yard.repo.read("docs.txt")).toBe("d\n");
    expect(await yard.repo.git("status", "--porcelain")).toBe("");
    const task = await yard.task("build");
    expect(task).toMatchObject({ status: "CLOSED", level: "landed", landedCommit: landing.landed[0]?.commit });
    expect(await yard.repo.git("rev-list", "--count", "main")).toBe("3");
  });

  it("adds trailers with the task and the audit head to its last commit", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    const { landed } = await yard.land();
    const message = await yard.repo.git("log", "-1", "--format=%B", landed[0]?.commit ?? "");
    expect(message).toMatch(/^work of build\n\nMu-Task: shop\/build\nMu-Audit: shop \d+ [0-9a-f]{64}$/m);
    expect(await yard.repo.git("log", "-1", "--format=%an <%ae>", "main")).toBe("Ann <ann@example.org>");
  });

  it("lands blockers before their dependents, whichever closed first", async () => {
    const path = await yard.workspace("bob");
    await yard.finished("first", { "a.txt": "first\n" }, { agent: "bob" });
    expect(yard.repo.read("a.txt", path)).toBe("first\n");
    await yard.finished("second", { "a.txt": "second\n" }, { agent: "bob", blockedBy: ["first"] });
    await expect(yard.land(["second"])).rejects.toMatchObject({ code: "landing.needs_first", kind: "conflict" });
    const { landed } = await yard.land(["second", "first"]);
    expect(names(landed)).toEqual(["first", "second"]);
    expect(yard.repo.read("a.txt")).toBe("second\n");
  });

  it("returns a conflict to its owner with files and lines, and lands the rest", async () => {
    await yard.finished("ours", { "a.txt": "ours\ntwo\nthree\n" });
    await yard.finished("theirs", { "a.txt": "theirs\ntwo\nthree\n" });
    await yard.finished("other", { "other.txt": "o\n" });
    const landing = await yard.land();

    expect(names(landing.landed)).toEqual(["ours", "other"]);
    expect(landing.returned).toMatchObject([{ task: "theirs", why: "conflict", files: ["a.txt"], delivered: false }]);
    expect(await yard.task("theirs")).toMatchObject({ status: "OPEN", owner: null, level: null });
    const [note] = await yard.notes("theirs");
    expect(note).toMatchObject({ author: "mu", kind: "review" });
    expect(note?.text).toContain("<<<<<<< main\nours\n");
    expect(note?.text).toContain(">>>>>>> theirs");
    const commit = await yard.repo.gitIn(await yard.workspace("theirs"), "rev-parse", "HEAD");
    expect(note?.text).toContain(`The work is in theirs's workspace, up to ${commit.slice(0, 10)}.`);
    expect(yard.repo.read("a.txt")).toBe("ours\ntwo\nthree\n");
  });

  it("finds the one red task in the middle of five and lands the other four", async () => {
    for (const task of ["one", "two", "three", "four", "five"]) {
      await yard.finished(task, { [`${task}.txt`]: task === "three" ? "bad\n" : "fine\n" });
    }
    const landing = await yard.land(undefined, { check: "! grep -l bad *.txt" });
    expect(names(landing.landed)).toEqual(["one", "two", "four", "five"]);
    expect(landing.returned).toMatchObject([{ task: "three", why: "red", excerpt: "three.txt" }]);
    expect(await yard.subjects()).toEqual(["work of one", "work of two", "work of four", "work of five"]);
    expect(await yard.task("three")).toMatchObject({ status: "OPEN" });
    expect((await yard.notes("three"))[0]).toMatchObject({ author: "mu", kind: "test" });
    expect(existsSync(join(yard.crew.stateDir, "landing"))).toBe(true);
    expect(readdirSync(join(yard.crew.stateDir, "landing"))).toEqual([]);
    expect(await yard.repo.git("worktree", "list")).not.toContain("landing");
  });

  it("blames no task if the branch itself fails the check", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    const before = await yard.main();
    await expect(yard.land(undefined, { check: "echo broken; false" })).rejects.toMatchObject({
      code: "landing.target_red",
      kind: "negative",
      details: { tail: "broken" },
    });
    expect(await yard.main()).toBe(before);
    expect(await yard.task("build")).toMatchObject({ status: "CLOSED", level: "claimed" });
  });

  it("runs a flaky check twice before it blames a task", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    const mark = join(yard.repo.dir, "asked");
    const landing = await yard.land(undefined, { check: `test -e '${mark}' || { touch '${mark}'; exit 1; }` });
    expect(names(landing.landed)).toEqual(["build"]);
    expect(landing.checks.map(({ green }) => green)).toEqual([false, true]);
  });

  it("counts a check that hangs as failed", async () => {
    await yard.finished("build", { "hang.txt": "b\n" });
    const landing = await yard.land(undefined, { check: "test ! -e hang.txt || sleep 60", timeoutMs: 300 });
    expect(landing.returned).toMatchObject([{ task: "build", why: "red" }]);
    expect(landing.returned[0]?.reason).toContain("timed out after 0.3 s");
    expect(landing.checks[0]).toMatchObject({ timedOut: true, exitCode: null });
  });

  it("survives a check that prints more than fits a string", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    const landing = await yard.land(undefined, {
      check: "test ! -e build.txt || { head -c 600000000 /dev/zero; exit 3; }",
    });
    expect(landing.returned).toMatchObject([{ task: "build", why: "red" }]);
    expect((await yard.notes("build"))[0]?.text.length).toBeLessThan(100_000);
  });
});
