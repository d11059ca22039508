import { afterEach, beforeEach, expect, it } from "vitest";
import { revertTask } from "../../src/landing/revert.js";
import { takeTasks } from "../../src/landing/rows.js";
import { endInterruptedLandings } from "../../src/landing/settle.js";
import { placeHere, placeText } from "../../src/place.js";
import { taskRow } from "../../src/tasks/task.js";
import { changesOf } from "../../src/work/changes.js";
import { describeOnce } from "../support/database.js";
import { openYard, WORKSTREAM, type Yard } from "./yard.js";

/** A process that is not there. */
const DEAD = `2 0 ${placeText(placeHere())}`;

describeOnce("a revert", () => {
  let yard: Yard;
  beforeEach(async () => {
    yard = await openYard();
  });
  afterEach(() => yard.end());
  const ref = (name: string) => ({ workstream: WORKSTREAM, name });
  const revert = (name: string, options = {}) => revertTask(yard.crew, ref(name), options);
  const code = (error: { code: string }) => error.code;
  const tree = async () => (await yard.repo.git("ls-tree", "--name-only", "main")).split("\n");

  it("takes a task's commits off the branch, opens the task, and lets its work land again", async () => {
    await yard.finished("build", { "b.txt": "b\n" });
    await yard.finished("cart", { "c.txt": "c\n" });
    await yard.land();
    expect(await revert("build", { check: "test ! -e b.txt && test -e c.txt" })).toMatchObject({ branch: "main" });
    expect(await tree()).toEqual(["README.md", "a.txt", "c.txt"]);
    expect(await yard.repo.git("status", "--porcelain")).toBe("");
    expect((await yard.repo.git("log", "-1", "--format=%B", "main")).split("\n")).toEqual(
      expect.arrayContaining(['Revert "build"', "Mu-Revert: shop/build"]),
    );
    expect(await yard.task("build")).toMatchObject({ status: "OPEN", level: null, landedCommit: null });
    expect((await yard.notes("build"))[0]?.text).toMatch(
      /^Its work was taken off main again, by \w{10}, so it is OPEN\./,
    );
    expect(await revert("build").catch(code)).toBe("landing.not_landed");

    const { db } = yard.crew.context.store;
    const row = await taskRow(db, ref("build"));
    expect(await changesOf(yard.crew, db, row)).toMatchObject({ commits: [{ subject: "work of build" }] });
    const path = await yard.workspace("build");
    const to = await yard.repo.commit({ "b.txt": "better\n" }, "fix of build", path);
    await yard.closeWith("build", { agent: "build", from: row.work_from ?? "", to });
    expect((await yard.land()).landed).toMatchObject([{ task: "build", commits: 2 }]);
    expect(await yard.repo.git("show", "main:b.txt")).toBe("better");
    expect((await revert("build")).task).toBe("build");
    expect(await tree()).toEqual(["README.md", "a.txt", "c.txt"]);
  });

  it("leaves the branch alone if later commits changed the same lines, or the check fails without the work", async () => {
    await yard.finished("build", { "a.txt": "one\n2\nthree\n" });
    await yard.land();
    await yard.repo.commit({ "a.txt": "one\n2 and more\nthree\n" }, "later");
    const main = await yard.main();
    const fault = await revert("build").catch((error) => error);
    expect([fault.code, fault.details.files]).toEqual(["landing.revert_conflict", ["a.txt"]]);
    await yard.finished("cart", { "c.txt": "c\n" });
    await yard.land();
    const now = await yard.main();
    expect(await revert("cart", { check: "test -e c.txt" }).catch(code)).toBe("landing.revert_red");
    expect(await revert("cart", { check: "false" }).catch(code)).toBe("landing.target_red");
    expect(await yard.main()).toBe(now);
    expect(await yard.task("cart")).toMatchObject({ level: "landed" });
    expect(await yard.repo.git("merge-base", main, now)).toBe(main);
    expect((await yard.land()).landed).toEqual([]);
  });

  it("is finished by the next landing if it was killed after the branch had moved", async () => {
    await yard.finished("build", { "b.txt": "b\n" });
    await yard.land();
    const dies = { ...yard.crew, context: { ...yard.crew.context } };
    const { store } = yard.crew.context;
    let writes = 0;
    // The write that confirms is the first after the branch has moved: taken, stacked, then this.
    dies.context.store = {
      ...store,
      write: (work) => (++writes > 2 ? Promise.reject(new Error("killed")) : store.write(work)),
    };
    await expect(revertTask(dies, ref("build"))).rejects.toThrow("killed");
    expect(await tree()).toEqual(["README.md", "a.txt"]);
    expect(await yard.task("build")).toMatchObject({ level: "landed" });
    await store.write((db) => db.updateTable("landings").set({ process: DEAD }).execute());
    expect(await endInterruptedLandings(yard.crew)).toMatchObject([{ task: "build", outcome: "reverted" }]);
    expect(await yard.task("build")).toMatchObject({ status: "OPEN", level: null });
    expect(await endInterruptedLandings(yard.crew)).toEqual([]);
  });

  it("refuses what another landing has, and what landed without commits", async () => {
    await yard.finished("build", { "b.txt": "b\n" });
    await yard.land();
    const row = await taskRow(yard.crew.context.store.db, ref("build"));
    const [one, other] = await Promise.allSettled([revert("build"), revertTask(await yard.another(), ref("build"))]);
    expect([one.status, other.status].sort()).toEqual(["fulfilled", "rejected"]);
    expect(await yard.subjects()).toEqual(["work of build", 'Revert "build"']);
    const place = { root: yard.repo.root, branch: "main", scratch: "", process: DEAD };
    await takeTasks(yard.crew.context, { ...place, id: "x" }, [row]);
    expect(await endInterruptedLandings(yard.crew)).toMatchObject([{ outcome: "dropped" }]);
  });
});
