import * as z from "zod";
import { OUTCOMES } from "../../jobs/intake/status.js";

/** The version of the contract between mu and programs that send it requests. */
export const OPS_SCHEMA = "millracer.ops.v0.2";

/** What is of the wrong type counts as not given. */
const lax = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined);
const text = () => lax(z.string());
const word = () => z.string().trim().min(1);
const object = () => z.record(z.string(), z.unknown());

export const SCOPED_WORK_ITEM = z.object({
  item_id: z.string(),
  title: z.string().nullable(),
  source_queue: z.string().nullable(),
  spec_path: z.string().nullable(),
  completion_ref: z.string().nullable(),
  constraints: z.array(z.string()),
});

export const opsRequest = () =>
  z.object({
    schema_version: z.literal(OPS_SCHEMA),
    request_id: word(),
    action: word(),
    workspace_ref: z.object({
      workspace_id: text(),
      root_path: text(),
      display_name: text(),
      runtime_kind: text(),
      mode: text(),
      environment: text(),
    }),
    source: z.object({
      kind: word(),
      surface: text(),
      adapter_id: text(),
      conversation_id: text(),
      message_id: text(),
      parent_request_id: text(),
      trace_ref: text(),
    }),
    input: lax(object()),
    client_name: text(),
    client_version: text(),
    actor: lax(object()),
    route_preference: text(),
    intake_preference: text(),
    scoped_work_item: lax(object()),
    expected_evidence: lax(z.array(z.unknown())),
    context_refs: lax(z.array(z.unknown())),
    options: lax(object()),
    metadata: lax(object()),
    idempotency_key: text(),
  });
export type OpsRequest = z.output<ReturnType<typeof opsRequest>>;

const RECORD = z.object({
  code: z.string(),
  message: z.string(),
  severity: z.enum(["info", "warning", "error"]),
  recoverable: z.boolean(),
  related_ref: z.string().optional(),
  suggested_action: z.string().optional(),
});
export type OpsRecord = z.output<typeof RECORD>;

const COMPLETION = z.object({
  outcome: z.enum(OUTCOMES),
  scoped_completion: z.boolean(),
  evidence_summary: z.array(z.string()),
  missing_evidence: z.array(z.string()),
  verification_status: z.enum(["verified", "unverified", "not_applicable"]),
  terminal_outcome_ref: z.string().nullable(),
});
export type OpsCompletion = z.output<typeof COMPLETION>;

export const opsResult = () =>
  z.object({
    schema_version: z.literal(OPS_SCHEMA),
    request_id: z.string(),
    status: z.enum(["succeeded", "failed", "blocked", "incomplete"]),
    action: z.string(),
    workspace_ref: object(),
    started_at: z.string(),
    finished_at: z.string(),
    warnings: z.array(RECORD),
    errors: z.array(RECORD),
    result: object(),
    route: z.enum(["status_only", "inspect_only", "direct", "millrace"]).optional(),
    intake_kind: z.enum(["probe", "idea", "task"]).nullable().optional(),
    scoped_work_item: SCOPED_WORK_ITEM.optional(),
    completion: COMPLETION.optional(),
    evidence_refs: z.array(z.unknown()).optional(),
    event_cursor: z.string().optional(),
    session_ref: object().optional(),
    raw_compat: object().optional(),
  });
export type OpsResult = z.output<ReturnType<typeof opsResult>>;

/** One line of a stream of what happens to a request. */
export const opsFrame = () =>
  z.object({
    schema_version: z.literal(OPS_SCHEMA),
    request_id: z.string(),
    event_id: z.string(),
    sequence: z.number(),
    timestamp: z.string(),
    event_type: z.string(),
    severity: z.enum(["info", "warning", "error"]),
    message: z.string(),
    payload: object(),
  });
export type OpsFrame = z.output<ReturnType<typeof opsFrame>>;

/** Nothing was to be completed. */
export const NOT_APPLICABLE: OpsCompletion = {
  ...{ outcome: "unknown", scoped_completion: false, evidence_summary: [], missing_evidence: [] },
  ...{ verification_status: "not_applicable", terminal_outcome_ref: null },
};

/** The item of a request in all its fields; undefined without an id, under either of its names. */
export function scopedItem(given: Record<string, unknown> | undefined): z.output<typeof SCOPED_WORK_ITEM> | undefined {
  const id = given?.["item_id"] ?? given?.["id"];
  if (given === undefined || typeof id !== "string" || id.trim() === "") return undefined;
  const optional = (key: string) => (typeof given[key] === "string" ? (given[key] as string) : null);
  const { constraints } = given;
  return {
    item_id: id.trim(),
    title: optional("title"),
    source_queue: optional("source_queue"),
    spec_path: optional("spec_path"),
    completion_ref: optional("completion_ref"),
    constraints: Array.isArray(constraints) ? constraints.filter((one) => typeof one === "string") : [],
  };
}

/** A value with the keys of all its objects in order. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, sorted(one)]));
}
