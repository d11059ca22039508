import { Fault } from "../../errors.js";
import { INTAKE_KINDS } from "../../flow/intake.js";
import { findByFolder, handleRequest, type RequestResult, workstreamOfFolder } from "../../jobs/intake/request.js";
import { changeSession, DEFAULT_SESSION, findSession, readSessions } from "../../jobs/intake/sessions.js";
import { readStatus } from "../../jobs/intake/status.js";
import { isObject } from "../../shape.js";
import { listWorkstreams, workstreamRow } from "../../workstreams/workstream.js";
import type { App } from "../define.js";
import {
  NOT_APPLICABLE,
  type OpsCompletion,
  type OpsRecord,
  type OpsRequest,
  type OpsResult,
  scopedItem,
} from "./contract.js";
import { requestWorld } from "./world.js";

/** What an action gives beside what every result has. */
export type Acted = Partial<OpsResult> & Pick<OpsResult, "result">;

/** The flags of the command, below what a request says. */
export interface OpsDefaults {
  workspace?: string | undefined;
}

type Act = (app: App, request: OpsRequest, defaults: OpsDefaults) => Promise<Acted>;

/** The actions that are no verbs of mu's. */
export const ACTIONS: Readonly<Record<string, Act>> = {
  async status(app, request, defaults) {
    const workstream = await resolveWorkspace(app, request, defaults);
    const status = await readStatus(await app.crew(), workstream);
    return { result: status, route: "status_only", completion: NOT_APPLICABLE };
  },
  enqueue,
  async list_workspaces(app, request, defaults) {
    const { db } = app.context.store;
    const current = await resolveWorkspace(app, request, defaults).catch(() => null);
    const workspaces = (await listWorkstreams(db)).map(({ name, root }) => ({
      ...{ workspace_id: name, root_path: root, display_name: name, default_mode: "default_pi", tags: [] },
      is_default: name === current,
    }));
    workspaces.sort((a, b) => (a.workspace_id < b.workspace_id ? -1 : 1));
    return inspected({ workspaces });
  },
  async select_workspace(app, request) {
    const payload = payloadOf(request);
    const { stateDir } = await app.crew();
    const { workspace_ref: ref } = request;
    const wanted = textIn(payload, "workspace_id") ?? ref.workspace_id;
    const path = textIn(payload, "root_path") ?? ref.root_path;
    const known = await findWorkspace(app, wanted, path);
    if (known === undefined) throw unresolved(wanted ?? path);
    const id = textIn(payload, "session_id") ?? DEFAULT_SESSION;
    const mode = textIn(payload, "mode") ?? ref.mode ?? null;
    const change = { selected_workspace_id: known, selected_mode: mode, client_name: request.client_name ?? null };
    const session = await changeSession(stateDir, id, change, request.request_id);
    return { ...inspected({ session }), session_ref: { session_id: id } };
  },
  async list_sessions(app) {
    return inspected({ sessions: await readSessions((await app.crew()).stateDir) });
  },
  async inspect_session(app, request) {
    const id = textIn(payloadOf(request), "session_id") ?? DEFAULT_SESSION;
    return inspected({ session: (await findSession((await app.crew()).stateDir, id)) ?? null });
  },
};

const inspected = (result: Record<string, unknown>): Acted => ({
  result,
  route: "inspect_only",
  completion: NOT_APPLICABLE,
});

/** What an action is given: the payload of the input, or the input itself. */
export function payloadOf({ input = {} }: OpsRequest): Record<string, unknown> {
  return isObject(input["payload"]) ? input["payload"] : input;
}

const textIn = (from: Record<string, unknown>, key: string) =>
  typeof from[key] === "string" && from[key] !== "" ? (from[key] as string) : undefined;

/**
 * The workstream of a request: by its id, by its folder, by the flags, by the session, by where the process is. An id that
 * nobody knows is looked for no further. Faults `workspace_unresolved`.
 */
export async function resolveWorkspace(
  app: App,
  { workspace_ref: ref, input }: OpsRequest,
  defaults: OpsDefaults,
): Promise<string> {
  const { workspace_id: id, root_path: path } = ref;
  if (id !== undefined || path !== undefined) {
    const known = await findWorkspace(app, id, path);
    if (known !== undefined) return known;
    throw unresolved(id ?? path);
  }
  if (defaults.workspace !== undefined) {
    const known = await findWorkspace(app, defaults.workspace, defaults.workspace);
    if (known !== undefined) return known;
    throw unresolved(defaults.workspace);
  }
  const session = textIn(input ?? {}, "session_id") ?? DEFAULT_SESSION;
  const selected = (await findSession((await app.crew()).stateDir, session))?.selected_workspace_id;
  const chosen = await findWorkspace(app, selected ?? undefined, undefined);
  const here = app.request.env["MU_WORKSTREAM"];
  const found = chosen ?? (await findWorkspace(app, here, app.request.cwd)) ?? (await only(app));
  if (found !== undefined) return found;
  throw unresolved(undefined);
}

async function only(app: App): Promise<string | undefined> {
  const [one, ...others] = await listWorkstreams(app.context.store.db);
  return others.length === 0 ? one?.name : undefined;
}

