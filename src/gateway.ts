import { asFault, bugFault, Fault, knownFault } from "./errors.js";
import { didYouMean } from "./names.js";
import type { OpsOptions, Request } from "./operations/app.js";
import { defineOperation } from "./operations/define.js";
import { execute, type World } from "./operations/execute.js";
import { findOperation } from "./operations/index.js";
import type { Operation } from "./operations/operation.js";
import { ACTIONS, type Acted, payloadOf, resolveWorkspace } from "./operations/ops/act.js";
import {
  NOT_APPLICABLE,
  OPS_SCHEMA,
  type OpsFrame,
  type OpsRecord,
  type OpsRequest,
  type OpsResult,
  opsRequest,
} from "./operations/ops/contract.js";
import { takeRequest } from "./operations/ops/kept.js";
import { serverWorld } from "./operations/serving.js";
import { isObject } from "./shape.js";

/** The longest request, in bytes. */
const MOST_REQUEST = 32 << 20;
/** How deep its values may lie in one another: printing and hashing them takes a call for each. */
const MOST_DEPTH = 200;

interface Served {
  world: World;
  request: Request;
  options: OpsOptions;
  /** Told what happens, in a word and a sentence. */
  tell(type: string, message: string): void;
}

/** Answers the request on standard input. Whatever it is, the answer is a result, and nothing is thrown. */
export async function answerOps(world: World, request: Request, options: OpsOptions): Promise<OpsResult> {
  return answer({ world, request, options, tell: () => {} }, clockOf(world)());
}

const clockOf = (world: World) => () => world.clock.now().toISOString();

async function answer(served: Served, startedAt: string): Promise<OpsResult> {
  const now = clockOf(served.world);
  let asked: Asked = { request_id: "", action: "", workspace_ref: {} };
  try {
    const text = (await served.request.stdin?.(MOST_REQUEST)) ?? "";
    const found = parse(text);
    asked = found.asked;
    if (served.options.transport === "unsupported") throw unsupportedTransport();
    if ("problem" in found) return failed(asked, startedAt, now(), found.problem);
    served.tell("request.accepted", `${asked.action} was accepted`);
    const acted = await perform(served, found.request, startedAt);
    return { ...resultOf(asked, startedAt, now()), ...acted };
  } catch (error) {
    return failed(asked, startedAt, now(), error);
  }
}

type Asked = Pick<OpsResult, "request_id" | "action" | "workspace_ref">;

/** What a text asks for; as far as it can be read, whom the answer is for. */
function parse(text: string): { asked: Asked } & ({ request: OpsRequest } | { problem: Fault }) {
  const nothing = { request_id: "", action: "", workspace_ref: {} };
  const invalid = (message: string, code = "invalid_request") => new Fault("usage", code, message);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { asked: nothing, problem: invalid(`The request is no JSON: ${(error as Error).message}.`) };
  }
  if (!isObject(value)) return { asked: nothing, problem: invalid("The request is no JSON object.") };
  if (isDeep(value, MOST_DEPTH)) return { asked: nothing, problem: invalid("The request is nested too deeply.") };
  const { request_id: id, action, workspace_ref: ref, schema_version: version } = value;
  const asked = {
    request_id: typeof id === "string" ? id.trim() : "",
    action: typeof action === "string" ? action.trim() : "",
    workspace_ref: opsRequest().shape.workspace_ref.safeParse(ref).data ?? {},
  };
  if (version !== OPS_SCHEMA) {
    return { asked, problem: invalid(`schema_version must be ${OPS_SCHEMA}.`, "unsupported_schema") };
  }
  const checked = opsRequest().safeParse(value);
  if (checked.success) return { asked, request: checked.data };
  const problems = checked.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  return { asked, problem: invalid(`The request is not valid: ${problems.join("; ")}.`) };
}

function isDeep(value: unknown, left: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return left === 0 || Object.values(value).some((one) => isDeep(one, left - 1));
}

