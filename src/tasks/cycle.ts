import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { Fault } from "../errors.js";

/** A task as the search for loops knows it. */
export interface Node {
  id: number;
  name: string;
  workstream: string;
}

/** The names of a loop that a message shows at either end. */
const SHOWN = 5;

interface Ends {
  blocked: number;
  blocker: number;
}

/** Everything above the blocker; nothing when `blocked` blocks no task, for then no loop can pass through it. */
const upward = (db: Reader, { blocked, blocker }: Ends) =>
  db.withRecursive("up", (query) =>
    query
      .selectFrom("tasks")
      .select("tasks.id")
      .where("tasks.id", "=", blocker)
      .where((e) => e.exists(e.selectFrom("task_edges").select("id").where("blocker_id", "=", blocked)))
      .union(query.selectFrom("up").innerJoin("task_edges as e", "e.blocked_id", "up.id").select("e.blocker_id as id")),
  );

const selectLoop = statement((db, ends: Ends) =>
  upward(db, ends).selectFrom("up").select("up.id").where("up.id", "=", ends.blocked).limit(1),
);

const selectEdgesUpward = statement((db, ends: Ends) =>
  upward(db, ends)
    .selectFrom("up")
    .innerJoin("task_edges as e", "e.blocked_id", "up.id")
    .select(["e.blocked_id as below", "e.blocker_id as above"]),
);

/**
 * Refuses the edge that would let `blocked` wait for itself. One query that walks the graph upward; only a
 * loop costs more, to be named. Faults `task.cycle` with the `path` from `blocked` to itself.
 */
export async function requireAcyclic(db: Reader, blocked: Node, blocker: Node): Promise<void> {
  if (blocked.id === blocker.id) throw cycle(blocked, [blocked.name, blocked.name]);
  const ends = { blocked: blocked.id, blocker: blocker.id };
  if ((await selectLoop(db, ends)).length === 0) return;
  const ids = shortestWay(await selectEdgesUpward(db, ends), blocker.id, blocked.id);
  throw cycle(blocked, [blocked.name, ...(await namesOf(db, ids))]);
}

/** The row ids from `from` up to `to`, both included, breadth first. */
function shortestWay(edges: readonly { below: number; above: number }[], from: number, to: number): number[] {
  const above = new Map<number, number[]>();
  for (const edge of edges) {
    const known = above.get(edge.below);
    if (known === undefined) above.set(edge.below, [edge.above]);
    else known.push(edge.above);
  }
  const cameFrom = new Map<number, number>();
  const queue = [from];
  for (let at = 0; at < queue.length && !cameFrom.has(to); at++) {
    const id = queue[at] as number;
    for (const next of above.get(id) ?? []) {
      if (cameFrom.has(next) || next === from) continue;
      cameFrom.set(next, id);
      queue.push(next);
    }
  }
  const way = [to];
  for (let id = cameFrom.get(to); id !== undefined; id = cameFrom.get(id)) way.push(id);
  return way.reverse();
}

/** The names of a way, with a gap where it is too long to be shown. */
async function namesOf(db: Reader, ids: readonly number[]): Promise<string[]> {
  const shown = ids.length <= 2 * SHOWN ? ids : [...ids.slice(0, SHOWN), ...ids.slice(-SHOWN)];
  const rows = await db.selectFrom("tasks").select(["id", "name"]).where("id", "in", shown).execute();
  const names = new Map(rows.map((row) => [row.id, row.name]));
  const named = shown.map((id) => names.get(id) ?? "?");
  if (shown.length < ids.length) named.splice(SHOWN, 0, `… ${ids.length - shown.length} more …`);
  return named;
}

function cycle(blocked: Node, path: string[]): Fault {
  return new Fault(
    "conflict",
    "task.cycle",
    `That would let ${blocked.name} wait for itself: ${path.join(" ← ")}.`,
    [{ intent: "See what it waits for", command: `mu task tree ${blocked.name} -w ${blocked.workstream}` }],
    { path },
  );
}
