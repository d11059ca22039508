import { type AgentRow, agentWrite, latestAgentRow, replaced, requirePane } from "../agents/agent.js";
import type { Access } from "../agents/clis/cli.js";
import { lastConversation } from "../agents/conversation.js";
import type { Crew } from "../agents/crew.js";
import { readLaunch } from "../agents/files.js";
import { isCallerIn } from "../agents/pane.js";
import { type Tx, write } from "../db/write.js";
import { Fault, interrupted } from "../errors.js";
import { type AgentRef, enumerate, quote } from "../names.js";
import type { Process } from "../processes.js";
import { passOn } from "../tasks/lifecycle.js";
import { reviveWorkspace } from "../workspaces/recreate.js";
import { getWorkstream } from "../workstreams/workstream.js";
import { type CloseOptions, endPrograms, findPrograms, killOwnPane } from "./close.js";
import { type LaunchPlan, type LaunchWishes, planLaunch } from "./launch.js";
import { reserveAgentIn, type SpawnOptions } from "./spawn.js";
import { type Spawned, startAgent } from "./start.js";

export interface RestartOptions
  extends Pick<SpawnOptions, "ready" | "aliveMs" | "size" | "cwd" | "env">,
    Pick<CloseOptions, "whileUnreachable"> {
  /** `fresh` starts a new conversation even if the last one is known. */
  conversation?: "resume" | "fresh" | undefined;
  /** Resume this conversation instead of the last one. */
  sessionRef?: string | undefined;
  /** Restart only this incarnation; any other is `agent.replaced`. */
  incarnation?: number | undefined;
}

export interface Restarted extends Spawned {
  /** It resumed its conversation. */
  resumed: boolean;
  /** How it started, for people. */
  beginning: string;
  /** The tasks that it kept. */
  tasks: string[];
}

/**
 * Ends an agent and starts it again with the same name, command, folder, environment and window. The new incarnation
 * keeps the tasks and, if the CLI can resume, the conversation. Works for closed agents and for those without a pane; a
 * missing workspace folder is recreated. Faults `agent.restarts_itself`, and those of `closeAgent` and `spawnAgent`; a
 * missing command is refused before anything is ended.
 */
export async function restartAgent(
  crew: Crew,
  ref: AgentRef,
  options: Partial<RestartOptions> = {},
): Promise<Restarted> {
  const old = await latestAgentRow(crew.context.store.db, ref);
  requirePane(old);
  if (options.incarnation !== undefined && options.incarnation !== old.id) throw replaced(ref.name);
  if (old.closed_at === null && isCallerIn(crew, old)) throw restartsItself(ref);
  const found = await findPrograms(crew, [old], options);
  const [{ panes: held, strays } = { panes: [], strays: [] }] = found;
  await reviveWorkspace(crew, ref);
  const plan = await planAgain(crew, old, options);
  // A dead pane stays until the new one is open: if it were the session's only pane, attached clients would be detached.
  for (const { id } of held) await crew.tmux.holdPane(id);
  await endPrograms(crew, found);
  try {
    const { row, tasks } = await write(crew.context, agentWrite("agent.restart", ref), (tx) =>
      replaceAgentIn(tx, ref, old, plan),
    );
    const ready = options.ready && { ...options.ready, ifInterrupted: "keep" as const };
    const { notResumed, ...spawned } = await startAgent(crew, row, plan, {
      ...options,
      ready,
      workstream: ref.workstream,
    });
    if (ready?.signal?.aborted && !spawned.readiness?.ready) {
      throw interrupted(`${quote(ref.name)} was restarted, but the wait until it is ready was interrupted.`);
    }
    const resumed = plan.sessionRef !== null && notResumed === null;
    return { ...spawned, resumed, beginning: beginning(plan, options, notResumed, strays), tasks };
  } finally {
    for (const pane of held)
      await killOwnPane(crew, old, pane).catch(() => killOwnPane(crew, old, pane).catch(() => {}));
  }
}

async function planAgain(crew: Crew, old: AgentRow, options: Partial<RestartOptions>): Promise<LaunchPlan> {
  const launch = await readLaunch(crew.stateDir, old);
  const sessionRef = options.sessionRef ?? (await lastConversation(crew, old));
  const wishes: LaunchWishes = {
    cli: old.cli,
    command: launch?.command ?? old.command ?? undefined,
    args: launch?.args,
    env: { ...launch?.env, ...options.env },
    variables: launch?.variables,
    cwd: options.cwd ?? launch?.cwd ?? (await folderOf(crew, old)),
    access: old.access as Access,
    model: launch?.model,
    window: launch?.shared ? (old.window ?? undefined) : undefined,
    layout: launch?.layout,
    resume: options.conversation === "fresh" ? undefined : sessionRef,
  };
  return planLaunch(crew, old, wishes);
}

async function folderOf(crew: Crew, { workstream }: AgentRow): Promise<string> {
  return (await getWorkstream(crew.context.store.db, workstream)).root ?? crew.env["HOME"] ?? "/";
}

/** Closes the old row, inserts the new one and hands over the tasks. */
async function replaceAgentIn(tx: Tx, ref: AgentRef, old: AgentRow, plan: LaunchPlan) {
  const now = await tx.db.selectFrom("agents").selectAll().where("id", "=", old.id).executeTakeFirstOrThrow();
  const isOpen = now.closed_at === null;
  if (isOpen) await tx.patch("agents", old.id, { closed_at: tx.now }, now);
  const row = await reserveAgentIn(tx, ref, plan, { role: old.role });
  return { row, tasks: isOpen ? await passOn(tx, old.id, row.id) : [] };
}

function beginning(
  plan: LaunchPlan,
  options: Partial<RestartOptions>,
  notResumed: string | null,
  strays: readonly Process[],
): string {
  const ended = strays.map(({ name, pid }) => `${name} (${pid})`);
  const before = ended.length === 0 ? "" : `ended what was left of it, ${enumerate(ended)}; `;
  const lacks = plan.lacks.length === 0 ? "" : `, without ${enumerate(plan.lacks)}: not set here`;
  return `${before}${notResumed ?? conversationOf(plan, options)}${lacks}`;
}

function conversationOf(plan: LaunchPlan, options: Partial<RestartOptions>): string {
  if (plan.sessionRef !== null) return `resumed its conversation ${plan.sessionRef}`;
  if (plan.cli.switches === undefined) return `started fresh: ${plan.cli.key} has no conversations to resume`;
  if (options.conversation === "fresh") return "started a new conversation, as requested";
  return "started a new conversation: the last one is not known";
}

function restartsItself({ name, workstream }: AgentRef): Fault {
  return new Fault("conflict", "agent.restarts_itself", "You are in that agent's pane and would end with it.", [
    { intent: "Restart it from outside", command: `mu agent restart ${name} -w ${workstream}` },
  ]);
}
