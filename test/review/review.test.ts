import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { insertAgentIn } from "../../src/agents/agent.js";
import type { TmuxHost } from "../../src/agents/crew.js";
import { write } from "../../src/db/write.js";
import type { DispatchWorld } from "../../src/dispatch/dispatch.js";
import type { Scene } from "../../src/dispatch/facts.js";
import { finishedWork, landFinished } from "../../src/dispatch/land.js";
import { undoGroup } from "../../src/journal/undo/undo.js";
import { handleComments, listComments } from "../../src/review/comments.js";
import { listReviews } from "../../src/review/queue.js";
import { approveTask, returnForReview } from "../../src/review/verdict.js";
import { addTask } from "../../src/tasks/add.js";
import { isApproved } from "../../src/tasks/approved.js";
import { claimTask } from "../../src/tasks/claim.js";
import { closeTask } from "../../src/tasks/lifecycle.js";
import { addNote } from "../../src/tasks/notes.js";
import { getTask, taskRow } from "../../src/tasks/task.js";
import { updateTask } from "../../src/tasks/update.js";
import { changesOf } from "../../src/work/changes.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { refreshWorkspace } from "../../src/workspaces/refresh.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import { openYard, WORKSTREAM, type Yard } from "../landing/yard.js";
import { type Bench, describeOnce, onEachDialect } from "../support/database.js";

const build = { workstream: "shop", name: "build" };
const KIM = { person: "kim" };
const say = (text: string) => ({ file: "a.ts", line: 3, text });

onEachDialect("a review", (bench) => {
  beforeEach(async () => {
    await initWorkstream(bench.context, "shop");
    await write(bench.context, { op: "test", scope: "shop", subject: "bob" }, async (tx) => {
      const { id: workstream_id } = await workstreamRow(tx.db, "shop");
      await insertAgentIn(tx, { workstream_id, name: "bob", cli: "claude" });
      await insertAgentIn(tx, { workstream_id, name: "eve", cli: "shell" });
    });
    await addTask(bench.context, "shop", { name: "build", title: "Build" });
    await finish(bench, "c1");
  });

  const host = () => ({ context: bench.context, exec: async () => NO_GIT, env: {} }) as unknown as TmuxHost;
  const code = (error: { code: string }) => error.code;

  it("approves the commits of this moment, of a closed task with work only, and no agent its own", async () => {
    const { context } = bench;
    expect(await approveTask(context, build, { agent: "bob" }).catch(code)).toBe("review.own_work");
    expect(await approveTask(context, build, KIM, { commit: "c2" }).catch(code)).toBe("review.other_commit");
    const approved = await approveTask(bench.as("eve"), build, { agent: "eve" }, { commit: "c1" });
    expect(approved).toMatchObject({ approvedCommit: "c1", approvedBy: "eve" });
    const [review] = await listReviews(host(), "shop");
    expect(review).toMatchObject({ task: "build", agent: "bob", approvedBy: "eve", check: "none" });
    expect(review?.reasons[0]).toMatch(/^its changes cannot be read: /);

    await claimAgain(bench, "bob");
    expect(await approveTask(context, build, KIM).catch(code)).toBe("review.not_closed");
    await finish(bench, "c2");
    expect((await listReviews(host(), "shop"))[0]?.approvedBy).toBeNull();
    await approveTask(bench.as("kim"), build, KIM);
    await approveTask(bench.as("ann"), build, { person: "ann" });
    expect((await listReviews(host(), "shop"))[0]?.approvedBy).toBe("kim");
    await addTask(context, "shop", { name: "empty", title: "Empty" });
    await closeTask(context, { ...build, name: "empty" }, KIM);
    expect(await approveTask(context, { ...build, name: "empty" }, KIM).catch(code)).toBe("review.no_work");
  });

  it("returns work with numbered comments to its agent, round after round, until they are handled", async () => {
    const { context } = bench;
    await approveTask(context, build, KIM);
    expect(await returnForReview(host(), build, []).catch(code)).toBe("review.no_comments");
    const first = await returnForReview(host(), build, [say("Why?"), { file: null, line: null, text: "Two\nlines" }]);
    expect(first).toMatchObject({
      round: 1,
      comments: 2,
      agent: "bob",
      task: { status: "OPEN", approvedCommit: null },
    });
    const prompt = await context.store.db.selectFrom("deliveries").selectAll().executeTakeFirstOrThrow();
    expect([prompt.agent, prompt.id]).toEqual(["bob", first.delivery]);
    expect(prompt.text).toContain("with 2 comments:\n\n1. a.ts:3 Why?\n2. Two\n   lines\n");
    expect(await returnForReview(host(), build, [say("again")]).catch(code)).toBe("review.not_closed");

    await handleComments(bench.as("bob"), build, [1, 1]);
    const [one, two] = await listComments(context.store.db, build);
    expect(one).toMatchObject({ n: 1, file: "a.ts", line: 3, text: "Why?", handledBy: "bob" });
    expect(two).toMatchObject({ n: 2, file: null, text: "Two\nlines", handledAt: null });
    expect(await handleComments(context, build, [3]).catch(code)).toBe("review.comment_not_found");

    await finish(bench, "c2");
    expect(await approveTask(context, build, KIM).catch(code)).toBe("review.open_comments");
    const second = await returnForReview(host(), build, [say("Still")]);
    expect(second).toMatchObject({ round: 2, comments: 1 });
    await finish(bench, "c3");
    expect(await listReviews(host(), "shop")).toMatchObject([{ rounds: 2, openComments: 2 }]);
    expect((await approveTask(context, build, KIM, { force: true })).approvedCommit).toBe("c3");
    const kinds = await context.store.db.selectFrom("task_notes").select(["kind", "round"]).orderBy("id").execute();
    expect(kinds.map(({ kind, round }) => [kind, round])).toEqual([
      ["review", 1],
      ["review", 1],
      ["review", 2],
    ]);
  });

  it("can be undone: the comments go, and the task is closed and approved as before", async () => {
    await approveTask(bench.as("kim"), build, KIM);
    await returnForReview({ ...host(), context: { ...bench.context, group: "g-return" } }, build, [say("Why?")]);
    await undoGroup(bench.context, "g-return");
    expect(await getTask(bench.context.store.db, build)).toMatchObject({ status: "CLOSED", approvedCommit: "c1" });
    expect(await listComments(bench.context.store.db, build)).toEqual([]);
  });

  it("has one winner where an approval and a return meet", async () => {
    const results = await Promise.allSettled([
      returnForReview(host(), build, [say("Why?")]),
      approveTask(bench.as("kim"), build, KIM),
    ]);
    expect(results[0].status).toBe("fulfilled");
    const task = await getTask(bench.context.store.db, build);
    expect([task.status, task.approvedCommit]).toEqual(["OPEN", null]);
  });
});

