import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { execute } from "../../src/operations/execute.js";
import { findOperation, loadOperations } from "../../src/operations/index.js";
import { VERBS } from "../../src/operations/manifest.js";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { closeTask } from "../../src/tasks/lifecycle.js";
import { parseCommand } from "../support/command.js";
import { type Seeded, seededApp, seedRun } from "../support/seeded.js";
import { describeTmux } from "../support/tmux.js";

// biome-ignore lint/suspicious/noExplicitAny: items of every list
type Item = any;

/** A list, a filter, and which of the items it keeps; with `more`, which it adds to those that are there without it. */
type Case = [line: string, filter: string, keeps: (item: Item) => boolean];

const KEEPS: Case[] = [
  ["archive search it", "--label old", ({ archive }) => archive === "old"],
  ["asset list", "--task done", ({ task }) => task === "done"],
  ["asset list", "--kind report", ({ kind }) => kind === "report"],
  ["asset list", "--path report.md", ({ path }) => path === "report.md"],
  ["delivery list", "--state queued", ({ state }) => state === "queued"],
  ["delivery list", "--state queued,cancelled", ({ state }) => state !== "proved"],
  ["delivery list", "--agent helper", ({ agent }) => agent === "helper"],
  ["runs list", "--task crash", ({ task }) => task === "crash"],
  ["runs list", "--role writer", ({ role }) => role === "writer"],
  ["runs list", "--state failed", ({ state }) => state === "failed"],
  ["runs list", "--day 2026-01-31", ({ day }) => day === "2026-01-31"],
  ["task list", "--status OPEN", ({ status }) => status === "OPEN"],
  ["task list", "--status OPEN,CLOSED", ({ status }) => status !== "IN_PROGRESS"],
  ["task list", "--kind bug", ({ kind }) => kind === "bug"],
  ["task list", "--role writer", ({ role }) => role === "writer"],
  ["task list", "--tag core", ({ tags }) => tags.includes("core")],
  ["task list", "--owner ann", ({ owner }) => owner === "ann"],
  ["task list", "--mine", ({ owner }) => owner === "ann"],
  ["task next", "--role writer", ({ role }) => role === null || role === "writer"],
  ["task list", "--under deploy", ({ name }) => name === "deploy" || name === "build"],
  ["task next", "--under deploy", ({ name }) => name === "build"],
  ["track list", "--under deploy", ({ goals }) => goals.includes("deploy")],
  ["task notes review", "--since 2020-01-01", () => true],
  ["log", "--source kim", ({ source }) => source === "kim"],
  ["log", "--kind event", ({ kind }) => kind === "event"],
  ["log", "--since 3", ({ id }) => id > 3],
];

/** Filters that add to what a list shows without them. */
const ADDS: Case[] = [
  ["job list", "--archived", ({ name }) => name === "theme"],
  ["me tasks", "--include-closed", ({ status }) => status !== "CLOSED"],
  ["task owned-by ann", "--include-closed", ({ status }) => status !== "CLOSED"],
  ["agent list", "--closed", ({ closedAt }) => closedAt === null],
  ["agent list", "--people", ({ cli }) => cli !== "human"],
];

const LIMITS = [
  "archive search it --limit",
  "asset list --limit",
  "delivery list --limit",
  "log --limit",
  "runs list --limit",
  "me next --limit",
  "task history build --limit",
  "task list --limit",
  "task next --limit",
  "task search it --limit",
];

/** Not filters, or tried where their subject is. */
const ELSEWHERE = new Set([
  ...[
    "workstream",
    "all",
    "follow",
    "no-reconcile",
    "fields",
    "sort",
    "yes",
    "dry-run",
    "even-if-unreachable",
    "wait",
    "hook",
    "cli",
    "project",
  ],
  "snapshot.prune older-than",
  "task.tree depth",
  "task.tree down",
  "task.notes last",
  "workspace.commits since",
  "agent.reap-idle idle-for",
  "workspace.refresh from",
  "workspace.refresh even-if-busy",
  "delivery.drain agent",
  "skill.install role",
  "import source",
  "workstream.import as",
  "workstream.import changed",
  "workstream.import format",
  "workstream.import source",
]);

