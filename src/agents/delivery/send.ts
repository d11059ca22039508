import { pollUntil } from "../../clock.js";
import type { Reader } from "../../db/schema.js";
import type { RowOf } from "../../db/write.js";
import { Fault } from "../../errors.js";
import { type AgentRef, qualifiedName } from "../../names.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { openAgentRow, PERSON_CLI } from "../agent.js";
import type { Crew } from "../crew.js";
import { appendSpool, DELIVERED_EVENT, spoolPath } from "../spool.js";
import { type Observation, observeAgents } from "../status/observe.js";
import { deliverNext, growing, type Patience } from "./deliver.js";
import {
  change,
  type Delivery,
  deliveryRow,
  enqueue,
  firstPending,
  reserve,
  showDelivery,
  takeVerb,
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

/** A prompt is taken before the pane says that it is: an agent is done when it keeps looking so for this long (ms). */
const QUIET_MS = 700;

/**
 * Waits until the agent has done what it was sent, or needs somebody. Faults `agent.not_ready` after the timeout,
 * `agent.gone`.
 */
export async function awaitReady(
  crew: Crew,
  ref: AgentRef,
  { timeoutMs, signal }: Pick<Patience, "timeoutMs" | "signal">,
): Promise<Observation> {
  let since: number | undefined;
  const once = async () => {
    const seen = (await observeAgents(crew, { workstream: ref.workstream })).find(({ agent }) => agent === ref.name);
    if (seen === undefined || seen.status === "terminated") throw gone(ref, seen);
    const now = crew.context.clock.now().getTime();
    if (seen.status === "busy" || seen.status === "spawning") since = undefined;
    else since ??= now;
    return since !== undefined && now - since >= QUIET_MS ? seen : undefined;
  };
  const ready = await pollUntil(crew.context.clock, once, growing(50, 400, timeoutMs, signal));
  if (ready !== undefined) return ready;
  const message = `${ref.name} took the prompt and is still at work after ${timeoutMs / 1000} s.`;
  throw new Fault("unavailable", "agent.not_ready", message, [
    { intent: "Wait for it", command: `mu agent wait ${ref.name} -w ${ref.workstream}` },
  ]);
}

function gone(ref: AgentRef, seen: Observation | undefined): Fault {
  const why = seen?.reason ?? "it was closed";
  return new Fault("unavailable", "agent.gone", `${qualifiedName(ref)} took the prompt and is gone: ${why}.`, [
    { intent: "See who is there", command: `mu agent list -w ${ref.workstream}` },
  ]);
}