async function findWorkspace(app: App, id: string | undefined, path: string | undefined): Promise<string | undefined> {
  const { db } = app.context.store;
  const named = id === undefined ? undefined : await workstreamRow(db, id).catch(() => undefined);
  return named?.name ?? (path === undefined ? undefined : findByFolder(db, path));
}

function unresolved(wanted: string | undefined): Fault {
  const message =
    wanted === undefined
      ? "The request names no workspace, and there is none by default."
      : `There is no workspace ${wanted}.`;
  return new Fault("missing", "workspace_unresolved", message, [
    { intent: "See which there are", command: "mu workstream list" },
  ]);
}

async function enqueue(app: App, request: OpsRequest, defaults: OpsDefaults): Promise<Acted> {
  const { input = {}, route_preference: route, intake_preference: intake, workspace_ref: ref, options = {} } = request;
  const payload = isObject(input["payload"]) ? input["payload"] : {};
  const text = textIn(input, "text") ?? textIn(payload, "task") ?? textIn(payload, "text");
  if (text === undefined)
    throw new Fault("usage", "invalid_input", "The request has no text: input.text or input.payload.task.");
  const workstream = await workspaceForWork(app, request, defaults);
  const { root } = await workstreamRow(app.context.store.db, workstream);
  const scope = scopedItem(request.scoped_work_item);
  const count = (key: string, otherwise: number) =>
    typeof options[key] === "number" && options[key] >= 0 ? options[key] : otherwise;
  const world = await requestWorld(app, workstream, {
    ...{ cwd: root ?? app.request.cwd, thinking: "high", timeoutMs: count("pi_timeout_seconds", 3600) * 1000 },
    ...{ provider: textIn(options, "provider"), model: textIn(options, "model") },
  });
  try {
    const done = await handleRequest(world, {
      text,
      route: route === "direct" || route === "millrace" ? route : route === "delegate" ? "millrace" : undefined,
      intake: INTAKE_KINDS.find((kind) => kind === intake),
      mode: ref.mode,
      scope,
      timeoutMs: count("daemon_timeout_seconds", 7200) * 1000,
      maxRestarts: count("max_daemon_restarts", 1),
      notify: options["notify_terminal_stages"] !== false,
      keep: options["keep_daemon"] === true,
    });
    return enqueued(request, text, done);
  } finally {
    await world.end();
  }
}

/** As `resolveWorkspace`; a folder that has no workstream yet gets one. */
async function workspaceForWork(app: App, request: OpsRequest, defaults: OpsDefaults): Promise<string> {
  const { workspace_id: id, root_path: path } = request.workspace_ref;
  const isNew = path !== undefined && (await findWorkspace(app, id, path)) === undefined;
  return isNew
    ? workstreamOfFolder(await app.crew(), path, app.request.remark)
    : resolveWorkspace(app, request, defaults);
}

function enqueued(request: OpsRequest, task: string, done: RequestResult): Acted {
  const { route, intake_kind, output, event, task_path, status, outcome, scoped_work_item: item } = done;
  const completion = completionOf(request, done);
  return {
    result: { task, output, event, task_path, status },
    status: statusOf(done),
    route,
    intake_kind,
    ...(item !== null && { scoped_work_item: item }),
    completion,
    evidence_refs: done.completion_evidence,
    warnings: done.warnings.map(
      (message): OpsRecord => ({
        ...{ code: "runtime_warning", message, severity: "warning", recoverable: true },
      }),
    ),
    errors:
      outcome === "restart_needed" || outcome === "crashed"
        ? [{ code: "runtime_command_failed", message: event?.reason ?? outcome, severity: "error", recoverable: true }]
        : [],
    raw_compat: { ...done },
  };
}

/** Work that was done directly is done, though nobody has verified it. */
function statusOf({ route, outcome, scoped_completion: isScoped }: RequestResult): OpsResult["status"] {
  if (outcome === "blocked" || outcome === "incomplete") return outcome;
  return outcome === "completed" && (isScoped || route === "direct") ? "succeeded" : "failed";
}

function completionOf({ expected_evidence: expected = [] }: OpsRequest, done: RequestResult): OpsCompletion {
  const { outcome, scoped_completion: isScoped, completion_evidence: evidence } = done;
  const has = evidence.flatMap(({ kind, task, reason }) => [kind, task, reason]);
  const unmet = expected.map(nameOf).filter((name) => !has.includes(name));
  return {
    outcome,
    scoped_completion: isScoped,
    evidence_summary: evidence.map(({ kind, reason }) => `${kind}: ${reason}`),
    missing_evidence: [...(isScoped ? [] : ["positive scoped completion evidence"]), ...unmet],
    verification_status: isScoped ? "verified" : "unverified",
    terminal_outcome_ref: evidence[0] === undefined ? null : `run:${evidence[0].run}`,
  };
}

const nameOf = (expected: unknown) =>
  typeof expected === "string"
    ? expected
    : isObject(expected)
      ? String(expected["kind"] ?? JSON.stringify(expected))
      : String(expected);
