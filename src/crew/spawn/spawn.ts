import { type Agent, agentById, findOpenAgent, PERSON_CLI } from "../../agents/agent.js";
import { bordersOf } from "../../agents/borders.js";
import type { Crew } from "../../agents/crew.js";
import { inheritOutbox } from "../../agents/delivery/rows.js";
import { saveLaunch, transcriptPath } from "../../agents/incarnation-files.js";
import { transcriptCommand } from "../../agents/transcript.js";
import { type Context, timestamp } from "../../db/context.js";
import { type RowOf, type Tx, write } from "../../db/write.js";
import { Fault } from "../../errors.js";
import { type AgentRef, checkAgentName, qualifiedName, quote } from "../../names.js";
import type { OpenedPane } from "../../tmux/open.js";
import type { WorkspaceWishes } from "../../workspaces/create.js";
import { workspaceEnv } from "../../workspaces/setup/setup.js";
import { sessionOf, workstreamRow } from "../../workstreams/workstream.js";
import { isHalfSpawn, retireAgent } from "../retire.js";
import { died, endSpawn } from "./end-spawn.js";
import { type LaunchPlan, type LaunchWishes, launchArgv, planLaunch } from "./launch.js";
import { type Readiness, type ReadyOptions, waitReady } from "./ready.js";
import { prepareWorkspace, type SpawnWorkspace, takeBackWorkspace } from "./workspace.js";

export interface SpawnOptions extends LaunchWishes {
  /** Let it work in a workspace of its own, in place of `cwd`. */
  workspace?: WorkspaceWishes | undefined;
  /** What the agent is for. */
  role?: string | undefined;
  /** Wait for the CLI's first prompt, too. */
  ready?: ReadyOptions | undefined;
  /** How long the program must live to count as started, in ms; 100 without it. */
  aliveMs?: number | undefined;
  /** Columns and rows while nobody is attached. */
  size?: { width: number; height: number } | undefined;
}

export interface Spawned {
  agent: Agent;
  /** Null when nobody waited for it. */
  readiness: Readiness | null;
}

/** A start in a workspace, when one was wished for. */
export interface SpawnedInWorkspace extends Spawned {
  workspace: SpawnWorkspace | null;
}

const ALIVE_MS = 100;

/**
 * Starts an agent in a pane of its own: makes its workspace, if it is to have one and has none, reserves its row,
 * opens the pane, writes down which it is, and sees that the program lives. Whatever fails takes back what was done.
 * Safe to call from many processes at once.
 *
 * A crash on the way leaves a row without a pane (`isHalfSpawn` after 60 s), perhaps with a pane that carries its
 * incarnation, or a row whose pane is dead: reconcile closes both.
 *
 * Faults: `workstream.not_found`, `agent.invalid_name`, `agent.exists`, `agent.command_not_found`, `agent.died`,
 * `agent.closed_meanwhile`, and those of `planLaunch`, `openPane` and `createWorkspace`.
 */
export async function spawnAgent(crew: Crew, ref: AgentRef, options: SpawnOptions): Promise<SpawnedInWorkspace> {
  checkAgentName(ref.name);
  if (options.workspace === undefined) return { ...(await spawnIn(crew, ref, options)), workspace: null };
  await requireNobody(crew.context, ref);
  await planLaunch(crew, ref, options);
  const workspace = await prepareWorkspace(crew, ref, options.workspace);
  try {
    return { ...(await spawnIn(crew, ref, { ...options, cwd: workspace.path })), workspace };
  } catch (error) {
    await takeBackWorkspace(crew, ref, workspace);
    throw error;
  }
}

/** Making a workspace may take long, so it is not begun for an agent that is there. */
async function requireNobody({ store, clock }: Context, ref: AgentRef): Promise<void> {
  const { id } = await workstreamRow(store.db, ref.workstream);
  const open = await findOpenAgent(store.db, id, ref.name);
  if (open !== undefined && !isHalfSpawn(open, clock.now())) throw agentExists(ref, open);
}

async function spawnIn(crew: Crew, ref: AgentRef, options: SpawnOptions): Promise<Spawned> {
  const plan = await planLaunch(crew, ref, options);
  const row = await write(crew.context, spawnSpec(ref), (tx) =>
    reserveAgent(tx, ref, plan, { role: options.role ?? null }),
  );
  return startAgent(crew, row, plan, { ...options, workstream: ref.workstream });
}

/** The event of every write that a spawn does. */
export function spawnSpec(ref: AgentRef) {
  return { op: "agent.spawn", scope: ref.workstream, subject: qualifiedName(ref) };
}

/** The row of a new incarnation, without a pane yet. Faults `workstream.not_found`, `agent.exists`. */
export async function reserveAgent(
  tx: Tx,
  ref: AgentRef,
  plan: LaunchPlan,
  { role }: { role: string | null },
): Promise<RowOf<"agents">> {
  const workstream = await workstreamRow(tx.db, ref.workstream);
  const open = await findOpenAgent(tx.db, workstream.id, ref.name);
  if (open !== undefined) {
    if (!isHalfSpawn(open, new Date(tx.now))) throw agentExists(ref, open);
    await retireAgent(tx, open.id, { author: "mu", note: `The spawn of ${ref.name} was cut off.` });
  }
  const row = await tx.insert("agents", {
    workstream_id: workstream.id,
    name: ref.name,
    role,
    access: plan.access,
    cli: plan.cli.key,
    command: plan.record.command,
    host: null,
    pane: null,
    server: null,
    pid: null,
    window: plan.window,
    session_ref: plan.sessionRef,
    spawned_at: tx.now,
    closed_at: null,
  });
  await inheritOutbox(tx, row);
  return row;
}

