import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listDeliveries } from "../../src/agents/delivery/outbox.js";
import { write } from "../../src/db/write.js";
import { type Exec, execProgram } from "../../src/exec.js";
import { landTasks, predictLanding } from "../../src/landing/land.js";
import { addTask } from "../../src/tasks/add.js";
import { deleteTask } from "../../src/tasks/delete.js";
import { closeTask, openTask } from "../../src/tasks/lifecycle.js";
import { changeSetting } from "../../src/workstreams/workstream.js";
import { agentRow } from "../support/agent-row.js";
import { openYard, WORKSTREAM, type Yard } from "./yard.js";

let yard: Yard;
beforeEach(async () => {
  yard = await openYard();
});
afterEach(() => yard.end());

const names = (items: readonly { task: string }[]) => items.map(({ task }) => task);
const ref = (name: string) => ({ workstream: WORKSTREAM, name });
const ann = { person: "ann" };

/** A check that does something to main the first so many times that it runs. */
function meddling(times: number, act: string): string {
  const count = join(yard.repo.dir, "count");
  return `n=$(cat '${count}' 2>/dev/null || echo 0); [ $n -ge ${times} ] || { echo $((n+1)) > '${count}'; cd '${yard.repo.root}'; ${act}; }`;
}

describe("a branch that moves during the landing", () => {
  it("gets the work replayed on its new commit and checked there", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    const { landed, checks } = await yard.land(undefined, {
      check: meddling(1, "echo x > x; git add x; git commit -qm theirs"),
    });
    expect(names(landed)).toEqual(["build"]);
    expect(await yard.subjects()).toEqual(["theirs", "work of build"]);
    expect(checks.length).toBe(2);
    expect(checks.at(-1)?.commit).toBe(await yard.main());
  });

  it("does not regain commits that were reset away", async () => {
    await yard.repo.commit({ "old.txt": "o\n" }, "regretted");
    await yard.finished("build", { "build.txt": "b\n" });
    await yard.land(undefined, { check: meddling(1, "git reset -q --hard HEAD~1") });
    expect(await yard.subjects()).toContain("work of build");
    expect(await yard.repo.git("log", "--format=%s", "main")).not.toContain("regretted\nwork");
  });

  it("makes the landing fail if it keeps moving", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    const check = meddling(
      9,
      "git commit -q --allow-empty -m theirs; echo $n > n.txt; git add n.txt; git commit -qm n",
    );
    await expect(yard.land(undefined, { check })).rejects.toMatchObject({ code: "landing.moving" });
    expect(await yard.task("build")).toMatchObject({ level: "claimed" });
    const { landed } = await landTasks(yard.crew, { workstream: WORKSTREAM, unfinished: true });
    expect(names(landed)).toEqual(["build"]);
  });
});

