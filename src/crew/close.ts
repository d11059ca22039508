import {
  AGENT,
  AGENT_STATUSES,
  type AgentRow,
  agentById,
  agentWrite,
  latestAgentRow,
  PERSON_CLI,
  replaced,
  toAgent,
} from "../agents/agent.js";
import type { TmuxHost } from "../agents/crew.js";
import { cancelOutbox } from "../agents/delivery/outbox.js";
import { lastScreenPath, prepareFolders } from "../agents/files.js";
import { isCallerIn, isOwnPane, isProgramOf, panesMarkedFor } from "../agents/pane.js";
import { type AgentPoll, pollAgents } from "../agents/status/record.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { asFault, Fault, ignoreFault } from "../errors.js";
import { type AgentRef, duration, quote } from "../names.js";
import { endProcessTree, type Process } from "../processes.js";
import { shape, type TypeOf } from "../shape.js";
import { releaseOwned } from "../tasks/lifecycle.js";
import type { Pane } from "../tmux/panes.js";
import { paneRefused } from "../tmux/run.js";
import { writeWhole } from "../whole-file.js";
import { LEFT_WORKSPACE, type Leaving, leaveWorkspace } from "../workspaces/free.js";

export interface CloseOptions {
  /** Only this incarnation; another one of the name is `agent.replaced`. */
  incarnation?: number | undefined;
  /** Why, for the event and for the notes of the tasks that are given back. */
  reason?: string | undefined;
  /** How long the processes may take to end before they are killed, in ms; 3,000 without it. */
  graceMs?: number | undefined;
  /** What to do with a workspace in which there is work; `keep` without it. */
  workspace?: Leaving | undefined;
}

export const CLOSED = shape({
  agent: AGENT,
  /** False when it was closed already. */
  changed: "boolean",
  /** There was a living pane, and it is gone now. */
  killedPane: "boolean",
  /** The tasks that are OPEN again. */
  released: "string[]",
  /** What became of its workspace; null when it has none. */
  workspace: [LEFT_WORKSPACE, null],
});

export type Closed = TypeOf<typeof CLOSED>;

/**
 * Ends an agent: keeps what its pane shows, ends all its processes and sees that they are gone, closes the pane, then
 * the row; its IN_PROGRESS tasks are OPEN again, each with a note. Then saves what is in its workspace, which is freed
 * when there is nothing that is not landed. A pane that is not this incarnation's is never touched. Closing what is
 * closed only sees to the workspace. A crash on the way leaves an open row without a living pane, which reconcile
 * closes.
 *
 * Faults: `agent.not_found`, `agent.replaced`, `agent.still_alive`, `tmux.failed`.
 */
export async function closeAgent(host: TmuxHost, ref: AgentRef, options: CloseOptions = {}): Promise<Closed> {
  const row = await latestAgentRow(host.context.store.db, ref);
  if (options.incarnation !== undefined && options.incarnation !== row.id) throw replaced(row.name);
  if (row.closed_at !== null) {
    const workspace = await leaveWorkspace(host, ref, options.workspace ?? "keep");
    return { agent: toAgent(row), changed: false, killedPane: false, released: [], workspace };
  }
  // Logs the intent before anything is ended.
  const intent = { closing: true, pane: row.pane, ...(options.reason !== undefined && { reason: options.reason }) };
  await write(host.context, agentWrite("agent.close", row), async (tx) => tx.addPayload(intent));
  if (!isCallerIn(host, row)) return finish(host, row, { ...options, killedPane: await endAgent(host, row, options) });
  // An agent that closes itself must write first: it ends with its pane.
  const closed = await finish(host, row, { ...options, killedPane: true });
  await endAgent(host, row, options);
  return closed;
}