/** The fault for a name that is taken; a person has no pane, so that there is nothing to use or to start. */
export function agentExists(ref: AgentRef, open: Pick<RowOf<"agents">, "cli">): Fault {
  const isPerson = open.cli === PERSON_CLI;
  const who = isPerson ? "a person" : "an agent";
  const look = { intent: "Look at it", command: `mu agent show ${ref.name} -w ${ref.workstream}` };
  const use = [
    { intent: "Use it if it is there", command: `mu agent ensure ${ref.name} -w ${ref.workstream}` },
    { intent: "Start it anew", command: `mu agent restart ${ref.name} -w ${ref.workstream}` },
  ];
  const message = `There is ${who} ${quote(ref.name)} in ${ref.workstream} already.`;
  return new Fault("conflict", "agent.exists", message, isPerson ? [look] : [look, ...use]);
}

export interface StartOptions extends Pick<SpawnOptions, "ready" | "aliveMs" | "size"> {
  workstream: string;
}

/** Opens the pane of a reserved row, writes it down and sees that its program lives; else takes all of it back. */
export async function startAgent(
  crew: Crew,
  row: RowOf<"agents">,
  plan: LaunchPlan,
  options: StartOptions,
): Promise<Spawned> {
  const ref = { workstream: options.workstream, name: row.name };
  let opened: OpenedPane | undefined;
  try {
    opened = await openFor(crew, row, plan, options);
    const deadline = crew.context.clock.now().getTime() + (options.aliveMs ?? ALIVE_MS);
    const known = await writeDownPane(crew.context, ref, row, opened);
    const readiness = options.ready === undefined ? null : await waitReady(crew, known, options.ready);
    await crew.context.clock.sleep(Math.max(0, deadline - crew.context.clock.now().getTime()));
    const death = await crew.tmux.confirmPane(opened.pane);
    if (death !== undefined) throw await died(crew, row, death);
    if (readiness !== null) await noteReadiness(crew.context, row.id, readiness);
    return { agent: await agentById(crew.context.store.db, row.id), readiness };
  } catch (error) {
    await endSpawn(crew, ref, row, { opened, error });
    throw error;
  }
}

async function openFor(
  crew: Crew,
  row: RowOf<"agents">,
  plan: LaunchPlan,
  { workstream, size }: StartOptions,
): Promise<OpenedPane> {
  const { record } = plan;
  await saveLaunch(crew.stateDir, row, record);
  const launch = await launchArgv(crew, plan, row);
  return crew.tmux.openPane({
    session: sessionOf(workstream),
    window: plan.window,
    shared: record.shared,
    ...(record.layout !== undefined && { layout: record.layout }),
    ...(size !== undefined && { size }),
    cwd: record.cwd,
    argv: launch.argv,
    env: {
      ...launch.env,
      ...(await workspaceEnv(crew, { workstream, name: row.name }, record.cwd)),
      ...record.env,
      ...crew.databaseEnv,
      ...identityEnv(workstream, row),
    },
    identity: { agent: row.name, agentId: String(row.id), spawnedAt: row.spawned_at },
    pipe: transcriptCommand(transcriptPath(crew.stateDir, row)),
    borders: await bordersOf(crew, workstream),
  });
}

/** How a process in the pane finds out who it is, without asking tmux. */
function identityEnv(workstream: string, row: RowOf<"agents">): Record<string, string> {
  return { MU_WORKSTREAM: workstream, MU_AGENT: row.name, MU_AGENT_ID: String(row.id) };
}

/** From here on the row is the pane's. Faults `agent.closed_meanwhile`. */
async function writeDownPane(
  context: Context,
  ref: AgentRef,
  { id }: RowOf<"agents">,
  { pane, server, pid }: OpenedPane,
): Promise<RowOf<"agents">> {
  return write(context, spawnSpec(ref), async (tx) => {
    const row = await tx.db.selectFrom("agents").selectAll().where("id", "=", id).executeTakeFirst();
    if (row === undefined || row.closed_at !== null) throw closedMeanwhile(ref);
    const status = { status: "spawning", reason: null, by: "process", rule: null, at: tx.now, seen_at: tx.now };
    await tx.db
      .insertInto("agent_status")
      .values({ agent_id: id, spool_offset: "", ...status })
      .onConflict((conflict) => conflict.column("agent_id").doUpdateSet(status))
      .execute();
    return tx.patch("agents", id, { pane, server, pid }, row);
  });
}

function closedMeanwhile(ref: AgentRef): Fault {
  return new Fault(
    "conflict",
    "agent.closed_meanwhile",
    `${quote(ref.name)} was closed while it was being spawned: nothing is left of it.`,
    [{ intent: "Spawn it again", command: `mu agent spawn ${ref.name} -w ${ref.workstream}` }],
  );
}

async function noteReadiness(context: Context, agent: number, { status, reason, rule }: Readiness): Promise<void> {
  const now = timestamp(context.clock);
  await context.store.write((db) =>
    db
      .updateTable("agent_status")
      .set({ status, reason, rule, by: "screen", at: now, seen_at: now })
      .where("agent_id", "=", agent)
      .execute(),
  );
}
