import type { Reader } from "../db/schema.js";
import { qualifiedName } from "../names.js";
import type { TaskRow } from "../tasks/task.js";

/** Commits of a task that landing gave back. */
export interface EarlierWork {
  /** In whose workspace they are. */
  agent: string;
  /** The last of them. */
  commit: string;
}

/** What lies elsewhere of a task that somebody takes over: the work that its newest landing gave back. */
export async function earlierWork(db: Reader, row: TaskRow): Promise<EarlierWork | undefined> {
  const landing = await db
    .selectFrom("landings")
    .select("state")
    .where("task_id", "=", row.id)
    .where("state", "in", ["landed", "conflict", "red"])
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
  if (landing === undefined || landing.state === "landed") return undefined;
  const refusal = await db
    .selectFrom("events")
    .select("payload")
    .where("scope", "=", row.workstream)
    .where("op", "=", "land.refuse")
    .where("subject", "=", qualifiedName(row))
    .orderBy("n", "desc")
    .limit(1)
    .executeTakeFirst();
  const { agent, commit } = JSON.parse(refusal?.payload ?? "{}") as Partial<EarlierWork>;
  return agent && commit ? { agent, commit } : undefined;
}

/** `ann's workspace, up to 0123456789`: where work is, for people. */
export function tellPlace({ agent, commit }: EarlierWork): string {
  return `${agent}'s workspace, up to ${commit.slice(0, 10)}`;
}
