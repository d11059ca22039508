import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createWorkspace } from "../../src/workspaces/create.js";
import { freeWorkspace, leaveWorkspace } from "../../src/workspaces/free.js";
import { listWorkspaces } from "../../src/workspaces/inspect.js";
import { recreateWorkspace } from "../../src/workspaces/recreate.js";
import { refreshWorkspace } from "../../src/workspaces/refresh.js";
import { newWorkshop, type Workshop } from "../support/workshop.js";

const w1 = { workstream: "demo", name: "w1" };

let shop: Workshop;
beforeEach(async () => {
  shop = await newWorkshop();
});
afterEach(() => shop.end());

const make = () => createWorkspace(shop.crew, w1, { projectRoot: shop.repository.root });

/** A hook of the repository that refuses. */
function refusingHook(name: string): void {
  const path = join(shop.repository.root, ".git", "hooks", name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, "#!/bin/sh\necho not today >&2\nexit 1\n");
  chmodSync(path, 0o755);
}

const mountsHere = process.platform === "linux" && process.getuid?.() === 0;

it.skipIf(!mountsHere)("a full disk leaves no half workspace (skipped where nothing can be mounted)", async () => {
  shop.repository.write({ "big.bin": "x".repeat(3_000_000) });
  await shop.repository.git("add", "-A");
  await shop.repository.git("commit", "-qm", "big");
  const folder = join(shop.crew.stateDir, "workspaces");
  mkdirSync(folder);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]);
  try {
    // git tells that it could not write a file, and not always why.
    await expect(make()).rejects.toMatchObject({
      exitCode: 5,
      message: expect.stringMatching(/unable to write|space/),
    });
    expect(existsSync(join(folder, "demo", "w1"))).toBe(false);
  } finally {
    execFileSync("umount", [folder]);
  }
  expect(await listWorkspaces(shop.crew)).toEqual([]);
  expect(await shop.repository.git("worktree", "list")).not.toContain("w1");
  expect(await make()).toMatchObject({ state: "ready" });
});

it("work that cannot be saved because the disk is full is not removed", async () => {
  const { path } = await make();
  shop.repository.write({ "new.txt": "new" }, path);
  const full = shop.with(async (file, args, options) => {
    if (args.includes("update-ref"))
      return { code: 128, stdout: "", stderr: "fatal: cannot update ref: No space left on device", timedOut: false };
    return shop.crew.exec(file, args, options);
  });
  for (const verb of [freeWorkspace, recreateWorkspace])
    await expect(verb(full, w1)).rejects.toMatchObject({ code: "vcs.no_space" });
  expect(await leaveWorkspace(full, w1, "discard")).toMatchObject({ freed: false, problem: expect.any(String) });
  expect(shop.repository.read("new.txt", path)).toBe("new");
  expect(await listWorkspaces(shop.crew)).toMatchObject([{ state: "ready", dirty: 1 }]);
  expect(await freeWorkspace(shop.crew, w1)).toMatchObject({ salvage: { files: 1 } });
});

it("a locked index blocks a refresh and nothing else", async () => {
  const { path } = await make();
  await shop.repository.commit({ "b.txt": "b" }, "work", path);
  await shop.repository.commit({ "landed.txt": "landed" }, "landed");
  const gitDir = await shop.repository.gitIn(path, "rev-parse", "--absolute-git-dir");
  writeFileSync(join(gitDir, "index.lock"), "");
  const refused = await refreshWorkspace(shop.crew, w1).catch((error) => error);
  expect(refused).toMatchObject({ code: "vcs.locked", exitCode: 5 });
  expect(refused.message).toContain("index.lock");
  expect((await listWorkspaces(shop.crew))[0]).toMatchObject({ ahead: 1, behind: 1, dirty: 0 });
  expect(await freeWorkspace(shop.crew, w1)).toMatchObject({ salvage: { commits: 1 } });
});

it("a refresh follows a branch that moved or was rewritten", async () => {
  const { path } = await make();
  await shop.repository.commit({ "b.txt": "b" }, "work", path);
  await shop.repository.commit({ "c.txt": "c" }, "other");
  await shop.repository.git("commit", "-q", "--amend", "-m", "rewritten");
  const tip = await shop.repository.git("rev-parse", "main");
  expect(await refreshWorkspace(shop.crew, w1)).toMatchObject({ workspace: { baseRef: tip } });
  await shop.repository.git("checkout", "-q", "--detach");
  await shop.repository.git("branch", "-D", "main");
  expect((await listWorkspaces(shop.crew))[0]).toMatchObject({ behind: null, present: true });
  expect(await freeWorkspace(shop.crew, w1)).toMatchObject({ changed: true, salvage: { commits: expect.any(Number) } });
});

it("failing hooks stop a new workspace but not a save", async () => {
  const { path } = await make();
  shop.repository.write({ "new.txt": "new" }, path);
  for (const hook of ["post-checkout", "pre-commit", "reference-transaction"]) refusingHook(hook);
  const second = createWorkspace(shop.crew, { ...w1, name: "w2" }, { projectRoot: shop.repository.root });
  await expect(second).rejects.toMatchObject({ exitCode: expect.any(Number) });
  expect(await listWorkspaces(shop.crew)).toHaveLength(1);
  expect(await freeWorkspace(shop.crew, w1)).toMatchObject({ salvage: { files: 1 } });
  expect(existsSync(path)).toBe(false);
});
