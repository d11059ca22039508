import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Context } from "../../src/db/context.js";
import { Fault } from "../../src/errors.js";
import { addTask } from "../../src/tasks/add.js";
import { blockersOf } from "../../src/tasks/graph.js";
import { closeTask } from "../../src/tasks/lifecycle.js";
import { listNotes } from "../../src/tasks/notes.js";
import { applyPlan } from "../../src/tasks/plan.js";
import { type Plan, parsePlan, plannedTasks } from "../../src/tasks/planned-tasks.js";
import { getTask, listTasks } from "../../src/tasks/task.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { describeOnce, onEachDialect } from "../support/database.js";

const ref = (name: string) => ({ workstream: "demo", name });

async function applyText(context: Context, text: string) {
  const { plan, place } = await parsePlan(text);
  return applyPlan(context, "demo", plan as Plan, { init: {}, place });
}

async function eventCount({ store }: Context): Promise<number> {
  return (await store.db.selectFrom("events").select("id").execute()).length;
}

async function wholeGraph({ store }: Context) {
  const tasks = await listTasks(store.db);
  const edges = await Promise.all(
    tasks.map(async (task) => [task.name, (await blockersOf(store.db, ref(task.name))).map(({ name }) => name)]),
  );
  const notes = await Promise.all(
    tasks.map(async (task) => [task.name, (await listNotes(store.db, ref(task.name))).map(({ text }) => text)]),
  );
  return { tasks, edges, notes };
}

const SHIP = `# how we ship
tasks:
  - title: Ship it!
    blockedBy: [build, docs]
    tags: [release]
    payload: { env: prod, retries: [1, 2] }
  - name: build
    title: Build the thing
    impact: 80
    effortDays: 2.5
    role: builder
    priority: 2
    touches: ["src/**"]
    notes:
      - start small
      - { text: use esbuild, kind: decision, rationale: speed }
  - name: docs
    title: Write the docs
`;

