import { sql } from "kysely";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { groupBy } from "../groups.js";
import type { TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { EDGE_LEVELS, type EdgeLevel, isUnder } from "./edge.js";
import { TASK_STATUSES, type TaskRow, type TaskStatus, taskRow } from "./task.js";

/** `blockers`: what the root waits for; `dependents`: what waits for the root. */
export type TreeDirection = "blockers" | "dependents";

export const TREE_ITEM = shape({
  name: "string",
  status: TASK_STATUSES,
  title: "string",
  /** 0 for the root. */
  depth: "number",
  /** The name of the task above it in the tree; null for the root. */
  parent: "string | null",
  /** The level that the edge to the task above requires; null for the root. */
  until: [EDGE_LEVELS, null],
  /** True if the tasks below it are shown at an earlier place. */
  repeated: "boolean",
});

export type TreeItem = TypeOf<typeof TREE_ITEM>;

/** A tree laid flat, parents before their children; the root is the first item. */
export const TASK_TREE = shape({
  direction: ["blockers", "dependents"],
  root: "string",
  items: [TREE_ITEM],
  count: "number",
});

export type TaskTree = TypeOf<typeof TASK_TREE>;

export interface TreeOptions {
  direction?: TreeDirection | undefined;
  /** Levels below the root; all by default. */
  depth?: number | undefined;
}

/**
 * All that the task waits for, or all that waits for it. A task that is reached twice is expanded once; neither
 * the depth nor the size of the graph is bounded. Faults `task.not_found`.
 */
export async function taskTree(db: Reader, ref: TaskRef, options: TreeOptions = {}): Promise<TaskTree> {
  const direction = options.direction ?? "blockers";
  const root = await taskRow(db, ref);
  const edges = await EDGES[direction](db, { root: root.id });
  const children = groupBy(
    edges.sort((a, b) => (a.name < b.name ? -1 : 1)),
    (edge) => edge.above,
  );
  const items = flatten(root, children, options.depth ?? Number.POSITIVE_INFINITY);
  return { direction, root: root.name, items, count: items.length };
}

/** The edges below a task, each with the task at its lower end; `near` is the end at the side of the root. */
const edgesBelow = (near: "blocked_id" | "blocker_id", far: "blocker_id" | "blocked_id") =>
  statement((db, { root }: { root: number }) =>
    db
      .selectFrom("task_edges as e")
      .innerJoin("tasks as t", "t.id", `e.${far}`)
      .select([`e.${near} as above`, "e.until", "t.id", "t.name", "t.status", "t.title"])
      .where(
        `e.${near}`,
        "in",
        sql<number>`(
          with recursive reach(id) as (
            select id from tasks where id = ${root}
            union
            select e.${sql.ref(far)} from reach r join task_edges e on e.${sql.ref(near)} = r.id)
          select id from reach)`,
      ),
  );

const EDGES = {
  blockers: edgesBelow("blocked_id", "blocker_id"),
  dependents: edgesBelow("blocker_id", "blocked_id"),
};

/** The row ids of `isUnder`; undefined without a task. Faults `task.not_found`. */
export async function idsUnder(db: Reader, ref: TaskRef | undefined): Promise<ReadonlySet<number> | undefined> {
  if (ref === undefined) return undefined;
  return new Set((await tasksUnder(db, (await taskRow(db, ref)).id)).keys());
}

/** The tasks of `isUnder` by row id, with their names. */
export async function tasksUnder(db: Reader, root: number): Promise<Map<number, string>> {
  const rows = await db.selectFrom("tasks as t").select(["t.id", "t.name"]).where(isUnder(root)).execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}

type TreeTask = Pick<TaskRow, "id" | "name" | "status" | "title">;
type Children = ReadonlyMap<number, readonly (TreeTask & { until: string })[]>;

function flatten(root: TreeTask, children: Children, depth: number): TreeItem[] {
  const items: TreeItem[] = [];
  const shown = new Set<number>();
  const stack: { task: TreeTask; depth: number; parent: string | null; until: EdgeLevel | null }[] = [
    { task: root, depth: 0, parent: null, until: null },
  ];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { task, ...place } = next;
    const { id, name, title } = task;
    const repeated = shown.has(id);
    items.push({ name, status: task.status as TaskStatus, title, ...place, repeated });
    const below = children.get(id) ?? [];
    if (repeated || (place.depth >= depth && below.length > 0)) continue;
    shown.add(id);
    for (const child of below.toReversed()) {
      stack.push({ task: child, depth: place.depth + 1, parent: name, until: child.until as EdgeLevel });
    }
  }
  return items;
}

/** The deepest level that is indented; below it a line begins with its depth instead. */
const DEEPEST_INDENT = 32;
/** Characters of a title that a line shows. */
const TITLE_LENGTH = 72;

/** The tree as lines for a terminal, without colours. */
export function drawTree(tree: TaskTree): string[] {
  const last = lastAmongSiblings(tree.items);
  /** `rails[d]` is drawn below an item of depth d + 1, left of its children. */
  const rails: string[] = [];
  return tree.items.map((item, at) => {
    if (item.depth === 0) return label(item);
    if (item.depth > DEEPEST_INDENT) return `${item.depth} ${label(item)}`;
    rails.length = item.depth - 1;
    const line = `${rails.join("")}${last[at] ? "└── " : "├── "}${label(item)}`;
    rails.push(last[at] ? "    " : "│   ");
    return line;
  });
}

/** Whether each item is the last child of its parent. */
function lastAmongSiblings(items: readonly TreeItem[]): boolean[] {
  const last = new Array<boolean>(items.length).fill(true);
  const followed: boolean[] = [];
  for (let at = items.length - 1; at >= 0; at--) {
    const depth = items[at]?.depth ?? 0;
    last[at] = !followed[depth];
    followed.length = Math.min(followed.length, depth);
    followed[depth] = true;
  }
  return last;
}

function label({ name, status, title, repeated, until }: TreeItem): string {
  const cut = title.length > TITLE_LENGTH ? `${title.slice(0, TITLE_LENGTH - 1)}…` : title;
  const shown = cut.replace(/[\p{Control}\p{Surrogate}]+/gu, " ");
  const level = until === null || until === "closed" ? "" : ` (until ${until})`;
  return `${name} [${status}] ${shown}${level}${repeated ? " (↻ shown above)" : ""}`;
}
