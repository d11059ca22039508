import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { write } from "../../src/db/write.js";
import { execute, executeFollowing } from "../../src/operations/execute.js";
import { findOperation } from "../../src/operations/index.js";
import type { Operation } from "../../src/operations/operation.js";
import { workstreamRow } from "../../src/workstreams/workstream.js";
import { agentRow } from "../support/agent-row.js";
import { type Seeded, seededApp } from "../support/seeded.js";

let app: Seeded;
beforeEach(async () => {
  app = await seededApp();
});
afterEach(() => app.end());

async function run(name: string, input: Record<string, unknown>, env: Record<string, string> = {}) {
  const operation = await findOperation(name);
  if (operation === undefined) throw new Error(name);
  return execute(operation, input, app.world, { ...app.request, env: { ...app.request.env, ...env } });
}

describe("a caller who may only look", () => {
  /** The environment of an incarnation that this database does not have. */
  const ghost = { MU_AGENT_ID: "4711", MU_AGENT: "ghost", MU_WORKSTREAM: "demo" };

  it("reads, also with verbs that could write", async () => {
    expect(await run("task.list", {}, ghost)).toMatchObject({ count: 7 });
    expect(await run("sql", { query: "select count(*) as n from tasks" }, ghost)).toEqual([{ n: 7 }]);
    expect(await run("undo", {}, ghost)).toMatchObject({ undone: false });
  });

  it("writes nothing", async () => {
    for (const [verb, input] of [
      ["task.claim", { task: "build" }],
      ["log.write", { text: "hello" }],
      ["sql", { query: "delete from tasks", write: true }],
      ["undo", { yes: true }],
    ] as const) {
      await expect(run(verb, input, ghost), verb).rejects.toMatchObject({ kind: "conflict" });
    }
    expect(await run("task.list", { status: ["OPEN"] })).toMatchObject({ count: 5 });
  });
});

describe("a person in the pane of an agent CLI that nobody adopted", () => {
  const seat = { TMUX: "/tmp/tmux-0/default,123,0", TMUX_PANE: "%9" };
  let asked: string[];
  beforeEach(() => {
    asked = [];
    app.world.askPane = async (pane) => {
      asked.push(pane);
      const unmarked = { title: "", agent: "", agentId: "", spawnedAt: "", startCommand: "codex" };
      return { pane, server: "123 1", session: "mu-demo", command: "codex", ...unmarked } as never;
    };
  });

  it("is found by asking the pane, reads, and writes only with --self", async () => {
    expect(await run("task.list", {}, seat)).toMatchObject({ count: 7 });
    expect(asked).toEqual(["%9"]);
    await expect(run("task.claim", { task: "build" }, seat)).rejects.toMatchObject({ code: "agent.not_adopted" });
    expect(await run("task.claim", { task: "build", self: true }, seat)).toMatchObject({ task: { owner: "ann" } });
  });

  it("may use a verb that changes nothing in anybody's name, and a surface that says who calls", async () => {
    const write = (more: Partial<Operation>, self = false) => {
      const env = { ...app.request.env, ...seat };
      return execute(verb({ effect: "write", ...more }), {}, app.world, { ...app.request, env, self });
    };
    await expect(write({})).rejects.toMatchObject({ code: "agent.not_adopted" });
    expect(await write({ unadopted: true })).toBe("ran");
    expect(await write({}, true)).toBe("ran");
  });
});

it("lets --self settle nothing else: an incarnation that is closed stays closed", async () => {
  const closed = { MU_AGENT_ID: "4711", MU_AGENT: "ghost", MU_WORKSTREAM: "demo" };
  await expect(run("task.claim", { task: "build", self: true }, closed)).rejects.toMatchObject({
    code: "agent.replaced",
  });
});

it("looks at the panes before a read, unless asked not to", async () => {
  let looked = 0;
  const { openCrew } = app.world;
  app.world.openCrew = (...call) => {
    looked++;
    return openCrew(...call);
  };
  await write(app.context, { op: "agent.spawn", scope: "demo", subject: "bob" }, async (tx) => {
    const { id } = await workstreamRow(tx.db, "demo");
    await tx.insert("agents", agentRow({ workstream_id: id, name: "bob", spawned_at: tx.now }));
  });
  await run("agent.list", { reconcile: false });
  await run("state", { reconcile: false });
  expect(looked).toBe(0);
  await run("agent.list", {});
  expect(looked).toBe(1);
});

/** A verb that gives what it was given. */
const verb = (more: Partial<Operation> = {}) =>
  ({ name: "demo.try", effect: "read", input: () => z.object({}), run: async () => "ran", ...more }) as Operation;

