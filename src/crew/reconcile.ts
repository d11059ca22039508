import { currentTasks, listMembers, type Member, type Orphan } from "../agents/agent.js";
import { lastConversation } from "../agents/conversation.js";
import type { TmuxHost } from "../agents/crew.js";
import { drainDeliveries } from "../agents/delivery/drain.js";
import type { Delivery } from "../agents/delivery/outbox.js";
import { type Location, locate } from "../agents/pane.js";
import { type Observation, observeAgents, peekAgents, storedObservations } from "../agents/status/observe.js";
import { withLockTimeout } from "../db/store.js";
import { type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { endInterruptedLandings } from "../landing/settle.js";
import { releaseOwned } from "../tasks/lifecycle.js";
import type { Pane } from "../tmux/panes.js";
import { type SettledWorkspace, settleWorkspaces } from "../workspaces/free.js";
import { sessionOf } from "../workstreams/workstream.js";
import { findOrphans } from "./adopt.js";
import { isHalfSpawn, retireAgentIn } from "./close.js";

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
  /** Report only: nothing is written, typed or closed. */
  report?: boolean | undefined;
}

/** How long a read waits for another process's write before it shows the stored state, in ms. */
const LOCK_WAIT_MS = 200;
const STALE_AFTER: readonly string[] = ["db.locked", "tmux.unreachable"];

/**
 * Makes the database agree with tmux, for one workstream or for all: closes agents without a pane and releases their
 * tasks, reads statuses, types waiting deliveries, settles workspaces and landings that were interrupted. Without open
 * agents tmux is not called. Agents out of sight are left alone. Faults `tmux.*`.
 */
export async function reconcile(
  host: TmuxHost,
  workstream?: string,
  options: ReconcileOptions = {},
): Promise<Reconciliation> {
  const hurriedCrew = {
    ...host,
    context: { ...host.context, store: withLockTimeout(host.context.store, LOCK_WAIT_MS) },
  };
  const letGo = host.context.store.hold();
  try {
    return await (options.report ? report(host, workstream) : reconcileNow(hurriedCrew, host, workstream));
  } catch (error) {
    if (!(error instanceof Fault) || !STALE_AFTER.includes(error.code)) throw error;
    const agents = await storedObservations(host, workstream);
    return { ...NOTHING, agents, stale: true };
  } finally {
    letGo();
  }
}

const NOTHING: Reconciliation = { agents: [], reaped: [], orphans: [], deliveries: [], workspaces: [], stale: false };

async function reconcileNow(
  host: TmuxHost,
  patientCrew: TmuxHost,
  workstream: string | undefined,
): Promise<Reconciliation> {
  await endInterruptedLandings(host);
  const workspaces = await settleWorkspaces(patientCrew, workstream);
  const members = await listMembers(host.context.store.db, workstream);
  if (members.length === 0) return { ...NOTHING, workspaces };
  const panes = await host.tmux.listPanes();
  const lost = await findLostAgents(host, members, panes);
  const reaped = await reapLostAgents(host, lost);
  await removeLeftPanes(host, { lost, reaped, panes });
  const agents = await observeAgents(host, { workstream, panes });
  reaped.push(...(await reapLostAgents(host, await findEnded(host, members, agents))));
  const deliveries = await drainDeliveries(patientCrew, { workstream });
  const orphans = await findOrphans(host, members, panes, workstream);
  return { agents, reaped, orphans, deliveries, workspaces, stale: false };
}

async function report(host: TmuxHost, workstream: string | undefined): Promise<Reconciliation> {
  const members = await listMembers(host.context.store.db, workstream);
  if (members.length === 0) return NOTHING;
  const panes = await host.tmux.listPanes();
  const lost = await findLostAgents(host, members, panes);
  const reaped = lost.map(({ member, why }) => ({
    workstream: member.workstream,
    agent: member.row.name,
    reason: why,
    tasks: [],
  }));
  const agents = await peekAgents(host, { workstream, panes });
  return { ...NOTHING, agents, reaped, orphans: await findOrphans(host, members, panes, workstream) };
}

/** An open agent that has no living pane and never will have. */
export interface LostAgent {
  member: Member;
  why: string;
  /** The whole tmux server or the workstream's session is gone, not only this pane. */
  isCrewLost: boolean;
  /** The conversation that it was in. */
  session: string | undefined;
  /** Only its tasks are released. */
  stays?: boolean;
}

/** An agent that was closed, and the tasks that are OPEN again because of it. */
export interface Reaped {
  workstream: string;
  agent: string;
  reason: string;
  tasks: string[];
}

/** The author of a reap's notes and events. */
const REAPER = "reaper";
/** A dead pane is kept this long for a spawn that wants to read why the program ended. */
const DEAD_PANE_MS = 60_000;

