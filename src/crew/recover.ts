import { agentWrite, findOpenAgent } from "../agents/agent.js";
import { getAgentCli } from "../agents/clis/table.js";
import type { Crew } from "../agents/crew.js";
import { queueForAgent, sendToAgent } from "../agents/delivery/send.js";
import { type Observation, observeAgents } from "../agents/status/observe.js";
import { mapAtMost } from "../at-most.js";
import { pollUntil } from "../clock.js";
import { write } from "../db/write.js";
import { asFault } from "../errors.js";
import type { Host } from "../host.js";
import type { AgentRef } from "../names.js";
import { resumeTask } from "../tasks/lifecycle.js";
import { taskRow } from "../tasks/task.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { planAgents, type Recoverable, type RecoveryPlan } from "./recovery.js";
import { type RestartOptions, restartAgent } from "./restart.js";

export type { RecoveryPlan } from "./recovery.js";

/** What became of one agent. */
export interface Recovered extends Omit<RecoveryPlan, "action"> {
  /** `skipped`: another process recovered it. `failed`: see `why`. */
  action: RecoveryPlan["action"] | "skipped" | "failed";
  /** Its new pane. */
  pane: string | null;
  /** Whether its task was sent: `none` if it has no task or cannot read a prompt. */
  primed: "proved" | "handed" | "pending" | "none";
}

export interface RecoverOptions extends Pick<RestartOptions, "size" | "whileUnreachable"> {
  /** How long to wait until an agent is ready, in ms; by its CLI without it. After that its prompt waits in the outbox. */
  primeMs?: number | undefined;
}

const START_MS = 10_000;
/** How long an agent that looked ready may take to accept its prompt, in ms. */
const READY_MS = 2_000;
/** How many agents are started at a time. */
const AT_ONCE = 6;

/** What `recover` would do with each agent; changes nothing. Faults `tmux.*`. */
export async function planRecovery(
  crew: Crew,
  workstream?: string,
  options: RecoverOptions = {},
): Promise<RecoveryPlan[]> {
  return (await planAgents(crew, workstream, options)).map(({ incarnation: _, ...plan }) => plan);
}

/**
 * Recovers a crew after its tmux server or its machine went down: opens new panes, resumes each conversation that can
 * be resumed, hands the tasks to the new incarnations and sends each a prompt to continue. Safe to run concurrently: no
 * agent is started twice. If one agent cannot be started, the others still are.
 * Faults `tmux.*`.
 */
export async function recover(crew: Crew, workstream?: string, options: RecoverOptions = {}): Promise<Recovered[]> {
  const plans = await planAgents(crew, workstream, options);
  const started = await mapAtMost(AT_ONCE, plans, (plan) => revive(crew, plan, options));
  return Promise.all((await primeAll(crew, started, options.primeMs)).map((one) => lookAt(crew, one)));
}

/** A program may end after it was started: nothing is called back that is not there. */
async function lookAt(crew: Crew, one: Recovered): Promise<Recovered> {
  if (one.pane === null || (await crew.tmux.askPane(one.pane)) !== undefined) return one;
  return { ...one, pane: null, action: "failed", why: `${one.why}; then it ended` };
}

async function revive(crew: Crew, { incarnation, ...plan }: Recoverable, options: RecoverOptions): Promise<Recovered> {
  const outcome = (found: Partial<Recovered>): Recovered => ({ ...plan, pane: null, primed: "none", ...found });
  if (plan.action === "keep" || plan.action === "leave") return outcome({});
  const ref = { workstream: plan.workstream, name: plan.agent };
  const conversation = plan.action;
  try {
    const restarted = await restartAgent(crew, ref, { ...options, conversation, incarnation });
    const tasks = await reassignTasks(crew, ref, plan.tasks);
    return outcome({ pane: restarted.agent.pane, tasks, why: restarted.beginning });
  } catch (error) {
    const { code, message } = asFault(error);
    const isTaken = code === "agent.exists" || code === "agent.replaced";
    if (isTaken) return outcome({ action: "skipped", why: "it was recovered by another process" });
    return outcome({ action: "failed", why: message });
  }
}

