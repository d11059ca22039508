import { type Tx, write } from "../db/write.js";
import { insertNote } from "../tasks/notes.js";
import type { Pane } from "../tmux/panes.js";
import type { Crew } from "./crew.js";
import type { Member } from "./roster.js";
import { locate, type Whereabouts } from "./whereabouts.js";

/** An open agent that has no living pane and never will have. */
export interface Ghost {
  member: Member;
  why: string;
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
/** A spawn that has no pane after so long was cut off. */
const HALF_SPAWN_MS = 60_000;

/** The agents among `members` whose pane or server is gone, and spawns that were cut off. */
export async function findGhosts(crew: Crew, members: readonly Member[], panes: readonly Pane[]): Promise<Ghost[]> {
  const places = await locate(
    crew,
    members.map(({ row }) => row),
    panes,
  );
  const now = crew.context.clock.now().getTime();
  return members.flatMap((member) => {
    const ageMs = now - Date.parse(member.row.spawned_at);
    const why = whyGhost(places.get(member.row.id), ageMs);
    return why === undefined ? [] : [{ member, why }];
  });
}

function whyGhost(place: Whereabouts | undefined, ageMs: number): string | undefined {
  if (place === undefined || place.at === "elsewhere") return undefined;
  if (place.at === "gone") return place.why;
  if (ageMs < HALF_SPAWN_MS) return undefined;
  if (place.at === "nowhere") return "its spawn was cut off before it had a pane";
  return place.pane.dead ? `the program in pane ${place.pane.id} has ended` : undefined;
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
      if (closed.length > 0) tx.tell({ reaped: closed.map(({ agent, reason, tasks }) => ({ agent, reason, tasks })) });
      return closed;
    });
    reaped.push(...found);
  }
  return reaped;
}

/** Closes one ghost, if it still is the one that was seen. */
async function reap(tx: Tx, { member: { row, workstream }, why }: Ghost): Promise<Reaped[]> {
  const now = await tx.db.selectFrom("agents").selectAll().where("id", "=", row.id).executeTakeFirst();
  if (now === undefined || now.closed_at !== null || now.pane !== row.pane || now.server !== row.server) return [];
  const tasks = await tx.db
    .selectFrom("tasks")
    .selectAll()
    .where("owner_id", "=", row.id)
    .where("status", "=", "IN_PROGRESS")
    .execute();
  for (const task of tasks) {
    const free = { status: "OPEN", owner_id: null, lease_until: null, lease_seconds: null, updated_at: tx.now };
    await tx.patch("tasks", task.id, free, task);
    const text = `[reaper] ${row.name} is gone (${why}); the task is OPEN again.`;
    await insertNote(tx, task.id, REAPER, { text });
  }
  await tx.patch("agents", row.id, { closed_at: tx.now }, now);
  await settleUnjournalled(tx, row.id, why);
  return [{ workstream, agent: row.name, reason: why, tasks: tasks.map((task) => task.name) }];
}

/** What is not journalled goes along in the same transaction: the last status, and what nobody will receive. */
async function settleUnjournalled(tx: Tx, agentId: number, why: string): Promise<void> {
  await tx.db
    .updateTable("agent_status")
    .set({ status: "terminated", reason: why, by: "process", rule: null, evidence: null, at: tx.now, seen_at: tx.now })
    .where("agent_id", "=", agentId)
    .execute();
  await tx.db
    .updateTable("deliveries")
    .set({ state: "refused", reason: `the agent is gone: ${why}`, updated_at: tx.now })
    .where("agent_id", "=", agentId)
    .where("state", "=", "queued")
    .execute();
}

/**
 * Removes what a cut-off spawn left: a pane in the workstream's own session that carries the very incarnation whose
 * row never learnt of it. Any other pane is somebody's.
 */
export async function killHalfSpawns(crew: Crew, ghosts: readonly Ghost[], panes: readonly Pane[]): Promise<void> {
  for (const { member } of ghosts) {
    const { row, workstream } = member;
    if (row.pane !== null) continue;
    const left = panes.find(
      ({ session, agent, agentId }) =>
        session === `mu-${workstream}` && agent === row.name && agentId === String(row.id),
    );
    if (left !== undefined) await crew.tmux.killPane(left.id);
  }
}