/** The agents among `members` whose pane or server is gone, and spawns that were cut off. */
export async function findLostAgents(
  host: Host,
  members: readonly Member[],
  panes: readonly Pane[],
): Promise<LostAgent[]> {
  const places = await locate(host, members, panes);
  const now = host.context.clock.now();
  const sessions = new Set(panes.map((pane) => pane.session));
  const lost: LostAgent[] = [];
  for (const member of members) {
    const place = places.get(member.row.id);
    const why = whyLost(member, place, now);
    if (why === undefined) continue;
    const isSessionLost = !sessions.has(sessionOf(member.workstream));
    const isCrewLost = place?.at === "gone" && (place.lost === "server" || isSessionLost);
    lost.push({ member, why, isCrewLost, session: await lastConversation(host, member.row) });
  }
  return lost;
}

/** The agents at work whose CLI has left a shell behind. They stay, to be looked at or restarted; their tasks do not. */
async function findEnded(host: Host, members: readonly Member[], seen: readonly Observation[]): Promise<LostAgent[]> {
  const ended = seen.filter((one) => one.status === "terminated" && one.rule === "shell");
  const working = ended.length === 0 ? new Map() : await currentTasks(host.context.store.db);
  return members.flatMap((member) => {
    const is = (one: Observation) => one.agent === member.row.name && one.workstream === member.workstream;
    const why = working.has(member.row.id) ? ended.find(is)?.reason : undefined;
    return why ? [{ member, why, isCrewLost: false, session: undefined, stays: true }] : [];
  });
}

function whyLost({ row }: Member, place: Location | undefined, now: Date): string | undefined {
  if (place === undefined || place.at === "elsewhere") return undefined;
  if (place.at === "gone") return place.why;
  if (place.at === "nowhere") return isHalfSpawn(row, now) ? "its spawn was cut off before it had a pane" : undefined;
  const isLeft = place.pane.dead && now.getTime() - Date.parse(row.spawned_at) > DEAD_PANE_MS;
  return isLeft ? `the program in pane ${place.pane.id} has ended` : undefined;
}

/** Closes lost agents and releases their tasks: one write for each workstream. */
export async function reapLostAgents(host: Host, lost: readonly LostAgent[]): Promise<Reaped[]> {
  const reaped: Reaped[] = [];
  for (const workstream of new Set(lost.map(({ member }) => member.workstream))) {
    const here = lost.filter(({ member }) => member.workstream === workstream);
    const context = { ...host.context, actor: REAPER };
    const [only] = here.length === 1 ? here : [];
    const subject = only ? `${workstream}/${only.member.row.name}` : workstream;
    reaped.push(
      ...(await write(context, { op: "agent.reap", scope: workstream, subject }, (tx) => reapLostAgentsIn(tx, here))),
    );
  }
  return reaped;
}

/** Closes those of the lost agents that still are as they were found. */
async function reapLostAgentsIn(tx: Tx, lost: readonly LostAgent[]): Promise<Reaped[]> {
  const closed: Reaped[] = [];
  for (const one of lost) closed.push(...(await reap(tx, one)));
  if (closed.length > 0) tx.addPayload({ reaped: closed.map((one) => payloadOf(one, lost)) });
  return closed;
}

/** What the event says: recover brings back the crew of a server or session that was lost, with its tasks. */
function payloadOf({ agent, reason, tasks }: Reaped, lost: readonly LostAgent[]): Record<string, unknown> {
  const one = lost.find(({ member }) => member.row.name === agent);
  return { agent, reason, tasks, ...(one?.isCrewLost && { lostServer: one.member.row.server }) };
}

/** Closes one lost agent, unless its row has changed since. */
async function reap(tx: Tx, { member: { row, workstream }, why, session, stays }: LostAgent): Promise<Reaped[]> {
  const now = await tx.db.selectFrom("agents").selectAll().where("id", "=", row.id).executeTakeFirst();
  if (now === undefined || now.closed_at !== null || now.pane !== row.pane || now.server !== row.server) return [];
  const note = `[reaper] ${row.name} is gone (${why}); the task is OPEN again.`;
  if (session !== undefined) await tx.patch("agents", row.id, { session_ref: session }, now);
  const release = () => releaseOwned(tx, row.id, { author: REAPER, text: note });
  const tasks = stays ? await release() : await retireAgentIn(tx, row.id, { author: REAPER, note });
  await tx.db.updateTable("agent_status").set({ reason: why }).where("agent_id", "=", row.id).execute();
  return [{ workstream, agent: row.name, reason: why, tasks }];
}

/**
 * Removes the panes that reaped agents left: the dead one of an agent, and of a cut-off spawn the one in the
 * workstream's own session that is marked with the incarnation whose row does not know the pane. Other panes are left alone.
 */
export async function removeLeftPanes(
  host: TmuxHost,
  { lost, reaped, panes }: { lost: readonly LostAgent[]; reaped: readonly Reaped[]; panes: readonly Pane[] },
): Promise<void> {
  for (const { member } of lost) {
    const { row, workstream } = member;
    if (!reaped.some((one) => one.workstream === workstream && one.agent === row.name)) continue;
    const left = panes.filter(
      (pane) =>
        pane.agent === row.name &&
        pane.agentId === String(row.id) &&
        (row.pane === null ? pane.session === sessionOf(workstream) : pane.dead && pane.server === row.server),
    );
    for (const pane of left) await host.tmux.killPane(pane.id);
  }
}