async function perform(served: Served, request: OpsRequest, startedAt: string): Promise<Acted> {
  const { serving, close } = serverWorld(served.world);
  const inside = { ...served, world: serving };
  try {
    const { idempotency_key: key } = request;
    return key === undefined ? await act(inside, request) : await once(inside, { ...request, startedAt }, key);
  } finally {
    await close();
  }
}

/** Acts at most once for a key, and gives what came of it to all who ask again. */
async function once(
  served: Served,
  { startedAt, ...request }: OpsRequest & { startedAt: string },
  key: string,
): Promise<Acted> {
  return inWorld(served, async (app) => {
    const taken = await takeRequest(await app.crew(), request, key, served.request.signal);
    if ("stored" in taken) return taken.stored;
    try {
      const acted = await act(served, request).catch((error): Acted => {
        // What somebody else may mend, or was cut off, can be asked for again with the same key.
        if (asFault(error).kind === "unavailable") throw error;
        return { ...failure(error) };
      });
      const result = { ...resultOf(request, startedAt, clockOf(served.world)()), ...acted };
      await taken.keep(result);
      return result;
    } catch (error) {
      await taken.drop();
      throw error;
    }
  });
}

/** Runs something with all that a verb has. */
async function inWorld(served: Served, work: (app: Parameters<Operation["run"]>[0]) => Promise<Acted>): Promise<Acted> {
  const operation = defineOperation({
    ...{ name: "ops", summary: "Answer a request", effect: "write", examples: [] },
    output: {},
    run: async (app) => ({ acted: await work(app) }) as never,
  });
  const { acted } = (await execute(operation, {}, served.world, served.request)) as { acted: Acted };
  return acted;
}

async function act(served: Served, request: OpsRequest): Promise<Acted> {
  const { workspace } = served.options;
  const own = Object.hasOwn(ACTIONS, request.action) ? ACTIONS[request.action] : undefined;
  if (own !== undefined) return inWorld(served, (app) => own(app, request, { workspace }));
  const operation = await findOperation(request.action);
  if (operation === undefined) throw unknownAction(served, request.action);
  return runVerb(served, request, operation.single ?? operation);
}

/** Runs a verb of mu's, whose input is the payload. */
async function runVerb(served: Served, request: OpsRequest, operation: Operation): Promise<Acted> {
  const { action, options = {} } = request;
  const refuse = (code: string, why: string) => new Fault("conflict", code, `${action} ${why}`);
  if (operation.outward) throw refuse("outward_refused", "speaks to the outside: a person runs it.");
  if (operation.standalone || operation.needs?.includes("terminal")) {
    throw new Fault("missing", "unsupported_action", `${action} needs a shell: a person runs it.`);
  }
  const { kind: _, ...payload } = payloadOf(request);
  const schema = operation.input();
  if (operation.effect === "destroy" && options["yes"] !== true && payload["yes"] === true) {
    throw refuse("needs_yes", "destroys: say options.yes.");
  }
  const isApplied = operation.effect === "destroy" && options["yes"] === true;
  const needsPlace = "workstream" in schema.shape && payload["workstream"] === undefined;
  const named = request.workspace_ref.workspace_id ?? request.workspace_ref.root_path ?? served.options.workspace;
  let workstream: string | undefined;
  if (needsPlace && named !== undefined) {
    await inWorld(served, async (app) => {
      workstream = await resolveWorkspace(app, request, { workspace: served.options.workspace });
      return { result: {} };
    });
  }
  const input = { ...payload, ...(workstream !== undefined && { workstream }), ...(isApplied && { yes: true }) };
  const { stdin: _stdin, terminal: _terminal, ...offered } = served.request;
  const result = await execute(operation, input, served.world, offered);
  const route = operation.effect === "read" ? { route: "inspect_only" as const } : {};
  return { result: isObject(result) ? result : { value: result }, ...route, completion: NOT_APPLICABLE };
}

