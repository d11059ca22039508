import { timestamp } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { isProcessAlive, pidOf, processIdentity } from "../processes.js";

type Workstream = { id: number; name: string };

/** How a loop is asked to end: without its runs, or after them. */
export type Stop = "now" | "drain";

/** The loop of a workstream, if its process is alive. */
export async function livingDispatcher(host: Host, { id }: Workstream) {
  const row = await findRow(host.context.store.db, id);
  return row !== undefined && (await isProcessAlive(host, row.process)) ? row : undefined;
}

/** The loop of a workstream that has not ended in good order: since when it runs, and whether its process is alive. */
export async function findDispatcher(
  host: Host,
  { id }: Pick<Workstream, "id">,
): Promise<{ since: string; isAlive: boolean } | undefined> {
  const row = await findRow(host.context.store.db, id);
  return row && { since: row.created_at, isAlive: await isProcessAlive(host, row.process) };
}

/** Makes this process the one loop of the workstream, in place of a dead one. Faults `dispatch.runs_already`. */
export async function takeLease(host: Host, workstream: Workstream): Promise<() => Promise<void>> {
  const process = await processIdentity(host);
  const dead = await findRow(host.context.store.db, workstream.id);
  if (dead !== undefined && (await isProcessAlive(host, dead.process))) throw runsAlready(workstream, dead.process);
  const taken = await host.context.store.write(async (db) => {
    const now = await findRow(db, workstream.id);
    if (now !== undefined && now.process !== dead?.process) return now.process;
    await db.deleteFrom("dispatchers").where("workstream_id", "=", workstream.id).execute();
    const created_at = timestamp(host.context.clock);
    await db
      .insertInto("dispatchers")
      .values({ workstream_id: workstream.id, process, stop: null, created_at })
      .execute();
    return process;
  });
  if (taken !== process) throw runsAlready(workstream, taken);
  return async () => {
    await host.context.store.write((db) =>
      db.deleteFrom("dispatchers").where("workstream_id", "=", workstream.id).where("process", "=", process).execute(),
    );
  };
}

/** Asks the loop to end; false if there is none. */
export async function askToStop(host: Host, workstream: Workstream, stop: Stop): Promise<boolean> {
  const row = await livingDispatcher(host, workstream);
  if (row === undefined) return false;
  await host.context.store.write((db) =>
    db.updateTable("dispatchers").set({ stop }).where("id", "=", row.id).execute(),
  );
  return true;
}

/** What the loop was asked for; null to go on. */
export async function stopAsked(db: Reader, { id }: Workstream): Promise<Stop | null> {
  return ((await findRow(db, id))?.stop ?? null) as Stop | null;
}

const selectRow = statement((db, { workstream }: { workstream: number }) =>
  db.selectFrom("dispatchers").selectAll().where("workstream_id", "=", workstream),
);

const findRow = async (db: Reader, workstream: number) => (await selectRow(db, { workstream }))[0];

function runsAlready({ name }: Workstream, process: string): Fault {
  return new Fault(
    "conflict",
    "dispatch.runs_already",
    `A dispatcher of ${name} runs already (process ${pidOf(process)}).`,
    [
      { intent: "See what it does", command: `mu dispatch --explain -w ${name}` },
      { intent: "Start what is ready once, beside it", command: `mu dispatch --once -w ${name}` },
      { intent: "Stop it", command: `mu dispatch stop -w ${name}` },
    ],
  );
}