describe("two landings at once", () => {
  it("take turns, and the second is told whose landing it waits for", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    await yard.finished("docs", { "docs.txt": "d\n" });
    const started = join(yard.repo.dir, "started");
    const release = join(yard.repo.dir, "release");
    const wait = `while [ ! -e '${release}' ]; do sleep 0.1; done`;
    const first = yard.land(["build"], { check: `touch '${started}'; ${wait}` });
    await waitFor(started);

    const remarks: string[] = [];
    const remark = (text: string) => {
      if (remarks.push(text) === 1) writeFileSync(release, "");
    };
    const second = await landTasks(await yard.another(), { workstream: WORKSTREAM }, { remark });
    expect(remarks).toEqual([`Waiting for the landing of build in shop by tester (process ${process.pid})…`]);
    expect(names((await first).landed)).toEqual(["build"]);
    expect(names(second.landed)).toEqual(["docs"]);
    expect(second.skipped).toEqual([]);
    expect(await yard.subjects()).toEqual(["work of build", "work of docs"]);
  });

  it("of one task land it once, and the second says that it has landed", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    const crews = [yard.crew, await yard.another()];
    const choice = { workstream: WORKSTREAM, tasks: ["build"] };
    const landings = await Promise.all(crews.map((crew) => landTasks(crew, choice, { check: "true" })));
    expect(landings.flatMap(({ landed }) => names(landed))).toEqual(["build"]);
    expect(landings.flatMap(({ skipped }) => skipped)).toMatchObject([{ task: "build", why: "landed" }]);
    expect(await yard.subjects()).toEqual(["work of build"]);
  });

  it("stop waiting at once when they are interrupted", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    await yard.finished("docs", { "docs.txt": "d\n" });
    const started = join(yard.repo.dir, "started");
    const [first, second] = [new AbortController(), new AbortController()];
    const landing = yard.land(["build"], { check: `touch '${started}'; sleep 60`, signal: first.signal });
    const stopped = expect(landing).rejects.toMatchObject({ code: "landing.interrupted" });
    await waitFor(started);
    const options = { signal: second.signal, remark: () => second.abort() };
    const waiting = landTasks(await yard.another(), { workstream: WORKSTREAM }, options);
    await expect(waiting).rejects.toMatchObject({ code: "landing.interrupted" });
    first.abort();
    await stopped;
  });

  it("land every task exactly once", async () => {
    for (const task of ["a1", "a2", "a3"]) await yard.finished(task, { [`${task}.txt`]: "x\n" });
    const crews = await Promise.all([yard.another(), yard.another(), yard.another()]);
    const landings = await Promise.allSettled(crews.map((crew) => landTasks(crew, { workstream: WORKSTREAM })));
    const landed = landings.flatMap((one) => (one.status === "fulfilled" ? names(one.value.landed) : []));
    expect(landings.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "fulfilled"]);
    expect(landed.sort()).toEqual(["a1", "a2", "a3"]);
    expect((await yard.subjects()).sort()).toEqual(["work of a1", "work of a2", "work of a3"]);
  });
});

async function waitFor(path: string): Promise<void> {
  for (let looks = 0; looks < 1000 && !existsSync(path); looks++)
    await new Promise((resolve) => setTimeout(resolve, 10));
}

describe("pushing", () => {
  it("goes to the branch's remote, without force", async () => {
    const bare = join(yard.repo.dir, "bare.git");
    await yard.repo.git("clone", "-q", "--bare", yard.repo.root, bare);
    await yard.repo.git("remote", "add", "origin", bare);
    await yard.finished("build", { "build.txt": "b\n" });
    const { pushed } = await yard.land(undefined, { push: true });
    expect(pushed).toEqual({ remote: "origin" });
    expect(await yard.repo.gitIn(bare, "rev-parse", "main")).toBe(await yard.main());
  });

  it("that is rejected keeps the work landed locally, and can be retried", async () => {
    const bare = join(yard.repo.dir, "bare.git");
    await yard.repo.git("clone", "-q", "--bare", yard.repo.root, bare);
    await yard.repo.git("remote", "add", "origin", bare);
    const elsewhere = join(yard.repo.dir, "elsewhere");
    await yard.repo.git("clone", "-q", bare, elsewhere);
    await yard.repo.commit({ "theirs.txt": "t\n" }, "theirs", elsewhere);
    await yard.repo.gitIn(elsewhere, "push", "-q");
    const theirs = await yard.repo.gitIn(bare, "rev-parse", "main");
    await yard.finished("build", { "build.txt": "b\n" });

    const refused = await yard.land(undefined, { push: true }).catch((error) => error);
    expect(refused).toMatchObject({ code: "landing.push_failed", kind: "unavailable", exitCode: 5 });
    expect(refused.message).toMatch(/1 task has landed on main here; origin rejected main: .*(fetch first|rejected)/);
    expect(refused.details.landed).toMatchObject([{ task: "build" }]);
    expect(await yard.task("build")).toMatchObject({ level: "landed" });
    expect(await yard.repo.gitIn(bare, "rev-parse", "main")).toBe(theirs);

    await yard.repo.git("fetch", "-q", "origin");
    await yard.repo.git("rebase", "-q", "origin/main");
    expect((await yard.land(undefined, { push: true })).pushed).toEqual({ remote: "origin" });
  });

  it("needs a remote, and faults before anything lands if there is none", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    await expect(yard.land(undefined, { push: true })).rejects.toMatchObject({ code: "landing.no_remote" });
    expect(await yard.task("build")).toMatchObject({ level: "claimed" });
  });
});

