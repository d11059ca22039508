import fc from "fast-check";
import { expect, it } from "vitest";
import { addTask } from "../src/tasks/add.js";
import { claimTask } from "../src/tasks/claim.js";
import { reparentTask } from "../src/tasks/graph.js";
import { closeTask } from "../src/tasks/lifecycle.js";
import { computeTracks, type LiveEdge, type LiveTask, listTracks } from "../src/tracks.js";
import { initWorkstream } from "../src/workstreams/workstream.js";
import { describeOnce, onEachDialect } from "./support/database.js";

interface Graph {
  tasks: LiveTask[];
  edges: LiveEdge[];
}

/** Small acyclic graphs: an edge goes from a lower id to a higher one, names are in no order. */
const graphs: fc.Arbitrary<Graph> = fc
  .record({
    efforts: fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 9 }),
    pairs: fc.array(fc.tuple(fc.nat(8), fc.nat(8)), { maxLength: 14 }),
    stride: fc.constantFrom(1, 5, 7),
  })
  .map(({ efforts, pairs, stride }) => {
    const tasks = efforts.map((effort, index) => ({
      id: index + 1,
      name: `t${(index * stride) % 11}`,
      effort_days: effort / 4,
      owner: null,
    }));
    const ends = pairs
      .map(([one, other]) => [Math.min(one, other), Math.max(one, other)] as const)
      .filter(([low, high]) => low < high && high < tasks.length);
    const unique = new Map(ends.map((pair) => [pair.join(), pair]));
    return { tasks, edges: [...unique.values()].map(([low, high]) => ({ blocker_id: low + 1, blocked_id: high + 1 })) };
  });

describeOnce("tracks of any graph", () => {
  it("share the live tasks out among them, goals and all", () => {
    fc.assert(
      fc.property(graphs, ({ tasks, edges }) => {
        const tracks = computeTracks(tasks, edges);
        expect(tracks.flatMap((track) => track.tasks).sort()).toEqual(tasks.map((task) => task.name).sort());
        const blockers = new Set(edges.map((edge) => edge.blocker_id));
        const goals = tasks.filter((task) => !blockers.has(task.id)).map((task) => task.name);
        expect(tracks.flatMap((track) => track.goals).sort()).toEqual(goals.sort());
        for (const track of tracks) expect(track.size).toBe(track.tasks.length);
      }),
    );
  });

  it("join two goals exactly when a chain of shared prerequisites connects them", () => {
    fc.assert(
      fc.property(graphs, ({ tasks, edges }) => {
        const tracks = computeTracks(tasks, edges);
        const connected = goalSets(tasks, edges);
        const found = tracks.map((track) => track.goals.join()).sort();
        expect(found).toEqual(connected.map((goals) => goals.sort().join()).sort());
      }),
    );
  });

  it("do not depend on the order of the input", () => {
    fc.assert(
      fc.property(graphs, fc.infiniteStream(fc.nat()), ({ tasks, edges }, numbers) => {
        const shuffled = <T>(items: T[]): T[] =>
          items
            .map((item) => [numbers.next().value as number, item] as const)
            .sort((a, b) => a[0] - b[0])
            .map(([, item]) => item);
        expect(computeTracks(shuffled(tasks), shuffled(edges))).toEqual(computeTracks(tasks, edges));
      }),
    );
  });

  it("have the critical path that trying every chain finds", () => {
    fc.assert(
      fc.property(graphs, ({ tasks, edges }) => {
        const byName = new Map(tasks.map((task) => [task.name, task]));
        for (const track of computeTracks(tasks, edges)) {
          const { days, tasks: path } = track.criticalPath;
          const chain = path.map((name) => byName.get(name) as LiveTask);
          expect(chain.reduce((sum, task) => sum + task.effort_days, 0)).toBe(days);
          for (const [index, task] of chain.entries()) {
            const next = chain[index + 1];
            if (next === undefined) continue;
            expect(edges).toContainEqual({ blocker_id: task.id, blocked_id: next.id });
          }
          const longest = Math.max(
            ...track.tasks.map((name) => longestFrom(byName.get(name) as LiveTask, tasks, edges)),
          );
          expect(days).toBe(longest);
        }
      }),
    );
  });
});

