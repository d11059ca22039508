import { sql } from "kysely";
import { Fault } from "../errors.js";
import { qualifiedName, quote, type TaskRef } from "../names.js";

/** What an edge may require of its blocker: to be CLOSED, verified or landed. */
export const EDGE_LEVELS = ["closed", "verified", "landed"] as const;
export type EdgeLevel = (typeof EDGE_LEVELS)[number];

/** A parsed blocker: the task, and the required level if the text names one. */
export interface Awaited {
  task: string;
  until?: EdgeLevel;
}

/** Parses `build` or `build@landed`; `otherwise` is the level of a text that names none. Faults `task.invalid_level`. */
export function parseAwaited(text: string, otherwise?: EdgeLevel): Awaited {
  const at = text.lastIndexOf("@");
  if (at < 0) return { task: text, ...(otherwise !== undefined && { until: otherwise }) };
  const level = text.slice(at + 1);
  const until = EDGE_LEVELS.find((known) => known === level);
  if (until !== undefined) return { task: text.slice(0, at), until };
  throw new Fault(
    "usage",
    "task.invalid_level",
    `Unknown level ${quote(level)} in ${quote(text)}: use ${EDGE_LEVELS.join(", ")}.`,
  );
}

/** `build`, or `build@landed` if CLOSED is not enough; `parseAwaited` reads it. */
export function awaitedName({ name, until }: { name: string; until: string }): string {
  return until === "closed" ? name : `${name}@${until}`;
}

/** A reference as text that `parseAwaited` reads, with its level if it names one. */
export function awaitedText({ until, ...ref }: TaskRef & { until?: EdgeLevel | undefined }): string {
  return until === undefined ? qualifiedName(ref) : `${qualifiedName(ref)}@${until}`;
}

/** True if a blocker of this status and level no longer blocks; in SQL it is `unsatisfied`. */
export function isSatisfied(blocker: { status: string; level: string | null }, until: string): boolean {
  if (blocker.status !== "CLOSED") return false;
  return until === "closed" || blocker.level === until || blocker.level === "landed";
}

/** True for an edge `e` from blocker `b` that still blocks. */
export const unsatisfied = sql<boolean>`(b.status <> 'CLOSED'
  or (e.until = 'verified' and b.level is null)
  or (e.until = 'landed' and (b.level is null or b.level <> 'landed')))`;

/** True for a task `t` that is `root`, belongs to it, or that one of these waits for. */
export const isUnder = (root: number) => sql<boolean>`t.id in (
  with recursive reach(id) as (
    select id from tasks where id = ${root} or root_id = ${root}
    union
    select e.blocker_id from reach r join task_edges e on e.blocked_id = r.id)
  select id from reach)`;

/** True for a task `t` with an unsatisfied blocker. */
export const isBlocked = sql<boolean>`exists (
  select 1 from task_edges e join tasks b on b.id = e.blocker_id where e.blocked_id = t.id and ${unsatisfied})`;
