import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { insertAgentIn, RUN_CLI } from "../../src/agents/agent.js";
import type { Crew } from "../../src/agents/crew.js";
import { sendToAgent } from "../../src/agents/delivery/send.js";
import { addToArchive, createArchive } from "../../src/archives.js";
import { writeBackup } from "../../src/backup/backup.js";
import { snapshotFolder, snapshotPath } from "../../src/backup/snapshots.js";
import { readSkill, readTemplate } from "../../src/cli/io.js";
import { createPaint } from "../../src/cli/paint.js";
import { systemClock } from "../../src/clock.js";
import { spawnAgent } from "../../src/crew/spawn.js";
import type { Context } from "../../src/db/context.js";
import type { Store } from "../../src/db/store.js";
import { type RowOf, write } from "../../src/db/write.js";
import { escalateTask } from "../../src/dispatch/escalation.js";
import { execProgram } from "../../src/exec.js";
import { answerOps, streamOps } from "../../src/gateway.js";
import type { Request } from "../../src/operations/app.js";
import type { World } from "../../src/operations/execute.js";
import { findOperation } from "../../src/operations/index.js";
import { VERBS } from "../../src/operations/manifest.js";
import { addTask, addTaskIn } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { closeTask } from "../../src/tasks/lifecycle.js";
import { insertNote } from "../../src/tasks/notes.js";
import { taskRow } from "../../src/tasks/task.js";
import { createTmux } from "../../src/tmux/tmux.js";
import { finishTask } from "../../src/work/finish.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { leaveWorkspace } from "../../src/workspaces/free.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import { openTestStore, temporaryFolder } from "./database.js";
import { seedImports } from "./predecessor.js";

/** A small project on disk: the workstream `demo` with a few tasks, and `other`, which is empty. */
export interface Seeded {
  folder: string;
  store: Store;
  context: Context;
  world: World;
  request: Request;
  /** What a process needs to work on it. */
  env: Record<string, string>;
  end(): Promise<void>;
}

/** What the examples of a verb need beside the tasks. */
export function projectFor(verb: string): Parameters<typeof seededApp> {
  const hasPanes = /^(agent|delivery)\.|^task\.work$/.test(verb);
  const hasWorkspaces = /^(agent\.(spawn|close)|workspace\.|salvage\.|land$|review|task\.diff$)/.test(verb);
  return [hasPanes ? "with panes" : "without panes", hasWorkspaces ? "with workspaces" : "without workspaces"];
}

const PERSON = { person: "ann" };

/**
 * demo: `done` CLOSED; `build` OPEN; `deploy` waits for `build`; `docs` OPEN and free of edges; `review` is ann's;
 * `region` is held for a person; `theme` is a job. The archive `old` has all of them.
 * The folder holds kept.db, a backup that is also the snapshot 5eed5eed, plan.yaml, which applies, circle.yaml, which does
 * not, and prices.json. Its roles are `code` and `qa`.
 */
