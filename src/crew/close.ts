import {
  AGENT,
  AGENT_STATUSES,
  type AgentRow,
  agentById,
  agentWrite,
  latestAgentRow,
  PANELESS,
  replaced,
} from "../agents/agent.js";
import type { TmuxHost } from "../agents/crew.js";
import { cancelOutbox } from "../agents/delivery/outbox.js";
import { lastScreenPath, prepareFolders } from "../agents/files.js";
import { isCallerIn, isOwnPane, listAgentPrograms, locate, panesMarkedFor, programsOf } from "../agents/pane.js";
import { unreachable, whyHidden } from "../agents/sight.js";
import { type AgentPoll, pollAgents } from "../agents/status/record.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { asFault, Fault } from "../errors.js";
import { type AgentRef, duration, enumerate, quote } from "../names.js";
import { endProcessTrees, type Process, type ProcessRef, treeOf } from "../processes.js";
import { shape, type TypeOf } from "../shape.js";
import { releaseOwned } from "../tasks/lifecycle.js";
import type { Pane } from "../tmux/panes.js";
import { paneRefused } from "../tmux/run.js";
import { lastLines } from "../tmux/screens.js";
import { writeWhole } from "../whole-file.js";
import { LEFT_WORKSPACE, type Leaving, leaveWorkspace } from "../workspaces/free.js";

export interface CloseOptions {
  /** Only this incarnation of the first one; another one of the name is `agent.replaced`. */
  incarnation?: number | undefined;
  /** Why, for the event and for the notes of the tasks that are given back. */
  reason?: string | undefined;
  /** How long the processes may take to end before they are killed, in ms; 3,000 without it. */
  graceMs?: number | undefined;
  /** What to do with a workspace in which there is work; `keep` without it. */
  workspace?: Leaving | undefined;
  /** Close the row of one that cannot be seen from here, whose processes may live on. */
  whileUnreachable?: "go on" | undefined;
}

export const CLOSED = shape({
  agent: AGENT,
  /** False when it was closed already. */
  changed: "boolean",
  /** There was a living pane, and it is gone now. */
  killedPane: "boolean",
  /** Processes that had left the pane and were ended, too. */
  outlived: "string[]",
  /** The tasks that are OPEN again. */
  released: "string[]",
  /** What became of its workspace; null when it has none. */
  workspace: [LEFT_WORKSPACE, null],
});

export type Closed = TypeOf<typeof CLOSED>;

/** As `closeAgents`, for one agent. */
export async function closeAgent(host: TmuxHost, ref: AgentRef, options: CloseOptions = {}): Promise<Closed> {
  const [closed] = await closeAgents(host, [ref], options);
  return closed as Closed;
}

/**
 * Ends agents: keeps what their panes show, ends all their processes at once and sees that they are gone, closes the panes,
 * then the rows; the IN_PROGRESS tasks are OPEN again, each with a note. Then saves what is in the workspaces, which are
 * freed when there is nothing that is not landed. A pane that is not the incarnation's is never touched. Closing what is
 * closed only sees to the workspace. A crash on the way leaves an open row without a living pane, which reconcile
 * closes. Of an agent that closes itself, the programs that called it, and its pane, end last.
 *
 * Faults: `agent.not_found`, `agent.replaced`, `agent.unreachable`, `agent.still_alive`, `tmux.failed`.
 */
export async function closeAgents(
  host: TmuxHost,
  refs: readonly AgentRef[],
  options: CloseOptions = {},
): Promise<Closed[]> {
  const rows: AgentRow[] = [];
  for (const ref of refs) rows.push(await latestAgentRow(host.context.store.db, ref));
  const [first] = rows;
  if (first !== undefined && (options.incarnation ?? first.id) !== first.id) throw replaced(first.name);
  const open = rows.filter((row) => row.closed_at === null);
  const found = await findPrograms(host, open, options);
  // Logs the intent before anything is ended.
  for (const row of open) {
    const intent = { closing: true, pane: row.pane, ...(options.reason !== undefined && { reason: options.reason }) };
    await write(host.context, agentWrite("agent.close", row), async (tx) => tx.addPayload(intent));
  }
  await endPrograms(host, found, options);
  const last = found.filter(({ row }) => isCallerIn(host, row));
  await removePanes(
    host,
    found.filter((one) => !last.includes(one)),
  );
  const closed: Closed[] = [];
  for (const row of rows) closed.push(await finish(host, row, { ...options, found }));
  await endProcessTrees(
    host,
    last.flatMap(({ panes }) => rootsOf(panes)),
    options,
  );
  await removePanes(host, last);
  return closed;
}

async function finish(
  host: TmuxHost,
  row: AgentRow,
  { reason, workspace: leaving, found }: CloseOptions & { found: readonly Programs[] },
): Promise<Closed> {
  const note = `[close] ${row.name} was closed${reason === undefined ? "" : `: ${reason}`}; the task is open again.`;
  const changed = row.closed_at === null;
  const released = changed
    ? await write(host.context, agentWrite("agent.close", row), (tx) =>
        closeAgentIn(tx, row.id, { author: host.context.actor, note }),
      )
    : [];
  const workspace = await leaveWorkspace(host, row, leaving ?? "keep");
  const { panes = [], strays = [] } = found.find((one) => one.row.id === row.id) ?? {};
  const outlived = strays.map(({ name, pid }) => `${name} (${pid})`);
  const agent = await agentById(host.context.store.db, row.id);
  return { agent, changed, killedPane: panes.length > 0, outlived, released, workspace };
}

