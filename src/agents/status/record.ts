import { type Context, timestamp } from "../../db/context.js";
import type { Reader } from "../../db/schema.js";
import { statement } from "../../db/statement.js";
import { type Tx, write } from "../../db/write.js";
import type { Host } from "../../host.js";
import type { AgentRef } from "../../names.js";
import { shape, type TypeOf } from "../../shape.js";
import {
  AGENT_STATUSES,
  type Agent,
  type AgentRow,
  type AgentStatus,
  agentById,
  agentRows,
  agentWrite,
  currentTasks,
  type Member,
  openPaneAgent,
  type StatusRow,
} from "../agent.js";
import { type Feed, sessionOf } from "../feed.js";
import type { Location } from "../pane.js";
import { whyHidden } from "../sight.js";
import type { Judgement } from "./fuse.js";

/** What was found of one agent at one moment. */
export interface Sample {
  member: Member;
  place: Location;
  feed: Feed;
  judgement: Judgement;
  at: Date;
  /** Of the pane that was read: the verdict as text, tmux's facts, and whether the next look can do without reading it. */
  screen?: { verdict: string; facts: string; settles: boolean };
}

/** How many changes of status are kept for each agent, plus those since the last pruning. */
const HISTORY = 500;
/** An agent's history is cut when the number of its newest change divides by this. */
const PRUNE_EVERY = 8;

/**
 * Stores what is new: the status, its history, how far the feed is read, and the conversation that the agent is in.
 * One short transaction without an event; the conversation alone is journalled, since recover lives on it. Of an agent
 * out of sight nothing is stored: others see it.
 */
export async function recordSamples(host: Host, found: readonly Sample[]): Promise<void> {
  const samples = found.filter(({ place, member }) => place.at !== "elsewhere" || whyHidden(member.row) === undefined);
  const news = samples.filter(hasNews);
  if (news.length > 0) {
    await host.context.store.write(async (db) => {
      for (const sample of news) await record(db, sample);
    });
  }
  for (const sample of samples) await learnSession(host.context, sample);
}

function hasNews({ member: { seen }, feed, judgement, screen }: Sample): boolean {
  if (seen === undefined || feed.changed || isChange(seen, judgement)) return true;
  return screen !== undefined && (screen.settles || seen.screen_hash !== screen.verdict);
}

function isChange(seen: StatusRow, judgement: Judgement): boolean {
  return seen.status !== judgement.status || seen.by !== judgement.by || seen.rule !== judgement.rule;
}

type NewStatus = Omit<StatusRow, "id">;
type Change = Omit<NewStatus, "screen_hash" | "screen_at" | "pane_facts" | "spool_offset" | "feed" | "seen_at">;

const upsertStatus = statement((db, row: NewStatus) => {
  const { agent_id, status, reason, by, rule, evidence, screen_hash, screen_at, pane_facts } = row;
  const known = { status, reason, by, rule, evidence, screen_hash, screen_at, pane_facts };
  const news = { ...known, spool_offset: row.spool_offset, feed: row.feed, at: row.at, seen_at: row.seen_at };
  return db
    .insertInto("agent_status")
    .values({ agent_id, ...news })
    .onConflict((conflict) => conflict.column("agent_id").doUpdateSet(news));
});

const insertObservation = statement((db, { agent_id, status, reason, by, rule, evidence, at }: Change) =>
  db.insertInto("observations").values({ agent_id, status, reason, by, rule, evidence, at }).returning("id"),
);

async function record(db: Reader, { member: { row, seen }, feed, judgement, screen, at }: Sample): Promise<void> {
  const now = at.toISOString();
  const isSameScreen = screen === undefined || screen.verdict === seen?.screen_hash;
  const change: Change = {
    agent_id: row.id,
    status: judgement.status,
    reason: judgement.reason,
    by: judgement.by,
    rule: judgement.rule,
    evidence: judgement.evidence.length === 0 ? null : JSON.stringify(judgement.evidence),
    at: seen?.status === judgement.status ? seen.at : now,
  };
  await upsertStatus(db, {
    ...change,
    screen_hash: screen?.verdict ?? seen?.screen_hash ?? null,
    screen_at: isSameScreen ? (seen?.screen_at ?? null) : now,
    pane_facts: screen?.facts ?? seen?.pane_facts ?? null,
    spool_offset: feed.offset,
    feed: feed.events.length === 0 ? null : JSON.stringify(feed.events),
    seen_at: now,
  });
  if (seen !== undefined && !isChange(seen, judgement)) return;
  const [added] = await insertObservation(db, { ...change, at: now });
  if ((added?.id ?? 0) % PRUNE_EVERY === 0) await prune(db, row.id);
}

