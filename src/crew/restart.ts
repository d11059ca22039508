import { type AgentRow, latestAgentRow, PERSON_CLI, replaced } from "../agents/agent.js";
import type { Access } from "../agents/clis/cli.js";
import type { Crew } from "../agents/crew.js";
import { readLaunch } from "../agents/files.js";
import { findOwnPane, sitsIn } from "../agents/pane.js";
import { write } from "../db/write.js";
import { Fault } from "../errors.js";
import { type AgentRef, quote } from "../names.js";
import { passOn } from "../tasks/lifecycle.js";
import type { Pane } from "../tmux/panes.js";
import { reviveWorkspace } from "../workspaces/recreate.js";
import { getWorkstream } from "../workstreams/workstream.js";
import { endPrograms, killOwnPane } from "./close.js";
import { canResume, type LaunchPlan, type LaunchWishes, planLaunch } from "./launch.js";
import { reserveAgent, type SpawnOptions } from "./spawn.js";
import { type Spawned, spawnSpec, startAgent } from "./start.js";

export interface RestartOptions
  extends Pick<SpawnOptions, "ready" | "aliveMs" | "size" | "eventsFile" | "cwd" | "env"> {
  /** `fresh` begins a new conversation, also where the last one is known. */
  conversation?: "resume" | "fresh" | undefined;
  /** The conversation to resume, in place of the one that is known. */
  sessionRef?: string | undefined;
  /** Restart only this incarnation; another one of the name is `agent.replaced`. */
  incarnation?: number | undefined;
}

export interface Restarted extends Spawned {
  /** It goes on with its conversation. */
  resumed: boolean;
  /** How it began, for people. */
  beginning: string;
  /** The tasks that it goes on with. */
  tasks: string[];
}

/**
 * Ends an agent and starts it again as it was: same name, command, folder, environment and window, another
 * incarnation, which goes on with the tasks and, where the CLI can, the conversation. One that was closed, or whose
 * pane is gone, is started again too; the folder of its workspace is made again when it is gone. Faults `agent.restarts_itself`, as `closeAgent` and as `spawnAgent`; before anything is ended where the
 * command is not there.
 */
export async function restartAgent(
  crew: Crew,
  ref: AgentRef,
  options: Partial<RestartOptions> = {},
): Promise<Restarted> {
  const old = await latestAgentRow(crew.context.store.db, ref);
  if (old.cli === PERSON_CLI) throw isPerson(ref);
  if (options.incarnation !== undefined && options.incarnation !== old.id) throw replaced(ref.name);
  if (old.closed_at === null && sitsIn(crew, old)) throw restartsItself(ref);
  await reviveWorkspace(crew, ref);
  const plan = await planAgain(crew, old, options);
  const held = old.closed_at === null ? await endHeld(crew, old) : [];
  try {
    const { row, tasks } = await replaceRow(crew, ref, old, plan);
    const spawned = await startAgent(crew, row, plan, { ...options, workstream: ref.workstream });
    return { ...spawned, resumed: plan.sessionRef !== null, beginning: beginning(crew, plan, options), tasks };
  } finally {
    for (const pane of held)
      await killOwnPane(crew, old, pane).catch(() => killOwnPane(crew, old, pane).catch(() => {}));
  }
}

/** The dead pane stays until the new one is there, so that nobody is thrown out of a session that it alone held. */
async function endHeld(crew: Crew, old: AgentRow): Promise<Pane[]> {
  const pane = await findOwnPane(crew, old);
  if (pane !== undefined) await crew.tmux.holdPane(pane.id);
  return endPrograms(crew, old);
}

async function planAgain(crew: Crew, old: AgentRow, options: Partial<RestartOptions>): Promise<LaunchPlan> {
  const launch = await readLaunch(crew.stateDir, old);
  const sessionRef = options.sessionRef ?? old.session_ref ?? undefined;
  const layout = launch?.layout;
  const wishes: LaunchWishes = {
    cli: old.cli,
    command: launch?.command ?? old.command ?? undefined,
    args: launch?.args,
    env: { ...launch?.env, ...options.env },
    cwd: options.cwd ?? launch?.cwd ?? (await folderOf(crew, old)),
    access: old.access as Access,
    model: launch?.model,
    window: launch?.shared ? (old.window ?? undefined) : undefined,
    layout,
    resume: options.conversation === "fresh" ? undefined : sessionRef,
    eventsFile: options.eventsFile,
  };
  return planLaunch(crew, old, wishes);
}

async function folderOf(crew: Crew, { workstream }: AgentRow): Promise<string> {
  return (await getWorkstream(crew.context.store.db, workstream)).root ?? crew.env["HOME"] ?? "/";
}

/** Closes the old row, opens the new one and passes the tasks on, all at once. */
async function replaceRow(crew: Crew, ref: AgentRef, old: AgentRow, plan: LaunchPlan) {
  const spec = { ...spawnSpec(ref), op: "agent.restart" };
  return write(crew.context, spec, async (tx) => {
    const now = await tx.db.selectFrom("agents").selectAll().where("id", "=", old.id).executeTakeFirstOrThrow();
    const isOpen = now.closed_at === null;
    if (isOpen) await tx.patch("agents", old.id, { closed_at: tx.now }, now);
    const row = await reserveAgent(tx, ref, plan, { role: old.role });
    return { row, tasks: isOpen ? await passOn(tx, old.id, row.id) : [] };
  });
}

function beginning(crew: Crew, plan: LaunchPlan, options: Partial<RestartOptions>): string {
  if (plan.sessionRef !== null) return `resumed its conversation ${plan.sessionRef}`;
  if (!canResume(plan.cli, crew)) return `began anew: ${plan.cli.key} has no conversations to resume`;
  if (options.conversation === "fresh") return "began a new conversation, as asked";
  return "began a new conversation: the last one is not known";
}

function restartsItself({ name, workstream }: AgentRef): Fault {
  return new Fault("conflict", "agent.restarts_itself", "You sit in that agent's pane and would end with it.", [
    { intent: "Restart it from outside", command: `mu agent restart ${name} -w ${workstream}` },
  ]);
}

function isPerson({ name, workstream }: AgentRef): Fault {
  return new Fault("conflict", "agent.is_person", `${quote(name)} is a person and cannot be restarted.`, [
    { intent: "See the agents", command: `mu agent list -w ${workstream}` },
  ]);
}
