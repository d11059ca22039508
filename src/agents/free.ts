import { write } from "../db/write.js";
import { type AgentRef, qualifiedName } from "../names.js";
import { type Agent, type AgentStatus, agentById, openPaneAgent } from "./agent.js";
import type { Crew } from "./crew.js";

/**
 * Marks the agent as available, which is a person's word and holds until it works again. Faults `agent.not_found`,
 * `agent.is_person`.
 */
export async function freeAgent(
  { context }: Crew,
  ref: AgentRef,
): Promise<{ agent: Agent; previousStatus: AgentStatus | null; changed: boolean }> {
  const row = await openPaneAgent(context.store.db, ref);
  const previousStatus = row.status as AgentStatus | null;
  if (previousStatus === "free")
    return { agent: await agentById(context.store.db, row.id), previousStatus, changed: false };
  const spec = { op: "agent.free", scope: ref.workstream, subject: qualifiedName(ref) };
  await write(context, spec, async (tx) => {
    tx.tell({ previousStatus });
    const mark = { status: "free", reason: "marked free", by: "person", rule: "person.free", at: tx.now };
    await tx.db
      .insertInto("agent_status")
      .values({ agent_id: row.id, spool_offset: "", seen_at: tx.now, ...mark })
      .onConflict((conflict) => conflict.column("agent_id").doUpdateSet(mark))
      .execute();
    await tx.db
      .insertInto("observations")
      .values({ agent_id: row.id, ...mark })
      .execute();
  });
  return { agent: await agentById(context.store.db, row.id), previousStatus, changed: true };
}
