import type { Change } from "../db/events.js";
import type { Reader } from "../db/schema.js";
import { verifyChains } from "../journal/audit.js";
import { compareTables } from "../journal/replay.js";
import { counted } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { PLAN, RIVALS } from "./cast.js";
import type { Script } from "./director.js";
import type { MainBranch } from "./stage.js";

/** What the chain says became of a task. */
export const TASK_STORY = shape({
  name: "string",
  /** Who claimed it, in order. */
  claims: "string[]",
  /** Who closed it, in order. */
  closings: "string[]",
  /** How often it came back because it clashed with what landed before it. */
  returns: "number",
  /** How often it landed: once when all is well. */
  landings: "number",
});

export type TaskStory = TypeOf<typeof TASK_STORY>;

export const AUDIT = shape({
  /** All chains hold. */
  ok: "boolean",
  events: "number",
  /** Whether the tables are what the events make them. */
  tables: ["same", "different"],
});

export type Audit = TypeOf<typeof AUDIT>;

/** Reads from the events of `workstream` alone what became of its tasks, by name. */
export async function taskStories(db: Reader, workstream: string): Promise<TaskStory[]> {
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

/** What was not as it should be with the crew, its tasks and the chain. */
export function problemsOf(script: Script, tasks: readonly TaskStory[], audit: Audit): string[] {
  const problems = tasks
    .filter(({ landings }) => landings !== 1)
    .map(({ name, landings }) => `${name} landed ${counted(landings, "time")}`);
  for (const { name, closings, returns } of tasks) {
    if (closings.length !== 1 + returns) problems.push(`${name} was closed ${counted(closings.length, "time")}`);
  }
  if (tasks.length !== PLAN.length) problems.push(`there are ${tasks.length} tasks, not ${PLAN.length}`);
  if (!script.finished) problems.push("the agents did not finish in time");
  if (script.crashes.length !== 1) problems.push(`${counted(script.crashes.length, "agent")} crashed, not one`);
  if (script.permissions.length === 0) problems.push("no agent asked for permission");
  if (!isPredicted(script)) problems.push("the radar did not predict the conflict");
  if (!audit.ok) problems.push("the chain of events is broken");
  if (audit.tables !== "same") problems.push("the tables do not match the events");
  return [...problems, ...(problems.length > 0 ? script.mishaps : [])];
}

/** One pair clashes on purpose: the radar named both before any of it landed, and one of the two came back. */
function isPredicted({ warnings, returned }: Script): boolean {
  const [clash] = returned;
  const rival = clash !== undefined && returned.length === 1 && RIVALS.includes(clash.task);
  return rival && warnings.some(({ agents }) => agents.length === 2 && agents.includes(clash.agent ?? ""));
}

/** What was not as it should be on the branch and around it. */
export function problemsOnMain({ subjects, clean }: MainBranch, left: readonly { agent: string }[]): string[] {
  const titles = PLAN.map(({ title }) => title);
  const wrong = [...titles, ...subjects].filter((title) => count(subjects, title) !== 1 || !titles.includes(title));
  return [
    ...[...new Set(wrong)].map((title) => `main has "${title}" ${counted(count(subjects, title), "time")}`),
    ...(clean ? [] : ["the checkout of main differs from main"]),
    ...left.map(({ agent }) => `the workspace of ${agent} was not freed`),
  ];
}

const count = (texts: readonly string[], text: string) => texts.filter((one) => one === text).length;
