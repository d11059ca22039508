import { Fault } from "../errors.js";
import { didYouMean, quote, type TaskRef } from "../names.js";
import { blockerRef } from "./graph.js";
import { type EdgeLevel, parseAwaited } from "./level.js";
import { atPlace, type Place, type PlannedTask, type PlanPath } from "./planned-tasks.js";
import { topologicalOrder } from "./topological.js";

/** An edge that a plan asks for, between nodes: the plan's tasks by their index, then the workstream's others. */
export interface PlannedEdge {
  blocker: number;
  blocked: number;
  /** What it is to ask of its blocker, where the plan says so. */
  until: EdgeLevel | undefined;
  /** Index in the `blockedBy` of the blocked task. */
  index: number;
}

/**
 * The edges of a plan, each once. `nodes` knows the names of the plan and of the workstream. Faults
 * `task.not_found`, `task.cross_workstream`, `task.invalid_level`, with the place.
 */
export function plannedEdges(
  tasks: readonly PlannedTask[],
  workstream: string,
  nodes: ReadonlyMap<string, number>,
  place: Place,
): PlannedEdge[] {
  const edges: PlannedEdge[] = [];
  for (const [blocked, task] of tasks.entries()) {
    const seen = new Set<number>();
    for (const [index, written] of task.blockedBy.entries()) {
      const { task: text, until } = atPlace(place, pathOf([blocked, index]), () => parseAwaited(written));
      const blocker =
        nodes.get(text) ?? nodes.get(nameIn({ workstream, name: task.name }, text, place, [blocked, index]));
      if (blocker === undefined) throw unknownTask(text, workstream, nodes, place(pathOf([blocked, index])));
      if (seen.has(blocker)) continue;
      seen.add(blocker);
      edges.push({ blocker, blocked, until, index });
    }
  }
  return edges;
}

type EdgeAt = [task: number, index: number];

function pathOf([task, index]: EdgeAt): PlanPath {
  return ["tasks", task, "blockedBy", index];
}

function nameIn(blocked: TaskRef, text: string, place: Place, at: EdgeAt): string {
  return atPlace(place, pathOf(at), () => blockerRef(blocked, text)).name;
}

function unknownTask(name: string, workstream: string, nodes: ReadonlyMap<string, number>, place: string): Fault {
  return new Fault(
    "missing",
    "task.not_found",
    `${place}: there is no task ${quote(name)} in the plan or in ${workstream}.${didYouMean(name, nodes.keys())}`,
    [{ intent: "See the tasks", command: `mu task list -w ${workstream}` }],
    { place },
  );
}

/** Two arrays of edge ends, for graphs of any size. */
export interface EdgeEnds {
  blockers: readonly number[];
  blocked: readonly number[];
}

/**
 * Refuses a plan whose `fresh` edges close a loop, alone or with edges that are `there`. Faults `task.cycle`
 * at the first edge of the plan in the loop, with the loop as `path`.
 */
export function requireAcyclicPlan(
  names: readonly string[],
  there: EdgeEnds,
  fresh: readonly PlannedEdge[],
  place: Place,
): void {
  const loop = findLoop(names.length, {
    blockers: [...there.blockers, ...fresh.map((edge) => edge.blocker)],
    blocked: [...there.blocked, ...fresh.map((edge) => edge.blocked)],
  });
  if (loop === undefined) return;
  const nextOf = new Map(loop.map((node, index) => [node, loop[(index + 1) % loop.length]]));
  const closing = fresh.find((edge) => nextOf.get(edge.blocked) === edge.blocker);
  const start = closing === undefined ? 0 : loop.indexOf(closing.blocked);
  const path = [...loop.slice(start), ...loop.slice(0, start + 1)].map((node) => names[node] ?? "?");
  const where = closing === undefined ? "" : place(pathOf([closing.blocked, closing.index]));
  throw new Fault(
    "conflict",
    "task.cycle",
    `${where}: that would let ${path[0]} wait for itself: ${shortened(path).join(" ← ")}.`,
    [{ intent: "See what a plan looks like", command: "mu task apply --help" }],
    { place: where, path: shortened(path) },
  );
}

/** The names of a loop that a message shows at either end. */
const SHOWN = 5;

function shortened(path: readonly string[]): string[] {
  if (path.length <= 2 * SHOWN + 1) return [...path];
  return [...path.slice(0, SHOWN), `… ${path.length - 2 * SHOWN} more …`, ...path.slice(-SHOWN)];
}

/** Some loop, each node followed by one of its blockers, or undefined. */
function findLoop(size: number, { blockers, blocked }: EdgeEnds): number[] | undefined {
  const { order } = topologicalOrder(size, blockers, blocked);
  if (order.length === size) return undefined;
  const stuck = new Uint8Array(size).fill(1);
  for (const node of order) stuck[node] = 0;
  // Every stuck node has a stuck blocker: walking up from any of them must come back to where it was.
  const up = new Map<number, number>();
  for (const [edge, node] of blocked.entries()) {
    const blocker = blockers[edge] as number;
    if (stuck[node] === 1 && stuck[blocker] === 1 && !up.has(node)) up.set(node, blocker);
  }
  const seen = new Map<number, number>();
  const way: number[] = [];
  let node = up.keys().next().value ?? 0;
  while (!seen.has(node)) {
    seen.set(node, way.length);
    way.push(node);
    node = up.get(node) ?? node;
  }
  return way.slice(seen.get(node));
}