export async function seededApp(
  panes: "with panes" | "without panes" = "without panes",
  workspaces: "with workspaces" | "without workspaces" = "without workspaces",
): Promise<Seeded> {
  const folder = temporaryFolder();
  const store = await openTestStore(join(folder.path, "mu.db"));
  const context: Context = { store, clock: systemClock, actor: "ann" };
  const project = join(folder.path, "project");
  mkdirSync(project);
  writeFileSync(join(project, "plan.yaml"), PLAN);
  writeFileSync(join(project, "circle.yaml"), CIRCLE);
  const models = Object.fromEntries(["acme-1", "acme-2", "acme-3"].map((name) => [name, PRICES]));
  writeFileSync(join(project, "prices.json"), JSON.stringify({ updated_at: "2026-11-01T00:00:00Z", models }));
  writeFileSync(join(project, "tasks.json"), JSON.stringify([{ agent: "code", title: "Pay by card", priority: 2 }]));
  await seedImports(project);
  mkdirSync(join(project, ".mu"));
  writeFileSync(join(project, ".mu", "settings.json"), JSON.stringify({ roles: { code: {}, qa: {} } }));

  await initWorkstream(context, "demo", { root: project });
  await initWorkstream(context, "other");
  await addTask(context, "demo", { name: "done", title: "Prepare" });
  await claimTask(context, { workstream: "demo", name: "done" }, PERSON);
  await closeTask(context, { workstream: "demo", name: "done" }, PERSON);
  await addTask(context, "demo", { name: "build", title: "Build it", impact: 80, effortDays: 2, tags: ["core"] });
  await addTask(context, "demo", { name: "deploy", title: "Deploy it", blockedBy: ["build"] });
  await addTask(context, "demo", { name: "docs", title: "Write the docs" });
  await addTask(context, "demo", { name: "review", title: "Review it" });
  await claimTask(context, { workstream: "demo", name: "review" }, PERSON);

  await addTask(context, "demo", { name: "region", title: "Choose a region" });
  await escalateTask(context, { workstream: "demo", name: "region" }, PERSON, { reason: "which region?" });

  await seedRun(context);
  await seedJob(context, project);
  await createArchive(context, "old", { description: "What demo was once" });
  await addToArchive(context, "old", "demo");
  if (store.dialect === "sqlite") {
    const now = systemClock.now();
    await writeBackup(store, join(project, "kept.db"));
    mkdirSync(snapshotFolder(store.location));
    copyFileSync(join(project, "kept.db"), snapshotPath(store.location, "task.delete", now, "5eed5eed"));
  }

  const world: World = {
    clock: systemClock,
    program: {
      registry: { verbs: VERBS, find: findOperation },
      installSkill: async () => true,
      readSkill,
      readTemplate,
      paintFile: async (columns) => createPaint({ colour: true, columns, now: Date.now() }),
      upgradeDatabase: async () => ({ location: "mu.db", pending: [] }),
      serveMcp: async () => {},
      serveUi: async () => {},
      async *readLines() {},
      answerOps: (...call) => answerOps(world, ...call),
      streamOps: (...call) => streamOps(world, ...call),
      showTop: async () => {},
      readCommand: () => undefined,
      playDemo: async () => PLAYED,
    },
    openCrew: async (own) => privateCrew(own, folder.path),
    askPane: async () => undefined,
    openStore: async () => ({ ...context.store, close: async () => {} }),
    openExamined: async () => ({ store: await world.openStore(), examined: { file: "present", fault: undefined } }),
  };
  const request: Request = {
    env: { USER: "ann", MU_WORKSTREAM: "demo" },
    cwd: project,
    signal: new AbortController().signal,
    remark: () => {},
    stream: () => {},
    readFile: (path) => readFile(path, "utf8"),
    stdin: async () => PLAN,
    terminal: {
      edit: async (text, _name, take) => take(`${text.trimEnd()} and more\n`),
      run: async () => false,
      ask: async () => undefined,
    },
  };
  const crew = privateCrew(context, folder.path);
  const end = async () => {
    await crew.tmux.run([["kill-server"]]);
    await context.store.close();
    folder.remove();
  };
  try {
    if (workspaces === "with workspaces") await openWorkspaces(crew, project);
    if (panes === "with panes") await openPanes(crew, project);
  } catch (error) {
    await end();
    throw error;
  }
  const env = { ...crew.env, ...crew.databaseEnv, ...request.env } as Record<string, string>;
  return { folder: folder.path, store, context, world, request, env, end };
}

/** The job `theme`, with a task.md and no step yet, and the folder of a job `icons` that nobody has adopted. */
async function seedJob(context: Context, project: string): Promise<void> {
  const ref = { workstream: "demo", name: "theme" };
  mkdirSync(join(project, ".mu/jobs/theme"), { recursive: true });
  writeFileSync(join(project, ".mu/jobs/theme/task.md"), "# Themes\n\nA dark one.\n");
  mkdirSync(join(project, ".mu/jobs/icons"));
  writeFileSync(join(project, ".mu/jobs/icons/task.md"), "# Icons\n\nRound ones.\n");
  await write(context, { op: "job.new", scope: "demo", subject: "demo/theme" }, async (tx) => {
    const payload = { job: { modules: null, workspace: false } };
    await addTaskIn(tx, ref.workstream, { name: ref.name, title: "Themes", kind: "job", payload });
  });
}

