import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answerOps, streamOps } from "../../src/gateway.js";
import type { Request } from "../../src/operations/app.js";
import type { World } from "../../src/operations/execute.js";
import { type OpsResult, opsFrame, opsResult, sorted } from "../../src/operations/ops/contract.js";
import { piStarts, STUB_PI } from "../support/pi.js";
import { fewOf } from "../support/sample.js";
import { type Seeded, seededApp } from "../support/seeded.js";
import { ask, RECORDED } from "./recorded.js";

let app: Seeded;
let world: World;
let pi: string;
beforeAll(async () => {
  app = await seededApp();
  pi = join(app.folder, "pi.log");
  const own = { MU_PI_COMMAND: STUB_PI, STUB_PI_LOG: pi };
  world = {
    ...app.world,
    async openCrew(...call) {
      const crew = await app.world.openCrew(...call);
      return { ...crew, env: { ...crew.env, ...own } };
    },
  };
});
afterAll(() => app.end());

const FIELDS = opsResult();
type Given = Partial<Request> & { workspace?: string; transport?: "json" | "unsupported" };

/** Sends a request, and checks what is true of every result. */
async function send(request: unknown, { workspace, transport = "json", ...given }: Given = {}): Promise<OpsResult> {
  const text = typeof request === "string" ? request : JSON.stringify(request);
  const result = await answerOps(
    world,
    { ...app.request, stdin: async () => text, ...given },
    { workspace, transport },
  );
  const printed = JSON.parse(JSON.stringify(sorted(result)));
  expect(FIELDS.strict().safeParse(printed).error?.issues).toBeUndefined();
  expect(Date.parse(printed.finished_at)).toBeGreaterThanOrEqual(Date.parse(printed.started_at));
  expect(printed.errors.length > 0).toBe(printed.status === "failed");
  return printed;
}

const timeless = (result: OpsResult) => ({ ...result, started_at: "T", finished_at: "T" });

/** A recorded value with the folder of this project, and with matchers for what is recorded by its beginning. */
function filled(value: unknown, match: boolean): unknown {
  if (value === "FOLDER") return app.request.cwd;
  if (Array.isArray(value)) return value.map((one) => filled(one, match));
  if (typeof value !== "object" || value === null) return value;
  if (match && "begins" in value) return expect.stringMatching(new RegExp(`^${value.begins}`));
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, filled(one, match)]));
}

describe("a recorded request has its result, key by key", () => {
  it("there are enough of them", () => expect(Object.keys(RECORDED).length).toBeGreaterThanOrEqual(40));

  it.each(Object.entries(RECORDED))("%s", async (_title, { request, result, workspace }) => {
    const sent = await send(typeof request === "string" ? request : filled(request, false), {
      ...(workspace !== undefined && { workspace }),
    });
    expect(timeless(sent)).toStrictEqual(filled(result, true));
  });

  it("no model was asked for any of them", () => expect(piStarts(pi)).toEqual([]));
});

describe("work that the agent does itself", () => {
  const direct = (more: Record<string, unknown> = {}) =>
    ask("enqueue", {
      ...{ workspace_ref: { workspace_id: "demo" }, route_preference: "direct", input: { text: "Say hello" }, ...more },
    });

  it("b: has succeeded, and is not verified", async () => {
    const result = await send(direct({ expected_evidence: ["a report", { kind: "arbiter_complete" }] }));
    expect(timeless(result)).toMatchObject({
      ...{ status: "succeeded", route: "direct", intake_kind: null, errors: [], warnings: [], evidence_refs: [] },
      result: { task: "Say hello", output: "done: Say hello", event: null, task_path: null, status: null },
      completion: {
        ...{ outcome: "completed", scoped_completion: false, evidence_summary: [], terminal_outcome_ref: null },
        ...{ verification_status: "unverified" },
        missing_evidence: ["positive scoped completion evidence", "a report", "arbiter_complete"],
      },
    });
    expect(Object.keys(result["raw_compat"] ?? {}).sort()).toEqual([
      ...["completion_evidence", "decision", "event", "intake_kind", "intake_signals", "outcome", "output"],
      ...["progress_events", "route", "scoped_completion", "scoped_work_item", "status", "task_path", "warnings"],
    ]);
  });

  it("names its item in all six keys, also by its other name; without an id it has none", async () => {
    const item = { id: " I-1 ", title: 7, constraints: ["a", 1] };
    expect((await send(direct({ scoped_work_item: item }))).scoped_work_item).toEqual({
      ...{ item_id: "I-1", title: null, source_queue: null, spec_path: null, completion_ref: null, constraints: ["a"] },
    });
    expect(await send(direct({ scoped_work_item: { title: "no id" } }))).not.toHaveProperty("scoped_work_item");
  });

  it("a: takes the mode of the request before that of the decision, and warns of one that it does not know", async () => {
    const ref = { workspace_id: "demo", mode: "learning_codex" };
    expect((await send(direct({ workspace_ref: ref }))).raw_compat).toMatchObject({ decision: { mode: ref.mode } });
    const { warnings } = await send(direct({ workspace_ref: { workspace_id: "demo", mode: "sideways" } }));
    expect(warnings).toEqual([
      {
        ...{ code: "runtime_warning", severity: "warning", recoverable: true },
        message: "Nobody knows the mode sideways: the default is used.",
      },
    ]);
  });

  it("c: is one JSON result when pi dies", async () => {
    expect(await send(direct({ input: { payload: { task: "[die]" } } }))).toMatchObject({
      ...{ status: "failed", result: {}, request_id: "r1" },
      errors: [{ code: "runtime_command_failed", recoverable: true }],
    });
  });

  it("h: honours the options of the request", async () => {
    const { errors } = await send(direct({ input: { text: "[hang]" }, options: { pi_timeout_seconds: 1 } }));
    expect(errors).toMatchObject([{ code: "runtime_command_failed", message: "The turn took longer than 1 s." }]);
  });
});

