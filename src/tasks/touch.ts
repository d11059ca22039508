import { Fault } from "../errors.js";
import type { TaskColumns } from "./fields.js";
import type { TaskRow } from "./task.js";

/** The longest lease, in seconds: 30 days. */
const LONGEST_LEASE = 30 * 24 * 3600;

/** What every write to a task sets: the moment and, when its owner is the writer, the end of the lease. */
export function touched(
  row: Pick<TaskRow, "owner" | "lease_seconds" | "status">,
  writer: string,
  now: string,
): TaskColumns {
  if (row.lease_seconds === null || row.owner !== writer || row.status !== "IN_PROGRESS") return { updated_at: now };
  return { updated_at: now, lease_until: after(now, row.lease_seconds) };
}

/** The columns of a lease of `seconds` from `now`; of no lease when it is undefined. Faults `task.invalid_lease`. */
export function lease(now: string, seconds: number | undefined) {
  if (seconds === undefined) return { lease_until: null, lease_seconds: null };
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= LONGEST_LEASE) {
    return { lease_until: after(now, seconds), lease_seconds: seconds };
  }
  throw new Fault("usage", "task.invalid_lease", `A lease is 1 second to 30 days long, not ${seconds} seconds.`, [
    { intent: "Take a task for half an hour", command: "mu task claim --next --lease 30m" },
  ]);
}

function after(now: string, seconds: number): string {
  return new Date(Date.parse(now) + seconds * 1000).toISOString();
}
