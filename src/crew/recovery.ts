import { existsSync } from "node:fs";
import { currentTasks, findAgent, listMembers } from "../agents/agent.js";
import { getAgentCli } from "../agents/clis/table.js";
import { lastConversation } from "../agents/conversation.js";
import type { TmuxHost } from "../agents/crew.js";
import { type Location, listAgentPrograms, locate, programsOf } from "../agents/pane.js";
import { whyHidden } from "../agents/sight.js";
import type { Reader } from "../db/schema.js";
import type { RowOf } from "../db/write.js";
import type { Host } from "../host.js";
import type { AgentRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { isHeld } from "../workspaces/hold.js";
import { findWorkspaceRow } from "../workspaces/workspace.js";
import { type CloseOptions, isHalfSpawn } from "./close.js";

/** What recover found out about one agent, and what it will do. */
export const RECOVERY_PLAN = shape({
  workstream: "string",
  agent: "string",
  cli: "string",
  /** `reaped`: a reconcile has closed it already, because its tmux server or session was gone. */
  database: ["open", "reaped"],
  /** The state of its pane, for people. */
  tmux: "string",
  /** Where its program runs. */
  process: ["in its pane", "alive without a pane", "out of sight", "gone"],
  /** The conversation that its CLI last reported. */
  session: "string | null",
  /** The tasks that it owns, or owned until it was reaped if they are still unowned. */
  tasks: "string[]",
  /** `keep`: it is running. `leave`: out of sight, on another server, or still being spawned. */
  action: ["keep", "leave", "resume", "fresh"],
  /** Why, for people. */
  why: "string",
});

export type RecoveryPlan = TypeOf<typeof RECOVERY_PLAN>;

/** A plan with the incarnation that it is for. */
export interface Recoverable extends RecoveryPlan {
  incarnation: number;
}

interface Candidate {
  row: RowOf<"agents">;
  workstream: string;
  tasks: string[];
}

/**
 * Compares database, tmux and processes, for every open agent and for the crew of the last server that was lost. With
 * `whileUnreachable`, agents that cannot be seen from here are gone.
 */
export async function planAgents(
  host: TmuxHost,
  workstream?: string,
  { whileUnreachable }: Pick<CloseOptions, "whileUnreachable"> = {},
): Promise<Recoverable[]> {
  const { db } = host.context.store;
  const tasks = await currentTasks(db);
  const members = await listMembers(db, workstream);
  const open = members.map((member) => ({ ...member, tasks: tasks.get(member.row.id) ?? [] }));
  const reaped = await reapedCrew(db, workstream);
  if (open.length + reaped.length === 0) return [];
  const panes = await host.tmux.listPanes();
  const all = [...open, ...reaped];
  const places = await locate(host, open, panes);
  const environments = await listAgentPrograms(host);
  return Promise.all(
    all.map((one) => {
      const hidden = whyHidden(one.row);
      let place = places.get(one.row.id) ?? WAS_LOST;
      if (hidden !== undefined && place.at !== "pane") {
        const gone = { at: "gone", why: hidden, lost: "server" } as const;
        place = whileUnreachable === "go on" ? gone : { at: "elsewhere", why: hidden };
      }
      return planOne(host, one, place, programsOf(one.row, environments, panes).length > 0);
    }),
  );
}

const WAS_LOST: Location = { at: "gone", why: "its tmux server or session was gone", lost: "server" };

async function planOne(
  host: Host,
  { row, workstream, tasks }: Candidate,
  place: Location,
  isAlive: boolean,
): Promise<Recoverable> {
  const isLiving = place.at === "pane" && !place.pane.dead;
  const plan = {
    incarnation: row.id,
    workstream,
    agent: row.name,
    cli: row.cli,
    database: row.closed_at === null ? ("open" as const) : ("reaped" as const),
    tmux: tmuxSays(place),
    session: (await lastConversation(host, row)) ?? null,
    tasks,
  };
  const isHomeless = isLiving && (await hasLostFolder(host, { workstream, name: row.name }));
  const without = place.at === "elsewhere" ? "out of sight" : isAlive ? "alive without a pane" : "gone";
  const process = isLiving ? "in its pane" : without;
  if (isLiving && !isHomeless) return { ...plan, process, action: "keep", why: "it is running" };
  const { action, why } = decide(host, row, place, plan.session);
  return { ...plan, process, action, why: isHomeless ? `its workspace folder is gone; ${why}` : why };
}

/** A program in a folder that was deleted cannot work; while a verb holds the workspace, it may only be made anew. */
async function hasLostFolder(host: Host, ref: AgentRef): Promise<boolean> {
  const workspace = await findWorkspaceRow(host.context.store.db, ref);
  if (workspace?.state !== "ready" || existsSync(workspace.path)) return false;
  return !(await isHeld(host, workspace.id));
}

function tmuxSays(place: Location): string {
  if (place.at === "pane") return place.pane.dead ? `pane ${place.pane.id} is dead` : `pane ${place.pane.id} lives`;
  return place.at === "nowhere" ? "no pane yet" : place.why;
}

function decide(
  host: Host,
  row: RowOf<"agents">,
  place: Location,
  session: string | null,
): Pick<RecoveryPlan, "action" | "why"> {
  if (place.at === "elsewhere") return { action: "leave", why: place.why };
  if (place.at === "nowhere" && !isHalfSpawn(row, host.context.clock.now()))
    return { action: "leave", why: "it is being spawned" };
  if (getAgentCli(row.cli).switches === undefined)
    return { action: "fresh", why: `${row.cli} has no conversations to resume` };
  if (session === null) return { action: "fresh", why: "its conversation is not known" };
  return { action: "resume", why: `resumes conversation ${session}` };
}

interface ReapPayload {
  reaped?: { agent: string; tasks: string[]; lostServer?: string }[];
}

/** The agents that reconcile closed because the last lost server or a session on it ended, unless replaced since. */
async function reapedCrew(db: Reader, workstream: string | undefined): Promise<Candidate[]> {
  let reaps = db.selectFrom("events").select(["scope", "payload"]).where("op", "=", "agent.reap").orderBy("id", "desc");
  if (workstream !== undefined) reaps = reaps.where("scope", "=", workstream);
  const lost = (await reaps.limit(200).execute()).flatMap(({ scope, payload }) =>
    ((JSON.parse(payload) as ReapPayload).reaped ?? []).map((one) => ({ ...one, scope })),
  );
  const last = lost.find((one) => one.lostServer !== undefined)?.lostServer;
  const found: Candidate[] = [];
  for (const { agent, scope, tasks, lostServer } of lost) {
    if (last === undefined || lostServer !== last || found.some((one) => is(one, scope, agent))) continue;
    const row = await findAgent(db, { workstream: scope, name: agent });
    if (row === undefined || row.closed_at === null || row.server !== last) continue;
    found.push({ row, workstream: scope, tasks: await freeAmong(db, row.workstream_id, tasks) });
  }
  return found.sort((a, b) => a.row.id - b.row.id);
}

/** The names of the agents that lost their panes with a tmux server or session, and that `mu recover` would bring back. */
export async function lostAgents(db: Reader, workstream?: string): Promise<string[]> {
  return (await reapedCrew(db, workstream)).map(({ row }) => row.name);
}

/** The row ids of all that `mu recover` would bring back, in whichever workstream it is called. */
export async function lostIncarnations(db: Reader): Promise<number[]> {
  const names = await db.selectFrom("workstreams").select("name").execute();
  return (await Promise.all(names.map(({ name }) => reapedCrew(db, name)))).flat().map(({ row }) => row.id);
}

function is(one: Candidate, workstream: string, agent: string): boolean {
  return one.workstream === workstream && one.row.name === agent;
}

/** Those of the tasks that are still unowned. */
async function freeAmong(db: Reader, workstream: number, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return [];
  const rows = await db
    .selectFrom("tasks")
    .select("name")
    .where("workstream_id", "=", workstream)
    .where("name", "in", names)
    .where("status", "=", "OPEN")
    .where("owner_id", "is", null)
    .orderBy("id")
    .execute();
  return rows.map((row) => row.name);
}
