import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { write } from "../../src/db/write.js";
import { execute } from "../../src/operations/execute.js";
import { findOperation } from "../../src/operations/index.js";
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
    expect(await run("task.list", {}, ghost)).toMatchObject({ count: 5 });
    expect(await run("sql", { query: "select count(*) as n from tasks" }, ghost)).toEqual([{ n: 5 }]);
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
    expect(await run("task.list", { status: ["OPEN"] })).toMatchObject({ count: 3 });
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
