import { type Change, MACHINE_SCOPE } from "../../db/events.js";
import type { JournalledTable, Reader } from "../../db/schema.js";

type Row = Record<string, unknown>;

/** Ids asked for at a time: both dialects limit how many values one query may bind. */
const PORTION = 500;

/**
 * The chains of changes whose op cannot know them beforehand: the workstream's when all rows are of one, else
 * the machine's, which carries the changes, and then a mention in each workstream's.
 */
export async function scopesOf(db: Reader, changes: readonly Change[]): Promise<string[]> {
  const names = await workstreamsOf(db, changes);
  return names.length === 1 ? names : [MACHINE_SCOPE, ...names];
}

/**
 * The names of the workstreams whose rows were changed, sorted; of a renamed one both names. `db` may be asked
 * before or after the changes are made.
 */
export async function workstreamsOf(db: Reader, changes: readonly Change[]): Promise<string[]> {
  const rows = await withParents(db, changes);
  const tasks = new Set(rows.flatMap(({ row }) => PARENT_TASKS.map((column) => row[column])));
  const imaged = new Map(rows.filter(({ table }) => table === "tasks").map(({ id, row }) => [id, row]));
  const parents = await lookUp(db, "tasks", [...tasks].filter((id) => isId(id) && !imaged.has(id)) as number[]);
  const ids = new Set<number>();
  const names = new Set<string>();
  for (const { table, row } of [...rows, ...parents]) {
    if (table === "workstreams") names.add(String(row.name));
    else if (table === "salvages") names.add(String(row.workstream));
    else if (isId(row.workstream_id)) ids.add(row.workstream_id);
  }
  for (const { table, id } of rows) if (table === "workstreams") ids.delete(id);
  for (const { row } of await lookUp(db, "workstreams", [...ids])) names.add(String(row.name));
  return [...names].sort();
}

const PARENT_TASKS = ["task_id", "blocker_id", "blocked_id"] as const;
const isId = (value: unknown): value is number => typeof value === "number";

interface FoundRow {
  table: JournalledTable;
  id: number;
  row: Row;
}

/** The images of the changes; a patch that does not say whose row it is comes with the row as it is. */
async function withParents(db: Reader, changes: readonly Change[]): Promise<FoundRow[]> {
  const rows: FoundRow[] = [];
  const toAsk = new Map<JournalledTable, Set<number>>();
  for (const change of changes) {
    const table = change.table as JournalledTable;
    for (const row of images(change)) rows.push({ table, id: change.id, row });
    if ("patch" in change) toAsk.set(table, (toAsk.get(table) ?? new Set()).add(change.id));
  }
  for (const [table, ids] of toAsk) rows.push(...(await lookUp(db, table, [...ids])));
  return rows;
}

function images(change: Change): Row[] {
  if ("insert" in change) return [change.insert];
  if ("remove" in change) return [change.remove];
  const columns = ["workstream_id", "name", ...PARENT_TASKS].filter((column) => column in change.patch);
  const side = (at: 0 | 1) => Object.fromEntries(columns.map((column) => [column, change.patch[column]?.[at]]));
  return columns.length === 0 || (change.table !== "workstreams" && columns.join() === "name")
    ? []
    : [side(0), side(1)];
}

async function lookUp(db: Reader, table: JournalledTable, ids: readonly number[]): Promise<FoundRow[]> {
  const found: FoundRow[] = [];
  for (let at = 0; at < ids.length; at += PORTION) {
    const portion = ids.slice(at, at + PORTION);
    const rows = await db
      .selectFrom(table as "tasks")
      .selectAll()
      .where("id", "in", portion)
      .execute();
    for (const row of rows) found.push({ table, id: row.id, row: { ...row } });
  }
  return found;
}