onEachDialect("a plan", (bench) => {
  it("creates tasks, edges and notes, forward references included", async () => {
    const { context } = bench;
    expect(await applyText(context, SHIP)).toEqual({
      created: 3,
      updated: 0,
      unchanged: 0,
      edgesAdded: 2,
      notesAdded: 2,
      tasks: ["ship_it", "build", "docs"].map((name) => ({ name, change: "created" })),
    });
    const { db } = context.store;
    expect(await getTask(db, ref("ship_it"))).toMatchObject({
      title: "Ship it!",
      tags: ["release"],
      payload: { env: "prod", retries: [1, 2] },
      impact: 50,
    });
    expect(await getTask(db, ref("build"))).toMatchObject({
      impact: 80,
      effortDays: 2.5,
      role: "builder",
      priority: 2,
    });
    expect((await blockersOf(db, ref("ship_it"))).map((blocker) => blocker.name)).toEqual(["build", "docs"]);
    expect(await listNotes(db, ref("build"))).toMatchObject([
      { author: "tester", kind: "note", text: "start small" },
      { kind: "decision", text: "use esbuild", rationale: "speed" },
    ]);
  });

  it("changes nothing the second time, and leaves no event", async () => {
    const { context } = bench;
    await applyText(context, SHIP);
    const [before, events] = [await wholeGraph(context), await eventCount(context)];
    expect(await applyText(context, SHIP)).toMatchObject({
      created: 0,
      updated: 0,
      unchanged: 3,
      edgesAdded: 0,
      notesAdded: 0,
    });
    expect(await wholeGraph(context)).toEqual(before);
    expect(await eventCount(context)).toBe(events);
  });

  it("sets the given fields, adds what is new, and leaves the rest, especially the status", async () => {
    const { context } = bench;
    await applyText(context, SHIP);
    await closeTask(context, ref("docs"), { person: "ann" });
    const result = await applyText(
      context,
      JSON.stringify({
        tasks: [
          { name: "docs", title: "Write all the docs", blockedBy: ["build"] },
          { name: "build", title: "Build the thing", notes: ["start small", "then grow"] },
          { name: "new", title: "New", blockedBy: ["demo/docs", "docs"] },
        ],
      }),
    );
    expect(result).toMatchObject({ created: 1, updated: 2, unchanged: 0, edgesAdded: 2, notesAdded: 1 });
    const { db } = context.store;
    expect(await getTask(db, ref("docs"))).toMatchObject({ status: "CLOSED", title: "Write all the docs" });
    expect(await getTask(db, ref("build"))).toMatchObject({ impact: 80, role: "builder" });
    expect((await listNotes(db, ref("build"))).map((note) => note.text)).toEqual([
      "start small",
      "use esbuild",
      "then grow",
    ]);
  });

  it("is one group of events, however large, of at most 500 rows each", async () => {
    const { context } = bench;
    const tasks = Array.from({ length: 5_000 }, (_, n) => ({
      name: `t${n}`,
      title: `Task ${n}`,
      ...(n > 0 && { blockedBy: [`t${n - 1}`] }),
    }));
    expect(await applyText(context, JSON.stringify({ tasks }))).toMatchObject({ created: 5_000, edgesAdded: 4_999 });
    const events = await context.store.db.selectFrom("events").select(["group_id", "op", "changes"]).execute();
    expect(new Set(events.map((event) => event.group_id)).size).toBe(1);
    expect(events).toHaveLength(20);
    expect(Math.max(...events.map((event) => JSON.parse(event.changes).length))).toBe(500);
    const insert = JSON.parse(events[1]?.changes ?? "[]")[0];
    const row = await context.store.db
      .selectFrom("tasks")
      .select("name")
      .where("id", "=", insert.id)
      .executeTakeFirst();
    expect(row?.name).toBe(insert.insert.name);
  });

  const refused: [string, string, { code: string; place: string }][] = [
    [
      "an unknown reference",
      `{"tasks":[{"title":"a","blockedBy":["b","c"]},{"name":"b","title":"b"}]}`,
      { code: "task.not_found", place: "tasks[0].blockedBy[1]" },
    ],
    [
      "another workstream's task",
      `{"tasks":[{"title":"a","blockedBy":["prod/b"]}]}`,
      { code: "task.cross_workstream", place: "tasks[0].blockedBy[0]" },
    ],
    [
      "two tasks of one name",
      `{"tasks":[{"title":"Ship it"},{"title":"x"},{"name":"ship_it","title":"y"}]}`,
      { code: "plan.duplicate_name", place: "tasks[2]" },
    ],
    [
      "a task that waits for itself",
      `{"tasks":[{"title":"a","blockedBy":["a"]}]}`,
      { code: "task.cycle", place: "tasks[0].blockedBy[0]" },
    ],
    [
      "a loop",
      `{"tasks":[{"title":"a","blockedBy":["b"]},{"title":"b","blockedBy":["c"]},{"title":"c","blockedBy":["a"]}]}`,
      { code: "task.cycle", place: "tasks[0].blockedBy[0]" },
    ],
    [
      "a loop through edges that are there",
      `{"tasks":[{"title":"Old a","name":"old_a","blockedBy":["mid"]},{"name":"mid","title":"Mid","blockedBy":["old_b"]}]}`,
      { code: "task.cycle", place: "tasks[0].blockedBy[0]" },
    ],
    [
      "a loop, in YAML",
      "tasks:\n  - title: a\n    blockedBy:\n      - b\n  - title: b\n    blockedBy:\n      - a\n",
      { code: "task.cycle", place: "line 4" },
    ],
    [
      "an impact out of range",
      `{"tasks":[{"title":"a"},{"title":"b","impact":101}]}`,
      { code: "task.invalid_field", place: "tasks[1].impact" },
    ],
    [
      "an effort of nothing",
      "tasks:\n- title: a\n- title: b\n  effortDays: 0\n",
      { code: "task.invalid_field", place: "line 4" },
    ],
    ["an effort without end", "tasks: [{title: a, effortDays: .inf}]", { code: "task.invalid_field", place: "line 1" }],
    [
      "a title of a megabyte",
      JSON.stringify({ tasks: [{ title: "x".repeat(1_000_000) }] }),
      { code: "task.invalid_field", place: "tasks[0].title" },
    ],
    [
      "a NUL",
      JSON.stringify({ tasks: [{ title: "a", description: "b\0c" }] }),
      { code: "task.invalid_field", place: "tasks[0].description" },
    ],
    [
      "an empty note",
      `{"tasks":[{"title":"a","notes":["x"," "]}]}`,
      { code: "task.invalid_note", place: "tasks[0].notes[1]" },
    ],
    ["a status", `{"tasks":[{"title":"a","status":"CLOSED"}]}`, { code: "plan.invalid", place: "tasks[0].status" }],
    ["an unknown field", "tasks:\n  - title: a\n    effort: 2\n", { code: "plan.invalid", place: "line 3" }],
    ["a missing title", "tasks:\n  - title: a\n  - name: b\n", { code: "plan.invalid", place: "line 3" }],
    ["a title without a letter", `{"tasks":[{"title":"日本"}]}`, { code: "plan.invalid", place: "tasks[0]" }],
    [
      "a name like an option",
      `{"tasks":[{"name":"--yes","title":"a"}]}`,
      { code: "task.invalid_name", place: "tasks[0].name" },
    ],
    [
      "a list where a name belongs",
      `{"tasks":[{"title":"a","blockedBy":[["b"]]}]}`,
      { code: "plan.invalid", place: "tasks[0].blockedBy[0]" },
    ],
    ["a bare list", `[{"title":"a"}]`, { code: "plan.invalid", place: "the document" }],
    ["nothing", "", { code: "plan.invalid", place: "line 1" }],
    ["broken YAML", "tasks:\n  - title: a\n  b: [\n", { code: "plan.unreadable", place: "line 3" }],
    [
      "a payload nested too deeply",
      `{"tasks":[{"title":"a","payload":${"[".repeat(20_000)}${"]".repeat(20_000)}}]}`,
      { code: "plan.invalid", place: "tasks[0].payload" },
    ],
    [
      "a loop of YAML anchors",
      "tasks:\n  - title: a\n    payload: &p [*p]\n",
      { code: "plan.invalid", place: "line 3" },
    ],
    ["an alias bomb", bomb(), { code: "plan.unreadable", place: "line 1" }],
  ];

  for (const [what, text, fault] of refused) {
    it(`with ${what} changes nothing and names the place`, async () => {
      const { context } = bench;
      await initWorkstream(context, "demo");
      await addTask(context, "demo", { name: "old_a", title: "Old a" });
      await addTask(context, "demo", { name: "old_b", title: "Old b", blockedBy: ["old_a"] });
      const events = await eventCount(context);
      await expect(applyText(context, text)).rejects.toMatchObject({
        code: fault.code,
        message: expect.stringContaining(fault.place),
        details: { place: fault.place },
      });
      expect((await listTasks(context.store.db)).map((task) => task.name)).toEqual(["old_a", "old_b"]);
      expect(await eventCount(context)).toBe(events);
    });
  }

  it("needs its workstream, unless it may create it", async () => {
    const { context } = bench;
    const plan = { tasks: [{ title: "a" }] };
    await expect(applyPlan(context, "demo", plan)).rejects.toMatchObject({ code: "workstream.not_found" });
    await applyPlan(context, "demo", plan, { init: { root: "/srv/demo" } });
    expect(await getTask(context.store.db, ref("a"))).toMatchObject({ workstream: "demo" });
  });
});