it("a prediction writes no ref, no row, no file", async () => {
  await yard.finished("ours", { "a.txt": "ours\ntwo\nthree\n" });
  await yard.finished("theirs", { "a.txt": "theirs\ntwo\nthree\n" });
  const { db } = yard.crew.context.store;
  const look = async () => [
    await yard.repo.git("for-each-ref"),
    await yard.repo.git("worktree", "list"),
    await db.selectFrom("events").selectAll().execute(),
    await db.selectFrom("landings").selectAll().execute(),
  ];
  const before = await look();
  const landing = await predictLanding(yard.crew, { workstream: WORKSTREAM });
  expect(names(landing.landed)).toEqual(["ours"]);
  expect(landing.returned).toMatchObject([{ task: "theirs", files: ["a.txt"] }]);
  expect(await look()).toEqual(before);
});

describe("the work of one workspace", () => {
  it("lands in either order if its tasks are independent", async () => {
    await yard.finished("one", { "one.txt": "1\n" }, { agent: "bob" });
    await yard.finished("two", { "two.txt": "2\n" }, { agent: "bob" });
    expect(names((await yard.land(["two"])).landed)).toEqual(["two"]);
    expect(await yard.subjects()).toEqual(["work of two"]);
    expect(names((await yard.land(["one"])).landed)).toEqual(["one"]);
    expect(await yard.subjects()).toEqual(["work of two", "work of one"]);
  });

  it("waits for the task that it builds on instead of being returned", async () => {
    await yard.finished("one", { "a.txt": "1\n" }, { agent: "bob" });
    await yard.finished("two", { "a.txt": "2\n" }, { agent: "bob" });
    const { landed, returned, skipped } = await yard.land(["two"]);
    expect([landed, returned]).toEqual([[], []]);
    expect(skipped).toMatchObject([{ task: "two", why: "builds_on" }]);
    expect(names((await yard.land()).landed)).toEqual(["one", "two"]);
  });

  it("lands after a refresh rewrote it", async () => {
    const path = await yard.workspace("bob");
    await yard.finished("one", { "one.txt": "1\n" }, { agent: "bob" });
    await yard.repo.commit({ "main.txt": "m\n" }, "on main");
    await yard.repo.gitIn(path, "rebase", "-q", "main");
    await yard.finished("two", { "two.txt": "2\n" }, { agent: "bob" });
    expect(names((await yard.land()).landed)).toEqual(["one", "two"]);
    expect(await yard.subjects()).toEqual(["on main", "work of one", "work of two"]);
  });

  it("keeps the conflict resolution of a merge with main", async () => {
    const path = await yard.workspace("bob");
    const from = await yard.repo.gitIn(path, "rev-parse", "HEAD");
    await yard.repo.commit({ "a.txt": "bob\ntwo\nthree\n" }, "work", path);
    await yard.repo.commit({ "a.txt": "main\ntwo\nthree\n" }, "on main");
    await yard.repo.gitIn(path, "merge", "main").catch(() => {});
    const to = await yard.repo.commit({ "a.txt": "both\ntwo\nthree\n" }, "merge main", path);
    await addTask(yard.crew.context, WORKSTREAM, { name: "task", title: "t" });
    await yard.closeWith("task", { agent: "bob", from, to });
    const { landed } = await yard.land();
    expect(names(landed)).toEqual(["task"]);
    expect(yard.repo.read("a.txt")).toBe("both\ntwo\nthree\n");
    expect(await yard.repo.git("rev-list", "--merges", "--count", "main")).toBe("0");
    expect(await yard.repo.git("show", "-s", "--format=%B", "main")).toContain("work\n");
  });

  it("adds no commits if main has them already", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    await yard.repo.git("cherry-pick", await yard.repo.gitIn(await yard.workspace("build"), "rev-parse", "HEAD"));
    const before = await yard.main();
    const { landed } = await yard.land(undefined, { check: "false" });
    expect(landed).toMatchObject([{ task: "build", commits: 0, commit: before }]);
    expect(await yard.main()).toBe(before);
  });
});

