import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { keep } from "../../src/vcs/git/kept.js";
import { inQuarantine, makeCommits } from "../../src/vcs/git/predict/quarantine.js";
import { save } from "../../src/vcs/git/save.js";
import { create } from "../../src/vcs/git/worktree.js";
import type { VcsWorld } from "../../src/vcs/vcs.js";
import { writeWhole } from "../../src/whole-file.js";
import { newRepository, type Repository } from "../support/repository.js";

let repo: Repository;
let traces: string;
let world: VcsWorld;

beforeEach(async () => {
  repo = await newRepository({ "README.md": "hello\n" });
  traces = mkdtempSync(join(tmpdir(), "mu-trace-"));
  const exec: VcsWorld["exec"] = (file, args, options = {}) =>
    repo.world.exec(file, args, { ...options, env: { ...options.env, GIT_TRACE2_EVENT: traces } });
  world = { ...repo.world, exec };
});
afterEach(() => {
  repo.end();
  rmSync(traces, { recursive: true });
});

/** The git processes so far, as their verb and how many files each flushed to the disk. */
function flushes(): Map<string, number> {
  const found = new Map<string, number>();
  for (const name of readdirSync(traces)) {
    const lines = readFileSync(join(traces, name), "utf8").trimEnd().split("\n");
    const events = lines.map((line) => JSON.parse(line) as Record<string, string>);
    const verb = events.find(({ event }) => event === "cmd_name")?.["name"] ?? "";
    const flushed = events.find(({ key }) => key === "fsync/hardware-flush")?.["value"] ?? 0;
    found.set(verb, (found.get(verb) ?? 0) + Number(flushed));
  }
  return found;
}

/** The files that this process syncs while `act` runs, in order. */
async function syncedBy(act: () => Promise<unknown>): Promise<string[]> {
  const probe = await open("/dev/null");
  const handles = Object.getPrototypeOf(probe) as { sync(this: { fd: number }): Promise<void> };
  await probe.close();
  const real = handles.sync;
  const files: string[] = [];
  handles.sync = function () {
    files.push(readlinkSync(`/proc/self/fd/${this.fd}`));
    return real.call(this);
  };
  await act().finally(() => {
    handles.sync = real;
  });
  return files;
}

const inProc = process.platform === "linux" ? it : it.skip;

it("git syncs every object and ref that mu writes, and none of a forecast", async () => {
  const checkout = { root: repo.root, path: join(repo.dir, "ann") };
  await create(world, checkout, {});
  repo.write({ "new.txt": "new\n" }, checkout.path);
  await save(world, checkout, { name: "w/ann/1", target: null, archives: repo.dir });
  const tree = await repo.git("rev-parse", "HEAD^{tree}");
  const commit = await repo.git("commit-tree", tree, "-m", "kept");
  for (const verb of ["add", "commit-tree", "update-ref"]) expect(flushes().get(verb), verb).toBeGreaterThan(0);
  const before = flushes().get("update-ref") ?? 0;
  await keep(world, repo.root, "w/task", commit);
  expect(flushes().get("update-ref")).toBe(before + 1);
  await inQuarantine(world, repo.root, (quarantine) => makeCommits(quarantine, repo.root, [{ tree, parent: commit }]));
  expect(flushes().get("hash-object")).toBe(0);
});

inProc("a save syncs what an agent has committed and staged, before its folder can go", async () => {
  const checkout = { root: repo.root, path: join(repo.dir, "ann") };
  await create(world, checkout, {});
  const own = await repo.commit({ "a.txt": "a\n" }, "own", checkout.path);
  repo.write({ "staged.txt": "staged\n" }, checkout.path);
  await repo.gitIn(checkout.path, "add", "staged.txt");
  const staged = await repo.gitIn(checkout.path, "rev-parse", ":staged.txt");
  const main = await repo.git("rev-parse", "main");
  const target = { branch: "main", commit: main };
  const synced = await syncedBy(() => save(world, checkout, { name: "w/ann/1", target, archives: repo.dir }));
  const place = (id: string) => join(repo.root, ".git", "objects", id.slice(0, 2), id.slice(2));
  expect(synced).toEqual(expect.arrayContaining([place(own), place(staged)]));
  expect(synced).not.toContain(place(main));
  expect(synced).toContain(join(repo.root, ".git/refs/mu/salvage/w/ann"));
});

inProc("a file that mu writes whole is synced before it is renamed, and its folder after that", async () => {
  const path = join(repo.dir, "settings", "file.json");
  const synced = await syncedBy(() => writeWhole(path, "{}\n", 0o644));
  expect(synced).toEqual([expect.stringMatching(/file\.json\.mu-[0-9a-f]{12}$/), join(repo.dir, "settings")]);
  expect(readdirSync(join(repo.dir, "settings"))).toEqual(["file.json"]);
});