async function finish(
  host: TmuxHost,
  row: AgentRow,
  { reason, killedPane, workspace: leaving }: CloseOptions & { killedPane: boolean },
): Promise<Closed> {
  const note = `[close] ${row.name} was closed${reason === undefined ? "" : `: ${reason}`}; the task is open again.`;
  const released = await write(host.context, agentWrite("agent.close", row), (tx) =>
    closeAgentIn(tx, row.id, { author: host.context.actor, note }),
  );
  const ref = { workstream: row.workstream, name: row.name };
  const workspace = await leaveWorkspace(host, ref, leaving ?? "keep");
  return { agent: await agentById(host.context.store.db, row.id), changed: true, killedPane, released, workspace };
}

/**
 * Ends the processes and the pane of an incarnation, and keeps its last screen; true when there was a pane. Panes
 * of others are left alone. Faults: `agent.still_alive`, `tmux.failed`.
 */
export async function endAgent(host: TmuxHost, row: RowOf<"agents">, options: CloseOptions = {}): Promise<boolean> {
  const panes = await endPrograms(host, row, options);
  for (const pane of panes) await killOwnPane(host, row, pane);
  return panes.length > 0;
}

/** As `endAgent`, but leaves the panes to the caller: a pane that stays holds its window and session. */
export async function endPrograms(host: TmuxHost, row: RowOf<"agents">, options: CloseOptions = {}): Promise<Pane[]> {
  if (row.cli === PERSON_CLI) return [];
  const all = await host.tmux.listPanes();
  const own = all.filter((pane) => isOwnPane(row, pane));
  const panes = [...new Set([...own, ...panesMarkedFor(row, all)])];
  const roots = panes.length > 0 ? rootsOf(panes) : await outlivingRoots(host, row, all);
  for (const pane of panes) await saveScreen(host, row, pane);
  for (const pid of roots) {
    const left = await endProcessTree(host, { pid }, options);
    if (left.length > 0) throw stillAlive(row, left);
  }
  return panes;
}

/** The transcript alone does not show what a full-screen program has on its screen. */
async function saveScreen(host: TmuxHost, row: RowOf<"agents">, pane: Pane): Promise<void> {
  const lines = await host.tmux.readPane(pane.id, 10_000).catch(ignoreFault("pane.not_found"));
  if (lines === undefined) return;
  await prepareFolders(host.stateDir);
  await writeWhole(lastScreenPath(host.stateDir, row), `${lines.join("\n")}\n`);
}

/** The first processes of those panes whose program lives. */
export function rootsOf(panes: readonly Pane[]): number[] {
  return panes.filter((pane) => !pane.dead).map((pane) => pane.pid);
}

/** Some programs outlive their pane and their tmux server; their environment still names the incarnation. */
async function outlivingRoots(host: TmuxHost, row: RowOf<"agents">, all: readonly Pane[]): Promise<number[]> {
  if (row.pid === null || all.some((pane) => pane.id === row.pane && pane.server === row.server)) return [];
  return (await isProgramOf(host, row, row.pid)) ? [row.pid] : [];
}

function stillAlive(row: RowOf<"agents">, left: readonly Process[]): Fault {
  const names = left.map((one) => `${one.name} (${one.pid})`).join(", ");
  return new Fault(
    "unavailable",
    "agent.still_alive",
    `${quote(row.name)} cannot be ended: ${names} did not exit.`,
    [{ intent: "Show them", command: `ps -fp ${left.map((one) => one.pid).join(",")}` }],
    { pids: left.map((one) => one.pid) },
  );
}

/** Checks again first: the pane may have closed, and its id must not be another agent's by now. */
export async function killOwnPane(host: TmuxHost, row: RowOf<"agents">, pane: Pane): Promise<void> {
  const now = await host.tmux.askPane(pane.id);
  if (now === undefined || now.server !== pane.server) return;
  if (now.agentId !== String(row.id)) throw paneRefused(pane.id, { dead: false, agentId: now.agentId });
  await host.tmux.killPane(pane.id);
}

export interface Retirement {
  /** Author of the notes. */
  author: string;
  /** A note for each task that is released. */
  note: string;
}

/**
 * Ends an incarnation inside a write: closes its row and gives its tasks back to OPEN. Gives the names of those
 * tasks. One that is closed already stays as it is.
 */