/** What runs for an incarnation: its panes, and the processes that have left them. */
export interface Programs {
  row: RowOf<"agents">;
  panes: Pane[];
  strays: Process[];
}

/** What runs for these incarnations; nothing for people. Faults `agent.unreachable`, `tmux.failed`. */
export async function findPrograms(
  host: TmuxHost,
  rows: readonly AgentRow[],
  { whileUnreachable: mode }: Pick<CloseOptions, "whileUnreachable"> = {},
): Promise<Programs[]> {
  const agents = rows.filter((row) => !PANELESS.includes(row.cli));
  if (agents.length === 0) return [];
  const all = await host.tmux.listPanes();
  const places = await locate(
    host,
    agents.map((row) => ({ row })),
    all,
  );
  const environments = await listAgentPrograms(host);
  const processes = environments.map(([one]) => one);
  return agents.flatMap((row) => {
    const place = places.get(row.id);
    const isHidden = place?.at === "elsewhere" && whyHidden(row) !== undefined;
    if (isHidden && mode === undefined && row.closed_at === null) throw unreachable(row, place.why);
    if (isHidden) return [];
    const panes = all.filter((pane) => isOwnPane(row, pane) || panesMarkedFor(row, [pane]).length > 0);
    const inside = treeOf(processes, rootsOf(panes));
    const strays = programsOf(row, environments, all).filter((one) => !inside.includes(one));
    return [{ row, panes, strays }];
  });
}

/**
 * Keeps the last screens, and ends all programs but those that call, with what they start meanwhile. The panes stay: they
 * hold their windows and sessions. Faults: `agent.still_alive`, `tmux.failed`.
 */
export async function endPrograms(
  host: TmuxHost,
  found: readonly Programs[],
  options: Pick<CloseOptions, "graceMs"> = {},
): Promise<void> {
  if (found.length === 0) return;
  await saveScreens(host, found);
  const rows = found.map(({ row }) => row);
  const panes = await host.tmux.listPanes();
  let roots: ProcessRef[] = found.flatMap(({ panes, strays }) => [...rootsOf(panes), ...strays]);
  for (let round = 0; roots.length > 0; round++) {
    const left = await endProcessTrees(host, roots, { ...options, callers: "spare" });
    const environments = await listAgentPrograms(host);
    const started = rows.flatMap((row) => programsOf(row, environments, panes));
    if (left.length > 0 || round === ROUNDS) throw stillAlive(rows, left.length > 0 ? left : started);
    roots = started;
  }
}

/** Programs that go on starting others faster than they are ended are reported instead. */
const ROUNDS = 20;

/** Closes those of the panes that still are the incarnation's. */
async function removePanes(host: TmuxHost, found: readonly Programs[]): Promise<void> {
  for (const { row, panes } of found) for (const pane of panes) await killOwnPane(host, row, pane);
}

/** The transcript alone does not show what a full-screen program has on its screen. */
async function saveScreens(host: TmuxHost, found: readonly Programs[]): Promise<void> {
  const panes = found.flatMap(({ row, panes }) => panes.map(({ id }) => ({ row, id })));
  if (panes.length === 0) return;
  const ids = panes.map(({ id }) => id);
  const screens = await host.tmux.captureScreens(ids, { history: 10_000 });
  await prepareFolders(host.stateDir);
  for (const { row, id } of panes) {
    const lines = screens.get(id)?.lines;
    if (lines === undefined) continue;
    await writeWhole(lastScreenPath(host.stateDir, row), `${lastLines(lines, 10_000).join("\n")}\n`);
  }
}

/** The first processes of those panes whose program lives. */
export function rootsOf(panes: readonly Pane[]): ProcessRef[] {
  return panes.filter((pane) => !pane.dead).map(({ pid }) => ({ pid }));
}

function stillAlive(rows: readonly RowOf<"agents">[], left: readonly Process[]): Fault {
  const names = left.map((one) => `${one.name} (${one.pid})`).join(", ");
  return new Fault(
    "unavailable",
    "agent.still_alive",
    `${enumerate(rows.map(({ name }) => quote(name)))} cannot be ended: ${names} did not exit.`,
    [{ intent: "Show them", command: `ps -fp ${left.map((one) => one.pid).join(",")}` }],
    { pids: left.map((one) => one.pid) },
  );
}

/** Checks again first: the pane may have closed, and its id must not be another agent's by now. */
export async function killOwnPane(host: TmuxHost, row: RowOf<"agents">, pane: Pane): Promise<void> {
  const now = await host.tmux.askPane(pane.id);
  if (now === undefined || now.server !== pane.server) return;
  if (now.agentId !== "" && now.agentId !== String(row.id))
    throw paneRefused(pane.id, { dead: false, agentId: now.agentId });
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
