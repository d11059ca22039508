import { sql } from "kysely";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { EDGE_LEVELS, type EdgeLevel } from "./edge.js";
import { TASK_STATUSES, type TaskStatus, taskRow } from "./task.js";

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
  /** What the edge to the task above asks of its blocker; null for the root. */
  until: [EDGE_LEVELS, null],
  /** True where what is below the task is shown at an earlier place. */
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
  /** How far below the root to look; all the way without it. */
  depth?: number | undefined;
}

/**
 * All that the task waits for, or all that waits for it. A task that is reached twice is expanded once; neither
 * the depth nor the size of the graph is bounded. Faults `task.not_found`.
 */
export async function taskTree(db: Reader, ref: TaskRef, options: TreeOptions = {}): Promise<TaskTree> {
  const direction = options.direction ?? "blockers";
  const root = await taskRow(db, ref);
  const query = QUERIES[direction];
  const edges = await query.edges(db, { root: root.id });
  const tasks = new Map((await query.tasks(db, { root: root.id })).map((task) => [task.id, task]));
  const items = flatten(root.id, childrenByName(edges, tasks), tasks, options.depth ?? Number.POSITIVE_INFINITY);
  return { direction, root: root.name, items, count: items.length };
}

interface Edge {
  above: number;
  below: number;
  until: string;
}

interface TreeTask {
  id: number;
  name: string;
  status: string;
  title: string;
}

/** `near` is the edge's end at the side of the root. */
const treeQueries = (near: "blocked_id" | "blocker_id", far: "blocker_id" | "blocked_id") => {
  const reach = (root: number) => sql<number>`(
    with recursive reach(id) as (
      select id from tasks where id = ${root}
      union
      select e.${sql.ref(far)} from reach r join task_edges e on e.${sql.ref(near)} = r.id)
    select id from reach)`;
  return {
    edges: statement((db, { root }: { root: number }) =>
      db
        .selectFrom("task_edges as e")
        .select([`e.${near} as above`, `e.${far} as below`, "e.until"])
        .where(`e.${near}`, "in", reach(root)),
    ),
    tasks: statement((db, { root }: { root: number }) =>
      db.selectFrom("tasks as t").select(["t.id", "t.name", "t.status", "t.title"]).where("t.id", "in", reach(root)),
    ),
  };
};

const QUERIES = {
  blockers: treeQueries("blocked_id", "blocker_id"),
  dependents: treeQueries("blocker_id", "blocked_id"),
};

/** A task below another, by way of an edge that asks for `until`. */
interface Child extends TreeTask {
  until: EdgeLevel;
}

type Children = Map<number, Child[]>;

function childrenByName(edges: readonly Edge[], tasks: ReadonlyMap<number, TreeTask>): Children {
  const children: Children = new Map();
  for (const { above, below, until } of edges) {
    const task = tasks.get(below);
    if (task === undefined) continue;
    const child = { ...task, until: until as EdgeLevel };
    const known = children.get(above);
    if (known === undefined) children.set(above, [child]);
    else known.push(child);
  }
  for (const siblings of children.values()) siblings.sort((a, b) => (a.name < b.name ? -1 : 1));
  return children;
}

function flatten(root: number, children: Children, tasks: ReadonlyMap<number, TreeTask>, depth: number): TreeItem[] {
  const items: TreeItem[] = [];
  const shown = new Set<number>();
  const stack: { task: TreeTask; depth: number; parent: string | null; until: EdgeLevel | null }[] = [
    { task: tasks.get(root) as TreeTask, depth: 0, parent: null, until: null },
  ];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { task, parent } = next;
    const repeated = shown.has(task.id);
    items.push({
      name: task.name,
      status: task.status as TaskStatus,
      title: task.title,
      depth: next.depth,
      parent,
      until: next.until,
      repeated,
    });
    const below = children.get(task.id) ?? [];
    if (repeated || (next.depth >= depth && below.length > 0)) continue;
    shown.add(task.id);
    for (let at = below.length - 1; at >= 0; at--) {
      const child = below[at] as Child;
      stack.push({ task: child, depth: next.depth + 1, parent: task.name, until: child.until });
    }
  }
  return items;
}

/** Lines are indented down to here; below, a line begins with its depth instead. */
const DEEPEST_INDENT = 32;
/** Titles are cut here, so that a line stays a line. */
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

/** Whether each item is its parent's last child; found from the end, where what follows is known. */
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
