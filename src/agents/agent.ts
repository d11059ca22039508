import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { RowOf, Tx } from "../db/write.js";
import { Fault } from "../errors.js";
import { type AgentRef, checkAgentName, didYouMean, quote } from "../names.js";

/** The `cli` of a person: no pane, never reaped. */
export const PERSON_CLI = "human";

/** Who acts on a task. An agent's `incarnation` fences its writes: a replaced agent's are refused. */
export type Claimant = { agent: string; incarnation?: number } | { person: string };

const selectOpenAgent = statement((db, { workstream, name }: { workstream: number; name: string }) =>
  db
    .selectFrom("agents")
    .selectAll()
    .where("workstream_id", "=", workstream)
    .where("name", "=", name)
    .where("closed_at", "is", null),
);

/** The open row of `name` in a workstream given by row id, or undefined. */
export async function findOpenAgent(
  db: Reader,
  workstream: number,
  name: string,
): Promise<RowOf<"agents"> | undefined> {
  return (await selectOpenAgent(db, { workstream, name }))[0];
}

/** The open row of an agent; faults `agent.not_found` with near names. */
export async function openAgentRow(db: Reader, workstream: number, ref: AgentRef): Promise<RowOf<"agents">> {
  const row = await findOpenAgent(db, workstream, ref.name);
  if (row !== undefined) return row;
  const open = await db
    .selectFrom("agents")
    .select("name")
    .where("workstream_id", "=", workstream)
    .where("closed_at", "is", null)
    .execute();
  const hint = didYouMean(
    ref.name,
    open.map((agent) => agent.name),
  );
  throw new Fault("missing", "agent.not_found", `There is no agent ${quote(ref.name)} in ${ref.workstream}.${hint}`, [
    { intent: "See who owns what", command: `mu state -w ${ref.workstream}` },
  ]);
}

/** The row that stands for `claimant`; a person's is made when it is missing. Faults `agent.not_found`, `agent.replaced`. */
export async function claimantRow(
  tx: Tx,
  workstream: { id: number; name: string },
  claimant: Claimant,
): Promise<RowOf<"agents">> {
  if ("agent" in claimant) {
    const row = await openAgentRow(tx.db, workstream.id, { workstream: workstream.name, name: claimant.agent });
    if (claimant.incarnation !== undefined && claimant.incarnation !== row.id) throw replaced(claimant.agent);
    return row;
  }
  checkAgentName(claimant.person);
  const known = await findOpenAgent(tx.db, workstream.id, claimant.person);
  if (known !== undefined) return known;
  return tx.insert("agents", {
    workstream_id: workstream.id,
    name: claimant.person,
    role: null,
    access: "full",
    cli: PERSON_CLI,
    command: null,
    host: null,
    pane: null,
    server: null,
    pid: null,
    window: null,
    session_ref: null,
    spawned_at: tx.now,
    closed_at: null,
  });
}

/** The fault for a call from an incarnation that is no longer the agent of its name. */
export function replaced(name: string): Fault {
  return new Fault(
    "conflict",
    "agent.replaced",
    `You were replaced: another incarnation of ${quote(name)} is at work now.`,
    [{ intent: "See who you are to mu", command: "mu me" }],
  );
}
