import { pollUntil } from "../../clock.js";
import type { Context } from "../../db/context.js";
import type { Reader } from "../../db/schema.js";
import type { RowOf } from "../../db/write.js";
import { Fault } from "../../errors.js";
import type { AgentRef } from "../../names.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { openAgentRow, PERSON_CLI } from "../agent.js";
import type { Crew } from "../crew.js";
import { appendSpool, DELIVERED_EVENT, spoolPath } from "../spool.js";
import type { Observation } from "../status/observe.js";
import { awaitReady } from "./after.js";
import { deliverNext } from "./next.js";
import { change, type DeliveryState, deliveryRow, enqueue, firstPending, reserve } from "./rows.js";
import { growing, type Patience } from "./type.js";

/** A prompt on its way to an agent's pane, or at its end. */
export interface Delivery {
  id: number;
  workstream: string;
  agent: string;
  /** The task that it is about. */
  task: string | null;
  sender: string;
  text: string;
  state: DeliveryState;
  /** How often it was typed. */
  attempt: number;
  /** What proved it, or why it was refused or could not be proved. */
  reason: string | null;
  createdAt: string;
  pastedAt: string | null;
  provedAt: string | null;
}

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

function patienceOf({ timeoutMs = TIMEOUT_MS, signal }: Pick<SendOptions, "timeoutMs" | "signal">): Patience {
  return growing(20, 500, timeoutMs, signal);
}

/**
 * Sends a prompt to an agent and comes back when it is proved that the agent took it. The text goes into the outbox
 * first; the same text that still waits there is that same delivery. Faults: `delivery.refused` (conflict: a dialog,
 * a draft, a stranger's pane, a bare shell, a line too long, a dead program; nothing was typed), `delivery.pending`
 * (unavailable: still queued after the timeout), `delivery.unproved` (unavailable: typed once, and nothing shows that
 * it was taken), `delivery.empty`, `delivery.too_long`, `delivery.to_person`, `agent.not_found`.
 */
export async function sendToAgent(crew: Crew, ref: AgentRef, text: string, options: SendOptions): Promise<Sent> {
  const { db } = crew.context.store;
  const agent = await receiver(db, ref);
  const { id } = await enqueue(crew.context, agent, { text, sender: options.sender, taskId: options.taskId });
  const patience = patienceOf(options);
  const delivery = await deliver(crew, agent, { id, patience });
  return options.wait ? { delivery, after: await awaitReady(crew, ref, patience) } : { delivery };
}

/** Puts a prompt into the agent's outbox for whoever drains it next. Faults as `sendToAgent`; tmux is not asked. */
export async function queueForAgent(
  crew: Crew,
  ref: AgentRef,
  text: string,
  { sender, taskId }: Pick<SendOptions, "sender" | "taskId">,
): Promise<Delivery> {
  const { db } = crew.context.store;
  const { id } = await enqueue(crew.context, await receiver(db, ref), { text, sender, taskId });
  return showDelivery(db, id);
}

async function receiver(db: Reader, ref: AgentRef): Promise<RowOf<"agents">> {
  const workstream = await workstreamRow(db, ref.workstream);
  const agent = await openAgentRow(db, workstream.id, ref);
  if (agent.cli !== PERSON_CLI) return agent;
  throw new Fault("conflict", "delivery.to_person", `${ref.name} is a person and has no pane to type into.`, [
    { intent: "Leave a note on a task", command: `mu task note <task> '…' -w ${ref.workstream}` },
  ]);
}

/** Moves the agent's outbox on until delivery `id` is settled or the time is over. Faults as `sendToAgent`. */
async function deliver(
  crew: Crew,
  agent: RowOf<"agents">,
  { id, patience }: { id: number; patience: Patience },
): Promise<Delivery> {
  const { db } = crew.context.store;
  let fresh: number | undefined = id;
  const once = async () => {
    await deliverNext(crew, agent, fresh);
    fresh = undefined;
    const { state } = await deliveryRow(db, id);
    return state === "queued" || state === "pasted" ? undefined : state;
  };
  await pollUntil(crew.context.clock, once, patience);
  const delivery = await showDelivery(db, id);
  if (delivery.state === "proved") return delivery;
  throw notProved(delivery, patience);
}

function notProved(delivery: Delivery, { timeoutMs, signal }: Patience): Fault {
  const { id, agent, workstream, state, reason } = delivery;
  const details = { delivery: id, state, reason };
  const look = { intent: "See its pane", command: `mu agent read ${agent} -w ${workstream}` };
  const again = { intent: "Send it once more", command: `mu delivery retry ${id}` };
  switch (state) {
    case "refused":
      return new Fault(
        "conflict",
        "delivery.refused",
        `Nothing was typed to ${agent}: ${reason}.`,
        [look, again],
        details,
      );
    case "unproved":
      return new Fault(
        "unavailable",
        "delivery.unproved",
        `The text was typed to ${agent} once, and nothing proves that it was taken: ${reason}.`,
        [look, again],
        details,
      );
    case "cancelled":
      return new Fault("conflict", "delivery.cancelled", `Delivery ${id} to ${agent} was cancelled.`, [again], details);
    default:
      return new Fault(
        "unavailable",
        "delivery.pending",
        `${agent} was not ready ${signal?.aborted ? "before you left" : `within ${timeoutMs / 1000} s`}. Delivery ${id} stays queued and is typed at its next turn.`,
        [
          { intent: "See whether it arrived", command: `mu delivery show ${id}` },
          { intent: "Take it back", command: `mu delivery cancel ${id}` },
        ],
        details,
      );
  }
}

