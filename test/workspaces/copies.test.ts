import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { destroyCrew } from "../../src/crew/workstream.js";
import { createWorkspace } from "../../src/workspaces/create.js";
import { leaveWorkspace } from "../../src/workspaces/free.js";
import { listWorkspaces } from "../../src/workspaces/inspect.js";
import { recreateWorkspace } from "../../src/workspaces/recreate.js";
import { refreshWorkspace } from "../../src/workspaces/refresh.js";
import { restoreSalvage } from "../../src/workspaces/restore.js";
import { getSalvage, listSalvages } from "../../src/workspaces/salvage.js";
import { newWorkshop, type Workshop } from "../support/workshop.js";

const w1 = { workstream: "demo", name: "w1" };

let shop: Workshop;
let project: string;
beforeEach(async () => {
  shop = await newWorkshop();
  project = join(shop.repository.dir, "plain");
  mkdirSync(project);
  writeFileSync(join(project, "a.txt"), "a");
});
afterEach(() => shop.end());

it("a folder without version control is copied, and changes in the copy are saved and restored", async () => {
  const { path } = await createWorkspace(shop.crew, w1, { projectRoot: project });
  expect(await listWorkspaces(shop.crew)).toMatchObject([{ backend: "none", branch: null, baseRef: null, dirty: 0 }]);
  writeFileSync(join(path, "b.txt"), "b");
  await expect(refreshWorkspace(shop.crew, w1)).rejects.toMatchObject({ code: "vcs.required", exitCode: 4 });
  expect(await recreateWorkspace(shop.crew, w1)).toMatchObject({ salvage: { files: 1, commit: null } });
  writeFileSync(join(path, "c.txt"), "c");
  expect(await recreateWorkspace(shop.crew, w1)).toMatchObject({ salvage: { name: "demo/w1/2" } });
  expect(await listSalvages(shop.crew)).toHaveLength(2);
  await restoreSalvage(shop.crew, await getSalvage(shop.crew, "demo/w1/1"), w1);
  expect(readFileSync(join(path, "b.txt"), "utf8")).toBe("b");
  expect(existsSync(join(path, "c.txt"))).toBe(false);
  expect(await leaveWorkspace(shop.crew, w1, "keep")).toMatchObject({ freed: false, salvage: { files: 1 } });
});

it("an unchanged copy is saved only once, a changed one again", async () => {
  const { path } = await createWorkspace(shop.crew, w1, { projectRoot: project });
  writeFileSync(join(path, "b.txt"), "b");
  expect(await leaveWorkspace(shop.crew, w1, "keep")).toMatchObject({ salvage: { name: "demo/w1/1" } });
  expect(await leaveWorkspace(shop.crew, w1, "discard")).toMatchObject({ freed: true, salvage: { name: "demo/w1/1" } });
  await createWorkspace(shop.crew, w1, { projectRoot: project });
  writeFileSync(join(path, "b.txt"), "B");
  expect((await destroyCrew(shop.crew, "demo")).salvages).toEqual(["demo/w1/2"]);
  expect((await listSalvages(shop.crew)).map(({ name }) => name).sort()).toEqual(["demo/w1/1", "demo/w1/2"]);
});

it("refuses the home folder", async () => {
  const home = createWorkspace(shop.crew, w1, { projectRoot: shop.repository.dir, backend: "none" });
  await expect(home).rejects.toMatchObject({ code: "workspace.home_as_root", exitCode: 4 });
  const svn = createWorkspace(shop.crew, w1, { projectRoot: project, backend: "git" });
  await expect(svn).rejects.toMatchObject({ code: "workspace.no_repository", exitCode: 4 });
});
