import { PERSON_CLI } from "../agents/agent.js";
import type { Context } from "../context.js";
import type { App } from "./app.js";

/**
 * Makes the database agree with tmux, as the reaper, before somebody reads it. Nothing happens, and nothing is loaded,
 * where no agent is open. True when what is there is only what was last known. Faults `tmux.*`.
 */
export async function reconcileBeforeRead(app: App): Promise<boolean> {
  const { store, clock } = app.context;
  const someone = await store.db
    .selectFrom("agents")
    .select("id")
    .where("closed_at", "is", null)
    .where("cli", "<>", PERSON_CLI)
    .limit(1)
    .executeTakeFirst();
  if (someone === undefined) return false;
  const { reconcile } = await import("../reconcile.js");
  const crew = await app.crew();
  const own: Context = { store, clock, actor: "reaper" };
  const { stale } = await reconcile({ ...crew, context: own });
  return stale;
}
