import { Fault, type NextStep } from "./errors.js";

/** Nodes 0 … size − 1 in an order in which blockers come first, and what each of them blocks. */
export interface TopologicalOrder {
  /** Shorter than the graph if it has a cycle: nodes on a cycle, or behind one, are left out. */
  order: Int32Array;
  /** Node `n` blocks `next[starts[n]]` up to, not including, `next[starts[n + 1]]`. */
  starts: Int32Array;
  next: Int32Array;
}

/**
 * Orders a graph given by two arrays of edge ends, in O(V + E) and without recursion. The arrays are read in place:
 * a function call per access costs more than the work while the code is cold, as it is in a command.
 */
export function topologicalOrder(
  size: number,
  blockers: ArrayLike<number>,
  blocked: ArrayLike<number>,
): TopologicalOrder {
  const starts = new Int32Array(size + 1);
  const missing = new Int32Array(size);
  for (let edge = 0; edge < blockers.length; edge++) {
    const from = blockers[edge] as number;
    const to = blocked[edge] as number;
    starts[from + 1] = (starts[from + 1] as number) + 1;
    missing[to] = (missing[to] as number) + 1;
  }
  for (let node = 0; node < size; node++) starts[node + 1] = (starts[node + 1] as number) + (starts[node] as number);

  const next = new Int32Array(blockers.length);
  const filled = starts.slice();
  for (let edge = 0; edge < blockers.length; edge++) {
    const from = blockers[edge] as number;
    const slot = filled[from] as number;
    next[slot] = blocked[edge] as number;
    filled[from] = slot + 1;
  }

  const order = new Int32Array(size);
  let known = 0;
  for (let node = 0; node < size; node++) if (missing[node] === 0) order[known++] = node;
  for (let done = 0; done < known; done++) {
    const from = order[done] as number;
    const end = starts[from + 1] as number;
    for (let slot = starts[from] as number; slot < end; slot++) {
      const to = next[slot] as number;
      const left = (missing[to] as number) - 1;
      missing[to] = left;
      if (left === 0) order[known++] = to;
    }
  }
  return { order: order.subarray(0, known), starts, next };
}

/** Some cycle of the graph, each node followed by one of its blockers; undefined when there is none. O(V + E). */
export function findCycle(size: number, blockers: ArrayLike<number>, blocked: ArrayLike<number>): number[] | undefined {
  const { order } = topologicalOrder(size, blockers, blocked);
  if (order.length === size) return undefined;
  const stuck = new Uint8Array(size).fill(1);
  for (const node of order) stuck[node] = 0;
  // Every stuck node has a stuck blocker: walking up from any of them must come back to where it was.
  const up = new Map<number, number>();
  for (let edge = 0; edge < blocked.length; edge++) {
    const [from, to] = [blockers[edge] as number, blocked[edge] as number];
    if (stuck[to] === 1 && stuck[from] === 1 && !up.has(to)) up.set(to, from);
  }
  const seen = new Map<number, number>();
  const walk: number[] = [];
  let node = up.keys().next().value ?? 0;
  while (!seen.has(node)) {
    seen.set(node, walk.length);
    walk.push(node);
    node = up.get(node) ?? node;
  }
  return walk.slice(seen.get(node));
}

/**
 * Some cycle of edges between ids, each id followed by one of its blockers, from `start` if that is on it, and back to
 * where it began; undefined when there is none.
 */
export function findCycleOfIds(edges: readonly { blocker: number; blocked: number }[], start?: number) {
  const ids = [...new Set(edges.flatMap(({ blocked, blocker }) => [blocked, blocker]))];
  const node = new Map(ids.map((id, index) => [id, index]));
  const side = (end: "blocker" | "blocked") => edges.map((edge) => node.get(edge[end]) as number);
  const found = findCycle(ids.length, side("blocker"), side("blocked"))?.map((index) => ids[index] as number);
  if (found === undefined) return undefined;
  const first = start === undefined ? 0 : Math.max(0, found.indexOf(start));
  return [...found.slice(first), ...found.slice(0, first + 1)];
}

/** Names at either end of a cycle that a message shows. */
const SHOWN = 5;

/** The fault `task.cycle` for `path`, whose first and last name are the same; `place` is where a plan asks for it. */
export function cycleFault(path: readonly string[], nextSteps: readonly NextStep[], place?: string): Fault {
  const [task = "it"] = path;
  const gap = path.length - 2 * SHOWN;
  const shown = gap < 2 ? [...path] : [...path.slice(0, SHOWN), `… ${gap} more …`, ...path.slice(-SHOWN)];
  return new Fault(
    "conflict",
    "task.cycle",
    `${place === undefined ? "That" : `${place}: that`} would let ${task} wait for itself: ${shown.join(" ← ")}.`,
    nextSteps,
    { ...(place !== undefined && { place }), path: shown },
  );
}