describe("an input that does not fit", () => {
  const input = z.strictObject({
    what: z.string().min(1).max(5),
    maxCount: z.number().int().min(2).max(9).optional(),
    share: z.number().gt(0).lt(1).optional(),
    names: z.array(z.string().min(2)).min(1).max(2).optional(),
    on: z.boolean().optional(),
    kind: z.enum(["a", "b"]).optional(),
    only: z.literal("x").optional(),
    inner: z.object({ deep: z.number() }).optional(),
    odd: z.string().regex(/^x/, "must start with x").optional(),
  });
  const tried = (given: unknown) =>
    execute(verb({ standalone: true, positional: ["what"], input: () => input }), given, app.world, app.request);

  it.each([
    [{}, "<what>: is missing."],
    [{ what: "" }, "<what>: must not be empty."],
    [{ what: "longer" }, "<what>: must be at most 5 characters long."],
    [{ what: 7 }, "<what>: must be text."],
    [{ what: "a", maxCount: 1 }, "--max-count is a whole number from 2 to 9, not 1."],
    [{ what: "a", maxCount: 10 }, "--max-count is a whole number from 2 to 9, not 10."],
    [{ what: "a", maxCount: 2.5 }, "--max-count is a whole number from 2 to 9, not 2.5."],
    [{ what: "a", maxCount: "2" }, '--max-count is a whole number from 2 to 9, not "2".'],
    [{ what: "a", share: 0 }, "--share is a number above 0, below 1, not 0."],
    [{ what: "a", share: 1 }, "--share is a number above 0, below 1, not 1."],
    [{ what: "a", names: ["ab", "c"] }, '--names: "c" must be at least 2 characters long.'],
    [{ what: "a", names: ["ab", "cd", "ef"] }, "--names: must be at most 2 items long."],
    [{ what: "a", names: [] }, "--names: must be at least 1 items long."],
    [{ what: "a", names: "ab" }, "--names: must be a list."],
    [{ what: "a", on: "yes" }, "--on: must be true or false."],
    [{ what: "a", kind: "c" }, "--kind: must be one of a, b."],
    [{ what: "a", only: "y" }, "--only: must be x."],
    [{ what: "a", inner: 5 }, "--inner: must be an object."],
    [{ what: "a", inner: { deep: "x" } }, "--inner (deep): must be a number."],
    [{ what: "a", odd: "y" }, "--odd: must start with x."],
    [{ what: "a", colour: "red", size: 2 }, 'Unknown field "colour", "size".'],
    ["what", "--input: must be an object."],
    [{ what: "", on: 1 }, "<what>: must not be empty; --on: must be true or false."],
  ])("%j: %s", async (given, message) => {
    await expect(tried(given)).rejects.toMatchObject({ kind: "usage", code: "usage.invalid_input", message });
  });

  it("is described by its first five faults, and the usage", async () => {
    const wrong = { what: 1, maxCount: "", share: "", names: "", on: "", kind: "", only: "" };
    const fault = await tried(wrong).then(String, (error) => error);
    expect(fault.message.split("; ")).toHaveLength(5);
    expect(fault.nextSteps).toEqual([{ intent: "See the usage", command: "mu demo try --help" }]);
  });

  it("may be refused by the verb, which otherwise runs", async () => {
    const no = new Error("no");
    const validate = () => {
      throw no;
    };
    await expect(execute(verb({ standalone: true, validate }), {}, app.world, app.request)).rejects.toBe(no);
    expect(await tried({ what: "a" })).toBe("ran");
  });
});

it("gives a verb the caller's context: one group for what it writes, none for what it reads", async () => {
  const run: Operation["run"] = async ({ context: { actor, group, incarnation } }) => ({ actor, group, incarnation });
  const of = (effect: "read" | "write") => execute(verb({ effect, run }), {}, app.world, app.request);
  expect(await of("read")).toEqual({ actor: "ann" });
  expect(await of("write")).toEqual({ actor: "ann", group: expect.any(String) });
});

it("names the incarnation of an agent that calls, in what it reads and what it writes", async () => {
  const bob = await write(app.context, { op: "agent.spawn", scope: "demo", subject: "bob" }, async (tx) => {
    const { id } = await workstreamRow(tx.db, "demo");
    return tx.insert("agents", agentRow({ workstream_id: id, name: "bob", spawned_at: tx.now }));
  });
  const run: Operation["run"] = async ({ context: { actor, incarnation }, orphans }) => ({
    actor,
    incarnation,
    orphans,
  });
  const env = { MU_AGENT_ID: `${bob.id}`, MU_AGENT: "bob", MU_WORKSTREAM: "demo" };
  for (const effect of ["read", "write"] as const) {
    const seen = await execute(verb({ effect, run }), {}, app.world, { ...app.request, env });
    expect(seen).toEqual({ actor: "bob", incarnation: bob.id, orphans: [] });
  }
});

it("opens no database for a verb about mu itself", async () => {
  const openStore = () => Promise.reject(new Error("opened"));
  const standalone = verb({ standalone: true, run: async ({ context }) => Object.keys(context) });
  expect(await execute(standalone, {}, { ...app.world, openStore }, app.request)).toEqual(["clock"]);
});

it("refuses a surface that lacks what the verb needs", async () => {
  const { stdin: _, ...request } = app.request;
  await expect(execute(verb({ needs: ["stdin"] }), {}, app.world, request)).rejects.toMatchObject({ name: "Fault" });
  expect(await execute(verb({ needs: ["stdin"] }), {}, app.world, app.request)).toBe("ran");
});

it("closes the store that a call opened, also when the verb fails", async () => {
  let open = 0;
  const { openStore } = app.world;
  app.world.openStore = async () => {
    open++;
    return { ...(await openStore()), close: async () => void open-- };
  };
  const run = () => Promise.reject(new Error("no"));
  await expect(execute(verb({ run }), {}, app.world, app.request)).rejects.toThrow("no");
  expect(open).toBe(0);
});

it("follows a verb that streams, where the input asks for it", async () => {
  const seen: unknown[] = [];
  async function* values() {
    yield 1;
    yield 2;
  }
  const follow = (more: Partial<Operation>) =>
    executeFollowing(verb(more), {}, app.world, app.request, (value) => seen.push(value));
  expect([await follow({}), await follow({ follow: () => undefined })]).toEqual([false, false]);
  expect(seen).toEqual([]);
  expect(await follow({ follow: values })).toBe(true);
  expect(seen).toEqual([1, 2]);
});
