import { afterEach, beforeEach, expect, it } from "vitest";
import { freeWorkspace } from "../../src/workspaces/free.js";
import { listWorkspaces } from "../../src/workspaces/inspect.js";
import { refreshWorkspace } from "../../src/workspaces/refresh.js";
import { listSalvages } from "../../src/workspaces/salvage.js";
import { claim, done, finish, land, makeWorkspace, onMain, openProject, path, shop, task, w1 } from "./one-worker.js";

beforeEach(async () => {
  await openProject();
  await makeWorkspace();
});
afterEach(() => shop.end());

/** Lands with a check that fails where a file has a bad word. */
const landGood = (name: string) => land([name], undefined, { check: "! grep -q bad *.txt" });

it("a task returned after a refresh lands completely with its fix", async () => {
  await done("first", { "first.txt": "1\n" });
  await done("second", { "second.txt": "bad\n" });
  expect((await land(["first"])).landed).toMatchObject([{ task: "first" }]);
  await refreshWorkspace(shop.crew, w1);
  expect((await landGood("second")).returned).toMatchObject([{ task: "second", why: "red" }]);

  await claim("second");
  await shop.repository.commit({ "second.txt": "good\n" }, "a fix", path);
  await finish("second");
  expect((await landGood("second")).landed).toMatchObject([{ task: "second", commits: 2 }]);
  expect(await onMain("second.txt")).toBe("good");
  expect(await shop.repository.git("log", "--format=%s", "main")).toContain("work of second");
});

it("a returned task keeps its commits if its workspace is refreshed before it is claimed again", async () => {
  await done("first", { "first.txt": "1\n" });
  await done("second", { "second.txt": "bad\n" });
  await land(["first"]);
  await landGood("second");
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
  await land(["first"], undefined, { check: null, onto: "release" });
  await shop.repository.commit({ "other.txt": "x\n" }, "somebody's");
  await refreshWorkspace(shop.crew, w1);
  expect(shop.repository.read("first.txt", path)).toBe("1\n");
});