export async function retireAgentIn(tx: Tx, agent: number, { author, note }: Retirement): Promise<string[]> {
  const row = await tx.db.selectFrom("agents").selectAll().where("id", "=", agent).executeTakeFirst();
  if (row === undefined || row.closed_at !== null) return [];
  const released = await releaseOwned(tx, agent, { author, text: note });
  await tx.patch("agents", agent, { closed_at: tx.now }, row);
  await tx.db
    .updateTable("agent_status")
    .set({ status: "terminated", reason: note, by: "process", rule: null, evidence: null, at: tx.now, seen_at: tx.now })
    .where("agent_id", "=", agent)
    .execute();
  return released;
}

/** As `retireAgentIn`, for an agent that is closed on purpose: what waits in its outbox is cancelled. */
export async function closeAgentIn(tx: Tx, agent: number, retirement: Retirement): Promise<string[]> {
  await cancelOutbox(tx, agent);
  return retireAgentIn(tx, agent, retirement);
}

/** A spawn that has not opened its pane after this long (ms) was cut off. */
const HALF_SPAWN_MS = 60_000;

/**
 * True for the row that a spawn left behind which died on the way: no pane, and too old to be still at work. It may
 * be closed by anybody; its pane, if it got one, carries its incarnation as `@mu_agent_id`.
 */
export function isHalfSpawn(
  row: Pick<RowOf<"agents">, "pane" | "spawned_at" | "closed_at" | "cli">,
  now: Date,
): boolean {
  if (row.closed_at !== null || row.pane !== null || row.cli === "human") return false;
  return now.getTime() - Date.parse(row.spawned_at) > HALF_SPAWN_MS;
}

export interface ReapOptions {
  /** How long an agent must have been idle, in ms. */
  idleForMs: number;
  /** Close none, only report which would be. */
  mode?: "close" | "preview" | undefined;
}

export const REAPED_IDLE = shape({
  name: "string",
  status: [AGENT_STATUSES, null],
  idleMs: "number",
  action: ["closed", "would_close", "skipped"],
  /** Why it was left alone. */
  reason: "string | null",
  /** Its workspace is gone with it: there was nothing in it that is not landed. */
  workspaceFreed: "boolean",
});

export type Reaped = TypeOf<typeof REAPED_IDLE>;

/**
 * Closes the agents of a workstream that have been idle for too long, as last seen: observe first. Agents with work,
 * and those about which nothing is known, are left alone. Faults `workstream.not_found`.
 */
export async function reapIdle(host: TmuxHost, workstream: string, options: ReapOptions): Promise<Reaped[]> {
  const reaped: Reaped[] = [];
  for (const agent of await pollAgents(host.context, workstream)) {
    const { name, status, idleMs } = agent;
    const end = await closeIdle(host, agent, options);
    reaped.push({ name, status, idleMs, reason: null, workspaceFreed: false, ...end });
  }
  return reaped;
}

type IdleEnd = Pick<Reaped, "action"> & Partial<Reaped>;

async function closeIdle(host: TmuxHost, agent: AgentPoll, { idleForMs, mode }: ReapOptions): Promise<IdleEnd> {
  const spared = reasonToSpare(agent, idleForMs);
  if (spared !== null) return { action: "skipped", reason: spared };
  if (mode === "preview") return { action: "would_close" };
  try {
    const { workspace } = await closeAgent(host, agent, { reason: `idle for ${duration(agent.idleMs)}` });
    return { action: "closed", workspaceFreed: workspace?.freed ?? false };
  } catch (error) {
    return { action: "skipped", reason: asFault(error).message };
  }
}

function reasonToSpare({ status, tasks, idleMs }: AgentPoll, idleForMs: number): string | null {
  if (status === null) return "it was never observed";
  if (status !== "idle" && status !== "free") return `it is ${status}`;
  if (tasks.length > 0) return `it works on ${tasks.join(", ")}`;
  return idleMs < idleForMs ? `idle for only ${duration(idleMs)}` : null;
}