/** Ten lines that would unfold into a billion words. */
function bomb(): string {
  const levels = Array.from({ length: 9 }, (_, n) => `x${n + 1}: &a${n + 1} [${Array(10).fill(`*a${n}`).join(", ")}]`);
  return `x0: &a0 [lol]\n${levels.join("\n")}\ntasks: []\n`;
}

describeOnce("a document of any content", () => {
  const keys = fc.constantFrom(
    "name",
    "title",
    "impact",
    "effortDays",
    "priority",
    "tags",
    "payload",
    "blockedBy",
    "notes",
    "x",
  );
  const nearPlans = fc.record({
    tasks: fc.array(fc.dictionary(keys, fc.jsonValue(), { maxKeys: 5 }), { maxLength: 4 }),
  });
  const texts = fc.oneof(
    nearPlans.map((plan) => JSON.stringify(plan)),
    fc.json(),
    fc.string({ unit: "binary" }),
    fc.string().map((text) => `tasks:\n  - title: a\n    description: ${text}\n`),
  );

  it("is a plan or a fault that names a place, never a crash", async () => {
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        try {
          const { plan, place } = await parsePlan(text);
          plannedTasks(plan, place);
        } catch (error) {
          expect(error).toBeInstanceOf(Fault);
          expect(error).toMatchObject({ kind: "usage", details: { place: expect.any(String) } });
        }
      }),
      { numRuns: 400 },
    );
  });

  it("nested a hundred thousand levels deep is a fault", async () => {
    for (const text of ["[".repeat(100_000), `{"tasks": ${"[".repeat(100_000)}${"]".repeat(100_000)}}`]) {
      await expect(parsePlan(text).then(({ plan, place }) => plannedTasks(plan, place))).rejects.toBeInstanceOf(Fault);
    }
  });
});

