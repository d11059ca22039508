import { createHash } from "node:crypto";
import type { Selectable } from "kysely";
import { type Context, timestamp } from "../../db/context.js";
import { fromRow } from "../../db/from-row.js";
import type { Reader, Schema } from "../../db/schema.js";
import type { RowOf, Tx } from "../../db/write.js";
import { Fault } from "../../errors.js";
import { counted, quote, shellWord } from "../../names.js";
import { shape, type TypeOf } from "../../shape.js";
import { pasteText } from "../../tmux/input.js";
import type { AgentCli } from "../clis/cli.js";

export type DeliveryRow = Selectable<Schema["deliveries"]>;

/**
 * `proved`: the receiver itself shows that it has the text. `handed`: it was printed into the receiver's stop hook.
 * `typed`: a terminal echoed it, which says nothing about who read it. `unproved`: typed, and not even that.
 */
export const STATES = ["queued", "pasted", "proved", "handed", "typed", "unproved", "refused", "cancelled"] as const;

export type DeliveryState = (typeof STATES)[number];

/** From which states a verb leads to which. A `pasted` one is never typed again by itself. */
export const DELIVERY_TRANSITIONS = {
  type: { from: ["queued"], to: "pasted" },
  withdraw: { from: ["pasted"], to: "queued" },
  prove: { from: ["pasted", "handed", "unproved"], to: "proved" },
  hand: { from: ["pasted"], to: "handed" },
  echo: { from: ["pasted", "unproved"], to: "typed" },
  doubt: { from: ["pasted", "unproved"], to: "unproved" },
  refuse: { from: ["queued", "pasted"], to: "refused" },
  retry: { from: ["handed", "typed", "unproved", "refused", "cancelled"], to: "queued" },
  cancel: { from: ["queued"], to: "cancelled" },
} as const satisfies Record<string, { from: readonly DeliveryState[]; to: DeliveryState }>;

/** The longest text that is delivered, in bytes. */
const LONGEST_TEXT = 1024 * 1024;
/** Typing takes less than this, or was interrupted. */
export const HOLD_MS = 60_000;

interface Prompt {
  text: string;
  sender: string;
  taskId?: number | undefined;
}

/** Adds a text to the agent's outbox; a text that is already waiting there is not added twice. */
export function enqueue({ store, clock }: Context, agent: RowOf<"agents">, prompt: Prompt): Promise<DeliveryRow> {
  return store.write((db) => enqueueIn({ db, now: timestamp(clock) }, agent, prompt));
}

/** As `enqueue`, as a part of a write. */
export async function enqueueIn(
  { db, now }: Pick<Tx, "db" | "now">,
  agent: RowOf<"agents">,
  { text, sender, taskId }: Prompt,
): Promise<DeliveryRow> {
  const clean = checkText(text);
  const text_hash = createHash("sha256").update(clean).digest("hex");
  const pending = await db
    .selectFrom("deliveries")
    .selectAll()
    .where("agent_id", "=", agent.id)
    .where("state", "in", ["queued", "pasted"])
    .where("text_hash", "=", text_hash)
    .executeTakeFirst();
  if (pending !== undefined) return pending;
  const row = {
    agent_id: agent.id,
    workstream_id: agent.workstream_id,
    agent: agent.name,
    task_id: taskId ?? null,
    sender,
    text: clean,
    text_hash,
    state: "queued",
    attempt: 0,
    reason: null,
    baseline: null,
    created_at: now,
    pasted_at: null,
    proved_at: null,
    updated_at: now,
  };
  const added = await db.insertInto("deliveries").values(row).returningAll().executeTakeFirstOrThrow();
  if (added.id % PRUNE_EVERY === 0) await pruneDeliveries(db, added, new Date(now));
  return added;
}

/** Settled deliveries are kept for so many days, and so many for each agent, plus those since the last pruning. */
export const KEPT_DELIVERIES = { days: 30, each: 200 } as const;
/** Old deliveries are removed when the number of a new one divides by this. */
const PRUNE_EVERY = 8;

async function pruneDeliveries(db: Reader, { workstream_id, agent }: DeliveryRow, now: Date): Promise<void> {
  const settled = db.deleteFrom("deliveries").where("state", "not in", ["queued", "pasted"]);
  const since = new Date(now.getTime() - KEPT_DELIVERIES.days * 86_400_000).toISOString();
  await settled.where("updated_at", "<", since).execute();
  const ofAgent = db.selectFrom("deliveries").where("workstream_id", "=", workstream_id).where("agent", "=", agent);
  const older = ofAgent.select("id").orderBy("id", "desc").limit(1).offset(KEPT_DELIVERIES.each);
  const [oldest] = await older.execute();
  if (oldest === undefined) return;
  const beyond = settled.where("workstream_id", "=", workstream_id).where("agent", "=", agent);
  await beyond.where("id", "<=", oldest.id).execute();
}

