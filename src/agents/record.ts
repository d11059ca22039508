import type { Context } from "../context.js";
import type { Reader } from "../db/schema.js";
import { write } from "../db/write.js";
import { qualifiedName } from "../names.js";
import type { Crew } from "./crew.js";
import type { Member, StatusRow } from "./roster.js";
import { type Feed, type Sensed, sessionOf } from "./sense.js";
import type { Whereabouts } from "./whereabouts.js";

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

/** So many changes of status are kept for each agent. */
const HISTORY = 500;

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

async function record(db: Reader, { member: { row, seen }, feed, sensed, screen, at }: Sighting): Promise<void> {
  const now = at.toISOString();
  const evidence = sensed.evidence.length === 0 ? null : JSON.stringify(sensed.evidence);
  const grounds = { reason: sensed.reason, by: sensed.by, rule: sensed.rule, evidence };
  const status = {
    status: sensed.status,
    ...grounds,
    at: seen?.status === sensed.status ? seen.at : now,
    seen_at: now,
    spool_offset: feed.offset,
    feed: feed.events.length === 0 ? null : JSON.stringify(feed.events),
    ...(screen && {
      pane_facts: screen.facts,
      ...(screen.verdict !== seen?.screen_hash && { screen_hash: screen.verdict, screen_at: now }),
    }),
  };
  await db
    .insertInto("agent_status")
    .values({ agent_id: row.id, ...status })
    .onConflict((conflict) => conflict.column("agent_id").doUpdateSet(status))
    .execute();
  if (seen !== undefined && !isChange(seen, sensed)) return;
  await db
    .insertInto("observations")
    .values({ agent_id: row.id, status: sensed.status, ...grounds, at: now })
    .execute();
  await prune(db, row.id);
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
