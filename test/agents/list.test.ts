import { expect, it } from "vitest";
import { type ListedAgent, listAgents } from "../../src/agents/agent.js";
import { createPaint } from "../../src/cli/paint.js";
import type { Context } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import { agentTable } from "../../src/operations/agent/card.js";
import { stateCard } from "../../src/operations/state.js";
import { readState } from "../../src/state.js";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import { agentRow } from "../support/agent-row.js";
import { onEachDialect } from "../support/database.js";

const NOW = Date.parse("2026-03-01T10:00:00.000Z");
const paint = createPaint({ colour: false, now: NOW, columns: 80 });
const QUESTION = "Do you want to run `npm run deploy -- --environment production`?";

/** An agent that was seen with `status` `minutes` ago, and works on `tasks`. */
async function enter(context: Context, name: string, status: string, minutes: number, ...tasks: string[]) {
  const at = new Date(NOW - minutes * 60_000).toISOString();
  await write(context, { op: "agent.spawn", scope: "demo", subject: `demo/${name}` }, async (tx) => {
    const { id: workstream_id } = await workstreamRow(tx.db, "demo");
    const { id } = await tx.insert("agents", agentRow({ workstream_id, name, spawned_at: tx.now, pane: "%12" }));
    const seen = { status, reason: QUESTION, by: "screen", at, seen_at: at, spool_offset: "" };
    await tx.db
      .insertInto("agent_status")
      .values({ agent_id: id, ...seen })
      .execute();
  });
  for (const task of tasks) {
    await addTask(context, "demo", { name: task, title: task });
    await claimTask(context, { workstream: "demo", name: task }, { agent: name });
  }
}

onEachDialect("a list of agents", (bench) => {
  it("says what each works on, since when it has its status, and who is idle with work", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    await enter(context, "ada", "busy", 1, "build");
    await enter(context, "bob", "idle", 3, "test", "docs");
    await enter(context, "cyd", "free", 5, "deploy");
    await enter(context, "dan", "idle", 90);
    await enter(context, "eve", "needs_permission", 4, "release");
    const facts = ({ name, tasks, idleAssigned }: Pick<ListedAgent, "name" | "tasks" | "idleAssigned">) =>
      `${name} ${tasks.join(",")} ${idleAssigned}`;
    const right = ["ada build false", "bob test,docs true", "cyd deploy true", "dan  false", "eve release false"];
    const agents = await listAgents(context.store.db, null);
    expect(agents.map(facts)).toEqual(right);
    const state = await context.store.read((db) => readState(db, "demo", { now: new Date(NOW).toISOString() }));
    expect(state.agents.map(facts)).toEqual(right);
    expect(state.agents[1]).toMatchObject({ statusSince: "2026-03-01T09:57:00.000Z" });

    const list = agentTable(agents, paint).split("\n");
    expect(list[2]).toMatch(/^bob +idle +3m +test, docs \(stands still\) +shell +%12 +Do you/);
    expect(list[1]).toMatch(/^ada +busy +1m +build /);
    const card = [stateCard(state, paint)].flat(9).join("\n").split("\n");
    expect(card.find((line) => line.startsWith("bob"))).toMatch(/^bob +idle +3m +test, docs \(stands still\) +shell/);
  });

  it("fits into 80 columns, whatever the names", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    await enter(
      context,
      "an-agent-with-a-name-of-32-chars",
      "needs_permission",
      600_000,
      "a-task-with-a-long-name-too",
    );
    await enter(context, "ada", "needs_permission", 4, "release");
    const agents = await listAgents(context.store.db, null);
    for (const some of [agents, agents.slice(0, 1)])
      for (const line of agentTable(some, paint).split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    expect(agentTable(agents.slice(0, 1), paint)).toMatch(/Do you want to run/);
  });
});
