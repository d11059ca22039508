import type { Context } from "../../db/context.js";
import type { Reader } from "../../db/schema.js";
import { statement } from "../../db/statement.js";
import { write } from "../../db/write.js";
import { qualifiedName } from "../../names.js";
import type { Crew } from "../crew.js";
import type { Member, StatusRow } from "../roster.js";
import type { Whereabouts } from "../whereabouts.js";
import { type Feed, type Sensed, sessionOf } from "./sense.js";

/** What one look at one agent found. */
export interface Sighting {
  member: Member;
  place: Whereabouts;
  feed: Feed;
  sensed: Sensed;
  at: Date;
  /** Of the pane that was read: the verdict as text, tmux's facts, and whether the next look can do without reading it. */
  screen?: { verdict: string; facts: string; settles: boolean };
}

/** So many changes of status are kept for each agent, and some more between two prunings. */
const HISTORY = 500;
/** An agent's history is cut when the number of its newest change divides by this. */
const PRUNE_EVERY = 8;

/**
 * Stores what is new: the status, its history, how far the feed is read, and the conversation that the agent is in.
 * One short transaction without an event; the conversation alone is journalled, since recover lives on it.
 */
export async function recordSightings(crew: Crew, sightings: readonly Sighting[]): Promise<void> {
  const news = sightings.filter(isNews);
  if (news.length > 0) {
    await crew.context.store.write(async (db) => {
      for (const sighting of news) await record(db, sighting);
    });
  }
  for (const sighting of sightings) await learnSession(crew.context, sighting);
}

function isNews({ member: { seen }, feed, sensed, screen }: Sighting): boolean {
  if (seen === undefined || feed.changed || isChange(seen, sensed)) return true;
  return screen !== undefined && (screen.settles || seen.screen_hash !== screen.verdict);
}

function isChange(seen: StatusRow, sensed: Sensed): boolean {
  return seen.status !== sensed.status || seen.by !== sensed.by || seen.rule !== sensed.rule;
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

async function record(db: Reader, { member: { row, seen }, feed, sensed, screen, at }: Sighting): Promise<void> {
  const now = at.toISOString();
  const isSameScreen = screen === undefined || screen.verdict === seen?.screen_hash;
  const change: Change = {
    agent_id: row.id,
    status: sensed.status,
    reason: sensed.reason,
    by: sensed.by,
    rule: sensed.rule,
    evidence: sensed.evidence.length === 0 ? null : JSON.stringify(sensed.evidence),
    at: seen?.status === sensed.status ? seen.at : now,
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
  if (seen !== undefined && !isChange(seen, sensed)) return;
  const [added] = await insertObservation(db, { ...change, at: now });
  if ((added?.id ?? 0) % PRUNE_EVERY === 0) await prune(db, row.id);
}

async function prune(db: Reader, agentId: number): Promise<void> {
  const ofAgent = db.selectFrom("observations").select("id").where("agent_id", "=", agentId).orderBy("id", "desc");
  const [oldest] = await ofAgent.offset(HISTORY).limit(1).execute();
  if (oldest === undefined) return;
  await db.deleteFrom("observations").where("agent_id", "=", agentId).where("id", "<=", oldest.id).execute();
}

async function learnSession(context: Context, { member: { row, workstream }, feed }: Sighting): Promise<void> {
  const session = sessionOf(feed);
  if (session === undefined || session === row.session_ref) return;
  const subject = qualifiedName({ workstream, name: row.name });
  await write(context, { op: "agent.session", scope: workstream, subject }, async (tx) => {
    await tx.patch("agents", row.id, { session_ref: session });
  });
}
