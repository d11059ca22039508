import { sql } from "kysely";
import { Fault } from "../errors.js";
import { quote } from "../names.js";

/** What an edge may ask of its blocker: to be CLOSED, and then to be proved so far. */
export const EDGE_LEVELS = ["closed", "verified", "landed"] as const;
export type EdgeLevel = (typeof EDGE_LEVELS)[number];

/** A blocker as text: the task, and from when on it blocks no more where the text says so. */
export interface Awaited {
  task: string;
  until?: EdgeLevel;
}

/** Reads `build` or `build@landed`; `otherwise` is for a text that names no level. Faults `task.invalid_level`. */
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

/** `build`, or `build@landed` where CLOSED is not enough: as a plan and the command line take it. */
export function awaitedName({ name, until }: { name: string; until: string }): string {
  return until === "closed" ? name : `${name}@${until}`;
}

/** True when a blocker of this status and level blocks no more; in SQL it is `unsatisfied`. */
export function isSatisfied(blocker: { status: string; level: string | null }, until: string): boolean {
  if (blocker.status !== "CLOSED") return false;
  return until === "closed" || blocker.level === until || blocker.level === "landed";
}

/** True for an edge `e` from blocker `b` that still blocks. */
export const unsatisfied = sql<boolean>`(b.status <> 'CLOSED'
  or (e.until = 'verified' and b.level is null)
  or (e.until = 'landed' and (b.level is null or b.level <> 'landed')))`;

/** True for a task `t` with an unsatisfied blocker. */
export const isBlocked = sql<boolean>`exists (
  select 1 from task_edges e join tasks b on b.id = e.blocker_id where e.blocked_id = t.id and ${unsatisfied})`;
