import { RUN_CLI } from "../agents/agent.js";
import { closeAgentIn } from "../crew/close.js";
import { newGroup } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { write } from "../db/write.js";
import type { Host } from "../host.js";
import type { Scene } from "./facts.js";
import { livingDispatcher } from "./lease.js";

/**
 * Closes the slots in which no run is active, as their dispatcher ends: nobody is there. What such a slot still holds is
 * open again. The next run opens a slot anew. Slots stay while another dispatcher is at work.
 */
export async function closeSlots(host: Host, { id, name }: Scene["workstream"]): Promise<void> {
  const { store } = host.context;
  if ((await idleSlots(store.db, id)).length === 0 || (await livingDispatcher(host, { id, name }))) return;
  // It is no change of the person's, which an undo would take back.
  const context = { ...host.context, actor: "reaper", group: newGroup() };
  await write(context, { op: "dispatch.idle", scope: name, subject: name }, async (tx) => {
    const slots = await idleSlots(tx.db, id);
    const note = "Its dispatcher has ended.";
    for (const slot of slots) await closeAgentIn(tx, slot.id, { author: "reaper", note });
    if (slots.length > 0) tx.addPayload({ slots: slots.map((slot) => slot.name) });
  });
}

function idleSlots(db: Reader, workstreamId: number) {
  return db
    .selectFrom("agents as a")
    .select(["a.id", "a.name"])
    .where("a.workstream_id", "=", workstreamId)
    .where("a.cli", "=", RUN_CLI)
    .where("a.closed_at", "is", null)
    .where((e) =>
      e.not(
        e.exists(
          e
            .selectFrom("runs as r")
            .select("r.id")
            .whereRef("r.agent_id", "=", "a.id")
            .where("r.finished_at", "is", null),
        ),
      ),
    )
    .orderBy("a.name")
    .execute();
}
