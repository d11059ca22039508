import { topologicalOrder } from "../topology.js";

/** A task as its place in the order is found. */
export interface Orderable {
  id: number;
  closed_at: string | null;
}

/** An edge between tasks. */
export interface Link {
  blocker_id: number;
  blocked_id: number;
}

/** Which of two tasks that do not wait for each other lands first; a better one than age would go here. */
const byAge = (a: Orderable, b: Orderable) =>
  (a.closed_at ?? "") < (b.closed_at ?? "") ? -1 : (a.closed_at ?? "") > (b.closed_at ?? "") ? 1 : a.id - b.id;

/**
 * The tasks so that blockers come first, and where that says nothing by `prefer`. Edges to tasks that are not among
 * them count for nothing.
 */
export function landingOrder<T extends Orderable>(
  tasks: readonly T[],
  edges: readonly Link[],
  prefer: (a: Orderable, b: Orderable) => number = byAge,
): T[] {
  const sorted = [...tasks].sort(prefer);
  const place = new Map(sorted.map((task, index) => [task.id, index]));
  const inside = edges.filter((edge) => place.has(edge.blocker_id) && place.has(edge.blocked_id));
  const ends = (end: keyof Link) => inside.map((edge) => place.get(edge[end]) as number);
  const { starts, next } = topologicalOrder(sorted.length, ends("blocker_id"), ends("blocked_id"));
  return pickInOrder(sorted, starts, next);
}

/** Takes the first in `sorted` whose blockers were all taken, again and again. */
function pickInOrder<T>(sorted: readonly T[], starts: Int32Array, next: Int32Array): T[] {
  const missing = new Int32Array(sorted.length);
  for (const node of next) missing[node] = (missing[node] as number) + 1;
  const left = new Set(sorted.keys());
  const order: T[] = [];
  while (left.size > 0) {
    const node = [...left].find((one) => missing[one] === 0) ?? (left.values().next().value as number);
    left.delete(node);
    order.push(sorted[node] as T);
    for (let slot = starts[node] as number; slot < (starts[node + 1] as number); slot++) {
      const to = next[slot] as number;
      missing[to] = (missing[to] as number) - 1;
    }
  }
  return order;
}
