import type { Change } from "../../db/events.js";
import { REFERENCES } from "../../db/relations.js";
import { JOURNALLED, type JournalledTable } from "../../db/schema.js";
import type { Tx } from "../../db/write.js";
import { checkAcyclic, mayCloseCycle } from "./acyclic.js";
import { imageOf, type NetChange, type Row, rowKey } from "./net-changes.js";
import { PASSING_COLUMNS } from "./obstacles.js";

/**
 * Turns net changes back, in an order that keeps every reference whole at each step. Faults `task.cycle` when an edge
 * that comes back would close one.
 */
export async function putBack(tx: Tx, net: Map<string, NetChange>): Promise<void> {
  const all = [...net.values()];
  const patches = all.filter((change) => "changed" in change);
  const renamed = patches.filter(({ changed }) => "name" in changed);
  if (renamed.length > 1) for (const { table, id } of renamed) await tx.patch(table, id, placeholder(id));

  const staysWhole = (column: string, then: unknown) => column in PARENTS && !isGone(net, column, then);
  for (const change of patches) await patchBack(tx, change, staysWhole);
  for (const change of inOrder(all.filter((change) => "made" in change)).reverse()) {
    await tx.remove(change.table, change.id);
  }
  for (const change of patches) await patchBack(tx, change, (column) => !(column in PARENTS));
  for (const { table, id, gone } of inOrder(all.filter((change) => "gone" in change))) {
    await tx.restore(table, { id, ...gone } as never);
  }
  for (const change of patches) await patchBack(tx, change, (column, then) => isGone(net, column, then));
  if (mayCloseCycle(edgesBack(net))) await checkAcyclic(tx.db);
}

/** Rows that swapped their names must not meet on the way back. */
const placeholder = (id: number) => ({ name: `undoing_${id}` }) as never;

type Changed = Extract<NetChange, { changed: unknown }>;

/** Turns back the columns that `takes` says yes to, by name and by the value that they get. */
async function patchBack(
  tx: Tx,
  { table, id, changed }: Changed,
  takes: (column: string, then: unknown) => boolean,
): Promise<void> {
  const columns = Object.entries(changed).filter(([column, [then]]) => takes(column, then));
  const back: Row = Object.fromEntries(
    columns.filter(([column]) => !PASSING_COLUMNS.has(column)).map(([column, [then]]) => [column, then]),
  );
  if (columns.length === 0) return;
  await tx.patch(table, id, (table === "tasks" ? { ...back, updated_at: tx.now } : back) as never);
}

/** Whether a value is the id of a row that must be restored first. */
function isGone(net: Map<string, NetChange>, column: string, id: unknown): boolean {
  const parent = net.get(rowKey(PARENTS[column] ?? "", id));
  return parent !== undefined && "gone" in parent;
}

const PARENTS: Readonly<Record<string, JournalledTable>> = Object.fromEntries(
  REFERENCES.map(({ column, to }) => [column, to]),
);

/** Rows in the order in which they can be put back: parents first, and a task's root before the task. */
function inOrder<C extends NetChange>(changes: readonly C[]): C[] {
  const byKey = new Map(changes.map((change) => [rowKey(change.table, change.id), change]));
  const placed = new Set<C>();
  const place = (change: C) => {
    const chain: C[] = [];
    for (let next: C | undefined = change; next !== undefined && !placed.has(next) && !chain.includes(next); ) {
      chain.push(next);
      next = byKey.get(rowKey("tasks", imageOf(next).root_id));
    }
    for (const one of chain.reverse()) placed.add(one);
  };
  for (const table of JOURNALLED) for (const change of changes) if (change.table === table) place(change);
  return [...placed];
}

/** The edges that come back, as changes. */
function edgesBack(net: Map<string, NetChange>): Change[] {
  return [...net.values()].flatMap((change): Change[] => {
    const { table, id } = change;
    if ("gone" in change) return [{ table, id, insert: change.gone }];
    return "changed" in change ? [{ table, id, patch: change.changed }] : [];
  });
}