describe("verbs of mu's", () => {
  const demo = { workspace_ref: { workspace_id: "demo" } };

  it("do what they do everywhere, in the workspace of the request", async () => {
    const added = await send(
      ask("task.add", { input: { payload: { title: "From afar" } }, workspace_ref: { workspace_id: "other" } }),
    );
    expect(added).toMatchObject({ status: "succeeded", action: "task.add" });
    expect(added.route).toBeUndefined();
    const shown = await send(ask("task.list", { workspace_ref: { workspace_id: "other" } }));
    expect(shown).toMatchObject({ route: "inspect_only", result: { items: [{ title: "From afar" }], total: 1 } });
  });

  it("destroy with options.yes alone", async () => {
    const payload = { task: "docs" };
    await send(ask("task.delete", { input: { payload }, ...demo }));
    expect((await send(ask("task.show", { input: { payload }, ...demo }))).status).toBe("succeeded");
    await send(ask("task.delete", { input: { payload }, options: { yes: true }, ...demo }));
    expect((await send(ask("task.show", { input: { payload }, ...demo }))).errors).toMatchObject([
      { code: "task.not_found" },
    ]);
  });
});

describe("a request with a key", () => {
  const add = (key: string, title: string, more: Record<string, unknown> = {}) =>
    ask("task.add", {
      ...{ input: { payload: { title } }, workspace_ref: { workspace_id: "other" }, idempotency_key: key, ...more },
    });
  const titled = async (title: string) => {
    const { result } = await send(ask("task.list", { workspace_ref: { workspace_id: "other" } }));
    return (result["items"] as { title: string }[]).filter((one) => one.title === title).length;
  };

  it("has the same result again, whatever its id and metadata", async () => {
    const first = await send(add("k1", "Once"));
    expect(await send(add("k1", "Once"))).toEqual(first);
    const again = await send(add("k1", "Once", { request_id: "r9", metadata: { try: 2 } }));
    expect(again.result).toEqual(first.result);
    expect(await titled("Once")).toBe(1);
  });

  it("is another request with another body", async () => {
    await send(add("k2", "This"));
    const { errors } = await send(add("k2", "That"));
    expect(errors).toMatchObject([{ code: "idempotency_conflict", recoverable: true }]);
    expect(await titled("That")).toBe(0);
  });

  it("is acted on once of several at once", async () => {
    const results = await Promise.all([1, 2, 3].map(() => send(add("k3", "Thrice"))));
    expect(await titled("Thrice")).toBe(1);
    expect(new Set(results.map((result) => JSON.stringify(result.result))).size).toBe(1);
  });

  it("is taken over from a process that died, and its failure is kept", async () => {
    const { body, process } = await app.context.store.db
      .selectFrom("requests")
      .select(["body", "process"])
      .where("key", "=", "k1")
      .executeTakeFirstOrThrow();
    const dead = process.replace(/^(\d+) \S+/, "$1 1");
    const row = { body, request_id: "r0", action: "task.add", process: dead, result: null };
    const at = { created_at: "2026-01-01T00:00:00.000Z", finished_at: null };
    await app.context.store.write((db) =>
      db
        .insertInto("requests")
        .values({ ...row, ...at, key: "k4" })
        .execute(),
    );
    expect((await send(add("k4", "Once"))).status).toBe("succeeded");
    expect(await titled("Once")).toBe(2);
    const refused = ask("task.show", { input: { payload: { task: "nope" } }, idempotency_key: "k5" });
    expect(await send(refused)).toEqual(await send(refused));
  });

  it("can be sent again when it was cut off", async () => {
    const cut = ask("enqueue", {
      ...{ idempotency_key: "k6", route_preference: "direct", workspace_ref: { workspace_id: "demo" } },
      input: { text: "[die]" },
    });
    expect((await send(cut)).status).toBe("failed");
    const kept = app.context.store.db.selectFrom("requests").select("id").where("key", "=", "k6");
    expect(await kept.execute()).toEqual([]);
  });

  it("is kept among the newest 10,000", async () => {
    const { id } = await app.context.store.db
      .selectFrom("requests")
      .select("id")
      .where("key", "=", "k1")
      .executeTakeFirstOrThrow();
    const row = { body: "", request_id: "r0", action: "status", process: "1 1 -@-/-@-", result: "{}" };
    const at = { created_at: "2026-01-01T00:00:00.000Z", finished_at: "2026-01-01T00:00:00.000Z" };
    await app.context.store.write((db) =>
      db
        .insertInto("requests")
        .values({ ...row, ...at, id: id + 10_000, key: "far" } as never)
        .execute(),
    );
    await send(add("k7", "Newest"));
    const keys = await app.context.store.db.selectFrom("requests").select("key").orderBy("id").execute();
    expect(keys.map(({ key }) => key)).not.toContain("k1");
    expect(keys.map(({ key }) => key)).toEqual(expect.arrayContaining(["far", "k7"]));
  });
});

