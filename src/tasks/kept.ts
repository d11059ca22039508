import type { Reader } from "../db/schema.js";
import { rowsByIds } from "../db/statement.js";
import { taskColumnEntries } from "../db/task-columns.js";
import type { NewRow, Tx } from "../db/write.js";
import { groupBy } from "../groups.js";
import { checkTaskName } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { cycleFault, findCycle } from "../topology.js";
import { awaitedName, parseAwaited } from "./edge.js";
import { cleanText, moment, newTaskRow, storedColumn } from "./fields.js";
import { NOTE, noteKind, noteText } from "./notes.js";
import { selectTasks, TASK, toTask } from "./task.js";

/** Fields that mean something in one workstream and at one moment only. */
const LEFT = ["workstream", "roi", "leaseUntil", "claimGeneration", "formerOwner", "fromRun"] as const;

type LeftField = (typeof LEFT)[number];

/**
 * A task outside of its workstream: in an archive, in a bundle, from another program. Owner, root and blockers are
 * names. Moments are UTC, ISO 8601.
 */
export const KEPT_TASK = shape({
  ...(Object.fromEntries(
    Object.entries(TASK).filter(([field]) => !(LEFT as readonly string[]).includes(field)),
  ) as unknown as Omit<typeof TASK, LeftField>),
  /** The tasks that it waits for, as `build` or `build@landed`. */
  blockedBy: "string[]",
  /** Oldest first; the last five fields are those of a comment of a review. */
  notes: [
    {
      ...NOTE,
      round: "number | null",
      file: "string | null",
      line: "number | null",
      handledAt: "string | null",
      handledBy: "string | null",
    },
  ],
});

export type KeptTask = TypeOf<typeof KEPT_TASK>;
type KeptNote = KeptTask["notes"][number];

const BLANK = Object.fromEntries(
  taskColumnEntries().flatMap(([, { key, kind, initial, nullable }]) => {
    if (key === undefined || !(key in KEPT_TASK) || (kind === "moment" && !nullable)) return [];
    return [[key, kind === "labels" || kind === "texts" ? [] : (initial ?? null)]];
  }),
);

/** A task from elsewhere: what `fields` does not say is as in a new one. */
export function keptTask(name: string, title: string, fields: Partial<KeptTask>): KeptTask {
  return { ...(BLANK as unknown as KeptTask), blockedBy: [], notes: [], ...fields, name, title };
}

/** A note from elsewhere. */
export function keptNote(note: Partial<KeptNote> & Pick<KeptNote, "author" | "text" | "createdAt">): KeptNote {
  const none = { rationale: null, round: null, file: null, line: null, handledAt: null, handledBy: null };
  return { kind: "note", ...none, ...note };
}

/** The tasks of a workstream, by row id, in the order in which they were added. */
export async function readKept(db: Reader, workstreamId: number): Promise<KeptTask[]> {
  const rows = await selectTasks(db).where("t.workstream_id", "=", workstreamId).orderBy("t.id").execute();
  const ids = rows.map(({ id }) => id);
  const edges = await rowsByIds(ids, (portion) =>
    db
      .selectFrom("task_edges as e")
      .innerJoin("tasks as b", "b.id", "e.blocker_id")
      .select(["e.blocked_id", "b.name", "e.until"])
      .where("e.blocked_id", "in", portion)
      .orderBy("b.name")
      .execute(),
  );
  const notes = await rowsByIds(ids, (portion) =>
    db.selectFrom("task_notes").selectAll().where("task_id", "in", portion).orderBy("id").execute(),
  );
  const blockersOf = groupBy(edges, (edge) => edge.blocked_id);
  const notesOf = groupBy(notes, (note) => note.task_id);
  return rows.map((row) => {
    const { workstream, roi, leaseUntil, claimGeneration, formerOwner, fromRun, ...fields } = toTask(row);
    return {
      ...fields,
      owner: fields.owner ?? formerOwner,
      blockedBy: (blockersOf.get(row.id) ?? []).map(awaitedName),
      notes: (notesOf.get(row.id) ?? []).map(({ id, task_id, created_at, handled_at, handled_by, ...note }) => ({
        ...note,
        kind: noteKind(note.kind),
        ...{ createdAt: created_at, handledAt: handled_at, handledBy: handled_by },
      })),
    };
  });
}