function checkText(text: string): string {
  const clean = pasteText(text);
  const bytes = Buffer.byteLength(clean);
  if (clean.trim() === "") {
    throw new Fault("usage", "delivery.empty", "Nothing to send: the text is empty.", [
      { intent: "Send a prompt", command: "mu agent send <agent> 'what to do'" },
    ]);
  }
  if (bytes <= LONGEST_TEXT) return clean;
  throw new Fault(
    "usage",
    "delivery.too_long",
    `The text is ${counted(bytes, "byte")}; the limit is ${LONGEST_TEXT}.`,
    [{ intent: "Write it to a file and send its path", command: "mu agent send <agent> 'read <file>'" }],
  );
}

/** Faults `delivery.not_verbatim`: the CLI would take the text for something else than a prompt. */
export function checkVerbatim({ key, misreads }: AgentCli, text: string): void {
  const found = misreads?.refuse?.find(({ when }) => when.test(text.trim()));
  if (found === undefined) return;
  throw new Fault("usage", "delivery.not_verbatim", `Nothing was typed: ${key} ${found.why}.`, [
    { intent: "Begin with a word", command: "mu agent send <agent> 'please: …'" },
  ]);
}

/** The text as it is pasted: a blank that the CLI takes off again keeps it from reading a command or a completion. */
export function guardText({ misreads }: AgentCli, text: string): string {
  return `${misreads?.before?.test(text) ? " " : ""}${text}${misreads?.after?.test(text) ? " " : ""}`;
}

/** A shell that edits no line takes 4,095 bytes; quoted, a letter may take four. */
const MOST_TOLD = 800;

/**
 * What is said to an agent, not asked by a person to be typed. A shell runs what it is told: the text is one argument of
 * `:`, in one line, so that no word of it is a command; the whole text is in the task's notes.
 */
export function toldTo(cli: string, text: string): string {
  if (cli !== "shell") return text;
  const line = text.trim().replace(/\s+/g, " ");
  return `: ${shellWord(line.length > MOST_TOLD ? `${line.slice(0, MOST_TOLD)}…` : line)}`;
}

/** The delivery of that id; faults `delivery.not_found`. */
export async function deliveryRow(db: Reader, id: number): Promise<DeliveryRow> {
  const row = await db.selectFrom("deliveries").selectAll().where("id", "=", id).executeTakeFirst();
  if (row !== undefined) return row;
  throw new Fault("missing", "delivery.not_found", `There is no delivery ${quote(String(id))}.`, [
    { intent: "List deliveries", command: "mu delivery list" },
  ]);
}

/** The first delivery in the agent's outbox: the one being typed, else the oldest that waits. */
export async function firstPending(db: Reader, agentId: number): Promise<DeliveryRow | undefined> {
  const rows = await db
    .selectFrom("deliveries")
    .selectAll()
    .where("agent_id", "=", agentId)
    .where("state", "in", ["queued", "pasted"])
    .orderBy("id")
    .execute();
  return rows.find((row) => row.state === "pasted") ?? rows[0];
}

/**
 * Reserves the delivery for typing, for one caller only and only while nothing else is being typed to that agent;
 * undefined for everybody else. From here on the text may have reached the pane.
 */
export async function reserve(
  context: Context,
  row: DeliveryRow,
  baseline: string | null,
): Promise<DeliveryRow | undefined> {
  const now = timestamp(context.clock);
  const taken = await context.store
    .write((db) =>
      db
        .updateTable("deliveries")
        .set({ state: "pasted", attempt: row.attempt + 1, reason: null, baseline, pasted_at: now, updated_at: now })
        .where("id", "=", row.id)
        .where("state", "=", "queued")
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom("deliveries as other")
                .select("other.id")
                .where("other.agent_id", "=", row.agent_id)
                .where("other.state", "=", "pasted"),
            ),
          ),
        )
        .returningAll()
        .execute(),
    )
    .catch((error: unknown) => {
      if (isInFlight(error)) return [];
      throw error;
    });
  return taken[0];
}

/** On PostgreSQL two reservations of one agent meet in the unique index. */
function isInFlight(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "23505";
}