/** Reassigns the tasks that are still unowned, in one write. Returns all of them that the agent owns now. */
async function reassignTasks(host: Host, ref: AgentRef, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return [];
  return write(host.context, agentWrite("agent.recover", ref), async (tx) => {
    const { id } = await workstreamRow(tx.db, ref.workstream);
    const agent = await findOpenAgent(tx.db, id, ref.name);
    if (agent === undefined) return [];
    const tasks = await tx.db
      .selectFrom("tasks")
      .selectAll()
      .where("workstream_id", "=", id)
      .where("name", "in", names)
      .execute();
    const own: string[] = [];
    for (const task of tasks) {
      if (task.owner_id === agent.id && task.status === "IN_PROGRESS") own.push(task.name);
      if (task.status !== "OPEN" || task.owner_id !== null || task.hold !== null) continue;
      await resumeTask(tx, task, agent.id);
      own.push(task.name);
    }
    return own;
  });
}

/**
 * Sends each agent its prompt as soon as it is ready; all are observed together. If an agent is not ready in time, the
 * prompt stays in its outbox.
 */
async function primeAll(crew: Crew, started: readonly Recovered[], primeMs?: number): Promise<Recovered[]> {
  const startMs = started.filter(needsPrompt).map(({ cli }) => getAgentCli(cli).startMs ?? START_MS);
  const done = new Map<Recovered, Recovered>();
  const waiting = () => started.filter((one) => needsPrompt(one) && !done.has(one));
  const once = async () => {
    const seen = waiting().length === 0 ? [] : await observeAgents(crew);
    const ready = waiting().filter((one) => seen.some((now) => isReady(one, now)));
    await Promise.all(ready.map(async (one) => done.set(one, await prime(crew, one))));
    return waiting().length === 0 ? true : undefined;
  };
  await pollUntil(crew.context.clock, once, { everyMs: 200, timeoutMs: primeMs ?? Math.max(0, ...startMs) });
  for (const one of waiting()) {
    await queueForAgent(crew, ...(await promptFor(crew, one)));
    done.set(one, { ...one, primed: "pending" });
  }
  return started.map((one) => done.get(one) ?? one);
}

/** A shell would run the text as a command, so it gets none. */
function needsPrompt(one: Recovered): boolean {
  return one.pane !== null && one.tasks.length > 0 && getAgentCli(one.cli).reading.by === "screen";
}

function isReady(one: Recovered, { workstream, agent, status }: Observation): boolean {
  return one.workstream === workstream && one.agent === agent && (status === "idle" || status === "free");
}

async function prime(crew: Crew, one: Recovered): Promise<Recovered> {
  try {
    const [ref, text, options] = await promptFor(crew, one);
    const { delivery } = await sendToAgent(crew, ref, text, { ...options, timeoutMs: READY_MS });
    return { ...one, primed: delivery.state === "proved" ? "proved" : "handed" };
  } catch (error) {
    const { code, message } = asFault(error);
    return { ...one, primed: code === "delivery.pending" ? "pending" : "none", why: `${one.why}; ${message}` };
  }
}

/** The receiver, text and options of the prompt that reminds an agent of its tasks. */
async function promptFor(crew: Crew, { action, workstream, agent, tasks: [task = "", ...others] }: Recovered) {
  const { id } = await taskRow(crew.context.store.db, { workstream, name: task });
  const also = others.length > 0 ? ` You also own ${others.join(", ")}.` : "";
  const memory = action === "resume" ? "This is your conversation from before." : "You start with a new conversation.";
  const text = [
    `You are ${agent} in the workstream ${workstream}. Your pane was lost and has been opened again. ${memory}`,
    `Your task ${task} is still yours and IN_PROGRESS.${also} Read it and its notes with: mu task show ${task} -w ${workstream}`,
    `Check what is already done, then continue.`,
  ].join("\n");
  return [{ workstream, name: agent }, text, { sender: "recover", taskId: id }] as const;
}
