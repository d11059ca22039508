import { agentWrite, findOpenAgent } from "../agents/agent.js";
import { getAgentCli } from "../agents/clis/table.js";
import type { Crew } from "../agents/crew.js";
import { queueForAgent, sendToAgent } from "../agents/delivery/send.js";
import { type Observation, observeAgents } from "../agents/status/observe.js";
import { mapAtMost } from "../at-most.js";
import { pollUntil } from "../clock.js";
import { write } from "../db/write.js";
import { Fault } from "../errors.js";
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
  primed: "proved" | "pending" | "none";
}

export interface RecoverOptions extends Pick<RestartOptions, "size"> {
  /** How long an agent may take to be ready for its prompt, in ms; 4,000 without it. Later it gets it from the outbox. */
  primeMs?: number | undefined;
}

const PRIME_MS = 4_000;
/** An agent that was seen ready takes its prompt within this, in ms. */
const READY_MS = 2_000;
/** How many agents are started at a time. */
const AT_ONCE = 6;

/** What `recover` would do, agent by agent; nothing is changed. Faults `tmux.*`. */
export async function planRecovery(crew: Crew, workstream?: string): Promise<RecoveryPlan[]> {
  return (await planAgents(crew, workstream)).map(({ incarnation: _, ...plan }) => plan);
}

/**
 * Recovers a crew after its tmux server or its machine went down: new panes, each CLI in its own conversation if it can
 * resume one, the tasks with the new incarnation, and a prompt that says what to continue. Safe to run twice at once: no
 * agent is started twice. An agent that cannot be started does not stop the others.
 * Faults `tmux.*`.
 */
export async function recover(crew: Crew, workstream?: string, options: RecoverOptions = {}): Promise<Recovered[]> {
  const plans = await planAgents(crew, workstream);
  const started = await mapAtMost(AT_ONCE, plans, (plan) => revive(crew, plan, options));
  return primeAll(crew, started, options.primeMs ?? PRIME_MS);
}

async function revive(crew: Crew, { incarnation, ...plan }: Recoverable, options: RecoverOptions): Promise<Recovered> {
  const is = (columns: Partial<Recovered>): Recovered => ({ ...plan, pane: null, primed: "none", ...columns });
  if (plan.action === "keep" || plan.action === "leave") return is({});
  const ref = { workstream: plan.workstream, name: plan.agent };
  const conversation = plan.action;
  try {
    const restarted = await restartAgent(crew, ref, { ...options, conversation, incarnation });
    const tasks = await giveBack(crew, ref, plan.tasks);
    return is({ pane: restarted.agent.pane, tasks, why: restarted.beginning });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const isTaken = error.code === "agent.exists" || error.code === "agent.replaced";
    return is(
      isTaken
        ? { action: "skipped", why: "it was recovered by another process" }
        : { action: "failed", why: error.message },
    );
  }
}

/** The tasks that are the agent's again: those that it took over, and released ones that are still free. One write. */
async function giveBack(host: Host, ref: AgentRef, names: readonly string[]): Promise<string[]> {
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
 * Sends the agents what to continue, each as soon as it is ready; all are observed together. An agent that is not ready
 * in time gets it from the outbox.
 */
async function primeAll(crew: Crew, started: readonly Recovered[], primeMs: number): Promise<Recovered[]> {
  const done = new Map<Recovered, Recovered>();
  const waiting = () => started.filter((one) => needsPrompt(one) && !done.has(one));
  const once = async () => {
    const seen = waiting().length === 0 ? [] : await observeAgents(crew);
    const ready = waiting().filter((one) => seen.some((now) => isReady(one, now)));
    await Promise.all(ready.map(async (one) => done.set(one, await prime(crew, one))));
    return waiting().length === 0 ? true : undefined;
  };
  await pollUntil(crew.context.clock, once, { everyMs: 200, timeoutMs: primeMs });
  for (const one of waiting()) {
    const [task = ""] = one.tasks;
    await queueForAgent(crew, refOf(one), primeText(one, task), { sender: "recover", taskId: await taskId(crew, one) });
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

function refOf({ workstream, agent }: Recovered): AgentRef {
  return { workstream, name: agent };
}

async function taskId(crew: Crew, { workstream, tasks: [name = ""] }: Recovered): Promise<number> {
  return (await taskRow(crew.context.store.db, { workstream, name })).id;
}

async function prime(crew: Crew, one: Recovered): Promise<Recovered> {
  const [task = ""] = one.tasks;
  try {
    await sendToAgent(crew, refOf(one), primeText(one, task), {
      sender: "recover",
      taskId: await taskId(crew, one),
      timeoutMs: READY_MS,
    });
    return { ...one, primed: "proved" };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return {
      ...one,
      primed: error.code === "delivery.pending" ? "pending" : "none",
      why: `${one.why}; ${error.message}`,
    };
  }
}

function primeText({ action, workstream, agent, tasks }: Recovered, task: string): string {
  const others = tasks.length > 1 ? ` You also own ${tasks.slice(1).join(", ")}.` : "";
  const memory = action === "resume" ? "This is your conversation from before." : "You start with a new conversation.";
  return [
    `You are ${agent} in the workstream ${workstream}. Your pane was lost and has been opened again. ${memory}`,
    `Your task ${task} is still yours and IN_PROGRESS.${others} Read it and its notes with: mu task show ${task} -w ${workstream}`,
    `Check what is already done, then continue.`,
  ].join("\n");
}