describe("g: the selected workspace", () => {
  it("is a convenience: a torn file has no session, and nothing else is lost", async () => {
    await send(ask("select_workspace", { input: { workspace_id: "other" } }));
    const path = join(app.folder, "operator.json");
    expect(JSON.parse(readFileSync(path, "utf8")).sessions.local.selected_workspace_id).toBe("other");
    for (const torn of ['{"sessions":{"local"', "[]", '{"sessions":[7,{"session_id":1}]}', "\0"]) {
      writeFileSync(path, torn);
      expect((await send(ask("status"))).result).toMatchObject({ workspace: "demo" });
    }
  });

  it("has the newest 20 requests", async () => {
    for (let n = 1; n <= 22; n++)
      await send(ask("select_workspace", { input: { workspace_id: "demo" }, request_id: `n${n}` }));
    const { result } = await send(ask("inspect_session"));
    const { recent_request_ids: ids } = result["session"] as { recent_request_ids: string[] };
    expect([ids.length, ids[0], ids.at(-1)]).toEqual([20, "n3", "n22"]);
  });
});

describe("a stream", () => {
  it("is not supported without more, and says so for the request", async () => {
    expect(await send(ask("status"), { transport: "unsupported" })).toMatchObject({
      ...{ request_id: "r1", action: "status", status: "failed", errors: [{ code: "unsupported_transport" }] },
    });
  });

  it.each([
    ["a request", JSON.stringify(ask("status")), ["request.accepted", "result"], "succeeded"],
    ["what is none", "nope", ["result"], "failed"],
  ])("tells what happens to %s", async (_title, text, types, status) => {
    const frames = [];
    for await (const frame of streamOps(world, { ...app.request, stdin: async () => text }, { workspace: undefined }))
      frames.push(opsFrame().strict().parse(frame));
    expect(frames.map(({ event_type }) => event_type)).toEqual(types);
    expect(frames.map(({ sequence }) => sequence)).toEqual(types.map((_, at) => at + 1));
    expect(frames.at(-1)?.payload).toMatchObject({ status });
    if (status === "succeeded") expect(frames[0]?.event_id).toBe("r1-accepted");
  });

  it("says what standard input is not", async () => {
    const stdin = async () => {
      throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
    };
    const frames = [];
    for await (const frame of streamOps(world, { ...app.request, stdin }, { workspace: undefined })) frames.push(frame);
    expect(frames).toMatchObject([{ event_type: "result", severity: "error", payload: { status: "failed" } }]);
  });
});

describe("whatever a request is", () => {
  const anything = fc.oneof(fc.json(), fc.string(), fc.string({ unit: "binary" }));
  const mutated = fc
    .tuple(
      fc.constantFrom(
        ...Object.keys(ask("status")),
        "options",
        "idempotency_key",
        "scoped_work_item",
        "expected_evidence",
      ),
      fc.oneof(fc.jsonValue(), fc.constantFrom("\u2028", "\0", "x".repeat(1 << 20), "\ud800", "__proto__")),
      fc.constantFrom("status", "list_workspaces", "inspect_session", "task.show", "task.list", "nope", "__proto__"),
    )
    .map(([key, value, action]) => JSON.stringify({ ...ask(action), [key]: value }));

  it("it has one result", async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(anything, mutated), async (text) => {
        await send(text);
      }),
      { numRuns: fewOf(60, 2_000) },
    );
  });
});
