import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { write } from "../../src/db/write.js";
import { judgeNetwork, judgeRoom } from "../../src/doctor/database.js";
import { PROBES } from "../../src/doctor/doctor.js";
import { runProbes } from "../../src/doctor/finding.js";
import { Fault } from "../../src/errors.js";
import { keyframeFolder } from "../../src/journal/past/keyframes.js";
import { placeHere, placeText } from "../../src/place.js";
import { addTask } from "../../src/tasks/add.js";
import { searchTasks } from "../../src/tasks/search.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { leaveWorkspace } from "../../src/workspaces/free.js";
import { removeWorkspaceOrphans } from "../../src/workspaces/orphans.js";
import { describeOnce, onEachDialect } from "../support/database.js";
import { examine, mend, patientOf } from "../support/patient.js";
import { seedRun } from "../support/seeded.js";
import { newWorkshop, type Workshop } from "../support/workshop.js";

/** The probes that read the database; the others are about this machine. */
const IN_DATABASE = PROBES.filter(({ name, needs }) => needs === "database" || name === "database");
/** What other verbs keep in the state folder. */
const OWN = ["exports", "keyframes", "mu.db.snapshots"];
/** The identity of a process that has died. */
const DEAD = `999999 1 ${placeText(placeHere())}`;

onEachDialect("the doctor", (bench) => {
  let shop: Workshop;
  const openShop = async () => {
    shop = await newWorkshop(undefined, bench.context);
    onTestFinished(() => shop.end());
    return shop.crew;
  };
  const demo = (name: string) => ({ workstream: "demo", name });
  const workspace = (name: string) => createWorkspace(shop.crew, demo(name), { projectRoot: shop.repository.root });
  const hour = (path: string, hours: number) => utimesSync(path, new Date(), new Date(Date.now() - hours * 3_600_000));

  it("finds nothing wrong in a project at work, however deep it looks", async () => {
    const crew = await openShop();
    await addTask(crew.context, "demo", { name: "build", title: "Build it" });
    await workspace("ada");
    const found = await runProbes(patientOf(crew), IN_DATABASE, () => 30_000);
    expect(found.filter(({ severity }) => severity !== "ok")).toEqual([]);
    expect(found.map(({ probe }) => probe)).toEqual(expect.arrayContaining(IN_DATABASE.map(({ name }) => name)));
  });

  it("finds an index of the search and a keyframe that are not what the log says, and makes them anew", async () => {
    const crew = await openShop();
    const { store } = crew.context;
    await addTask(crew.context, "demo", { name: "build", title: "Build it" });
    const found = () => searchTasks(store, "build", { limit: 0 });
    expect(await found()).toMatchObject({ total: 1 });
    await store.write((tx) => tx.deleteFrom("search_entries").execute());
    const folder = keyframeFolder(crew.stateDir);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `1-${"0".repeat(16)}-${"0".repeat(32)}.db`), "torn");
    const wrong = await examine(crew, "derived");
    expect(wrong).toMatchObject([
      { severity: "warning", subject: "search", command: "mu doctor --fix" },
      { severity: "warning", subject: "keyframes", command: "mu doctor --fix" },
    ]);
    expect((await mend(crew, wrong)).join()).not.toContain("failed");
    expect(await examine(crew, "derived")).toEqual([]);
    expect(await found()).toMatchObject({ total: 1 });
  });

  it("finds a row that was changed behind mu's back, and a chain's head that was", async () => {
    const crew = await openShop();
    await addTask(crew.context, "demo", { name: "build", title: "Build it" });
    await crew.context.store.write((tx) => tx.updateTable("tasks").set({ title: "Break it" }).execute());
    expect(await examine(crew, "tables")).toMatchObject([
      {
        severity: "error",
        detail: "1 row changed outside mu: tasks build is changed.",
        command: "mu audit verify --tables",
      },
    ]);
    const forged = { head_hash: "0".repeat(64) };
    await crew.context.store.write((tx) => tx.updateTable("chains").set(forged).where("scope", "=", "demo").execute());
    expect(await examine(crew, "chain")).toMatchObject([
      {
        severity: "error",
        detail: expect.stringContaining("is not the event that the recorded head names"),
        command: "mu audit verify",
      },
    ]);
  });

  it("has workspaces that were left half made finished, and dead locks removed", async () => {
    const crew = await openShop();
    for (const name of ["ada", "bob", "cid"]) await workspace(name);
    const { store } = crew.context;
    await write(crew.context, { op: "workspace.create", scope: "demo", subject: "ada" }, async (tx) => {
      const row = await tx.db.selectFrom("workspaces").selectAll().where("agent", "=", "ada").executeTakeFirstOrThrow();
      await tx.patch("workspaces", row.id, { state: "freeing" }, row);
    });
    const hold = (agent: string, intent: string | null) =>
      store.write(async (db) => {
        const { id } = await db
          .selectFrom("workspaces")
          .select("id")
          .where("agent", "=", agent)
          .executeTakeFirstOrThrow();
        const values = { workspace_id: id, holder: `${DEAD} ${agent}`, intent, created_at: new Date().toISOString() };
        await db.insertInto("workspace_holds").values(values).execute();
      });
    await hold("bob", null);
    await hold("cid", "{}");
    const found = await examine(crew, "workspaces");
    expect(found.map(({ subject, detail, command }) => [subject, detail, command])).toEqual([
      ["demo/ada", "its workspace was left half freed.", "mu reconcile"],
      ["demo/bob", "its workspace is locked by process 999999, which has died.", "mu doctor --fix"],
      ["demo/cid", "its workspace is locked by process 999999, which has died.", "mu workspace refresh demo/cid"],
    ]);
    expect(await mend(crew, found)).toEqual([
      "Reconciled: freed the workspace of demo/ada.",
      "Removed the lock on the workspace of demo/bob.",
    ]);
    expect((await examine(crew, "workspaces")).map(({ subject }) => subject)).toEqual(["demo/cid"]);
  });

  it("names folders without a workspace, and leaves them: they may be another database's", async () => {
    const crew = await openShop();
    mkdirSync(join(crew.stateDir, "workspaces", "demo", "lost"), { recursive: true });
    const { path } = await workspace("ada");
    rmSync(path, { recursive: true });
    const found = await examine(crew, "workspaces");
    expect(found.map(({ subject, command }) => [subject, command])).toEqual([
      ["demo/lost", "mu workspace orphans --all --yes"],
      ["demo/ada", "mu workspace orphans --all --yes"],
    ]);
    expect(await mend(crew, found)).toEqual([]);
    await removeWorkspaceOrphans(crew);
    expect(await examine(crew, "workspaces")).toEqual([]);
  });

  it("has the repository forget a checkout that is gone, and names a lock that was left", async () => {
    const crew = await openShop();
    const { path } = await workspace("ada");
    const lock = join(shop.repository.root, ".git", "index.lock");
    await leaveWorkspace(crew, demo("ada"), "discard");
    await shop.repository.git("worktree", "add", "--detach", path, "main");
    rmSync(path, { recursive: true });
    writeFileSync(lock, "");
    expect((await examine(crew, "repositories")).map(({ detail }) => detail)).toEqual([
      `it still knows the checkout ${path}, which is gone.`,
    ]);
    hour(lock, 2);
    const found = await examine(crew, "repositories");
    expect(found.map(({ command }) => command)).toEqual([`rm '${lock}'`, "mu doctor --fix"]);
    rmSync(lock);
    expect(await mend(crew, found)).toEqual([`Made ${shop.repository.root} forget ${path}.`]);
    expect(await examine(crew, "repositories")).toEqual([]);
    expect(await shop.repository.git("worktree", "list")).not.toContain("ada");
  });

  it("ends a landing whose process has died, and settles such a run", async () => {
    const crew = await openShop();
    const { id, workstream_id } = await taskIds("build");
    const { root } = shop.repository;
    const now = new Date().toISOString();
    await crew.context.store.write((db) =>
      db
        .insertInto("landings")
        .values({
          ...{ workstream_id, task_id: id, batch: "b1", root, branch: "main", scratch: join(root, "..", "scratch") },
          ...{ state: "taken", process: DEAD, onto: null, tip: null, reason: null },
          ...{ created_at: now, updated_at: now },
        })
        .execute(),
    );
    await taskIds("done");
    await seedRun(crew.context, { state: "running", finished_at: null, process: DEAD });
    const found = await examine(crew, "landings", "runs");
    expect(found.map(({ detail, command }) => [detail, command])).toEqual([
      [`1 landing cut off, in ${root}.`, "mu reconcile"],
      ["the process of run 1 (done) has died.", "mu doctor --fix"],
    ]);
    expect(await mend(crew, found)).toEqual(["Ended 1 landing.", "Settled 1 run of demo."]);
    expect(await examine(crew, "landings", "runs")).toEqual([]);

    async function taskIds(name: string) {
      await addTask(crew.context, "demo", { name, title: name });
      const { db } = crew.context.store;
      return db.selectFrom("tasks").select(["id", "workstream_id"]).where("name", "=", name).executeTakeFirstOrThrow();
    }
  });

  it("puts torn files aside and deletes what dead processes left, and nothing else", async () => {
    const crew = await openShop();
    const at = (...names: string[]) => join(crew.stateDir, ...names);
    for (const folder of ["launches", "spool", "drains", "runs", "runs/9-1"])
      mkdirSync(at(folder), { recursive: true });
    writeFileSync(at("launches", "1-5.json"), '{"command":');
    writeFileSync(at("operator.json"), "");
    writeFileSync(at("pricing.json"), "{}\n");
    writeFileSync(at("drains", "1-5"), DEAD);
    for (const [folder, name] of [
      ["launches", "1-6.json.mu-0123456789ab"],
      ["", "mu.db.7.x1.new"],
      ["spool", "7.lock"],
    ] as const) {
      writeFileSync(at(folder, name), "");
      if (folder !== "") hour(at(folder, name), 2);
    }
    writeFileSync(at("notes.txt"), "mine");
    for (const own of OWN) mkdirSync(at(own), { recursive: true });
    const found = await examine(crew, "files");
    expect(found.map(({ severity, detail }) => [severity, detail.replaceAll(crew.stateDir, "~")])).toEqual([
      ["warning", "~/operator.json is torn: it is no whole JSON. mu does without it."],
      ["warning", "~/launches/1-5.json is torn: it is no whole JSON. mu does without it."],
      ["warning", "~/launches/1-6.json.mu-0123456789ab was left by a process that died."],
      ["warning", "~/spool/7.lock was left by a process that died."],
      ["warning", "~/drains/1-5 was left by a process that died."],
      ["note", "~ has what is not mu's, or a newer mu's: notes.txt."],
      ["note", "1 folder with the output of runs that this database does not have: runs/9-1."],
    ]);
    expect(await mend(crew, found)).toHaveLength(5);
    const left = readdirSync(crew.stateDir, { recursive: true, encoding: "utf8" }).filter(
      (name) => !/^mu\.db(-|$)/.test(name),
    );
    expect(left.sort()).toEqual(
      [
        ...["drains", "launches", "launches/1-5.json.torn", "mu.db.7.x1.new", "notes.txt", "operator.json.torn"],
        ...["pricing.json", "runs", "runs/9-1", "spool", ...OWN],
      ].sort(),
    );
    expect((await examine(crew, "files")).every(({ severity }) => severity === "note")).toBe(true);
  });

  it("says of kept files how many are of no agent in this database", async () => {
    const crew = await openShop();
    mkdirSync(join(crew.stateDir, "transcripts"));
    writeFileSync(join(crew.stateDir, "transcripts", "7-12.log"), "words");
    expect(await examine(crew, "kept")).toMatchObject([
      { severity: "note", subject: "transcripts", detail: expect.stringContaining("1 of them are of no agent") },
    ]);
    expect(existsSync(join(crew.stateDir, "transcripts", "7-12.log"))).toBe(true);
  });
});