/** A run of `done` that has ended, in a slot that is closed. */
export async function seedRun(context: Context, given: Partial<RowOf<"runs">> = {}): Promise<void> {
  await write(context, { op: "run.settle", scope: "demo", subject: "demo/done", payload: { run: 1 } }, async (tx) => {
    const { id: workstream_id } = await workstreamRow(tx.db, "demo");
    const task = await taskRow(tx.db, { workstream: "demo", name: "done" });
    const slot = await insertAgentIn(tx, { workstream_id, name: "code-1", cli: RUN_CLI, closed_at: tx.now });
    await tx.insert("runs", {
      ...{ workstream_id, agent_id: slot.id, agent: slot.name, task_id: task.id, task: task.name },
      ...{ claim_generation: 1, role: "code", attempt: 1, cli: "claude", model: null, access: "full", writes: null },
      ...{ transport: "pane", state: "done", day: tx.now.slice(0, 10), process: "1 1 -@-/-@-" },
      ...{ reserved_micros: 50_000, cost_micros: 120_000, actual_micros: null, cost_basis: "cli", session_ref: "s-1" },
      ...{ tokens_in: 900, tokens_out: 80, tokens_cache_read: 0, tokens_cache_write: 0, exit_code: 0 },
      ...{ failure: null, reason: null, retry_at: null, verdict: "done", answer: "Prepared." },
      ...{ started_at: tx.now, finished_at: tx.now, ...given },
    });
  });
}

/** What a demo comes to; the real one is played in test/demo. */
const PLAYED: Awaited<ReturnType<World["program"]["playDemo"]>> = {
  night: null,
  job: null,
  ok: true,
  problems: [],
  seconds: 20,
  attach: "tmux -L mu-demo-1 attach",
  kept: null,
  tasks: [{ name: "build", claims: ["bob", "ann"], closings: ["ann"], returns: 0, landings: 1 }],
  crashes: [{ agent: "bob", reason: "pane %1 is gone", lastWords: "", tasks: ["build"], takenOverBy: ["ann"] }],
  permissions: [{ agent: "ann", command: "git push", answer: "yes" }],
  warnings: [{ agents: ["ann", "bob"], paths: ["README.md"] }],
  returned: [{ task: "build", agent: "bob", files: ["README.md"] }],
  main: { subjects: ["Build it"], clean: true },
  prompts: { sent: 2, proved: 2 },
  audit: { ok: true, events: 9, tables: "same" },
  state: {
    orphans: [],
    workstream: "demo",
    under: null,
    counts: {
      ...{ total: 0, ready: 0, inProgress: 0, blocked: 0, held: 0, notDue: 0, containers: 0 },
      ...{ closed: 0, rejected: 0, deferred: 0 },
    },
    missingRoles: [],
    agents: [],
    tracks: { items: [], total: 0, withReady: 0 },
    ready: { items: [], total: 0 },
    inProgress: { items: [], total: 0 },
    blocked: { items: [], total: 0 },
    recentlyClosed: { items: [], total: 0 },
    waitingToLand: [],
    workspaces: [],
    collisions: { items: [], total: 0, seenAt: null },
    events: [],
  },
};

const PRICES = { input: 1, output: 2, cache_write_5m: 1, cache_write_1h: 1, cache_read: 1 };
const PLAN = `tasks:
  - name: design
    title: Design the shop
    impact: 90
  - name: checkout
    title: Build the checkout
    blockedBy: [design]
    tags: [core]
    notes: [Use the test card first]
`;

const CIRCLE = `tasks:
  - { name: a, title: A, blockedBy: [b] }
  - { name: b, title: B, blockedBy: [a] }
`;

/** A crew on a tmux server of its own, which runs only once somebody opens a pane. */
function privateCrew(context: Context, folder: string): Crew {
  const env = {
    ...GIT_ENV,
    PATH: process.env["PATH"],
    HOME: folder,
    XDG_RUNTIME_DIR: folder,
    MU_TMUX_SOCKET: join(folder, "tmux"),
  };
  return {
    context,
    tmux: createTmux({ exec: execProgram, env }),
    exec: execProgram,
    stateDir: folder,
    env,
    databaseEnv: { MU_DB_PATH: join(folder, "mu.db"), MU_STATE_DIR: folder },
  };
}