async function prune(db: Reader, agentId: number): Promise<void> {
  const ofAgent = db.selectFrom("observations").select("id").where("agent_id", "=", agentId).orderBy("id", "desc");
  const [oldest] = await ofAgent.offset(HISTORY).limit(1).execute();
  if (oldest === undefined) return;
  await db.deleteFrom("observations").where("agent_id", "=", agentId).where("id", "<=", oldest.id).execute();
}

async function learnSession(context: Context, { member: { row, workstream }, feed }: Sample): Promise<void> {
  const session = sessionOf(feed);
  if (session === undefined || session === row.session_ref) return;
  await write(context, agentWrite("agent.session", { workstream, name: row.name }), async (tx) => {
    await tx.patch("agents", row.id, { session_ref: session });
  });
}

/** The line of an agent's shell before anything was typed, as last known; null if it never was. */
export async function knownPrompt(db: Reader, agent: number): Promise<string | null> {
  const row = await db.selectFrom("agent_status").select("pane_facts").where("agent_id", "=", agent).executeTakeFirst();
  return row?.pane_facts ?? null;
}

/** Keeps the line of an agent's shell on which nothing has been typed. */
export async function rememberPrompt({ store }: Context, agent: number, pane_facts: string): Promise<void> {
  await store.write((db) => db.updateTable("agent_status").set({ pane_facts }).where("agent_id", "=", agent).execute());
}

/**
 * Marks the agent as available until it works again; for people. Faults `agent.not_found`,
 * `agent.is_person`.
 */
export async function freeAgent(
  context: Context,
  ref: AgentRef,
): Promise<{ agent: Agent; previousStatus: AgentStatus | null; changed: boolean }> {
  const row = await openPaneAgent(context.store.db, ref);
  const previousStatus = row.status as AgentStatus | null;
  if (previousStatus === "free")
    return { agent: await agentById(context.store.db, row.id), previousStatus, changed: false };
  await write(context, agentWrite("agent.free", ref), (tx) => freeAgentIn(tx, row));
  return { agent: await agentById(context.store.db, row.id), previousStatus, changed: true };
}

/** Marks an agent as available inside a write. */
export async function freeAgentIn(tx: Tx, { id, status }: AgentRow): Promise<void> {
  tx.addPayload({ previousStatus: status });
  const mark = { status: "free", reason: "marked free", by: "person", rule: "person.free", at: tx.now };
  await tx.db
    .insertInto("agent_status")
    .values({ agent_id: id, spool_offset: "", seen_at: tx.now, ...mark })
    .onConflict((conflict) => conflict.column("agent_id").doUpdateSet(mark))
    .execute();
  await insertObservation(tx.db, { agent_id: id, evidence: null, ...mark });
}

/** What the database knows of an agent; nobody looks at its pane for it. */
export const AGENT_POLL = shape({
  name: "string",
  workstream: "string",
  status: [AGENT_STATUSES, null],
  reason: "string | null",
  /** How long it has been idle or free, in ms; 0 while it is anything else. */
  idleMs: "number",
  /** What it works on. */
  tasks: "string[]",
  /** When it was last observed, ISO 8601. */
  seenAt: "string | null",
  dead: "boolean",
});

export type AgentPoll = TypeOf<typeof AGENT_POLL>;

/** The agents of a workstream, or of all (`null`), as last seen. Faults `workstream.not_found`. */
export async function pollAgents(context: Context, workstream: string | null): Promise<AgentPoll[]> {
  const { db } = context.store;
  const rows = await agentRows(db, workstream);
  const tasks = await currentTasks(db);
  const now = timestamp(context.clock);
  return rows.map((row) => ({
    name: row.name,
    workstream: row.workstream,
    status: row.status as AgentStatus | null,
    reason: row.status_reason,
    idleMs: idleMs(row, now),
    tasks: tasks.get(row.id) ?? [],
    seenAt: row.seen_at,
    dead: row.status === "terminated",
  }));
}

/** How long the agent has been waiting for work at `now`, in ms; 0 while it does anything else. */
export function idleMs({ status, status_since }: Pick<AgentRow, "status" | "status_since">, now: string): number {
  if ((status !== "idle" && status !== "free") || status_since === null) return 0;
  return Math.max(0, Date.parse(now) - Date.parse(status_since));
}