export interface DrainOptions {
  workstream?: string | undefined;
  /** Only this agent, by its name in `workstream`. */
  agent?: string | undefined;
}

/**
 * Types what waits in outboxes to the agents that are ready now, and settles what was cut off. Gives what it settled.
 * Without waiting deliveries tmux is not asked. One agent gets one prompt: with it, it is busy.
 */
export async function drainDeliveries(crew: Crew, { workstream, agent }: DrainOptions = {}): Promise<Delivery[]> {
  const { db } = crew.context.store;
  let waiting = db
    .selectFrom("agents as a")
    .innerJoin("workstreams as w", "w.id", "a.workstream_id")
    .selectAll("a")
    .where("a.id", "in", (e) =>
      e.selectFrom("deliveries").select("agent_id").where("state", "in", ["queued", "pasted"]),
    );
  if (workstream !== undefined) waiting = waiting.where("w.name", "=", workstream);
  if (agent !== undefined) waiting = waiting.where("a.name", "=", agent);
  const settled = await Promise.all((await waiting.execute()).map((row) => deliverNext(crew, row)));
  const ids = settled.flatMap((row) => (row === undefined ? [] : [row.id]));
  return Promise.all(ids.map((id) => showDelivery(db, id)));
}

/**
 * Hands the next text in the agent's outbox to the agent itself, which asks for it at the end of its turn: nothing is
 * typed. Undefined when nothing waits. The agent's own feed says that it was handed over.
 */
export async function pullDelivery(crew: Crew, agentId: number): Promise<Delivery | undefined> {
  const { context, stateDir } = crew;
  const row = await firstPending(context.store.db, agentId);
  const taken = row?.state === "queued" ? await reserve(context, row, null) : undefined;
  if (taken === undefined) return undefined;
  const payload = { text: taken.text, delivery: taken.id };
  await appendSpool(spoolPath(stateDir, agentId), {
    at: context.clock.now().getTime(),
    event: DELIVERED_EVENT,
    payload,
  });
  await change(context, taken.id, "prove", "the agent took it at the end of its turn");
  return showDelivery(context.store.db, taken.id);
}

export interface DeliveryFilter {
  workstream?: string | undefined;
  agent?: string | undefined;
  state?: DeliveryState | undefined;
  /** The newest so many; 100 without it. */
  limit?: number | undefined;
}

/** Deliveries, newest first. */
export async function listDeliveries(db: Reader, filter: DeliveryFilter = {}): Promise<Delivery[]> {
  let query = selectDeliveries(db)
    .orderBy("d.id", "desc")
    .limit(filter.limit ?? 100);
  if (filter.workstream !== undefined) query = query.where("w.name", "=", filter.workstream);
  if (filter.agent !== undefined) query = query.where("d.agent", "=", filter.agent);
  if (filter.state !== undefined) query = query.where("d.state", "=", filter.state);
  return (await query.execute()).map(toDelivery);
}

/** Faults `delivery.not_found`. */
export async function showDelivery(db: Reader, id: number): Promise<Delivery> {
  await deliveryRow(db, id);
  return toDelivery(await selectDeliveries(db).where("d.id", "=", id).executeTakeFirstOrThrow());
}

function selectDeliveries(db: Reader) {
  return db
    .selectFrom("deliveries as d")
    .leftJoin("workstreams as w", "w.id", "d.workstream_id")
    .leftJoin("tasks as t", "t.id", "d.task_id")
    .selectAll("d")
    .select(["w.name as workstream", "t.name as task"]);
}

function toDelivery(
  row: Awaited<ReturnType<ReturnType<typeof selectDeliveries>["executeTakeFirstOrThrow"]>>,
): Delivery {
  return {
    id: row.id,
    workstream: row.workstream ?? "",
    agent: row.agent,
    task: row.task,
    sender: row.sender,
    text: row.text,
    state: row.state as DeliveryState,
    attempt: row.attempt,
    reason: row.reason,
    createdAt: row.created_at,
    pastedAt: row.pasted_at,
    provedAt: row.proved_at,
  };
}

/**
 * Sends an unproved, refused or cancelled delivery once more, to the agent that has the name now: a person's verb,
 * because the text may have arrived the first time. Faults `delivery.not_found`, `delivery.settled`, and as
 * `sendToAgent`.
 */
export async function retryDelivery(
  crew: Crew,
  id: number,
  options: Pick<SendOptions, "timeoutMs" | "signal"> = {},
): Promise<Delivery> {
  const before = await showDelivery(crew.context.store.db, id);
  const agent = await receiver(crew.context.store.db, { workstream: before.workstream, name: before.agent });
  await takeVerb(crew.context, before, "retry");
  await crew.context.store.write((db) =>
    db.updateTable("deliveries").set({ agent_id: agent.id }).where("id", "=", id).execute(),
  );
  return deliver(crew, agent, { id, patience: patienceOf(options) });
}

/** Takes back a delivery that waits. Faults `delivery.not_found`, `delivery.settled`. */
export async function cancelDelivery(context: Context, id: number): Promise<Delivery> {
  await takeVerb(context, await showDelivery(context.store.db, id), "cancel");
  return showDelivery(context.store.db, id);
}

async function takeVerb(context: Context, before: Delivery, verb: "retry" | "cancel"): Promise<void> {
  const wanted = verb === "retry" ? "queued" : "cancelled";
  const { state } = await change(context, before.id, verb, null);
  if (state === wanted && before.state !== wanted) return;
  const why = `Delivery ${before.id} is ${before.state}: there is nothing to ${verb}.`;
  throw new Fault("conflict", "delivery.settled", why, [
    { intent: "See it", command: `mu delivery show ${before.id}` },
  ]);
}