describe("a task", () => {
  it("without commits never lands by itself, only on purpose", async () => {
    await addTask(yard.crew.context, WORKSTREAM, { name: "think", title: "Think" });
    await closeTask(yard.crew.context, ref("think"), ann);
    expect(await yard.land()).toMatchObject({ landed: [], skipped: [{ task: "think", why: "no_commits" }] });
    expect(await yard.land(["think"])).toMatchObject({ landed: [], skipped: [{ task: "think", why: "no_commits" }] });
    expect(await yard.task("think")).toMatchObject({ level: "claimed" });

    const { landed } = await landTasks(yard.crew, { workstream: WORKSTREAM, tasks: ["think"], said: "empty" });
    expect(landed).toMatchObject([{ task: "think", commits: 0, commit: await yard.main() }]);
    expect(await yard.task("think")).toMatchObject({ level: "landed" });
  });

  it("whose commits are gone is skipped, and so are its dependents", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    await yard.finished("ship", { "ship.txt": "s\n" }, { blockedBy: ["build"] });
    const gone = "1".repeat(40);
    await yard.closeWith("build", { agent: "build", from: gone, to: "2".repeat(40) });
    const { landed, skipped } = await yard.land();
    expect(landed).toEqual([]);
    expect(skipped).toMatchObject([
      { task: "build", why: "commits_gone" },
      { task: "ship", why: "needs_first" },
    ]);
  });

  it("that waits for a returned one stays closed and does not land", async () => {
    await yard.finished("bad", { "bad.txt": "b\n" });
    await yard.finished("next", { "next.txt": "n\n" }, { blockedBy: ["bad"] });
    await yard.finished("free", { "free.txt": "f\n" });
    const { landed, returned, skipped } = await yard.land(undefined, { check: "test ! -e bad.txt" });
    expect([names(landed), names(returned), names(skipped)]).toEqual([["free"], ["bad"], ["next"]]);
    expect(await yard.task("next")).toMatchObject({ status: "CLOSED", level: "claimed" });
  });

  it("that is reopened during its landing stays open", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    const landing = await yard.land(undefined, {
      check: "true",
      remark: () => void openTask(yard.crew.context, ref("build"), ann),
    });
    expect(names(landing.landed)).toEqual(["build"]);
    expect(await yard.task("build")).toMatchObject({ status: "OPEN", level: null });
  });

  it("that is deleted during its landing does not stop the others", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    await yard.finished("docs", { "docs.txt": "d\n" });
    const remark = () => void deleteTask(yard.crew.context, ref("build"), ann).catch(() => {});
    const landing = await yard.land(undefined, { check: "true", remark });
    expect(names(landing.landed)).toEqual(["build", "docs"]);
    expect(await yard.task("docs")).toMatchObject({ level: "landed" });
    expect(await yard.subjects()).toEqual(["work of build", "work of docs"]);
  });

  it("that is deleted while its check fails is returned to no one", async () => {
    await yard.finished("build", { "build.txt": "bad\n" });
    await yard.finished("docs", { "docs.txt": "d\n" });
    const remark = () => void deleteTask(yard.crew.context, ref("build"), ann).catch(() => {});
    const landing = await yard.land(undefined, { check: "! grep -q bad *.txt", remark });
    expect(names(landing.landed)).toEqual(["docs"]);
    expect(landing.skipped).toMatchObject([{ task: "build", why: "not_closed" }]);
  });

  it("lands on its branch even if someone checks out another branch at that moment", async () => {
    await yard.finished("build", { "build.txt": "b\n" });
    const before = await yard.main();
    let left = false;
    const exec: Exec = async (file, args, options) => {
      if (!left && args?.includes("read-tree")) {
        left = true;
        await yard.repo.git("branch", "mine");
        await yard.repo.git("symbolic-ref", "HEAD", "refs/heads/mine");
      }
      return yard.crew.exec(file, args, options);
    };
    const landing = await landTasks({ ...yard.crew, exec }, { workstream: WORKSTREAM }, { check: null });
    expect(names(landing.landed)).toEqual(["build"]);
    expect(await yard.subjects()).toEqual(["work of build"]);
    expect(await yard.repo.git("rev-parse", "mine")).toBe(before);
    expect(await yard.repo.git("status", "--porcelain")).toBe("");
  });

  it("that was returned lands completely after its fix", async () => {
    await yard.finished("ours", { "a.txt": "ours\ntwo\nthree\n" });
    await yard.finished("theirs", { "a.txt": "theirs\ntwo\nthree\n", "more.txt": "m\n" });
    expect(names((await yard.land()).returned)).toEqual(["theirs"]);
    const path = await yard.workspace("theirs");
    await yard.repo.gitIn(path, "rebase", "-q", "-X", "theirs", "main");
    const from = await yard.main();
    const to = await yard.repo.gitIn(path, "rev-parse", "HEAD");
    await yard.closeWith("theirs", { agent: "theirs", from, to });
    expect(names((await yard.land()).landed)).toEqual(["theirs"]);
    expect(yard.repo.read("a.txt")).toBe("theirs\ntwo\nthree\n");
    expect(yard.repo.read("more.txt")).toBe("m\n");
  });

  const enterBob = (cli: string) =>
    write(yard.crew.context, { op: "test", scope: WORKSTREAM, subject: "bob" }, async (tx) => {
      const { id } = await tx.db.selectFrom("workstreams").select("id").executeTakeFirstOrThrow();
      await tx.insert("agents", agentRow({ workstream_id: id, name: "bob", cli, spawned_at: tx.now }));
    });

  it("that is returned is sent to its owner as a prompt", async () => {
    await enterBob("claude");
    await yard.finished("bad", { "bad.txt": "b\n" }, { agent: "bob" });
    const { returned } = await yard.land(undefined, { check: "echo no good; test ! -e bad.txt" });
    expect(returned).toMatchObject([{ task: "bad", agent: "bob", delivered: true }]);
    const [delivery] = await listDeliveries(yard.crew.context.store.db, { workstream: WORKSTREAM });
    expect(delivery).toMatchObject({ agent: "bob", task: "bad", sender: "mu", state: "queued" });
    expect(delivery?.text).toContain("no good");
    expect(delivery?.text).toContain("mu task claim shop/bad");
  });

  it("that is returned to a shell has no word in its prompt that the shell would run", async () => {
    await enterBob("shell");
    await yard.finished("bad", { "bad.txt": "b\n" }, { agent: "bob" });
    const output = "it's `touch ran`\n$(touch ran)\n'; touch ran #";
    const red = `cat <<'END'\n${output}\nEND\nprintf '%0900d' 7; test ! -e bad.txt`;
    const { returned } = await yard.land(undefined, { check: red });
    expect(returned).toMatchObject([{ task: "bad", delivered: true }]);
    const [{ text = "" } = {}] = await listDeliveries(yard.crew.context.store.db, { workstream: WORKSTREAM });
    expect(text).toContain("touch ran");
    expect(Buffer.byteLength(text)).toBeLessThan(4_095);
    expect(text.split("\n")).toHaveLength(1);
    for (const shell of ["sh", "bash"]) {
      const run = await execProgram(shell, ["-c", text], { cwd: yard.repo.root });
      expect(run).toMatchObject({ code: 0, stdout: "", stderr: "" });
    }
    expect(existsSync(join(yard.repo.root, "ran"))).toBe(false);
  });
});

