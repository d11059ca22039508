import { afterEach, beforeEach, expect, it } from "vitest";
import { landTasks } from "../../src/landing/land.js";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { getTask } from "../../src/tasks/task.js";
import { finishTask } from "../../src/work/finish.js";
import { workBeforeClaim } from "../../src/work/work.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { freeWorkspace } from "../../src/workspaces/free.js";
import { listWorkspaces } from "../../src/workspaces/inspect.js";
import { refreshWorkspace } from "../../src/workspaces/refresh.js";
import { listSalvages } from "../../src/workspaces/salvage.js";
import { newWorkshop, type Workshop } from "../support/workshop.js";

const w1 = { workstream: "demo", name: "w1" };
const ann = { person: "w1" };
const ref = (name: string) => ({ workstream: "demo", name });

let shop: Workshop;
let path: string;
beforeEach(async () => {
  shop = await newWorkshop({ "README.md": "hello\n", "a.txt": "one\n" });
  ({ path } = await createWorkspace(shop.crew, w1, { projectRoot: shop.repository.root }));
});
afterEach(() => shop.end());

async function claim(name: string): Promise<void> {
  const work = await workBeforeClaim(shop.crew, shop.crew.context.store.db, w1, name);
  await claimTask(shop.crew.context, ref(name), ann, { work });
}

async function finish(name: string): Promise<void> {
  await finishTask(shop.crew, ref(name), ann, { cwd: path, check: null });
}

async function done(name: string, files: Record<string, string>): Promise<void> {
  await addTask(shop.crew.context, "demo", { name, title: name });
  await claim(name);
  await shop.repository.commit(files, `work of ${name}`, path);
  await finish(name);
}

const land = (tasks: string[], check: string | null = null) =>
  landTasks(shop.crew, { workstream: "demo", tasks }, { check });
const task = (name: string) => getTask(shop.crew.context.store.db, ref(name));
const onMain = (file: string) => shop.repository.git("show", `main:${file}`);

it("a task returned after a refresh lands completely with its fix", async () => {
  await done("first", { "first.txt": "1\n" });
  await done("second", { "second.txt": "bad\n" });
  expect((await land(["first"])).landed).toMatchObject([{ task: "first" }]);
  await refreshWorkspace(shop.crew, w1);
  expect((await land(["second"], "! grep -q bad *.txt")).returned).toMatchObject([{ task: "second", why: "red" }]);

  await claim("second");
  await shop.repository.commit({ "second.txt": "good\n" }, "a fix", path);
  await finish("second");
  expect((await land(["second"], "! grep -q bad *.txt")).landed).toMatchObject([{ task: "second", commits: 2 }]);
  expect(await onMain("second.txt")).toBe("good");
  expect(await shop.repository.git("log", "--format=%s", "main")).toContain("work of second");
});

it("a returned task keeps its commits if its workspace is refreshed before it is claimed again", async () => {
  await done("first", { "first.txt": "1\n" });
  await done("second", { "second.txt": "bad\n" });
  await land(["first"]);
  await land(["second"], "! grep -q bad *.txt");
  expect((await task("second")).status).toBe("OPEN");
  await refreshWorkspace(shop.crew, w1);
  await claim("second");
  await shop.repository.commit({ "fix.txt": "fix\n" }, "a fix", path);
  await finish("second");
  expect((await land(["second"])).landed).toMatchObject([{ task: "second", commits: 2 }]);
  expect(await onMain("second.txt")).toBe("bad");
});

it("a closed task lands once after a refresh, and its workspace is no longer ahead", async () => {
  await done("first", { "first.txt": "1\n" });
  await shop.repository.commit({ "other.txt": "x\n" }, "somebody's");
  await refreshWorkspace(shop.crew, w1);
  expect((await land(["first"])).landed).toMatchObject([{ task: "first", commits: 1 }]);
  expect(await task("first")).toMatchObject({ level: "landed" });
  expect(await listWorkspaces(shop.crew, "demo")).toMatchObject([{ ahead: 0, dirty: 0 }]);
});

it("work that landed on a branch that was then reset is saved before its workspace is freed", async () => {
  const before = await shop.repository.git("rev-parse", "main");
  await done("first", { "first.txt": "1\n" });
  await land(["first"]);
  await shop.repository.git("reset", "-q", "--hard", before);
  expect(await listWorkspaces(shop.crew, "demo")).toMatchObject([{ ahead: 1 }]);
  await freeWorkspace(shop.crew, w1);
  expect(await listSalvages(shop.crew, "demo")).toMatchObject([{ commits: 1 }]);
});

it("work that landed on another branch stays in the workspace after a refresh", async () => {
  await shop.repository.git("branch", "release");
  await done("first", { "first.txt": "1\n" });
  await landTasks(shop.crew, { workstream: "demo", tasks: ["first"] }, { check: null, onto: "release" });
  await shop.repository.commit({ "other.txt": "x\n" }, "somebody's");
  await refreshWorkspace(shop.crew, w1);
  expect(shop.repository.read("first.txt", path)).toBe("1\n");
});
