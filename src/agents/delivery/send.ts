import { pollUntil } from "../../clock.js";
import type { Reader } from "../../db/schema.js";
import type { RowOf } from "../../db/write.js";
import { Fault } from "../../errors.js";
import type { Host } from "../../host.js";
import { type AgentRef, duration, qualifiedName } from "../../names.js";
import { openAgent, PANELESS, RUN_CLI } from "../agent.js";
import { getAgentCli } from "../clis/table.js";
import type { TmuxHost } from "../crew.js";
import { type Observation, observeAgents } from "../status/observe.js";
import { backoff, deliverNext, type PollOptions, UNREAD } from "./deliver.js";
import { reviewDeliveries } from "./drain.js";
import {
  applyVerb,
  checkVerbatim,
  type Delivery,
  type DeliveryRow,
  deliveryRow,
  enqueue,
  HOLD_MS,
  showDelivery,
  toldTo,
} from "./outbox.js";
import { isUnread } from "./proof.js";

export interface SendOptions {
  sender: string;
  /** Row id of the task that the prompt is about, in the agent's workstream. */
  taskId?: number | undefined;
  /** How long to wait for a busy agent, in ms; 60,000 without it. */
  timeoutMs?: number | undefined;
  /** Also wait, as long again, until the agent is ready for the next one. */
  wait?: boolean | undefined;
  /** Ends the wait; the delivery stays queued. */
  signal?: AbortSignal | undefined;
}

export interface Sent {
  delivery: Delivery;
  /** With `wait`: the agent when it was done. */
  after?: Observation;
}

const TIMEOUT_MS = 60_000;

function pollOptionsOf({ timeoutMs = TIMEOUT_MS, signal }: Pick<SendOptions, "timeoutMs" | "signal">): PollOptions {
  return backoff(20, 500, timeoutMs, signal);
}

/**
 * Sends a prompt to an agent and returns when it is known what became of it: `proved`, `handed` to its stop hook, or
 * `typed` at a program that says nothing. The text goes to the outbox first; a text that already waits there is not
 * queued twice. Faults: `delivery.refused` (conflict: a dialog, a draft, another
 * agent's pane, a bare shell, a line too long, a dead program; nothing was typed), `delivery.pending` (unavailable:
 * still queued after the timeout), `delivery.unproved` (unavailable: typed once, without proof), `delivery.empty`, `delivery.too_long`,
 * `delivery.not_verbatim` (usage: the CLI would take it for a command), `delivery.to_person`, `agent.not_found`.
 */
export async function sendToAgent(host: TmuxHost, ref: AgentRef, text: string, options: SendOptions): Promise<Sent> {
  const { db } = host.context.store;
  const agent = await receiver(db, ref, text);
  const { id } = await enqueue(host.context, agent, { text, sender: options.sender, taskId: options.taskId });
  const pollOptions = pollOptionsOf(options);
  const delivery = await deliver(host, agent, { id, pollOptions });
  return options.wait ? { delivery, after: await awaitReady(host, ref, pollOptions) } : { delivery };
}

/** Adds what mu says to the agent's outbox, as `toldTo` writes it, without typing it. Faults as `sendToAgent`, except `tmux.*`. */
export async function queueForAgent(
  host: Host,
  ref: AgentRef,
  text: string,
  { sender, taskId }: Pick<SendOptions, "sender" | "taskId">,
): Promise<Delivery> {
  const { db } = host.context.store;
  const agent = await receiver(db, ref, text);
  const { id } = await enqueue(host.context, agent, { text: toldTo(agent.cli, text), sender, taskId });
  return showDelivery(db, id);
}

/** Works through the agent's outbox until a delivery that was queued is settled. Faults as `sendToAgent`. */
export async function deliverQueued(
  host: TmuxHost,
  ref: AgentRef,
  id: number,
  options: Pick<SendOptions, "timeoutMs" | "signal"> = {},
): Promise<Delivery> {
  return deliver(host, await openAgent(host.context.store.db, ref), { id, pollOptions: pollOptionsOf(options) });
}

