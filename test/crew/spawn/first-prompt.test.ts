import { afterEach, beforeEach, expect, it } from "vitest";
import { deliverQueued } from "../../../src/agents/delivery/send.js";
import { closeAgent } from "../../../src/crew/close.js";
import { spawnAgent } from "../../../src/crew/spawn.js";
import { addTask } from "../../../src/tasks/add.js";
import { getTask } from "../../../src/tasks/task.js";
import { listWorkspaces } from "../../../src/workspaces/inspect.js";
import { newWorkshop, type Workshop } from "../../support/workshop.js";

const DEMO = "demo";
const fix = { workstream: DEMO, name: "fix" };
const ada = { workstream: DEMO, name: "ada" };

let shop: Workshop;
beforeEach(async () => {
  shop = await newWorkshop();
  await addTask(shop.crew.context, DEMO, { name: "fix", title: "Fix it", description: "The login fails." });
  await addTask(shop.crew.context, DEMO, { name: "later", title: "Later", blockedBy: ["fix"] });
});
afterEach(() => shop.end());

const db = () => shop.crew.context.store.db;
const deliveries = () => db().selectFrom("deliveries").select(["agent", "state", "text", "reason"]).execute();
const openAgents = () => db().selectFrom("agents").select("name").where("closed_at", "is", null).execute();
const spawn = (ref = ada, options: Partial<Parameters<typeof spawnAgent>[2]> = {}) =>
  spawnAgent(shop.crew, ref, {
    ...{ command: "cat", cwd: shop.repository.root, workspace: { projectRoot: shop.repository.root } },
    ...{ first: { task: fix, sender: "ann" } },
    ...options,
  });

it("an agent has its task and its prompt from the write on that gives it a pane", async () => {
  const { given, workspace } = await spawn(ada, { first: { task: fix, text: "Use the new API.", sender: "ann" } });
  expect(given?.task).toMatchObject({ name: "fix", status: "IN_PROGRESS", owner: "ada" });
  const row = await db().selectFrom("tasks").selectAll().where("name", "=", "fix").executeTakeFirstOrThrow();
  expect(row).toMatchObject({ work_agent: "ada", work_from: workspace?.baseRef });
  const [delivery] = await deliveries();
  expect(delivery).toMatchObject({ agent: "ada", state: "queued" });
  expect(delivery?.text).toMatch(
    /^Your next task is demo\/fix: Fix it\n\nThe login fails\.\n\nUse the new API\.\n\nSee it/,
  );
  const delivered = await deliverQueued(shop.crew, ada, given?.delivery ?? 0, { timeoutMs: 30_000 });
  expect(delivered).toMatchObject({ task: "fix", sender: "ann", state: "typed" });
  expect(await deliveries()).toHaveLength(1);
});

it("nothing is made where the task cannot be claimed, or the prompt is no prompt", async () => {
  const first = { task: { workstream: DEMO, name: "later" }, sender: "ann" };
  await expect(spawn(ada, { first })).rejects.toMatchObject({ code: "task.blocked" });
  const misread = { cli: "claude", command: "cat", first: { text: "/compact now", sender: "ann" } };
  await expect(spawn(ada, misread)).rejects.toMatchObject({ code: "delivery.not_verbatim" });
  expect([await openAgents(), await listWorkspaces(shop.crew), await deliveries()]).toEqual([[], [], []]);
});

it("of two that start on one task at once, one has it, and of the other nothing is left", async () => {
  const refs = ["ada", "bob"].map((name) => ({ workstream: DEMO, name }));
  const ended = await Promise.allSettled(refs.map((ref) => spawn(ref)));
  const lost = ended.flatMap((one) => (one.status === "rejected" ? [one.reason.code] : []));
  expect(lost).toEqual(["task.already_claimed"]);
  const { owner } = await getTask(db(), fix);
  expect(await openAgents()).toEqual([{ name: owner }]);
  expect(await listWorkspaces(shop.crew)).toMatchObject([{ agent: owner }]);
  expect(await deliveries()).toMatchObject([{ agent: owner }]);
});

it("a program that ends at once gives the task back, and no later agent of that name gets the prompt", async () => {
  await expect(spawn(ada, { command: "exit 3" })).rejects.toMatchObject({ code: "agent.died" });
  expect(await getTask(db(), fix)).toMatchObject({ status: "OPEN", owner: null });
  expect(await deliveries()).toMatchObject([{ state: "cancelled", reason: "the agent was not started" }]);
  await spawn(ada, { first: undefined });
  expect(await deliveries()).toMatchObject([{ state: "cancelled" }]);
});

it("what waited for the name before outlives a start that fails", async () => {
  const { given } = await spawn(ada, { first: { text: "hello", sender: "ann" } });
  await closeAgent(shop.crew, ada);
  await db()
    .updateTable("deliveries")
    .set({ state: "queued" })
    .where("id", "=", given?.delivery ?? 0)
    .execute();
  await expect(spawn(ada, { command: "exit 3" })).rejects.toMatchObject({ code: "agent.died" });
  expect((await deliveries()).map(({ state }) => state)).toEqual(["queued", "cancelled"]);
});