const NO_GIT = { code: null, stdout: "", stderr: "", timedOut: false, notStarted: "ENOENT" };

async function claimAgain({ context }: Bench, agent: string): Promise<void> {
  const row = await taskRow(context.store.db, build);
  if (row.status === "CLOSED") {
    const { openTask } = await import("../../src/tasks/lifecycle.js");
    await openTask(context, build, KIM);
  }
  await claimTask(context, build, { agent });
}

/** Bob works on the task up to this commit and closes it. */
async function finish(bench: Bench, commit: string): Promise<void> {
  if ((await taskRow(bench.context.store.db, build)).status === "OPEN") await claimAgain(bench, "bob");
  await closeTask(bench.context, build, { agent: "bob" });
  await write(bench.context, { op: "test", scope: "shop", subject: "shop/build" }, async (tx) => {
    const { id } = await taskRow(tx.db, build);
    const work = { work_agent: "bob", work_root: "/nowhere", work_from: "c0", work_to: commit };
    await tx.patch("tasks", id, work);
  });
}

const runOf = (task: string) => ({
  ...{ task, claim_generation: 1, role: "code", attempt: 1, cli: "claude", model: null, access: "full", writes: null },
  ...{ transport: "pane", state: "done", day: "2026-01-31", process: "1 1 -@-/-@-", session_ref: null, exit_code: 0 },
  ...{ reserved_micros: 0, cost_micros: 0, actual_micros: null, cost_basis: "cli", failure: null, reason: null },
  ...{ tokens_in: 0, tokens_out: 0, tokens_cache_read: 0, tokens_cache_write: 0, retry_at: null, verdict: "done" },
  ...{ answer: null, started_at: null, finished_at: null },
});

