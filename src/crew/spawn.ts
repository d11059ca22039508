import { existsSync } from "node:fs";
import { isAbsolute, join, relative } from "node:path";
import { agentWrite, findOpenAgent, insertAgentIn, listMembers, PERSON_CLI } from "../agents/agent.js";
import type { Crew } from "../agents/crew.js";
import { inheritOutbox } from "../agents/delivery/outbox.js";
import { locate } from "../agents/pane.js";
import { whyHidden } from "../agents/sight.js";
import type { Context } from "../db/context.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { Fault, insteadOfFault } from "../errors.js";
import { type AgentRef, checkAgentName, quote, shellWord } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { workBeforeClaim } from "../work/work.js";
import { createWorkspace, type WorkspaceWishes } from "../workspaces/create.js";
import { freeWorkspace } from "../workspaces/free.js";
import { reviveWorkspace } from "../workspaces/recreate.js";
import { WORKSPACE } from "../workspaces/workspace.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { isHalfSpawn, retireAgentIn } from "./close.js";
import { type FirstPrompt, type Given, giveIn, requireGivable } from "./first-prompt.js";
import { cliFor, type LaunchPlan, type LaunchWishes, planLaunch } from "./launch.js";
import { type Spawned, type StartOptions, startAgent } from "./start.js";

export interface SpawnOptions extends LaunchWishes, StartOptions {
  /** Let it work in a workspace of its own, in place of `cwd`. */
  workspace?: WorkspaceWishes | undefined;
  /** What the agent is for. */
  role?: string | undefined;
  /** The task and the prompt that it starts with; see `deliverQueued`. */
  first?: FirstPrompt | undefined;
}

/** A start, with the workspace and the first prompt, where they were wished for. */
export interface SpawnedAgent extends Spawned {
  workspace: SpawnWorkspace | null;
  given: Given | null;
}

/**
 * Starts an agent in a pane: creates its workspace if asked for, reserves its row, opens the pane, records it, and checks
 * that the program is alive. A failure rolls everything back. Safe to call from many processes at once.
 *
 * A crash leaves a row without a pane (`isHalfSpawn` after 60 s), perhaps with a pane that is marked with its
 * incarnation, or a row whose pane is dead: reconcile closes both.
 *
 * Faults: `workstream.not_found`, `agent.invalid_name`, `agent.exists`, `agent.other_socket`, `agent.command_not_found`, `agent.died`,
 * `agent.closed_meanwhile`, and those of `planLaunch`, `openPane`, `createWorkspace` and, with a task, `claimTask`.
 */
export async function spawnAgent(crew: Crew, ref: AgentRef, options: SpawnOptions): Promise<SpawnedAgent> {
  checkAgentName(ref.name);
  await requireOneServer(crew, ref);
  if (options.first !== undefined) await requireGivable(crew, options.first, cliFor(crew, options));
  if (options.workspace === undefined) return { ...(await spawnIn(crew, ref, options)), workspace: null };
  await requireNameFree(crew.context, ref);
  await planLaunch(crew, ref, options);
  const workspace = await prepareWorkspace(crew, ref, options.workspace);
  try {
    return { ...(await spawnIn(crew, ref, { ...options, cwd: folderIn(workspace, options.cwd) })), workspace };
  } catch (error) {
    await rollBackWorkspace(crew, ref, workspace);
    throw error;
  }
}

/** The folder of a workspace that is the one of the project: a workstream may be about a part of its repository. */
function folderIn({ root, path }: SpawnWorkspace, projectFolder: string): string {
  const below = relative(root, projectFolder);
  const folder = join(path, below);
  return below.startsWith("..") || isAbsolute(below) || !existsSync(folder) ? path : folder;
}

/** Refuses to begin a second half of a crew that lives behind another tmux socket of this machine. */
async function requireOneServer(crew: Crew, { workstream, name }: AgentRef): Promise<void> {
  const members = (await listMembers(crew.context.store.db, workstream)).filter(
    ({ row }) => row.socket !== null && whyHidden(row) === undefined,
  );
  if (members.length === 0) return;
  const places = await locate(crew, members, await crew.tmux.listPanes());
  const far = members.find(({ row }) => places.get(row.id)?.at === "elsewhere");
  if (far === undefined) return;
  const why = `${quote(far.row.name)} of ${workstream} has its pane behind the tmux socket ${far.row.socket}, which is not the one asked here. Nothing was started.`;
  throw new Fault("conflict", "agent.other_socket", why, [
    {
      intent: "Start it there",
      command: `MU_TMUX_SOCKET=${shellWord(far.row.socket ?? "")} mu agent spawn ${name} -w ${workstream}`,
    },
  ]);
}

