import type { BoardTask } from "./board.js";

/** Live tasks by how many live ones must be done before them, one after another. */
export function layersOf(tasks: readonly BoardTask[]): BoardTask[][] {
  const waits = new Map(tasks.map(({ name, waitsFor }) => [name, waitsFor]));
  const depths = new Map<string, number>();
  const layers: BoardTask[][] = [];
  // The graph has no cycles, and a stack stands for the recursion: chains are as long as they like.
  for (const { name } of tasks) {
    const stack = [name];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const blockers = (waits.get(top) ?? []).filter((one) => waits.has(one));
      const unknown = depths.has(top) ? [] : blockers.filter((one) => !depths.has(one));
      if (unknown.length > 0) {
        stack.push(...unknown);
        continue;
      }
      stack.pop();
      depths.set(
        top,
        blockers.reduce((deepest, one) => Math.max(deepest, (depths.get(one) ?? 0) + 1), 0),
      );
    }
  }
  for (const task of tasks) {
    const depth = depths.get(task.name) ?? 0;
    layers[depth] ??= [];
    layers[depth].push(task);
  }
  return layers;
}
