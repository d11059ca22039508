import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createPaint } from "../../../src/cli/paint.js";
import { execute } from "../../../src/operations/execute.js";
import { findOperation } from "../../../src/operations/index.js";
import { addTask } from "../../../src/tasks/add.js";
import { claimTask } from "../../../src/tasks/claim.js";
import { createWorkspace } from "../../../src/workspaces/create.js";
import { type Seeded, seededApp } from "../../support/seeded.js";
import { spawn } from "../../support/tasks.js";

let app: Seeded;
const places: Record<string, string> = {};

beforeEach(async () => {
  app = await seededApp();
  const project = join(app.folder, "project");
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", ...args], { cwd: project });
  git("init", "-q", "-b", "main");
  git("add", "-A");
  git("commit", "-qm", "first");
});
afterEach(() => app.end());

const workspace = async (name: string) => {
  const crew = await app.world.openCrew(app.context, app.request);
  const projectRoot = join(app.folder, "project");
  places[name] = (await createWorkspace(crew, { workstream: "demo", name }, { projectRoot })).path;
};
const change = (agent: string, file: string) => writeFileSync(join(places[agent] ?? "", file), `${agent}\n`);

async function run(verb: string, input: Record<string, unknown> = {}) {
  const operation = await findOperation(verb);
  if (operation === undefined) throw new Error(`There is no ${verb}.`);
  const result = await execute(operation, { workstream: "demo", ...input }, app.world, app.request);
  expect(operation.output().safeParse(result).error?.issues ?? []).toEqual([]);
  const paint = createPaint({ colour: false, now: Date.now() });
  return { result, text: operation.render?.(result as never, paint) ?? "" };
}

it("says that there are none, and among how many", async () => {
  expect((await run("workspace.conflicts")).text).toBe("No workspaces.");
  for (const name of ["bob", "cyd"]) await workspace(name);
  change("bob", "new.txt");
  expect((await run("workspace.conflicts")).text).toBe("No conflicts among 2 workspaces");
});

it("shows who collides, in what order to land, who drifts and who was left out", async () => {
  for (const name of ["bob", "cyd", "dan", "eve"]) await workspace(name);
  await spawn(app.context, "dan");
  await addTask(app.context, "demo", { name: "plans", title: "Plans", touches: ["plan.yaml"] });
  await claimTask(app.context, { workstream: "demo", name: "plans" }, { agent: "dan" });
  for (const name of ["bob", "cyd"]) change(name, "plan.yaml");
  for (const name of ["cyd", "dan"]) change(name, "circle.yaml");
  await app.store.write((db) =>
    db.updateTable("workspaces").set({ backend: "jj" }).where("agent", "=", "eve").executeTakeFirst(),
  );
  const { text, result } = await run("workspace.conflicts");
  const lines = text.split("\n").map((line) => line.replace(/\d\d:\d\d, \d+s/, "12:03, 0s"));
  expect(lines).toEqual([
    "2 conflicts predicted among 3 workspaces",
    "",
    "who  with  files        since",
    "bob  cyd   plan.yaml    12:03, 0s",
    "cyd  dan   circle.yaml  12:03, 0s",
    "",
    "Land in this order: bob, dan, cyd",
    "Then only cyd has conflicts to resolve.",
    "",
    "Changes outside the declared files",
    "agent  changes      task   declares",
    "dan    circle.yaml  plans  plan.yaml",
    "",
    "Not compared: eve. It is a jj workspace; collisions are predicted for git only.",
  ]);
  expect(result).toMatchObject({ count: 2, order: ["bob", "dan", "cyd"], compared: ["bob", "cyd", "dan"] });
});

it("is part of the state, which looks by itself and says what it saw", async () => {
  for (const name of ["bob", "cyd"]) await workspace(name);
  for (const name of ["bob", "cyd"]) change(name, "plan.yaml");
  const unseen = await run("state", { reconcile: false });
  expect(unseen.result).toMatchObject({ collisions: { total: 0, seenAt: null }, workspaces: [{ dirty: null }, {}] });
  const { text, result } = await run("state");
  expect(result).toMatchObject({ collisions: { items: [{ a: "bob", b: "cyd", paths: ["plan.yaml"] }], total: 1 } });
  expect(text).toContain("Workspaces (2)");
  expect(text).toMatch(/Predicted conflicts \(1\), seen \d+s ago\n {2}who/);
});

it("looks before somebody claims the next task, and tells why one was passed over", async () => {
  await workspace("bob");
  change("bob", "plan.yaml");
  const best = { impact: 100, effortDays: 0.5 };
  await addTask(app.context, "demo", { name: "first", title: "First", touches: ["*.yaml"], ...best });
  await addTask(app.context, "demo", { name: "second", title: "Second", ...best });
  const { text, result } = await run("task.claim", { next: true });
  expect(result).toMatchObject({ task: { name: "second" }, passedOver: [{ task: "first", agent: "bob" }] });
  expect(text).toBe("Claimed second for ann: Second\nPassed over first: bob is changing plan.yaml");
});