it("the check has the untracked files and the setup that workspaces have", async () => {
  await yard.repo.commit({ ".gitignore": "modules/\n.env\nmade\n" });
  yard.repo.write({ "modules/lib.txt": "l\n", ".env": "SECRET=1\n" });
  const set = (key: string, value: string) => changeSetting(yard.crew.context, WORKSTREAM, key, value);
  await set("setup.link", "modules");
  await set("setup.copy", ".env");
  await set("setup.command", "touch made");
  await yard.finished("bad", { "bad.txt": "b\n" });
  await yard.finished("good", { "good.txt": "g\n" });
  const check = "test -e modules/lib.txt && test -e .env && test -e made && test ! -e bad.txt";
  const { landed, returned } = await yard.land(undefined, { check });
  expect([names(landed), names(returned)]).toEqual([["good"], ["bad"]]);
  expect(await yard.repo.git("ls-files")).not.toContain("made");
});

describe("the setup of the scratch checkout", () => {
  const set = (key: string, value: string) => changeSetting(yard.crew.context, WORKSTREAM, key, value);
  const log = () => join(yard.repo.dir, "installs");
  const installs = () => (existsSync(log()) ? readFileSync(log(), "utf8").split("\n").length - 1 : 0);
  /** Installs what the manifest names into a folder that git ignores. */
  const install = () =>
    `echo x >> '${log()}'; mkdir -p modules; for name in $(cat manifest); do touch modules/$name; done`;

  it("is that of each tree, so the task that uses an undeclared package is to blame", async () => {
    await yard.repo.commit({ ".gitignore": "modules/\n", manifest: "base\n" });
    await set("setup.command", install());
    const check = "for name in $(cat *.txt | grep -x pad); do test -e modules/$name || exit 1; done";
    await yard.finished("uses", { "uses.txt": "pad\n" });
    await yard.finished("declares", { manifest: "base\npad\n" });
    expect((await yard.land(undefined, { check })).returned).toEqual([]);

    await yard.finished("drops", { manifest: "base\n" });
    await yard.finished("fine", { "fine.txt": "f\n" });
    const { landed, returned } = await yard.land(undefined, { check });
    expect([names(landed), names(returned)]).toEqual([["fine"], ["drops"]]);
  });

  it("runs again only when the files of its key change", async () => {
    await yard.repo.commit({ ".gitignore": "modules/\n", manifest: "base\n" });
    await set("setup.command", install());
    await yard.finished("bad", { "bad.txt": "b\n" });
    await yard.finished("good", { "good.txt": "g\n" });
    const check = "test -e modules/base && test ! -e bad.txt";
    expect(names((await yard.land(undefined, { check })).returned)).toEqual(["bad"]);
    expect(installs()).toBeGreaterThan(2);

    const before = installs();
    await set("setup.key", "manifest, locks/**");
    await yard.finished("worse", { "bad.txt": "b\n" });
    await yard.finished("better", { "better.txt": "g\n" });
    expect(names((await yard.land(undefined, { check })).returned)).toEqual(["worse"]);
    expect(installs()).toBe(before + 1);
  });

  it("that fails with a task and not without it returns that task", async () => {
    await yard.repo.commit({ ".gitignore": "modules/\n", manifest: "base\n" });
    await set("setup.command", "echo installing; ! grep broken manifest");
    await yard.finished("breaks", { manifest: "base\nbroken\n" });
    await yard.finished("good", { "good.txt": "g\n" });
    const { landed, returned } = await yard.land(undefined, { check: "true" });
    expect([names(landed), names(returned)]).toEqual([["good"], ["breaks"]]);
    expect(returned[0]?.reason).toContain("grep broken manifest ended with 1");
    expect(returned[0]?.excerpt).toContain("installing");
  });
});

it("an interrupted check changes nothing, and --continue resumes the landing", async () => {
  await yard.finished("build", { "build.txt": "b\n" });
  const end = new AbortController();
  const before = await yard.main();
  const started = join(yard.repo.dir, "started");
  const landing = yard.land(undefined, { check: `touch '${started}'; sleep 60`, signal: end.signal });
  await Promise.all([
    expect(landing).rejects.toMatchObject({ code: "landing.interrupted" }),
    waitFor(started).then(() => end.abort()),
  ]);
  expect(await yard.main()).toBe(before);
  const { landed } = await landTasks(yard.crew, { workstream: WORKSTREAM, unfinished: true });
  expect(names(landed)).toEqual(["build"]);
  const again = landTasks(yard.crew, { workstream: WORKSTREAM, unfinished: true });
  await expect(again).rejects.toMatchObject({ code: "landing.nothing_to_continue" });
});