describe("a plan twice", () => {
  const names = fc.constantFrom("a", "b", "c", "d", "e", "f");
  const plans = fc.uniqueArray(
    fc.record(
      {
        name: names,
        title: fc
          .string({ minLength: 1, maxLength: 20 })
          .filter((title) => title.trim() !== "" && !title.includes("\0")),
        impact: fc.integer({ min: 1, max: 100 }),
        description: fc.option(fc.string({ maxLength: 10 }).filter((text) => !text.includes("\0"))),
        tags: fc.array(fc.constantFrom("x", "y", "z")),
        payload: fc.option(fc.jsonValue()),
        notes: fc.array(fc.constantFrom("one", "two", "three"), { maxLength: 3 }),
      },
      { requiredKeys: ["name", "title"] },
    ),
    { selector: (task) => task.name, minLength: 1, maxLength: 6 },
  );
  const wired = fc
    .tuple(plans, fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { maxLength: 8 }))
    .map(([tasks, pairs]): Plan => {
      const edges = pairs.filter(([blocked, blocker]) => blocked < blocker && blocker < tasks.length);
      return {
        tasks: tasks.map((task, index) => ({
          ...task,
          blockedBy: edges.filter(([blocked]) => blocked === index).map(([, blocker]) => tasks[blocker]?.name ?? ""),
        })),
      };
    });

  onEachDialect("in a row", (bench) => {
    it("is the plan once, after any other plan", async () => {
      const { context } = bench;
      await initWorkstream(context, "demo");
      await fc.assert(
        fc.asyncProperty(wired, async (plan) => {
          await applyPlan(context, "demo", plan).catch((error) => fc.pre(error.code !== "task.cycle"));
          const [once, events] = [await wholeGraph(context), await eventCount(context)];
          expect(await applyPlan(context, "demo", plan)).toMatchObject({
            created: 0,
            updated: 0,
            unchanged: plan.tasks.length,
          });
          expect(await wholeGraph(context)).toEqual(once);
          expect(await eventCount(context)).toBe(events);
        }),
        { numRuns: 40 },
      );
    });
  });
});
