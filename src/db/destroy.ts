import {
  describeTable,
  goingWith,
  isJournalled,
  JOURNALLED,
  type JournalledTable,
  type Row,
  rowsWhere,
} from "./relations.js";
import type { Reader } from "./schema.js";
import { portions } from "./statement.js";
import type { Tx } from "./write.js";

type Doomed = Map<JournalledTable, Map<number, Row>>;

/** Deletes rows with everything that goes with them; see `destroyedWith`. */
export async function removeRows(tx: Tx, table: JournalledTable, ids: readonly number[]): Promise<void> {
  const doomed: Doomed = new Map();
  await collect(tx.db, doomed, table, await rowsWhere(tx.db, table, "id", ids));
  for (const own of [...JOURNALLED].reverse()) {
    const rows = doomed.get(own) ?? new Map<number, Row>();
    await forgetRows(tx.db, own, [...rows.keys()]);
    for (const [id, row] of rows) await loosen(tx, own, id, row);
    for (const id of rows.keys()) await tx.remove(own, id);
  }
}

/** Deletes what goes with rows and is not journalled, and leaves the rows themselves. */
export async function forgetRows(db: Reader, table: JournalledTable, ids: readonly number[]): Promise<void> {
  for (const { name, column } of goingWith(table)) {
    if (isJournalled(name)) continue;
    for (const portion of portions(ids)) {
      const query = db.deleteFrom(name as "tasks").where(column as "id", "in", portion);
      await query.execute();
    }
  }
}

async function collect(db: Reader, doomed: Doomed, table: JournalledTable, rows: readonly Row[]): Promise<void> {
  const known = doomed.get(table) ?? new Map<number, Row>();
  const fresh = rows.filter(({ id }) => !known.has(Number(id)));
  if (fresh.length === 0) return;
  for (const row of fresh) known.set(Number(row.id), row);
  doomed.set(table, known);
  const ids = fresh.map(({ id }) => Number(id));
  for (const { name, column } of goingWith(table)) {
    if (isJournalled(name)) await collect(db, doomed, name, await rowsWhere(db, name, column, ids));
  }
}

/** Rows of one table may refer to each other, in circles too; none does when the first is deleted. */
async function loosen(tx: Tx, table: JournalledTable, id: number, row: Row): Promise<void> {
  const set = Object.entries(describeTable(table).references).filter(
    ([column, to]) => to === table && row[column] !== null,
  );
  if (set.length > 0) await tx.patch(table, id, Object.fromEntries(set.map(([column]) => [column, null])) as never);
}
