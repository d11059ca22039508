import type { Change } from "../db/events.js";
import type { Reader } from "../db/schema.js";
import { verifyChains } from "../journal/audit.js";
import { compareTables } from "../journal/replay.js";

/** What the chain says became of a task. */
export interface TaskStory {
  name: string;
  /** Who claimed it, in order. */
  claims: string[];
  /** Who closed it, in order. */
  closings: string[];
  /** How often it came back because it clashed with what landed before it. */
  returns: number;
  /** How often it landed: once when all is well. */
  landings: number;
}

export interface Audit {
  /** All chains hold. */
  ok: boolean;
  events: number;
  /** Whether the tables are what the events make them. */
  tables: "same" | "different";
}

/** Reads from the events of `workstream` alone what became of its tasks, by name. */
export async function tellTasks(db: Reader, workstream: string): Promise<TaskStory[]> {
  const stories = new Map<number, TaskStory>();
  const events = await db
    .selectFrom("events")
    .select(["actor", "changes"])
    .where("scope", "=", workstream)
    .orderBy("n")
    .execute();
  for (const { actor, changes } of events)
    for (const change of JSON.parse(changes) as Change[]) if (change.table === "tasks") follow(stories, actor, change);
  return [...stories.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function follow(stories: Map<number, TaskStory>, actor: string, change: Change): void {
  if ("insert" in change) {
    const name = String(change.insert["name"]);
    stories.set(change.id, { name, claims: [], closings: [], returns: 0, landings: 0 });
  }
  const story = stories.get(change.id);
  if (!("patch" in change) || story === undefined) return;
  const [before, after] = change.patch["status"] ?? [];
  if (after === "IN_PROGRESS") story.claims.push(actor);
  if (after === "CLOSED") story.closings.push(actor);
  if (before === "CLOSED" && after === "OPEN") story.returns += 1;
  if (change.patch["level"]?.[1] === "landed") story.landings += 1;
}

/** As `mu audit verify --tables`. Give it one unchanging picture of the database. */
export async function auditAll(db: Reader): Promise<Audit> {
  const chains = await verifyChains(db);
  const differences = await compareTables(db);
  return {
    ok: chains.every((chain) => chain.ok),
    events: chains.reduce((sum, chain) => sum + chain.n, 0),
    tables: differences.length === 0 ? "same" : "different",
  };
}