describeOnce("landing what was reviewed", () => {
  let yard: Yard;
  beforeEach(async () => {
    yard = await openYard();
    mkdirSync(join(yard.repo.root, ".mu"));
    writeFileSync(join(yard.repo.root, ".mu", "settings.json"), JSON.stringify({ landRequires: "review" }));
  });
  afterEach(() => yard.end());
  const ref = (name: string) => ({ workstream: WORKSTREAM, name });
  const approve = (name: string) => approveTask(yard.crew.context, ref(name), KIM);

  it("lands approved commits only, and says what waits", async () => {
    await yard.finished("build", { "b.txt": "b\n" });
    await yard.finished("cart", { "c.txt": "c\n" });
    await approve("build");
    const report = await yard.land();
    expect(report.landed).toMatchObject([{ task: "build" }]);
    expect(report.skipped).toMatchObject([{ task: "cart", why: "not_approved", reason: "waits for an approval" }]);

    await approve("cart");
    const path = await yard.workspace("cart");
    const { work_from: from } = await taskRow(yard.crew.context.store.db, ref("cart"));
    const to = await yard.repo.commit({ "d.txt": "d\n" }, "one more", path);
    await yard.closeWith("cart", { agent: "cart", from: from ?? "", to });
    const later = await yard.land(["cart"]);
    expect([later.landed, later.skipped[0]?.reason]).toEqual([
      [],
      "waits for an approval: its commits changed after the last one",
    ]);
    await approve("cart");
    expect((await yard.land()).landed).toMatchObject([{ task: "cart", commits: 2 }]);
  });

  it("holds for the dispatcher too, which says what waits and looks again once it is approved", async () => {
    await yard.finished("build", { "b.txt": "b\n" });
    const { store } = yard.crew.context;
    const workstream = await workstreamRow(store.db, WORKSTREAM);
    const scene = { workstream } as unknown as Scene;
    await withRunOf("build", workstream.id);
    const said: string[] = [];
    const land = async () => {
      const world = yard.crew as unknown as DispatchWorld;
      const work = await finishedWork(world, scene);
      await landFinished(world, scene, work, (text) => said.push(text));
      return work.key;
    };
    const before = await land();
    await approve("build");
    expect(await land()).not.toBe(before);
    expect(said).toEqual(["Waits for an approval: build", "Landed build"]);
  });

  /** A run of the task, as far as the dispatcher asks for it. */
  async function withRunOf(name: string, workstream_id: number): Promise<void> {
    const { id: task_id } = await taskRow(yard.crew.context.store.db, ref(name));
    await write(yard.crew.context, { op: "test", scope: WORKSTREAM, subject: name }, async (tx) => {
      const slot = await insertAgentIn(tx, { workstream_id, name: "code-1", cli: "run", closed_at: tx.now });
      await tx.insert("runs", { ...runOf(name), workstream_id, task_id, agent_id: slot.id, agent: slot.name });
    });
  }

  it("keeps an approval through a clean rebase", async () => {
    const agent = { workstream: WORKSTREAM, name: "ann" };
    const space = await createWorkspace(yard.crew, agent, { projectRoot: yard.repo.root });
    const from = await yard.repo.gitIn(space.path, "rev-parse", "HEAD");
    const to = await yard.repo.commit({ "b.txt": "b\n" }, "work of build", space.path);
    await addTask(yard.crew.context, WORKSTREAM, { name: "build", title: "Build" });
    await yard.closeWith("build", { agent: "ann", from, to });
    await approve("build");
    await yard.repo.commit({ "m.txt": "m\n" }, "on main");
    await refreshWorkspace(yard.crew, agent);
    const row = await taskRow(yard.crew.context.store.db, ref("build"));
    expect([row.work_to === to, isApproved(row)]).toEqual([false, true]);
    expect((await yard.land()).landed).toMatchObject([{ task: "build" }]);
  });

  it("lands nothing while the settings cannot be read", async () => {
    await yard.finished("build", { "b.txt": "b\n" });
    writeFileSync(join(yard.repo.root, ".mu", "settings.json"), "{");
    expect(await yard.land().catch(({ code }) => code)).toBe("settings.invalid");
    expect(await yard.subjects()).toEqual([]);
  });

  it("puts the riskiest first and says why, and approved work last", async () => {
    await yard.finished("small", { "README.md": "hello\nmore\n" });
    await yard.finished("wide", { "src/a.ts": "a\n".repeat(300), "b.ts": "b\n" });
    await yard.finished("seen", { "c.ts": "c\n".repeat(900) });
    await updateTask(yard.crew.context, ref("wide"), { touches: ["src"] });
    await approve("seen");
    const reviews = await listReviews(yard.crew, WORKSTREAM);
    expect(reviews.map(({ task }) => task)).toEqual(["wide", "small", "seen"]);
    expect(reviews[0]).toMatchObject({ files: 2, added: 301, removed: 0, check: "none", agent: "wide" });
    expect(reviews[0]?.reasons).toEqual([
      "301 lines in 2 files",
      "changes b.ts, outside its scope",
      "no check was run",
      "changes code but no tests",
    ]);
    expect(reviews[1]?.reasons).toEqual(["no check was run"]);
  });

  it("still shows what was returned, as that of its agent", async () => {
    await yard.finished("build", { "b.txt": "b\n" });
    await returnForReview(yard.crew, ref("build"), [say("Why?")]);
    const { db } = yard.crew.context.store;
    const changes = await changesOf(yard.crew, db, await taskRow(db, ref("build")));
    expect(changes).toMatchObject({ state: "finished", commits: [{ subject: "work of build" }] });
    await addNote(yard.crew.context, ref("build"), KIM, { text: "ok" });
  });
});
