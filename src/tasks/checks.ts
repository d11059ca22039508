import { fromRow } from "../db/from-row.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { NewRow, Tx } from "../db/write.js";
import { shape, type TypeOf } from "../shape.js";

/** One run of a check command on a task's work. */
export const CHECK = shape({
  command: "string",
  author: "string",
  green: "boolean",
  /** Null when a signal or the timeout ended it. */
  exitCode: "number | null",
  seconds: "number",
  /** The commit and the tree (uncommitted files included) that were checked; null where there is no such thing. */
  commit: "string | null",
  tree: "string | null",
  /** The last 50 lines of its output. */
  tail: "string",
  createdAt: "string",
});

export type Check = TypeOf<typeof CHECK>;

/** A check that was run, before it is written down. */
export type NewCheck = Omit<NewRow<"checks">, "task_id">;

const selectLast = statement((db, { task }: { task: number }) =>
  db.selectFrom("checks").selectAll().where("task_id", "=", task).orderBy("id", "desc").limit(1),
);

/** The newest check of the task with this row id; null when none was run. */
export async function lastCheck(db: Reader, task: number): Promise<Check | null> {
  const [row] = await selectLast(db, { task });
  return row === undefined ? null : toCheck(row);
}

/** The public shape of a row. */
export function toCheck(row: NewCheck & { created_at: string }): Check {
  return fromRow(CHECK, { ...row, green: row.exit_code === 0, commit: row.commit_id });
}

/** Writes a check down inside a write. */
export async function insertCheck(tx: Tx, task: number, check: NewCheck): Promise<Check> {
  return toCheck(await tx.insert("checks", { task_id: task, ...check }));
}
