import { Fault } from "../errors.js";
import { didYouMean, quote, type TaskRef } from "../names.js";
import { blockerRef } from "./graph.js";
import { atPlace, type Place, type PlannedTask } from "./planned-tasks.js";

/** An edge that a plan asks for, between nodes: the plan's tasks by their index, then the workstream's others. */
export interface PlannedEdge {
  blocker: number;
  blocked: number;
  /** Index in the `blockedBy` of the blocked task. */
  index: number;
}

/**
 * The edges of a plan, each once. `nodes` knows the names of the plan and of the workstream. Faults
 * `task.not_found`, `task.cross_workstream`, with the place.
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
    for (const [index, text] of task.blockedBy.entries()) {
      const path = ["tasks", blocked, "blockedBy", index];
      const blocker = nodes.get(text) ?? nodes.get(nameIn({ workstream, name: task.name }, text, place, path));
      if (blocker === undefined) throw unknownTask(text, workstream, nodes, place(path));
      if (seen.has(blocker)) continue;
      seen.add(blocker);
      edges.push({ blocker, blocked, index });
    }
  }
  return edges;
}

function nameIn(blocked: TaskRef, text: string, place: Place, path: (string | number)[]): string {
  return atPlace(place, path, () => blockerRef(blocked, text)).name;
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
  const where = closing === undefined ? "" : place(["tasks", closing.blocked, "blockedBy", closing.index]);
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

/** Some loop, each node followed by one of its blockers, or undefined: what is left when all that can start has gone. */
function findLoop(size: number, { blockers, blocked }: EdgeEnds): number[] | undefined {
  const waitsFor = new Int32Array(size);
  for (const node of blocked) waitsFor[node] = (waitsFor[node] ?? 0) + 1;
  const starts = new Int32Array(size + 1);
  for (const node of blockers) starts[node + 1] = (starts[node + 1] ?? 0) + 1;
  for (let node = 0; node < size; node++) starts[node + 1] = (starts[node + 1] ?? 0) + (starts[node] ?? 0);
  const next = new Int32Array(blockers.length);
  const filled = starts.slice();
  for (const [edge, from] of blockers.entries()) {
    const slot = filled[from] ?? 0;
    next[slot] = blocked[edge] ?? 0;
    filled[from] = slot + 1;
  }

  const done: number[] = [];
  for (let node = 0; node < size; node++) if (waitsFor[node] === 0) done.push(node);
  for (let at = 0; at < done.length; at++) {
    const from = done[at] ?? 0;
    for (let slot = starts[from] ?? 0; slot < (starts[from + 1] ?? 0); slot++) {
      const to = next[slot] ?? 0;
      waitsFor[to] = (waitsFor[to] ?? 0) - 1;
      if (waitsFor[to] === 0) done.push(to);
    }
  }
  return done.length === size ? undefined : loopAmong(waitsFor, { blockers, blocked });
}

/** Every node that still waits has a blocker that does: walking up must come back to where it was. */
function loopAmong(waitsFor: Int32Array, { blockers, blocked }: EdgeEnds): number[] {
  const up = new Map<number, number>();
  for (const [edge, node] of blocked.entries()) {
    const blocker = blockers[edge] ?? 0;
    if ((waitsFor[node] ?? 0) > 0 && (waitsFor[blocker] ?? 0) > 0 && !up.has(node)) up.set(node, blocker);
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
