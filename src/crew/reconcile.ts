import type { Crew } from "../agents/crew.js";
import { type Delivery, drainDeliveries } from "../agents/delivery/delivery.js";
import { findOrphans, type Orphan } from "../agents/orphans.js";
import { listMembers } from "../agents/roster.js";
import { glanceAtAgents, type Observation, observeAgents, recallAgents } from "../agents/status/observe.js";
import { impatient } from "../db/store.js";
import { Fault } from "../errors.js";
import { settleLandings } from "../landing/settle.js";
import { type SettledWorkspace, settleWorkspaces } from "../workspaces/free.js";
import { findGhosts, type Reaped, reapGhosts, removeLeftPanes } from "./reap.js";

/** What a reconcile found, and what it did about it. */
export interface Reconciliation {
  agents: Observation[];
  /** Agents that were closed because their pane is gone; with `report`, those that would be. */
  reaped: Reaped[];
  /** Panes with an agent CLI in our sessions that belong to no agent. */
  orphans: Orphan[];
  /** Deliveries that were waiting and now are settled. */
  deliveries: Delivery[];
  /** Workspaces that were half made or half gone. */
  workspaces: SettledWorkspace[];
  /** The database was locked or tmux out of reach: `agents` are as they were last stored. */
  stale: boolean;
}

export interface ReconcileOptions {
  /** Only look: nothing is written, typed or closed. */
  report?: boolean | undefined;
}

/** So long a read waits for another process's write before it shows what was last known, in ms. */
const LOCK_WAIT_MS = 200;
const EXCUSES: readonly string[] = ["db.locked", "tmux.unreachable"];

/**
 * Makes the database agree with tmux, for one workstream or for all: agents without a pane are closed and their
 * tasks given back, statuses are read, waiting deliveries are typed, workspaces and landings that were cut off are
 * settled. Without open agents tmux is not asked. Agents of other hosts are left alone. Faults `tmux.*`.
 */
export async function reconcile(
  crew: Crew,
  workstream?: string,
  options: ReconcileOptions = {},
): Promise<Reconciliation> {
  const hasty = { ...crew, context: { ...crew.context, store: impatient(crew.context.store, LOCK_WAIT_MS) } };
  try {
    return await (options.report ? report(crew, workstream) : settle(hasty, crew, workstream));
  } catch (error) {
    if (!(error instanceof Fault) || !EXCUSES.includes(error.code)) throw error;
    const agents = await recallAgents(crew, workstream);
    return { ...NOTHING, agents, stale: true };
  }
}

const NOTHING: Reconciliation = { agents: [], reaped: [], orphans: [], deliveries: [], workspaces: [], stale: false };

async function settle(crew: Crew, patient: Crew, workstream: string | undefined): Promise<Reconciliation> {
  await settleLandings(crew);
  const workspaces = await settleWorkspaces(patient, workstream);
  const members = await listMembers(crew.context.store.db, workstream);
  if (members.length === 0) return { ...NOTHING, workspaces };
  const panes = await crew.tmux.listPanes();
  const ghosts = await findGhosts(crew, members, panes);
  const reaped = await reapGhosts(crew, ghosts);
  await removeLeftPanes(crew, { ghosts, reaped, panes });
  const agents = await observeAgents(crew, { workstream, panes });
  const deliveries = await drainDeliveries(patient, { workstream });
  const orphans = findOrphans(crew, members, panes, workstream);
  return { agents, reaped, orphans, deliveries, workspaces, stale: false };
}

async function report(crew: Crew, workstream: string | undefined): Promise<Reconciliation> {
  const members = await listMembers(crew.context.store.db, workstream);
  if (members.length === 0) return NOTHING;
  const panes = await crew.tmux.listPanes();
  const ghosts = await findGhosts(crew, members, panes);
  const reaped = ghosts.map(({ member, why }) => ({
    workstream: member.workstream,
    agent: member.row.name,
    reason: why,
    tasks: [],
  }));
  const agents = await glanceAtAgents(crew, { workstream, panes });
  return { ...NOTHING, agents, reaped, orphans: findOrphans(crew, members, panes, workstream) };
}