function unknownAction({ world }: Served, action: string): Fault {
  const known = [...Object.keys(ACTIONS), ...world.program.registry.verbs.map(({ name }) => name)];
  return new Fault("missing", "unsupported_action", `There is no action ${action}.${didYouMean(action, known)}`);
}

const unsupportedTransport = () =>
  new Fault(
    "usage",
    "unsupported_transport",
    "A stream is not supported yet. Use --json, or --stream-json --experimental.",
  );

const resultOf = (
  { request_id, action, workspace_ref }: Asked,
  started_at: string,
  finished_at: string,
): OpsResult => ({
  ...{ schema_version: OPS_SCHEMA, request_id, status: "succeeded", action, workspace_ref, started_at, finished_at },
  ...{ warnings: [], errors: [], result: {} },
});

function failed(asked: Asked, startedAt: string, now: string, error: unknown): OpsResult {
  return { ...resultOf(asked, startedAt, now), ...failure(error) };
}

const failure = (error: unknown): Pick<OpsResult, "status" | "errors" | "completion" | "result"> => ({
  status: "failed",
  result: {},
  errors: [recordOf(faultOf(error))],
  completion: { ...NOT_APPLICABLE, verification_status: "unverified" },
});

/** What nobody expected is a result as well. */
const faultOf = (error: unknown): Fault =>
  knownFault(error) ?? bugFault(error instanceof Error ? error.message : String(error));

/** Codes of the contract; other faults keep their own. */
const CODES: Readonly<Record<string, string>> = {
  "usage.invalid_input": "invalid_input",
  "file.too_large": "invalid_request",
  "file.not_utf8": "invalid_request",
  "intake.no_text": "invalid_input",
  "intake.timeout": "runtime_command_failed",
};

function recordOf({ code, message, kind, nextSteps: [next] }: Fault): OpsRecord {
  const word = /^(?:turn|run|dispatch|tmux)\./.test(code) ? "runtime_command_failed" : (CODES[code] ?? code);
  return {
    ...{ code: word, message, severity: "error", recoverable: kind !== "internal" },
    ...(next !== undefined && { suggested_action: next.command }),
  };
}

/** What happens to a request, as it does, and its result at last. */
export async function* streamOps(
  world: World,
  request: Request,
  options: Omit<OpsOptions, "transport">,
): AsyncGenerator<OpsFrame> {
  const now = clockOf(world);
  const frames: OpsFrame[] = [];
  let id = "";
  let wake = () => {};
  const push = (event_type: string, message: string, payload: Record<string, unknown> = {}, isBad = false) => {
    const sequence = frames.length + 1;
    const name = sequence === 1 && event_type === "request.accepted" ? "accepted" : String(sequence);
    frames.push({
      ...{ schema_version: OPS_SCHEMA, request_id: id, event_id: `${id}-${name}`, sequence, timestamp: now() },
      ...{ event_type, severity: isBad ? ("error" as const) : ("info" as const), message, payload },
    });
    wake();
  };
  // A text that cannot be read is a fault of the answer, not of the stream.
  const text = (request.stdin?.(MOST_REQUEST) ?? Promise.resolve("")).then((read) => {
    id = parse(read).asked.request_id;
    return read;
  });
  const inside: Request = {
    ...request,
    stdin: () => text,
    remark: (remark) => push("progress", remark),
    stream: () => {},
  };
  const served: Served = { world, request: inside, options: { ...options, transport: "json" }, tell: push };
  let result: OpsResult | undefined;
  const done = answer(served, now()).then((answered) => {
    result = answered;
    push("result", `${answered.action} ${answered.status}`, { ...answered }, answered.status === "failed");
  });
  for (let sent = 0; ; ) {
    while (sent < frames.length) yield frames[sent++] as OpsFrame;
    if (result !== undefined) break;
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (sent < frames.length || result !== undefined) resolve();
    });
  }
  await done;
}
