import type { NewRow } from "../db/write.js";
import { type TaskFields, taskColumns } from "./fields.js";

/** The fields of a task that does not exist yet. */
export type NewTaskFields = TaskFields & { title: string };

/**
 * The row of a new OPEN task; fields that are not given get their defaults. The name is the caller's to check,
 * and so are `root_id` and `name` being free. Faults `task.invalid_field`.
 */
export function newTaskRow(workstreamId: number, name: string, fields: NewTaskFields, now: string): NewRow<"tasks"> {
  return {
    workstream_id: workstreamId,
    name,
    title: name,
    description: null,
    kind: "task",
    role: null,
    status: "OPEN",
    hold: null,
    hold_reason: null,
    impact: 50,
    effort_days: 1,
    priority: 5,
    owner_id: null,
    root_id: null,
    step: null,
    payload: null,
    tags: null,
    touches: null,
    attempts: 0,
    max_retries: 3,
    not_before: null,
    outcome: null,
    external_ref: null,
    claim_generation: 0,
    lease_until: null,
    lease_seconds: null,
    updated_at: now,
    closed_at: null,
    level: null,
    work_agent: null,
    work_root: null,
    work_from: null,
    work_to: null,
    landed_commit: null,
    ...taskColumns(fields),
  };
}