/** The goals, grouped by prerequisite sets that overlap until none do. */
function goalSets(tasks: LiveTask[], edges: LiveEdge[]): string[][] {
  const above = (id: number): number[] => [
    id,
    ...edges.filter((edge) => edge.blocked_id === id).flatMap((edge) => above(edge.blocker_id)),
  ];
  const goals = tasks.filter((task) => !edges.some((edge) => edge.blocker_id === task.id));
  let groups = goals.map((goal) => ({ names: [goal.name], needs: new Set(above(goal.id)) }));
  for (const goal of goals) {
    const needs = new Set(above(goal.id));
    const touching = groups.filter((group) => [...needs].some((id) => group.needs.has(id)));
    const joined = {
      names: touching.flatMap((group) => group.names),
      needs: new Set(touching.flatMap((group) => [...group.needs])),
    };
    groups = [...groups.filter((group) => !touching.includes(group)), joined];
  }
  return groups.map((group) => group.names);
}

function longestFrom(task: LiveTask, tasks: LiveTask[], edges: LiveEdge[]): number {
  const after = edges
    .filter((edge) => edge.blocker_id === task.id)
    .map((edge) => tasks.find((other) => other.id === edge.blocked_id) as LiveTask);
  return task.effort_days + Math.max(0, ...after.map((next) => longestFrom(next, tasks, edges)));
}

describeOnce("computing tracks", () => {
  it("goes through a chain of 50,000 tasks without recursion", () => {
    const tasks = Array.from({ length: 50_000 }, (_, id) => ({ id, name: `t${id}`, effort_days: 1, owner: null }));
    const edges = tasks.slice(1).map(({ id }) => ({ blocker_id: id - 1, blocked_id: id }));
    const [track, ...others] = computeTracks(tasks, edges);
    expect(others).toEqual([]);
    expect(track).toMatchObject({ goals: ["t49999"], size: 50_000, criticalPath: { days: 50_000 } });
  });

  it("ends on a loop that should not be there", () => {
    const tasks = ["a", "b"].map((name, id) => ({ id, name, effort_days: 1, owner: null }));
    const loop = [
      { blocker_id: 0, blocked_id: 1 },
      { blocker_id: 1, blocked_id: 0 },
    ];
    const wait = { blocked_id: 1, name: "c", until: "landed" };
    expect(computeTracks(tasks, loop, [{ id: 0 }], [wait])).toEqual([]);
  });

  it("leaves out what is not live: edges, ready tasks and waits", () => {
    const tasks = ["a", "b"].map((name, id) => ({ id, name, effort_days: 1, owner: null }));
    const edges = [
      { blocker_id: 1, blocked_id: 9 },
      { blocker_id: 9, blocked_id: 0 },
    ];
    const wait = { blocked_id: 9, name: "c", until: "landed" };
    expect(computeTracks(tasks, edges, [{ id: 9 }], [wait])).toEqual(computeTracks(tasks, []));
  });

  it("gives the critical path whose tasks come first by name where several are as long", () => {
    const pathOf = (efforts: Record<string, number>, ...pairs: [string, string][]) => {
      const names = Object.keys(efforts);
      const tasks = names.map((name, id) => ({ id, name, effort_days: efforts[name] ?? 0, owner: null }));
      const edges = pairs.map(([blocker, blocked]) => ({
        blocker_id: names.indexOf(blocker),
        blocked_id: names.indexOf(blocked),
      }));
      return computeTracks(tasks, edges)[0]?.criticalPath.tasks;
    };
    expect(pathOf({ top: 1, b: 1, a: 1 }, ["top", "a"], ["top", "b"])).toEqual(["top", "a"]);
    expect(pathOf({ a: 1, b: 1, end: 1 }, ["a", "end"], ["b", "end"])).toEqual(["a", "end"]);
    expect(pathOf({ a: 1, b: 2, x: 1, end: 1 }, ["x", "a"], ["a", "end"], ["b", "end"])).toEqual(["x", "a", "end"]);
  });
});

