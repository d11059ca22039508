import { listMembers, type Member } from "../agents/agent.js";
import type { Crew } from "../agents/crew.js";
import type { Delivery } from "../agents/delivery/outbox.js";
import { drainDeliveries } from "../agents/delivery/send.js";
import { locate, type Whereabouts } from "../agents/pane.js";
import { glanceAtAgents, type Observation, observeAgents, recallAgents } from "../agents/status/observe.js";
import { impatient } from "../db/store.js";
import { type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import { settleLandings } from "../landing/settle.js";
import type { Pane } from "../tmux/panes.js";
import { type SettledWorkspace, settleWorkspaces } from "../workspaces/free.js";
import { sessionOf } from "../workstreams/workstream.js";
import { findOrphans, type Orphan } from "./adopt.js";
import { isHalfSpawn, retireAgent } from "./close.js";

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

/** An open agent that has no living pane and never will have. */
export interface Ghost {
  member: Member;
  why: string;
  /** The whole tmux server is gone, not only this pane. */
  isServerLost: boolean;
}

/** An agent that was closed, and the tasks that are OPEN again because of it. */
export interface Reaped {
  workstream: string;
  agent: string;
  reason: string;
  tasks: string[];
}

/** Whom the notes and events of a reap name. */
const REAPER = "reaper";
/** A dead pane is kept so long for a spawn that wants to read its last words. */
const LAST_WORDS_MS = 60_000;

/** The agents among `members` whose pane or server is gone, and spawns that were cut off. */
export async function findGhosts(crew: Crew, members: readonly Member[], panes: readonly Pane[]): Promise<Ghost[]> {
  const places = await locate(
    crew,
    members.map(({ row }) => row),
    panes,
  );
  const now = crew.context.clock.now();
  return members.flatMap((member) => {
    const place = places.get(member.row.id);
    const why = whyGhost(member, place, now);
    return why === undefined ? [] : [{ member, why, isServerLost: place?.at === "gone" && place.lost === "server" }];
  });
}

function whyGhost({ row }: Member, place: Whereabouts | undefined, now: Date): string | undefined {
  if (place === undefined || place.at === "elsewhere") return undefined;
  if (place.at === "gone") return place.why;
  if (place.at === "nowhere") return isHalfSpawn(row, now) ? "its spawn was cut off before it had a pane" : undefined;
  const isLeft = place.pane.dead && now.getTime() - Date.parse(row.spawned_at) > LAST_WORDS_MS;
  return isLeft ? `the program in pane ${place.pane.id} has ended` : undefined;
}

/** Closes the ghosts and gives their tasks back: one write for each workstream. */
export async function reapGhosts(crew: Crew, ghosts: readonly Ghost[]): Promise<Reaped[]> {
  const reaped: Reaped[] = [];
  for (const workstream of new Set(ghosts.map(({ member }) => member.workstream))) {
    const here = ghosts.filter(({ member }) => member.workstream === workstream);
    const context = { ...crew.context, actor: REAPER };
    const [only] = here.length === 1 ? here : [];
    const subject = only ? `${workstream}/${only.member.row.name}` : workstream;
    const found = await write(context, { op: "agent.reap", scope: workstream, subject }, async (tx) => {
      const closed: Reaped[] = [];
      for (const ghost of here) closed.push(...(await reap(tx, ghost)));
      if (closed.length > 0) tx.tell({ reaped: closed.map((one) => tellOf(one, here)) });
      return closed;
    });
    reaped.push(...found);
  }
  return reaped;
}

/** What the event says: recover brings back the crew of a server that was lost, with its tasks. */
function tellOf({ agent, reason, tasks }: Reaped, ghosts: readonly Ghost[]): Record<string, unknown> {
  const ghost = ghosts.find(({ member }) => member.row.name === agent);
  return { agent, reason, tasks, ...(ghost?.isServerLost && { lostServer: ghost.member.row.server }) };
}

/** Closes one ghost, if it still is the one that was seen. */
async function reap(tx: Tx, { member: { row, workstream }, why }: Ghost): Promise<Reaped[]> {
  const now = await tx.db.selectFrom("agents").selectAll().where("id", "=", row.id).executeTakeFirst();
  if (now === undefined || now.closed_at !== null || now.pane !== row.pane || now.server !== row.server) return [];
  const note = `[reaper] ${row.name} is gone (${why}); the task is OPEN again.`;
  const tasks = await retireAgent(tx, row.id, { author: REAPER, note });
  await tx.db.updateTable("agent_status").set({ reason: why }).where("agent_id", "=", row.id).execute();
  return [{ workstream, agent: row.name, reason: why, tasks }];
}

/**
 * Removes the panes that reaped agents left: the dead one of an agent, and of a cut-off spawn the one in the
 * workstream's own session that carries the very incarnation whose row never learnt of it. Any other is somebody's.
 */
export async function removeLeftPanes(
  crew: Crew,
  { ghosts, reaped, panes }: { ghosts: readonly Ghost[]; reaped: readonly Reaped[]; panes: readonly Pane[] },
): Promise<void> {
  for (const { member } of ghosts) {
    const { row, workstream } = member;
    if (!reaped.some((one) => one.workstream === workstream && one.agent === row.name)) continue;
    const left = panes.filter(
      (pane) =>
        pane.agent === row.name &&
        pane.agentId === String(row.id) &&
        (row.pane === null ? pane.session === sessionOf(workstream) : pane.dead && pane.server === row.server),
    );
    for (const pane of left) await crew.tmux.killPane(pane.id);
  }
}
