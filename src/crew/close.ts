import { writeFile } from "node:fs/promises";
import {
  type Agent,
  type AgentRow,
  agentById,
  latestAgentRow,
  PERSON_CLI,
  replaced,
  toAgent,
} from "../agents/agent.js";
import type { Crew } from "../agents/crew.js";
import { cancelOutbox } from "../agents/delivery/rows.js";
import { lastScreenPath, prepareFolders } from "../agents/incarnation-files.js";
import { isOwnPane, isProgramOf, panesMarkedFor, sitsIn } from "../agents/own-pane.js";
import { type RowOf, write } from "../db/write.js";
import { Fault } from "../errors.js";
import { type AgentRef, qualifiedName, quote } from "../names.js";
import { endProcessTree, type Process } from "../processes.js";
import { paneRefused } from "../tmux/faults.js";
import type { Pane } from "../tmux/panes.js";
import { type Leaving, type LeftWorkspace, leaveWorkspace } from "../workspaces/free.js";
import { retireAgent } from "./retire.js";

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

export interface Closed {
  agent: Agent;
  /** False when it was closed already. */
  changed: boolean;
  /** There was a living pane, and it is gone now. */
  killedPane: boolean;
  /** The tasks that are OPEN again. */
  released: string[];
  /** What became of its workspace; null when it has none. */
  workspace: LeftWorkspace | null;
}

/**
 * Ends an agent: keeps what its pane shows, ends all its processes and sees that they are gone, closes the pane, then
 * the row; its IN_PROGRESS tasks are OPEN again, each with a note. Then saves what is in its workspace, which is freed
 * when there is nothing that is not landed. A pane that is not this incarnation's is never touched. Closing what is
 * closed only sees to the workspace. A crash on the way leaves an open row without a living pane, which reconcile
 * closes.
 *
 * Faults: `agent.not_found`, `agent.replaced`, `agent.still_alive`, `tmux.failed`.
 */
export async function closeAgent(crew: Crew, ref: AgentRef, options: CloseOptions = {}): Promise<Closed> {
  const row = await latestAgentRow(crew.context.store.db, ref);
  requireIncarnation(row, options);
  if (row.closed_at !== null) {
    const workspace = await leaveWorkspace(crew, ref, options.workspace ?? "keep");
    return { agent: toAgent(row), changed: false, killedPane: false, released: [], workspace };
  }
  await announce(crew, row, options);
  if (sitsIn(crew, row)) return closeFromInside(crew, row, options);
  const killedPane = await endAgent(crew, row, options);
  return finish(crew, row, { ...options, killedPane });
}

function requireIncarnation(row: AgentRow, { incarnation }: CloseOptions): void {
  if (incarnation !== undefined && incarnation !== row.id) throw replaced(row.name);
}

/** The intent, in the log before anything is ended. */
async function announce(crew: Crew, row: AgentRow, { reason }: CloseOptions): Promise<void> {
  const payload = { closing: true, pane: row.pane, ...(reason !== undefined && { reason }) };
  await write(crew.context, closeSpec(row), async (tx) => tx.tell(payload));
}

function closeSpec(row: AgentRow) {
  return { op: "agent.close", scope: row.workstream, subject: qualifiedName(row) };
}

/** An agent that closes itself does not live to write it down afterwards. */
async function closeFromInside(crew: Crew, row: AgentRow, options: CloseOptions): Promise<Closed> {
  const closed = await finish(crew, row, { ...options, killedPane: true });
  await endAgent(crew, row, options);
  return closed;
}

async function finish(
  crew: Crew,
  row: AgentRow,
  { reason, killedPane, workspace: leaving }: CloseOptions & { killedPane: boolean },
): Promise<Closed> {
  const note = `[close] ${row.name} was closed${reason === undefined ? "" : `: ${reason}`}; the task is open again.`;
  const released = await write(crew.context, closeSpec(row), async (tx) => {
    await cancelOutbox(tx, row.id);
    return retireAgent(tx, row.id, { author: crew.context.actor, note });
  });
  const ref = { workstream: row.workstream, name: row.name };
  const workspace = await leaveWorkspace(crew, ref, leaving ?? "keep");
  return { agent: await agentById(crew.context.store.db, row.id), changed: true, killedPane, released, workspace };
}