onEachDialect("the tracks of a workstream", (bench) => {
  const now = () => new Date().toISOString();

  it("name who works on them, and the closed tasks that still block them", async () => {
    const { context } = bench;
    await initWorkstream(context, "empty");
    expect(await listTracks(context.store.db, "empty", now())).toEqual([]);
    await initWorkstream(context, "demo");
    for (const name of ["api", "design"]) {
      await addTask(context, "demo", { name, title: name });
      await closeTask(context, { workstream: "demo", name }, { person: "ann" });
    }
    for (const [name, blockers, person] of [
      ["page", ["design@landed", "api@verified"], "zoe"],
      ["shop", ["page", "design@landed", "api"], "ann"],
      ["text", ["design@landed"], "ann"],
    ] as const) {
      await addTask(context, "demo", { name, title: name });
      await claimTask(context, { workstream: "demo", name }, { person });
      await reparentTask(context, { workstream: "demo", name }, [...blockers]);
    }
    const tracks = await listTracks(context.store.db, "demo", now());
    expect(tracks).toMatchObject([
      {
        goals: ["shop"],
        owners: ["ann", "zoe"],
        waitsFor: ["api@verified", "design@landed"],
        criticalPath: { days: 2, tasks: ["page", "shop"] },
      },
      { goals: ["text"], owners: ["ann"], waitsFor: ["design@landed"], criticalPath: { days: 1 } },
    ]);
  });

  it("merge at a diamond and stay apart elsewhere", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    await addTask(context, "demo", { name: "design", title: "Design", effortDays: 2 });
    await addTask(context, "demo", { name: "api", title: "API", effortDays: 3, blockedBy: ["design"] });
    await addTask(context, "demo", { name: "page", title: "Page", effortDays: 1, blockedBy: ["design"] });
    await addTask(context, "demo", { name: "logo", title: "Logo", effortDays: 0.5 });
    expect(await listTracks(context.store.db, "demo", now())).toEqual([
      {
        goals: ["api", "page"],
        tasks: ["api", "design", "page"],
        size: 3,
        ready: ["design"],
        criticalPath: { days: 5, tasks: ["design", "api"] },
        owners: [],
        waitsFor: [],
      },
      {
        goals: ["logo"],
        tasks: ["logo"],
        size: 1,
        ready: ["logo"],
        criticalPath: { days: 0.5, tasks: ["logo"] },
        owners: [],
        waitsFor: [],
      },
    ]);
  });

  it("fall apart when the shared prerequisite is closed, and name who works on them", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    await addTask(context, "demo", { name: "design", title: "Design" });
    await addTask(context, "demo", { name: "api", title: "API", blockedBy: ["design"] });
    await addTask(context, "demo", { name: "page", title: "Page", blockedBy: ["design"] });
    await closeTask(context, { workstream: "demo", name: "design" }, { person: "ann" });
    await claimTask(context, { workstream: "demo", name: "page" }, { person: "ann" });
    const tracks = await listTracks(context.store.db, "demo", now());
    expect(tracks.map(({ goals, ready, owners }) => ({ goals, ready, owners }))).toEqual([
      { goals: ["api"], ready: ["api"], owners: [] },
      { goals: ["page"], ready: [], owners: ["ann"] },
    ]);
  });

  it("list what is ready in ready order", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    for (const [name, impact] of [
      ["low", 10],
      ["high", 90],
    ] as const)
      await addTask(context, "demo", { name, title: name, impact });
    await addTask(context, "demo", { name: "urgent", title: "Urgent", priority: 1, impact: 1 });
    await addTask(context, "demo", { name: "held", title: "Held", hold: "escalated" });
    await addTask(context, "demo", { name: "goal", title: "Goal", blockedBy: ["low", "high", "urgent", "held"] });
    const [track] = await listTracks(context.store.db, "demo", now());
    expect(track?.ready).toEqual(["urgent", "high", "low"]);
  });

  it("do not exist in an unknown workstream", async () => {
    await expect(listTracks(bench.context.store.db, "nope", now())).rejects.toMatchObject({
      code: "workstream.not_found",
    });
  });
});