async function receiver(db: Reader, ref: AgentRef, text: string): Promise<RowOf<"agents">> {
  const agent = await openAgent(db, ref);
  if (!PANELESS.includes(agent.cli)) {
    checkVerbatim(getAgentCli(agent.cli), text);
    return agent;
  }
  const what = agent.cli === RUN_CLI ? "runs without a terminal" : "is a person and has no pane";
  throw new Fault("conflict", "delivery.to_person", `${ref.name} ${what}.`, [
    { intent: "Leave a note on a task", command: `mu task note <task> '…' -w ${ref.workstream}` },
  ]);
}

/** How long evidence is awaited of a prompt that a stop hook was given, in ms: the next event of a model may be late. */
const HANDED_MS = 5_000;

/** Works through the agent's outbox until delivery `id` is settled or the timeout has passed. Faults as `sendToAgent`. */
async function deliver(
  host: TmuxHost,
  agent: RowOf<"agents">,
  { id, pollOptions }: { id: number; pollOptions: PollOptions },
): Promise<Delivery> {
  const { db } = host.context.store;
  let fresh: number | undefined = id;
  const once = async () => {
    await deliverNext(host, agent, fresh);
    fresh = undefined;
    const row = await deliveryRow(db, id);
    if (row.state === "queued" || row.state === "pasted") return undefined;
    return mayComeLate(host, row) && (await reviewDeliveries(host, { id })).length === 0 ? undefined : true;
  };
  await pollUntil(host.context.clock, once, pollOptions);
  const delivery = await showDelivery(db, id);
  if (["proved", "handed", "typed"].includes(delivery.state)) return delivery;
  throw notProved(delivery, pollOptions);
}

/** Whether evidence is to be expected soon. */
function mayComeLate({ context }: Host, { state, reason, pasted_at }: DeliveryRow): boolean {
  if (state === "unproved") return reason === UNREAD;
  return state === "handed" && context.clock.now().getTime() - Date.parse(pasted_at ?? "") < HANDED_MS;
}

function notProved(delivery: Delivery, { timeoutMs, signal }: PollOptions): Fault {
  const { id, agent, workstream, state, reason } = delivery;
  const details = { delivery: id, state, reason };
  const look = { intent: "See its pane", command: `mu agent read ${agent} -w ${workstream}` };
  const show = { intent: "Check whether it arrived", command: `mu delivery show ${id}` };
  const again = { intent: "Send it once more", command: `mu delivery retry ${id}` };
  switch (state) {
    case "refused": {
      const message = `Nothing was typed to ${agent}: ${reason}.`;
      return new Fault("conflict", "delivery.refused", message, [look, again], details);
    }
    case "unproved": {
      const message = `The text was typed to ${agent}, but nothing proves that it arrived: ${reason}.`;
      const steps = reason === UNREAD ? [look, show] : [look, show, again];
      return new Fault("unavailable", "delivery.unproved", message, steps, details);
    }
    case "cancelled":
      return new Fault("conflict", "delivery.cancelled", `Delivery ${id} to ${agent} was cancelled.`, [again], details);
    default: {
      const limit = signal?.aborted ? "before the wait was cancelled" : `within ${duration(timeoutMs)}`;
      const message = `${agent} was not ready ${limit}. Delivery ${id} stays queued until it is.`;
      const cancel = { intent: "Cancel it", command: `mu delivery cancel ${id}` };
      return new Fault("unavailable", "delivery.pending", message, [show, cancel], details);
    }
  }
}

/**
 * Sends a delivery again that is not proved, to the agent that has the name now. The text may have arrived the first
 * time, so only a person asks for it; where the records show by now that it has, nothing is typed. Faults
 * `delivery.not_found`, `delivery.settled`, `delivery.unread` (conflict: what was typed waits to be read), and as
 * `sendToAgent`.
 */