const GIT_ENV = {
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_AUTHOR_NAME: "Ann",
  GIT_AUTHOR_EMAIL: "ann@example.org",
  GIT_COMMITTER_NAME: "Ann",
  GIT_COMMITTER_EMAIL: "ann@example.org",
};

/**
 * The project as a repository, with the workspaces `helper`, which is one commit ahead and one behind, and `dirty`, in
 * which something is not committed. `helper/1` is a salvage. The task `cart` is ann's, CLOSED, and its one commit can land.
 * A review has left a comment on `docs`.
 */
async function openWorkspaces(crew: Crew, project: string): Promise<void> {
  const git = async (cwd: string, ...args: string[]) => {
    const { code, stderr } = await crew.exec("git", args, { cwd, env: crew.env });
    if (code !== 0) throw new Error(`git ${args.join(" ")}: ${stderr}`);
  };
  const commit = async (cwd: string, name: string) => {
    writeFileSync(join(cwd, name), name);
    await git(cwd, "add", "-A");
    await git(cwd, "commit", "-qm", name);
  };
  await git(project, "init", "-q", "-b", "main");
  await commit(project, "README.md");
  const helper = await createWorkspace(crew, { workstream: "demo", name: "helper" }, { projectRoot: project });
  const dirty = await createWorkspace(crew, { workstream: "demo", name: "dirty" }, { projectRoot: project });
  await commit(helper.path, "work.txt");
  await leaveWorkspace(crew, { workstream: "demo", name: "helper" }, "keep");
  await commit(project, "landed.txt");
  writeFileSync(join(dirty.path, "README.md"), "changed");

  const { context } = crew;
  const cart = { workstream: "demo", name: "cart" };
  const own = await createWorkspace(crew, { workstream: "demo", name: "ann" }, { projectRoot: project });
  await addTask(context, "demo", { name: "cart", title: "Build the cart" });
  await claimTask(context, cart, PERSON);
  await commit(own.path, "cart.txt");
  await finishTask(crew, cart, PERSON, { check: null, cwd: own.path });
  await write(context, { op: "test", scope: "demo", subject: "demo/docs" }, async (tx) => {
    const { id } = await taskRow(tx.db, { workstream: "demo", name: "docs" });
    const comment = { round: 1, file: "README.md", line: 1 };
    await insertNote(tx, id, "ann", { kind: "review", text: "README.md:1 Say more", comment });
  });
}

/**
 * Panes for the examples of agents: `helper`, a shell that waits; `sleeper`, a shell in which a program runs; a pane
 * with the title `stray` that is nobody's. In the outbox: 1 proved, 2 queued, 3 cancelled.
 */
async function openPanes(crew: Crew, cwd: string): Promise<void> {
  const { context, tmux } = crew;
  const spawn = (name: string) =>
    spawnAgent(crew, { workstream: "demo", name }, { cli: "shell", command: "sh", cwd, ready: {} });
  await spawn("helper");
  await spawn("sleeper");
  await sendToAgent(crew, { workstream: "demo", name: "sleeper" }, "sleep 1000", { sender: "ann" });
  await tmux.openPane({ session: "mu-demo", window: "stray", cwd, argv: ["sh"] });
  const stray = (await tmux.listPanes()).find((pane) => pane.windowName === "stray");
  await tmux.run([["select-pane", "-t", stray?.id ?? "", "-T", "stray"]]);

  const helper = await context.store.db
    .selectFrom("agents")
    .selectAll()
    .where("name", "=", "helper")
    .executeTakeFirstOrThrow();
  const at = new Date().toISOString();
  const delivery = {
    agent_id: helper.id,
    workstream_id: helper.workstream_id,
    agent: "helper",
    sender: "ann",
    created_at: at,
    updated_at: at,
  };
  await context.store.write(async (db) => {
    await db.deleteFrom("deliveries").execute();
    for (const [id, state] of [
      [1, "proved"],
      [2, "queued"],
      [3, "cancelled"],
    ] as const) {
      const text = `echo ${id}`;
      await db
        .insertInto("deliveries")
        .values({ id, ...delivery, text, text_hash: `${id}`, state } as never)
        .execute();
    }
  });
}