describeOnce("a probe", () => {
  const probe = (run: () => Promise<never>) => ({ name: "test", run });

  it.each([
    ["never ends", () => new Promise<never>(() => {}), "warning", "Not examined: it took longer than 0 s."],
    ["faults", () => Promise.reject(new Fault("missing", "x.y", "Gone.")), "error", "Not examined: Gone."],
    ["meets no tmux", () => Promise.reject(new Fault("missing", "tmux.z", "None.")), "note", "Not examined: None."],
    ["has a bug", () => Promise.reject(new TypeError("oh")), "error", expect.stringContaining("oh")],
  ] as const)("that %s is a finding", async (_, run, severity, detail) => {
    const shop = await newWorkshop();
    onTestFinished(() => shop.end());
    const found = await runProbes(patientOf(shop.crew), [probe(run)], () => 1);
    expect(found).toMatchObject([{ probe: "test", severity, detail }]);
  });

  it.each([
    [0, "error"],
    [15 * 2 ** 20, "error"],
    [16 * 2 ** 20, "warning"],
    [255 * 2 ** 20, "warning"],
    [256 * 2 ** 20, "ok"],
    [2 ** 40, "ok"],
  ])("calls %i bytes left on the disk %s", (bytes, severity) => {
    expect(judgeRoom(bytes, "/srv")).toMatchObject([{ subject: "disk", severity }]);
  });

  it("warns of a database on a network file system, and of no other", () => {
    expect(judgeNetwork({ network: "NFS" }, "/srv")).toMatchObject([
      { severity: "warning", detail: expect.stringContaining("network file system (NFS)") },
    ]);
    expect(judgeNetwork({ network: undefined }, "/srv")).toEqual([]);
  });
});