export async function retryDelivery(
  host: TmuxHost,
  id: number,
  options: Pick<SendOptions, "timeoutMs" | "signal"> = {},
): Promise<Delivery> {
  const { db } = host.context.store;
  const before = await showDelivery(db, id);
  const [arrived] = await reviewDeliveries(host, { id });
  if (arrived?.state === "proved") return showDelivery(db, id);
  const agent = await receiver(db, { workstream: before.workstream, name: before.agent }, before.text);
  const settled = before.state === "pasted" ? await awaitTyped(host, agent, id, options.signal) : undefined;
  if (settled !== undefined) return settled;
  const row = await deliveryRow(db, id);
  if (row.state === "unproved" && row.agent_id === agent.id && (await isUnread(host, agent, row))) throw unread(before);
  // One that waits for this agent was asked for again by somebody who died since, and is delivered.
  if (row.state !== "queued" || row.agent_id !== agent.id) await applyVerb(host.context, before, "retry", agent);
  return deliver(host, agent, { id, pollOptions: pollOptionsOf(options) });
}

/** Waits until a delivery is settled that another process is typing, or was when it died. Undefined if it stays unproved. */
async function awaitTyped(
  host: TmuxHost,
  agent: RowOf<"agents">,
  id: number,
  signal: AbortSignal | undefined,
): Promise<Delivery | undefined> {
  const pollOptions = pollOptionsOf({ timeoutMs: HOLD_MS + 5_000, ...(signal && { signal }) });
  try {
    return await deliver(host, agent, { id, pollOptions });
  } catch (error) {
    if (error instanceof Fault && error.code === "delivery.unproved") return undefined;
    throw error;
  }
}

function unread({ id, agent, workstream }: Delivery): Fault {
  const message = `${agent} has printed nothing since delivery ${id} was typed: it may still take it. Nothing was typed again.`;
  return new Fault("conflict", "delivery.unread", message, [
    { intent: "See its pane", command: `mu agent read ${agent} -w ${workstream}` },
    { intent: "Check whether it arrived", command: `mu delivery show ${id}` },
  ]);
}

/** The pane shows that a prompt was taken with a delay: an agent is done when it looks idle for this long (ms). */
const QUIET_MS = 700;

/**
 * Waits until the agent has finished, or asks a person. Faults `agent.not_ready` after the timeout,
 * `agent.gone`.
 */
export async function awaitReady(
  host: TmuxHost,
  ref: AgentRef,
  { timeoutMs, signal }: Pick<PollOptions, "timeoutMs" | "signal">,
): Promise<Observation> {
  let since: number | undefined;
  const once = async () => {
    const seen = (await observeAgents(host, { workstream: ref.workstream })).find(({ agent }) => agent === ref.name);
    if (seen === undefined || seen.status === "terminated") throw gone(ref, seen);
    const now = host.context.clock.now().getTime();
    if (seen.status === "busy" || seen.status === "spawning") since = undefined;
    else since ??= now;
    return since !== undefined && now - since >= QUIET_MS ? seen : undefined;
  };
  const ready = await pollUntil(host.context.clock, once, backoff(50, 400, timeoutMs, signal));
  if (ready !== undefined) return ready;
  const message = `${ref.name} took the prompt and is still busy after ${duration(timeoutMs)}.`;
  throw new Fault("unavailable", "agent.not_ready", message, [
    { intent: "Wait for it", command: `mu agent wait ${ref.name} -w ${ref.workstream}` },
  ]);
}

function gone(ref: AgentRef, seen: Observation | undefined): Fault {
  const why = seen?.reason ?? "it was closed";
  return new Fault("unavailable", "agent.gone", `${qualifiedName(ref)} took the prompt and then ended: ${why}.`, [
    { intent: "List agents", command: `mu agent list -w ${ref.workstream}` },
  ]);
}
