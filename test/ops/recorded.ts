import { OPS_SCHEMA } from "../../src/operations/ops/contract.js";

/** A request to the seeded project and the result that it has; times read `T` in both. */
export interface Recorded {
  request: unknown;
  result: Record<string, unknown>;
  /** The flag `--workspace`. */
  workspace?: string;
}

/** A valid request. */
export const ask = (action: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  ...{ schema_version: OPS_SCHEMA, request_id: "r1", workspace_ref: {}, source: { kind: "cli" }, action, input: {} },
  ...more,
});

const with_ = (action: string, payload: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  ask(action, { input: { kind: "structured_action", payload }, ...more });

const blank = {
  ...{ schema_version: OPS_SCHEMA, request_id: "r1", status: "succeeded", workspace_ref: {} },
  ...{ started_at: "T", finished_at: "T", warnings: [], errors: [], result: {} },
};
const nothing = { outcome: "unknown", scoped_completion: false, evidence_summary: [], missing_evidence: [] };
const NOT_APPLICABLE = { ...nothing, verification_status: "not_applicable", terminal_outcome_ref: null };
const UNVERIFIED = { ...nothing, verification_status: "unverified", terminal_outcome_ref: null };

const ok = (action: string, route: string | null, result: unknown, more: Record<string, unknown> = {}) => ({
  ...{ ...blank, action, result, ...(route !== null && { route }), completion: NOT_APPLICABLE, ...more },
});

const bad = (action: string, code: string, message: string, more: Record<string, unknown> = {}, next?: string) => ({
  ...{ ...blank, action, status: "failed", completion: UNVERIFIED },
  errors: [
    { code, message, severity: "error", recoverable: true, ...(next !== undefined && { suggested_action: next }) },
  ],
  ...more,
});

const invalid = (message: string, more: Record<string, unknown> = {}) =>
  bad("status", "invalid_request", message, more);

const STATUS = {
  ...{ workspace: "demo", root: null, process_running: false, runtime_ownership_lock: "none", active_stage: "none" },
  ...{ active_run_count: 0, execution_queue_depth: 0, planning_queue_depth: 0, learning_queue_depth: 0 },
  ...{ blocked_idle: false, current_failure_class: null, closure_target_root_spec_id: null, closure_target_open: null },
  ...{ last_terminal_stage: null, evidence: [] },
};
const OTHER = { ...STATUS, workspace: "other" };
const LIST = "mu workstream list";
const noWorkspace = (name: string, ref = {}) =>
  bad("status", "workspace_unresolved", `There is no workspace ${name}.`, { workspace_ref: ref }, LIST);
const session = (more: Record<string, unknown>) => ({
  ...{ session_id: "local", client_name: null, selected_workspace_id: "other", selected_mode: null },
  ...{ recent_request_ids: ["r1"], last_warning_codes: [], ...more },
});

/** They are sent one after the other. FOLDER is the folder of `demo`. */
export const RECORDED: Record<string, Recorded> = {
  "status of where the process is": { request: ask("status"), result: ok("status", "status_only", STATUS) },
  "status of a workspace by its id": {
    request: ask("status", { workspace_ref: { workspace_id: "other" } }),
    result: ok("status", "status_only", OTHER, { workspace_ref: { workspace_id: "other" } }),
  },
  "status of a workspace by its folder": {
    request: ask("status", { workspace_ref: { root_path: "FOLDER" } }),
    result: ok("status", "status_only", STATUS, { workspace_ref: { root_path: "FOLDER" } }),
  },
  "an id goes before a folder": {
    request: ask("status", { workspace_ref: { workspace_id: "other", root_path: "FOLDER" } }),
    result: ok("status", "status_only", OTHER, { workspace_ref: { workspace_id: "other", root_path: "FOLDER" } }),
  },
  "an unknown id with a folder is the folder's": {
    request: ask("status", { workspace_ref: { workspace_id: "nope", root_path: "FOLDER" } }),
    result: ok("status", "status_only", STATUS, { workspace_ref: { workspace_id: "nope", root_path: "FOLDER" } }),
  },
  "an unknown id alone is looked for no further": {
    request: ask("status", { workspace_ref: { workspace_id: "nope" } }),
    result: noWorkspace("nope", { workspace_id: "nope" }),
    workspace: "demo",
  },
  "an unknown folder": {
    request: ask("status", { workspace_ref: { root_path: "/no/such" } }),
    result: noWorkspace("/no/such", { root_path: "/no/such" }),
  },
  "the flag goes before where the process is": {
    request: ask("status"),
    result: ok("status", "status_only", OTHER),
    workspace: "other",
  },
  "a request goes before the flag": {
    request: ask("status", { workspace_ref: { workspace_id: "demo" } }),
    result: ok("status", "status_only", STATUS, { workspace_ref: { workspace_id: "demo" } }),
    workspace: "other",
  },
  "a flag that names nothing": { request: ask("status"), result: noWorkspace("nope"), workspace: "nope" },
  "all optional fields, and unknown ones": {
    request: ask("status", {
      ...{ client_name: "mc", client_version: "1", actor: { kind: "human" }, route_preference: "auto", more: 1 },
      ...{ intake_preference: "auto", expected_evidence: [], context_refs: [], options: {}, metadata: { a: 1 } },
      workspace_ref: { display_name: "d", runtime_kind: "local", mode: "m", environment: "e", unknown: 1 },
      source: { kind: "mission_control", surface: "s", adapter_id: "a", trace_ref: "t", conversation_id: "c" },
    }),
    result: ok("status", "status_only", STATUS, {
      workspace_ref: { display_name: "d", runtime_kind: "local", mode: "m", environment: "e" },
    }),
  },
  "optional fields of a wrong type count as not given": {
    request: ask("status", {
      ...{ client_name: 1, actor: [], input: "x", options: null, expected_evidence: {}, scoped_work_item: "x" },
      ...{ idempotency_key: 7, route_preference: {}, workspace_ref: { workspace_id: 7, mode: [] }, metadata: [] },
    }),
    result: ok("status", "status_only", STATUS),
  },
  "an id and an action are trimmed": {
    request: ask(" status ", { request_id: " r1\n" }),
    result: ok("status", "status_only", STATUS),
  },
  "workspaces by id": {
    request: ask("list_workspaces"),
    result: ok("list_workspaces", "inspect_only", {
      workspaces: [
        {
          ...{ workspace_id: "demo", root_path: "FOLDER", display_name: "demo", default_mode: "default_pi" },
          ...{ tags: [], is_default: true },
        },
        {
          ...{ workspace_id: "other", root_path: null, display_name: "other", default_mode: "default_pi" },
          ...{ tags: [], is_default: false },
        },
      ],
    }),
  },
  "no session yet": { request: ask("list_sessions"), result: ok("list_sessions", "inspect_only", { sessions: [] }) },
  "a session that nobody knows is no fault": {
    request: with_("inspect_session", { session_id: "nobody" }),
    result: ok("inspect_session", "inspect_only", { session: null }),
  },
  "a workspace is selected": {
    request: with_("select_workspace", { workspace_id: "other" }),
    result: ok("select_workspace", "inspect_only", { session: session({}) }, { session_ref: { session_id: "local" } }),
  },
  "the selected workspace is that of requests that name none": {
    request: ask("status"),
    result: ok("status", "status_only", OTHER),
  },
  "the flag goes before the selected workspace": {
    request: ask("status"),
    result: ok("status", "status_only", STATUS),
    workspace: "demo",
  },
  "another session selects by the request's own folder": {
    request: with_(
      "select_workspace",
      { session_id: "s2", mode: "deep" },
      { workspace_ref: { root_path: "FOLDER" }, client_name: "mc", request_id: "r2" },
    ),
    result: ok(
      ...(["select_workspace", "inspect_only"] as const),
      {
        session: session({
          ...{ session_id: "s2", client_name: "mc", selected_workspace_id: "demo", selected_mode: "deep" },
          recent_request_ids: ["r2"],
        }),
      },
      { session_ref: { session_id: "s2" }, request_id: "r2", workspace_ref: { root_path: "FOLDER" } },
    ),
  },
  "payload may be the input itself": {
    request: ask("inspect_session", { input: { session_id: "s2" } }),
    result: ok("inspect_session", "inspect_only", {
      session: session({
        ...{ session_id: "s2", client_name: "mc", selected_workspace_id: "demo", selected_mode: "deep" },
        recent_request_ids: ["r2"],
      }),
    }),
  },
  "sessions by id": {
    request: ask("list_sessions"),
    result: ok("list_sessions", "inspect_only", {
      sessions: [
        session({}),
        session({
          ...{ session_id: "s2", client_name: "mc", selected_workspace_id: "demo", selected_mode: "deep" },
          recent_request_ids: ["r2"],
        }),
      ],
    }),
  },
  "a workspace that nobody knows is not selected": {
    request: with_("select_workspace", { workspace_id: "nope" }),
    result: bad("select_workspace", "workspace_unresolved", "There is no workspace nope.", {}, LIST),
  },
  "no workspace to select": {
    request: ask("select_workspace"),
    result: bad(
      ...(["select_workspace", "workspace_unresolved"] as const),
      ...(["The request names no workspace, and there is none by default.", {}, LIST] as const),
    ),
  },
  "an unknown action": {
    request: ask("approve"),
    result: bad("approve", "unsupported_action", "There is no action approve."),
  },
  "an action that is nearly one": {
    request: ask("statsu"),
    result: bad("statsu", "unsupported_action", "There is no action statsu. Did you mean state or status?"),
  },
  "an action that every object has": {
    request: ask("constructor"),
    result: bad("constructor", "unsupported_action", "There is no action constructor."),
  },
  "no line for a shell": {
    request: ask("status; touch hacked"),
    result: bad("status; touch hacked", "unsupported_action", "There is no action status; touch hacked."),
  },
  "text that is no JSON": {
    request: "nope",
    result: { ...invalid(begins("The request is no JSON: ")), request_id: "", action: "" },
  },
  "no text": {
    request: "",
    result: { ...invalid(begins("The request is no JSON: ")), request_id: "", action: "" },
  },
  "a list": { request: [1], result: { ...invalid("The request is no JSON object."), request_id: "", action: "" } },
  null: { request: null, result: { ...invalid("The request is no JSON object."), request_id: "", action: "" } },
  "another version": {
    request: ask("status", { schema_version: "millracer.ops.v0.3" }),
    result: bad("status", "unsupported_schema", "schema_version must be millracer.ops.v0.2."),
  },
  "no version": {
    request: ask("status", { schema_version: undefined }),
    result: bad("status", "unsupported_schema", "schema_version must be millracer.ops.v0.2."),
  },
  "no request_id": {
    request: ask("status", { request_id: undefined }),
    result: invalid(begins("The request is not valid: request_id: "), { request_id: "" }),
  },
  "a blank request_id": {
    request: ask("status", { request_id: "  " }),
    result: invalid(begins("The request is not valid: request_id: "), { request_id: "" }),
  },
  "no action": {
    request: ask("status", { action: undefined }),
    result: invalid(begins("The request is not valid: action: "), { action: "" }),
  },
  "no workspace_ref": {
    request: ask("status", { workspace_ref: undefined }),
    result: invalid(begins("The request is not valid: workspace_ref: ")),
  },
  "a source without a kind": {
    request: ask("status", { source: {} }),
    result: invalid(begins("The request is not valid: source.kind: ")),
  },
  "values that lie too deep in one another": {
    request: `{"schema_version":"${OPS_SCHEMA}","a":${"[".repeat(100_000)}${"]".repeat(100_000)}}`,
    result: { ...invalid("The request is nested too deeply."), request_id: "", action: "" },
  },
  "work without a text": {
    request: ask("enqueue"),
    result: bad("enqueue", "invalid_input", "The request has no text: input.text or input.payload.task."),
  },
  "work in no workspace": {
    request: ask("enqueue", { input: { text: "Fix it" }, workspace_ref: { workspace_id: "nope" } }),
    result: bad(
      ...(["enqueue", "workspace_unresolved", "There is no workspace nope."] as const),
      ...[{ workspace_ref: { workspace_id: "nope" } }, LIST],
    ) as Record<string, unknown>,
  },
  "work in no folder": {
    request: ask("enqueue", { input: { text: "Fix it" }, workspace_ref: { root_path: "/no/such" } }),
    result: bad("enqueue", "workspace_unresolved", 'There is no folder "/no/such".', {
      workspace_ref: { root_path: "/no/such" },
    }),
  },
  "a verb of mu's that reads": {
    request: with_("task.owned-by", { agent: "ann" }, { workspace_ref: { workspace_id: "other" } }),
    result: ok("task.owned-by", "inspect_only", { items: [], count: 0 }, { workspace_ref: { workspace_id: "other" } }),
  },
  "a verb with a wrong input": {
    request: with_("task.add", { title: 7 }),
    result: bad("task.add", "invalid_input", "--title: must be text.", {}, "mu task add --help"),
  },
  "a verb that finds nothing": {
    request: with_("task.show", { task: "nope" }, { workspace_ref: { workspace_id: "demo" } }),
    result: bad(
      ...(["task.show", "task.not_found", 'There is no task "nope" in demo. Did you mean done?'] as const),
      ...[{ workspace_ref: { workspace_id: "demo" } }, "mu task list -w demo"],
    ) as Record<string, unknown>,
  },
  "a verb that destroys, without options.yes": {
    request: with_("task.delete", { task: "docs", yes: true }, { workspace_ref: { workspace_id: "demo" } }),
    result: bad("task.delete", "needs_yes", "task.delete destroys: say options.yes.", {
      workspace_ref: { workspace_id: "demo" },
    }),
  },
  "a verb that speaks to the outside": {
    request: with_("run", { text: ["Fix it"] }),
    result: bad("run", "outward_refused", "run speaks to the outside: a person runs it."),
  },
  "ops in ops": {
    request: with_("ops", {}),
    result: bad("ops", "outward_refused", "ops speaks to the outside: a person runs it."),
  },
  "a verb that needs a terminal": {
    request: with_("task.edit", { task: "docs" }),
    result: bad("task.edit", "unsupported_action", "task.edit needs a shell: a person runs it."),
  },
};

/** Stands for a text that begins so. */
function begins(begins: string): never {
  return { begins } as never;
}
