import { PANELESS } from "../agents/agent.js";
import type { Context } from "../db/context.js";
import type { App } from "./app.js";

/**
 * Makes the database agree with tmux, as the reaper, before a read. Nothing happens, and nothing is loaded,
 * where no agent is open. True when what is there is only what was last known; sets `app.orphans`. Faults `tmux.*`.
 */
export async function reconcileBeforeRead(app: App): Promise<boolean> {
  const { store, clock } = app.context;
  const someone = await store.db
    .selectFrom("agents")
    .select("id")
    .where("closed_at", "is", null)
    .where("cli", "not in", PANELESS)
    .limit(1)
    .executeTakeFirst();
  if (someone === undefined) return false;
  const { reconcile } = await import("../crew/reconcile.js");
  const crew = await app.crew();
  const own: Context = { store, clock, actor: "reaper" };
  const { stale, orphans } = await reconcile({ ...crew, context: own });
  app.orphans = orphans;
  return stale;
}

/**
 * Lets the radar look over the workspaces of a workstream, unless it did a moment ago; what it saw is stored, and read
 * by who comes after. Nothing is loaded where nobody has a workspace.
 */
export async function lookBeforeRead(app: App, workstream: string): Promise<void> {
  if (await hasWorkspace(app, workstream)) await look(app, workstream);
}

/** The same for `agent`, who is about to claim: only where a task that it may get declares files, and others have workspaces. */
export async function lookBeforeClaim(app: App, workstream: string, agent: string): Promise<void> {
  const declaring = await app.context.store.db
    .selectFrom("tasks as t")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .select("t.id")
    .where("w.name", "=", workstream)
    .where("t.status", "=", "OPEN")
    .where("t.touches", "is not", null)
    .limit(1)
    .executeTakeFirst();
  if (declaring !== undefined && (await hasWorkspace(app, workstream, agent))) await look(app, workstream);
}

async function hasWorkspace({ context }: App, workstream: string, besides = ""): Promise<boolean> {
  const found = await context.store.db
    .selectFrom("workspaces as s")
    .innerJoin("workstreams as w", "w.id", "s.workstream_id")
    .select("s.id")
    .where("w.name", "=", workstream)
    .where("s.agent", "<>", besides)
    .where("s.freed_at", "is", null)
    .limit(1)
    .executeTakeFirst();
  return found !== undefined;
}

async function look(app: App, workstream: string): Promise<void> {
  const { refreshRadarIfStale } = await import("../workspaces/radar/radar.js");
  await refreshRadarIfStale(app.context, workstream, () => app.crew());
}
