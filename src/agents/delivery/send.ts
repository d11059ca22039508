import { pollUntil } from "../../clock.js";
import type { Reader } from "../../db/schema.js";
import type { RowOf } from "../../db/write.js";
import { Fault } from "../../errors.js";
import type { Host } from "../../host.js";
import { type AgentRef, duration, qualifiedName } from "../../names.js";
import { openAgent, PERSON_CLI } from "../agent.js";
import type { TmuxHost } from "../crew.js";
import { appendSpool, DELIVERED_EVENT, spoolPath } from "../spool.js";
import { type Observation, observeAgents } from "../status/observe.js";
import { backoff, deliverNext, type PollOptions } from "./deliver.js";
import {
  applyVerb,
  change,
  type Delivery,
  deliveryRow,
  enqueue,
  firstPending,
  reserve,
  showDelivery,
} from "./outbox.js";

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
 * Sends a prompt to an agent and returns when it is proved that the agent took it. The text goes to the outbox first; a
 * text that already waits there is not queued twice. Faults: `delivery.refused` (conflict: a dialog, a draft, another
 * agent's pane, a bare shell, a line too long, a dead program; nothing was typed), `delivery.pending` (unavailable:
 * still queued after the timeout), `delivery.unproved` (unavailable: typed once, without proof), `delivery.empty`, `delivery.too_long`, `delivery.to_person`, `agent.not_found`.
 */
export async function sendToAgent(host: TmuxHost, ref: AgentRef, text: string, options: SendOptions): Promise<Sent> {
  const { db } = host.context.store;
  const agent = await receiver(db, ref);
  const { id } = await enqueue(host.context, agent, { text, sender: options.sender, taskId: options.taskId });
  const pollOptions = pollOptionsOf(options);
  const delivery = await deliver(host, agent, { id, pollOptions });
  return options.wait ? { delivery, after: await awaitReady(host, ref, pollOptions) } : { delivery };
}

/** Adds a prompt to the agent's outbox without typing it. Faults as `sendToAgent`, except `tmux.*`. */
export async function queueForAgent(
  host: Host,
  ref: AgentRef,
  text: string,
  { sender, taskId }: Pick<SendOptions, "sender" | "taskId">,
): Promise<Delivery> {
  const { db } = host.context.store;
  const { id } = await enqueue(host.context, await receiver(db, ref), { text, sender, taskId });
  return showDelivery(db, id);
}

async function receiver(db: Reader, ref: AgentRef): Promise<RowOf<"agents">> {
  const agent = await openAgent(db, ref);
  if (agent.cli !== PERSON_CLI) return agent;
  throw new Fault("conflict", "delivery.to_person", `${ref.name} is a person and has no pane.`, [
    { intent: "Leave a note on a task", command: `mu task note <task> '…' -w ${ref.workstream}` },
  ]);
}

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
    const { state } = await deliveryRow(db, id);
    return state === "queued" || state === "pasted" ? undefined : state;
  };
  await pollUntil(host.context.clock, once, pollOptions);
  const delivery = await showDelivery(db, id);
  if (delivery.state === "proved") return delivery;
  throw notProved(delivery, pollOptions);
}

function notProved(delivery: Delivery, { timeoutMs, signal }: PollOptions): Fault {
  const { id, agent, workstream, state, reason } = delivery;
  const details = { delivery: id, state, reason };
  const look = { intent: "See its pane", command: `mu agent read ${agent} -w ${workstream}` };
  const again = { intent: "Send it once more", command: `mu delivery retry ${id}` };
  switch (state) {
    case "refused": {
      const message = `Nothing was typed to ${agent}: ${reason}.`;
      return new Fault("conflict", "delivery.refused", message, [look, again], details);
    }
    case "unproved": {
      const message = `The text was typed to ${agent}, but nothing proves that it arrived: ${reason}.`;
      return new Fault("unavailable", "delivery.unproved", message, [look, again], details);
    }
    case "cancelled":
      return new Fault("conflict", "delivery.cancelled", `Delivery ${id} to ${agent} was cancelled.`, [again], details);
    default: {
      const limit = signal?.aborted ? "before the wait was cancelled" : `within ${duration(timeoutMs)}`;
      const message = `${agent} was not ready ${limit}. Delivery ${id} stays queued and will be typed at its next turn.`;
      const show = { intent: "Check whether it arrived", command: `mu delivery show ${id}` };
      const cancel = { intent: "Cancel it", command: `mu delivery cancel ${id}` };
      return new Fault("unavailable", "delivery.pending", message, [show, cancel], details);
    }
  }
}

export interface DrainOptions {
  workstream?: string | undefined;
  /** Only this agent, by its name in `workstream`. */
  agent?: string | undefined;
}

/**
 * Types what waits in outboxes to the agents that are ready now, and settles what was interrupted. Gives what it
 * settled. Each agent gets one prompt at most: then it is busy.
 */
export async function drainDeliveries(host: TmuxHost, { workstream, agent }: DrainOptions = {}): Promise<Delivery[]> {
  const { db } = host.context.store;
  let waiting = db
    .selectFrom("agents as a")
    .innerJoin("workstreams as w", "w.id", "a.workstream_id")
    .selectAll("a")
    .where("a.id", "in", (e) =>
      e.selectFrom("deliveries").select("agent_id").where("state", "in", ["queued", "pasted"]),
    );
  if (workstream !== undefined) waiting = waiting.where("w.name", "=", workstream);
  if (agent !== undefined) waiting = waiting.where("a.name", "=", agent);
  const settled = await Promise.all((await waiting.execute()).map((row) => deliverNext(host, row)));
  const ids = settled.flatMap((row) => (row === undefined ? [] : [row.id]));
  return Promise.all(ids.map((id) => showDelivery(db, id)));
}

/**
 * Hands the next text in the outbox to the agent itself, which fetches it at the end of its turn: nothing is typed.
 * Undefined if nothing waits. The agent's own feed records it.
 */
export async function pullDelivery(host: Host, agentId: number): Promise<Delivery | undefined> {
  const { context, stateDir } = host;
  const row = await firstPending(context.store.db, agentId);
  const taken = row?.state === "queued" ? await reserve(context, row, null) : undefined;
  if (taken === undefined) return undefined;
  const payload = { text: taken.text, delivery: taken.id };
  await appendSpool(spoolPath(stateDir, agentId), {
    at: context.clock.now().getTime(),
    event: DELIVERED_EVENT,
    payload,
  });
  await change(context, taken.id, "prove", "the agent fetched it at the end of its turn");
  return showDelivery(context.store.db, taken.id);
}

/**
 * Sends an unproved, refused or cancelled delivery again, to the agent that has the name now. The text may have arrived
 * the first time, so only a person asks for it. Faults `delivery.not_found`, `delivery.settled`, and as
 * `sendToAgent`.
 */
export async function retryDelivery(
  host: TmuxHost,
  id: number,
  options: Pick<SendOptions, "timeoutMs" | "signal"> = {},
): Promise<Delivery> {
  const before = await showDelivery(host.context.store.db, id);
  const agent = await receiver(host.context.store.db, { workstream: before.workstream, name: before.agent });
  await applyVerb(host.context, before, "retry");
  await host.context.store.write((db) =>
    db.updateTable("deliveries").set({ agent_id: agent.id }).where("id", "=", id).execute(),
  );
  return deliver(host, agent, { id, pollOptions: pollOptionsOf(options) });
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