/** Applies a transition if the row is in one of its states; gives the row as it is then. */
export async function change(
  context: Context,
  id: number,
  verb: keyof typeof DELIVERY_TRANSITIONS,
  reason: string | null,
  receiver?: RowOf<"agents">,
): Promise<DeliveryRow> {
  const { from, to } = DELIVERY_TRANSITIONS[verb];
  const now = timestamp(context.clock);
  const changes = { ...(to === "proved" && { proved_at: now }), ...(receiver && { agent_id: receiver.id }) };
  return context.store.write(async (db) => {
    await db
      .updateTable("deliveries")
      .set({ state: to, reason, updated_at: now, ...changes })
      .where("id", "=", id)
      .where("state", "in", from)
      .execute();
    return deliveryRow(db, id);
  });
}

/** Whether the process that typed it must have been interrupted. */
export function isAbandoned(row: DeliveryRow, now: Date): boolean {
  return row.state === "pasted" && now.getTime() - Date.parse(row.pasted_at ?? row.updated_at) > HOLD_MS;
}

/**
 * Inside a write: moves what still waits for earlier incarnations to this one. What was being typed stays with them:
 * it may have been taken.
 */
export async function inheritOutbox(tx: Pick<Tx, "db" | "now">, heir: RowOf<"agents">): Promise<void> {
  await tx.db
    .updateTable("deliveries")
    .set({ agent_id: heir.id, updated_at: tx.now })
    .where("state", "=", "queued")
    .where("agent_id", "in", (e) =>
      e
        .selectFrom("agents")
        .select("id")
        .where("workstream_id", "=", heir.workstream_id)
        .where("name", "=", heir.name)
        .where("closed_at", "is not", null),
    )
    .execute();
}

/** Inside a write: cancels what waits for an agent that was closed on purpose. */
export async function cancelOutbox(tx: Tx, agentId: number): Promise<void> {
  await cancelQueued(tx, agentId, "the agent was closed").execute();
}

/** Inside a write: cancels what was queued for an incarnation that did not start; what it inherited waits on. */
export async function cancelFirstPrompt(tx: Tx, { id, spawned_at }: RowOf<"agents">): Promise<void> {
  await cancelQueued(tx, id, "the agent was not started").where("created_at", ">=", spawned_at).execute();
}

const cancelQueued = ({ db, now }: Tx, agentId: number, reason: string) =>
  db
    .updateTable("deliveries")
    .set({ state: "cancelled", reason, updated_at: now })
    .where("state", "=", "queued")
    .where("agent_id", "=", agentId);

/** A prompt on its way to an agent's pane, or at its end. */
export const DELIVERY = shape({
  id: "number",
  workstream: "string",
  agent: "string",
  /** The task that it is about. */
  task: "string | null",
  sender: "string",
  text: "string",
  state: STATES,
  /** How often it was typed. */
  attempt: "number",
  /** What proved it, or why it was refused or could not be proved. */
  reason: "string | null",
  createdAt: "string",
  pastedAt: "string | null",
  provedAt: "string | null",
});

export type Delivery = TypeOf<typeof DELIVERY>;

export interface DeliveryFilter {
  workstream?: string | undefined;
  agent?: string | undefined;
  states?: readonly DeliveryState[] | undefined;
  /** 100 without it; 0 for all. */
  limit?: number | undefined;
}

/** Deliveries, newest first. */
export async function listDeliveries(db: Reader, filter: DeliveryFilter = {}): Promise<Delivery[]> {
  let query = selectDeliveries(db).orderBy("d.id", "desc");
  if (filter.limit !== 0) query = query.limit(filter.limit ?? 100);
  if (filter.workstream !== undefined) query = query.where("w.name", "=", filter.workstream);
  if (filter.agent !== undefined) query = query.where("d.agent", "=", filter.agent);
  if (filter.states !== undefined) query = query.where("d.state", "in", filter.states);
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
  return fromRow(DELIVERY, { ...row, workstream: row.workstream ?? "" });
}

/** Cancels a delivery that waits. Faults `delivery.not_found`, `delivery.settled`. */
export async function cancelDelivery(context: Context, id: number): Promise<Delivery> {
  await applyVerb(context, await showDelivery(context.store.db, id), "cancel");
  return showDelivery(context.store.db, id);
}

/** `receiver` is who has the name now. Faults `delivery.settled`. */
export async function applyVerb(
  context: Context,
  before: Delivery,
  verb: "retry" | "cancel",
  receiver?: RowOf<"agents">,
): Promise<void> {
  const wanted = verb === "retry" ? "queued" : "cancelled";
  const { state } = await change(context, before.id, verb, null, receiver);
  if (state === wanted && before.state !== wanted) return;
  const why = `Delivery ${before.id} is ${before.state} and cannot be ${verb === "retry" ? "retried" : "cancelled"}.`;
  throw new Fault("conflict", "delivery.settled", why, [
    { intent: "Show it", command: `mu delivery show ${before.id}` },
  ]);
}