/**
 * Ends the processes and the pane of an incarnation, and keeps its last screen; true when there was a pane. Panes
 * of others are left alone. Faults: `agent.still_alive`, `tmux.failed`.
 */
export async function endAgent(crew: Crew, row: RowOf<"agents">, options: CloseOptions = {}): Promise<boolean> {
  const panes = await endPrograms(crew, row, options);
  for (const pane of panes) await killOwnPane(crew, row, pane);
  return panes.length > 0;
}

/** As `endAgent`, but leaves the panes to the caller: one that is told to stay holds its window and session. */
export async function endPrograms(crew: Crew, row: RowOf<"agents">, options: CloseOptions = {}): Promise<Pane[]> {
  if (row.cli === PERSON_CLI) return [];
  const all = await crew.tmux.listPanes();
  const own = all.filter((pane) => isOwnPane(row, pane));
  const panes = [...new Set([...own, ...panesMarkedFor(row, all)])];
  const roots = panes.length > 0 ? livingRoots(panes) : await outlivingRoots(crew, row, all);
  for (const pane of panes) await saveScreen(crew, row, pane);
  for (const pid of roots) await endTree(crew, row, pid, options);
  return panes;
}

/** Full-screen programs draw; what is on the screen now cannot be told from the transcript alone. */
async function saveScreen(crew: Crew, row: RowOf<"agents">, pane: Pane): Promise<void> {
  const lines = await crew.tmux.readPane(pane.id, 10_000).catch((error) => {
    if (error instanceof Fault && error.code === "pane.not_found") return undefined;
    throw error;
  });
  if (lines === undefined) return;
  await prepareFolders(crew.stateDir);
  await writeFile(lastScreenPath(crew.stateDir, row), `${lines.join("\n")}\n`, { mode: 0o600 });
}

function livingRoots(panes: readonly Pane[]): number[] {
  return panes.filter((pane) => !pane.dead).map((pane) => pane.pid);
}

/** Some programs outlive their pane and their tmux; the environment of the first one still says whose it is. */
async function outlivingRoots(crew: Crew, row: RowOf<"agents">, all: readonly Pane[]): Promise<number[]> {
  if (row.pid === null || all.some((pane) => pane.id === row.pane && pane.server === row.server)) return [];
  return (await isProgramOf(crew, row, row.pid)) ? [row.pid] : [];
}

async function endTree(crew: Crew, row: RowOf<"agents">, pid: number, { graceMs }: CloseOptions): Promise<void> {
  const left = await endProcessTree(crew, { pid }, graceMs === undefined ? {} : { graceMs });
  if (left.length > 0) throw stillAlive(row, left);
}

function stillAlive(row: RowOf<"agents">, left: readonly Process[]): Fault {
  const names = left.map((one) => `${one.name} (${one.pid})`).join(", ");
  return new Fault(
    "unavailable",
    "agent.still_alive",
    `${quote(row.name)} cannot be ended: ${names} will not go.`,
    [{ intent: "Look at them", command: `ps -fp ${left.map((one) => one.pid).join(",")}` }],
    { pids: left.map((one) => one.pid) },
  );
}

/** Looks again first: with its last process gone the pane is closed, and it is never somebody else's. */
export async function killOwnPane(crew: Crew, row: RowOf<"agents">, pane: Pane): Promise<void> {
  const now = await crew.tmux.askPane(pane.id);
  if (now === undefined || now.server !== pane.server) return;
  if (now.agentId !== String(row.id)) throw paneRefused(pane.id, { dead: false, agentId: now.agentId });
  await crew.tmux.killPane(pane.id);
}