/** Checked first, because creating a workspace may take long. */
async function requireNameFree({ store, clock }: Context, ref: AgentRef): Promise<void> {
  const { id } = await workstreamRow(store.db, ref.workstream);
  const open = await findOpenAgent(store.db, id, ref.name);
  if (open !== undefined && !isHalfSpawn(open, clock.now())) throw agentExists(ref, open);
}

async function spawnIn(crew: Crew, ref: AgentRef, options: SpawnOptions) {
  const plan = await planLaunch(crew, ref, options);
  const row = await write(crew.context, agentWrite("agent.spawn", ref), (tx) =>
    reserveAgentIn(tx, ref, plan, { role: options.role ?? null }),
  );
  const { first } = options;
  const work = first?.task && (await workBeforeClaim(crew, crew.context.store.db, ref, first.task.name, options.cwd));
  let given: Given | null = null;
  const withPane = first && (async (tx: Tx, known: RowOf<"agents">) => (given = await giveIn(tx, known, first, work)));
  const { agent, readiness } = await startAgent(crew, row, plan, { ...options, withPane, workstream: ref.workstream });
  return { agent, readiness, given: given as Given | null };
}

/** Inserts the row of a new incarnation, without a pane yet. Faults `workstream.not_found`, `agent.exists`. */
export async function reserveAgentIn(
  tx: Tx,
  ref: AgentRef,
  plan: LaunchPlan,
  { role }: { role: string | null },
): Promise<RowOf<"agents">> {
  const workstream = await workstreamRow(tx.db, ref.workstream);
  const open = await findOpenAgent(tx.db, workstream.id, ref.name);
  if (open !== undefined) {
    if (!isHalfSpawn(open, new Date(tx.now))) throw agentExists(ref, open);
    await retireAgentIn(tx, open.id, { author: "mu", note: `The spawn of ${ref.name} was cut off.` });
  }
  const row = await insertAgentIn(tx, {
    workstream_id: workstream.id,
    name: ref.name,
    role,
    access: plan.access,
    cli: plan.cli.key,
    ...plan.place,
    command: plan.record.command,
    window: plan.window,
    session_ref: plan.sessionRef,
  });
  await inheritOutbox(tx, row);
  return row;
}

/** The fault for a name that is taken. */
export function agentExists(ref: AgentRef, open: Pick<RowOf<"agents">, "cli">): Fault {
  const isPerson = open.cli === PERSON_CLI;
  const who = isPerson ? "a person" : "an agent";
  const look = { intent: "Show it", command: `mu agent show ${ref.name} -w ${ref.workstream}` };
  const use = [
    { intent: "Reuse it if it is running", command: `mu agent ensure ${ref.name} -w ${ref.workstream}` },
    { intent: "Restart it", command: `mu agent restart ${ref.name} -w ${ref.workstream}` },
  ];
  const message = `${ref.workstream} already has ${who} ${quote(ref.name)}.`;
  return new Fault("conflict", "agent.exists", message, isPerson ? [look] : [look, ...use]);
}

/** The workspace that an agent was started in. */
export const SPAWN_WORKSPACE = shape({
  ...WORKSPACE,
  /** It was there already, with all that is in it. */
  reused: "boolean",
});

export type SpawnWorkspace = TypeOf<typeof SPAWN_WORKSPACE>;

/** The agent's workspace, created if it has none; a missing folder is recreated. Faults as `createWorkspace`. */
export async function prepareWorkspace(crew: Crew, ref: AgentRef, wishes: WorkspaceWishes): Promise<SpawnWorkspace> {
  const there = await reviveWorkspace(crew, ref);
  if (there !== undefined) return { ...there, reused: true };
  return { ...(await createWorkspace(crew, ref, wishes)), reused: false };
}

/** Frees the workspace of a failed spawn; whatever the agent did in it is saved. */
export async function rollBackWorkspace(crew: Crew, ref: AgentRef, { reused }: SpawnWorkspace): Promise<void> {
  if (reused) return;
  // The first fault is the one to report; a workspace that remains is reused by the next spawn.
  const freed = freeWorkspace(crew, ref, { whileBusy: "go on", reason: "agent spawn" });
  await freed.catch(insteadOfFault(undefined));
}