describeTmux("lists", () => {
  let app: Seeded;
  beforeAll(async () => {
    app = await seededApp("with panes");
    const { context } = app;
    await addTask(context, "demo", { name: "crash", title: "It crashes", kind: "bug", role: "writer" });
    await addTask(context, "demo", { name: "paint", title: "Paint it", role: "painter" });
    await claimTask(context, { workstream: "demo", name: "crash" }, { person: "kim" });
    await closeTask({ ...context, actor: "kim" }, { workstream: "demo", name: "crash" }, { person: "kim" });
    await run("mu task note review 'one thing'");
    await addTask({ ...context, actor: "kim" }, "demo", { name: "extra", title: "Do it, too", role: "writer" });
    await context.store.write((db) =>
      db.updateTable("deliveries").set({ agent: "sleeper" }).where("id", "=", 3).execute(),
    );
    await seedRun(context, { task: "crash", role: "writer", state: "failed", failure: "crash", day: "2026-01-31" });
    await run("mu log write 'one message'");
    for (const [name, kind] of [
      ["report.md", "report"],
      ["plan.yaml", "plan"],
    ] as const) {
      writeFileSync(join(app.folder, "project", name), name);
      await run(`mu asset add ${name} --kind ${kind}${kind === "report" ? " --task done" : ""}`);
    }
    await run("mu archive create new");
    await run("mu archive add new");
    await run("mu job adopt icons");
    await run("mu job archive icons");
    await run("mu agent close sleeper");
  });
  afterAll(() => app.end());

  async function run(line: string): Promise<Item[]> {
    const { verb, input } = parseCommand(line);
    const operation = await findOperation(verb.name);
    if (operation === undefined) throw new Error(`no verb ${verb.name}`);
    return ((await execute(operation, input, app.world, app.request)) as { items: Item[] }).items;
  }
  const everything = (line: string) => (LIMITS.some((limited) => limited.startsWith(line)) ? `${line} -n 0` : line);

  it.each(KEEPS)("mu %s %s keeps what it names", async (line, filter, keeps) => {
    const all = await run(`mu ${everything(line)}`);
    const kept = await run(`mu ${everything(line)} ${filter}`);
    expect(kept).toEqual(all.filter(keeps));
    expect(kept.length).toBeGreaterThan(0);
  });

  it.each(ADDS)("mu %s %s adds what it names", async (line, filter, isThereAnyway) => {
    const more = await run(`mu ${line} ${filter}`);
    expect((await run(`mu ${line}`)).length).toBeLessThan(more.length);
    expect((await run(`mu ${line}`)).every(isThereAnyway)).toBe(true);
  });

  it.each(LIMITS)("mu %s 1 shows one, and 0 all", async (line) => {
    expect(await run(`mu ${line} 1`)).toHaveLength(1);
    expect((await run(`mu ${line} 0`)).length).toBeGreaterThan(1);
  });

  it("are all here with each of their filters", async () => {
    const tried = [...KEEPS, ...ADDS].map(([line, filter]) => `${line} ${filter}`).concat(LIMITS);
    const lists = (await loadOperations()).filter((one) => "items" in ((one.output() as Item).shape ?? {}));
    const missing = lists.flatMap(({ name }) => {
      const { options = [] } = VERBS.find((verb) => verb.name === name) ?? {};
      const words = name.replace(".", " ");
      return options
        .filter(({ flag }) => !ELSEWHERE.has(flag) && !ELSEWHERE.has(`${name} ${flag}`))
        .filter(({ flag }) => !tried.some((one) => one.startsWith(words) && one.includes(` --${flag}`)))
        .map(({ flag }) => `${name} ${flag}`);
    });
    expect(missing).toEqual([]);
  });
});
