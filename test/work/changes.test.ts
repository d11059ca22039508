import { afterEach, beforeEach, expect, it } from "vitest";
import type { AgentRef } from "../../src/names.js";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { taskRow } from "../../src/tasks/task.js";
import { getBackend } from "../../src/vcs/backends.js";
import { changesOf, diffOf, filesOf } from "../../src/work/changes.js";
import { workBeforeClaim } from "../../src/work/work.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { openYard, WORKSTREAM, type Yard } from "../landing/yard.js";
import { describeOnce } from "../support/database.js";

describeOnce("what a task has changed", () => {
  let yard: Yard;
  beforeEach(async () => {
    yard = await openYard();
  });
  afterEach(() => yard.end());

  const changes = async (name: string) => {
    const { db } = yard.crew.context.store;
    return changesOf(yard.crew, db, await taskRow(db, { workstream: WORKSTREAM, name }));
  };
  const files = async (name: string) => filesOf(yard.crew, await changes(name));

  it("is its own commits, before and after it has landed beside others", async () => {
    await yard.finished("build", { "b.txt": "1\n2\n" });
    await yard.finished("cart", { "a.txt": "one\ntwo\n", "c.bin": "\0\x01" });
    const before = await files("cart");
    expect(before).toEqual([
      { path: "a.txt", added: 0, removed: 1 },
      { path: "c.bin", added: null, removed: null },
    ]);
    expect(await changes("cart")).toMatchObject({ state: "finished", commits: [{ subject: "work of cart" }] });
    await yard.land();
    expect(await changes("cart")).toMatchObject({ state: "landed", commits: [{ subject: "work of cart" }] });
    expect(await files("cart")).toEqual(before);
    expect(await files("build")).toEqual([{ path: "b.txt", added: 2, removed: 0 }]);
    expect((await diffOf(yard.crew, await changes("build"), "names")).trim()).toBe("b.txt");
    const [commit] = (await changes("build")).commits;
    expect(commit?.sha).toBe((await yard.task("build")).landedCommit);
  });

  it("leaves out what the branch brought to the workspace", async () => {
    await yard.finished("build", { "b.txt": "b\n" });
    const path = await yard.workspace("build");
    await yard.repo.commit({ "main.txt": "m\n" }, "on main");
    const from = await yard.repo.gitIn(path, "rev-parse", "HEAD~1");
    await yard.repo.gitIn(path, "rebase", "-q", "main");
    const to = await yard.repo.gitIn(path, "rev-parse", "HEAD");
    await addTask(yard.crew.context, WORKSTREAM, { name: "again", title: "again" });
    await yard.closeWith("again", { agent: "build", from, to });
    expect(await files("again")).toEqual([{ path: "b.txt", added: 1, removed: 0 }]);
  });

  it("includes what its owner has not committed yet", async () => {
    const ref: AgentRef = { workstream: WORKSTREAM, name: "ann" };
    const space = await createWorkspace(yard.crew, ref, { projectRoot: yard.repo.root });
    const { context } = yard.crew;
    await addTask(context, WORKSTREAM, { name: "build", title: "build" });
    const work = await workBeforeClaim(yard.crew, context.store.db, ref, undefined);
    await claimTask(context, { workstream: WORKSTREAM, name: "build" }, { person: "ann" }, work && { work });
    expect(await changes("build")).toMatchObject({ state: "none", spans: [] });
    await yard.repo.commit({ "b.txt": "b\n" }, "half of it", space.path);
    yard.repo.write({ "new file.txt": "n\n" }, space.path);
    expect(await changes("build")).toMatchObject({ state: "in progress", uncommitted: 1, commits: [{}] });
    expect(await files("build")).toEqual([
      { path: "b.txt", added: 1, removed: 0 },
      { path: "new file.txt", added: 1, removed: 0 },
    ]);
  });

  it("is found on the branch where the number of commits is unknown, and for a first commit", async () => {
    await yard.finished("build", { "b.txt": "b\n" });
    await yard.finished("cart", { "c.txt": "c\n" });
    const { from = "" } = (await yard.land()).target ?? {};
    const { root } = yard.repo;
    const { spans } = getBackend("git");
    const of = (commit: string, onto: string) =>
      spans?.ofLanded(yard.crew, root, { commit, commits: null, onto }) ?? Promise.resolve(undefined);
    const [cart, build] = [await yard.main(), await yard.repo.git("rev-parse", "main~1")];
    expect(await of(cart, from)).toEqual({ from: build, to: cart });
    expect(await of(build, from)).toEqual({ from, to: build });
    expect(await of("0".repeat(40), from)).toBeUndefined();
    const first = await yard.repo.git("rev-list", "--max-parents=0", "main");
    const span = await spans?.ofLanded(yard.crew, root, { commit: first, commits: 1, onto: "" });
    const names = (await spans?.files(yard.crew, root, span ?? { from, to: from }))?.map(({ path }) => path);
    expect(names).toEqual(["README.md", "a.txt"]);
  });
});