/** What came back; `left` says what could not, a line each. */
export const RESTORATION = shape({ tasks: "number", edges: "number", notes: "number", left: "string[]" });

export type Restoration = TypeOf<typeof RESTORATION>;

/**
 * Adds kept tasks to a workstream that has none of their names, in the write of the caller, with their statuses, notes
 * and moments. Nobody owns them: who did is kept as text, and what was IN_PROGRESS is OPEN. Edges to tasks that are not
 * there, and a root that is not, are left out. Faults `task.invalid_name`, `task.invalid_field`, `task.invalid_note`,
 * `task.invalid_level`, `task.cycle`.
 */
export async function restoreKeptIn(tx: Tx, workstreamId: number, tasks: readonly KeptTask[]): Promise<Restoration> {
  const left: string[] = [];
  const nodes = new Map(tasks.map(({ name }, index) => [name, index]));
  const edges = tasks.flatMap(({ name, blockedBy }, blocked) =>
    blockedBy.flatMap((text) => {
      const { task, until = "closed" } = parseAwaited(text);
      const blocker = nodes.get(task);
      if (blocker === undefined) left.push(`${name} waited for ${task}, which is not there`);
      return blocker === undefined ? [] : [{ blocker, blocked, until }];
    }),
  );
  requireAcyclic(tasks, edges);
  const rows = tasks.map((task) => rowOf(workstreamId, task, tx.now));
  const ids = await tx.insertAll("tasks", rows);
  const idOf = (index: number) => ids[index] as number;
  for (const [index, { name, root }] of tasks.entries()) {
    const holder = root === null ? undefined : nodes.get(root);
    if (holder !== undefined) await tx.patch("tasks", idOf(index), { root_id: idOf(holder) });
    else if (root !== null) left.push(`${name} belonged to ${root}, which is not there`);
  }
  await tx.insertAll(
    "task_edges",
    edges.map(({ blocker, blocked, until }) => ({ blocker_id: idOf(blocker), blocked_id: idOf(blocked), until })),
  );
  const notes = tasks.flatMap((task, index) => task.notes.map((note) => noteRow(idOf(index), note)));
  await tx.insertAll("task_notes", notes);
  return { tasks: tasks.length, edges: edges.length, notes: notes.length, left };
}

function requireAcyclic(tasks: readonly KeptTask[], edges: readonly { blocker: number; blocked: number }[]): void {
  const found = findCycle(
    tasks.length,
    edges.map(({ blocker }) => blocker),
    edges.map(({ blocked }) => blocked),
  );
  if (found === undefined) return;
  throw cycleFault(
    [...found, ...found.slice(0, 1)].map((node) => tasks[node]?.name ?? "?"),
    [],
  );
}

const COLUMNS = taskColumnEntries().filter(([name, { key }]) => key !== undefined && !name.endsWith("_id"));

function rowOf(workstreamId: number, task: KeptTask, now: string): NewRow<"tasks"> & { created_at: string } {
  checkTaskName(task.name);
  const values = Object.fromEntries(
    COLUMNS.flatMap(([name, column]) => {
      const value = task[column.key as keyof KeptTask];
      return value === undefined ? [] : [[name, storedColumn(name, column, value)]];
    }),
  );
  const { created_at = now, ...columns } = values as { created_at?: string };
  return {
    ...newTaskRow(workstreamId, task.name, { title: task.title }, now),
    ...columns,
    ...(task.status === "IN_PROGRESS" && { status: "OPEN" }),
    ...(task.level === "claimed" && { level: null }),
    former_owner: task.owner === null ? null : cleanText("owner", task.owner),
    created_at,
  };
}

const whole = (value: number | null) => (Number.isSafeInteger(value) ? value : null);

function noteRow(taskId: number, note: KeptNote): NewRow<"task_notes"> & { created_at: string } {
  const text = (field: string, value: string | null) => (value === null ? null : cleanText(field, value));
  const { createdAt, handledAt, handledBy, round, line, file, rationale } = note;
  return {
    task_id: taskId,
    author: cleanText("author", note.author),
    kind: noteKind(note.kind),
    text: noteText(note.text),
    ...{ rationale: text("rationale", rationale), round: whole(round), file: text("file", file), line: whole(line) },
    ...{
      handled_at: handledAt === null ? null : moment("handledAt", handledAt),
      handled_by: text("handled by", handledBy),
    },
    created_at: moment("createdAt", createdAt),
  };
}
