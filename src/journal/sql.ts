import type { Context } from "../db/context.js";
import { type Change, changeOf, MACHINE_SCOPE, withoutNulls } from "../db/events.js";
import { JOURNALLED, type Row } from "../db/relations.js";
import type { Reader } from "../db/schema.js";
import type { CapturedRow, SqlResult } from "../db/store.js";
import { write } from "../db/write.js";
import { Fault } from "../errors.js";
import { counted } from "../names.js";
import { checkAcyclic, workstreamsOf } from "./rows.js";

/** Characters of a statement that its event keeps. */
const KEPT_TEXT = 4_000;

/**
 * The rows of one hand-written statement that only reads. Whole numbers beyond 2^53 and infinities come as text,
 * blobs as `x'…'`. Faults (usage): `sql.failed`, `sql.not_a_read`, `sql.several`, `sql.empty`.
 */
export async function querySql(context: Context, text: string): Promise<Record<string, unknown>[]> {
  return (await context.store.query(text)).rows;
}

export interface WriteSqlOptions {
  /** Roll back unless exactly this many rows change. */
  confirmRows?: number | undefined;
}

/**
 * Runs hand-written INSERT, REPLACE, UPDATE and DELETE statements in one write, with an event `sql.write` that holds
 * the rows before and after. Its chain is the workstream's when all rows belong to one, else the machine's, with a
 * mention in each workstream's. `rows` are those of the last statement that gave any (RETURNING). Faults (usage):
 * `sql.failed`, `sql.not_allowed`, `sql.value_not_kept`, `sql.rows_mismatch`, `sql.empty`; (conflict) `task.cycle`.
 */
export function writeSql(context: Context, text: string, options: WriteSqlOptions = {}): Promise<SqlResult> {
  return write(
    context,
    { op: "sql.write", scope: scopesOf, subject: "", payload: { sql: kept(text) } },
    async (tx): Promise<SqlResult> => {
      const { captured, ...result } = await context.store.run(tx.db, text, JOURNALLED);
      const changes = captured.flatMap(toChanges);
      if (options.confirmRows !== undefined && options.confirmRows !== result.changes) {
        throw mismatch(result.changes, options.confirmRows);
      }
      await checkAcyclic(tx.db, changes);
      tx.adopt(changes);
      return result;
    },
  );
}

/** The workstream's chain when all rows are of one; else the machine's, with a mention in each workstream's. */
async function scopesOf(db: Reader, changes: readonly Change[]): Promise<string[]> {
  const names = await workstreamsOf(db, changes);
  return names.length === 1 ? names : [MACHINE_SCOPE, ...names];
}

const kept = (text: string) => (text.length > KEPT_TEXT ? `${text.slice(0, KEPT_TEXT)}…` : text);

function mismatch(changed: number, confirmed: number): Fault {
  return new Fault(
    "usage",
    "sql.rows_mismatch",
    `The SQL changes ${counted(changed, "row")}, not ${confirmed}. Nothing was changed.`,
    [{ intent: "Look at the rows first", command: "mu sql 'select …'" }],
    { changes: changed, confirmRows: confirmed },
  );
}

function toChanges({ table, before, after }: CapturedRow): Change[] {
  if (before !== null && after !== null && before.id === after.id) {
    const set = Object.entries(after).filter(([column, value]) => before[column] !== value);
    return set.length === 0 ? [] : [changeOf(table, Number(after.id), { before, after: Object.fromEntries(set) })];
  }
  return [
    ...(before === null ? [] : [changeOf(table, Number(before.id), { before: image(before), after: null })]),
    ...(after === null ? [] : [changeOf(table, Number(after.id), { before: null, after: image(after) })]),
  ];
}

const image = ({ id: _, ...row }: Row) => withoutNulls(row);
