import { Fault } from "../errors.js";
import { didYouMean, quote, type TaskRef } from "../names.js";
import { cycleFault, findCycle } from "../topology.js";
import { blockerRef } from "./graph.js";
import { type EdgeLevel, parseAwaited } from "./level.js";
import { atPlace, type Place, type PlannedTask, type PlanPath } from "./planned-tasks.js";

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
 * Refuses a plan whose `fresh` edges close a cycle, alone or with edges that are `there`. Faults `task.cycle`
 * at the first edge of the plan in the cycle, with the cycle as `path`.
 */
export function requireAcyclicPlan(
  names: readonly string[],
  there: EdgeEnds,
  fresh: readonly PlannedEdge[],
  place: Place,
): void {
  const blockers = [...there.blockers, ...fresh.map((edge) => edge.blocker)];
  const found = findCycle(names.length, blockers, [...there.blocked, ...fresh.map((edge) => edge.blocked)]);
  if (found === undefined) return;
  const nextOf = new Map(found.map((node, index) => [node, found[(index + 1) % found.length]]));
  const closing = fresh.find((edge) => nextOf.get(edge.blocked) === edge.blocker);
  const start = closing === undefined ? 0 : found.indexOf(closing.blocked);
  const path = [...found.slice(start), ...found.slice(0, start + 1)].map((node) => names[node] ?? "?");
  const where = closing === undefined ? "" : place(pathOf([closing.blocked, closing.index]));
  throw cycleFault(path, [{ intent: "See what a plan looks like", command: "mu task apply --help" }], where);
}
