import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { forecast } from "../../../src/vcs/git/predict/forecast.js";
import type { CommitRange } from "../../../src/vcs/vcs.js";
import { newRepository, type Repository } from "../../support/repository.js";

const LINES = Array.from({ length: 20 }, (_, n) => `line ${n + 1}`);
const text = (changed: Record<number, string> = {}) => `${LINES.map((line, n) => changed[n + 1] ?? line).join("\n")}\n`;

describe("forecasting collisions", () => {
  let repository: Repository;
  beforeEach(async () => {
    repository = await newRepository({
      "a.txt": text(),
      "b.txt": text(),
      "src/one.txt": `one\n${text()}`,
      "src/two.txt": `two\n${text()}`,
      "tool.sh": "#!/bin/sh\n",
    });
  });
  afterEach(() => repository.end());

  const place = (name: string) => join(repository.dir, `work ${name}`);
  const workspace = async (name: string, from = "main") => {
    await repository.git("worktree", "add", "-q", "--detach", place(name), from);
    return place(name);
  };
  const look = async (names: readonly string[], since: Record<string, string> = {}, landed: CommitRange[] = []) => {
    const target = { branch: "main", commit: await repository.git("rev-parse", "main"), landed };
    const subjects = names.map((name) => ({
      name,
      checkout: { root: repository.root, path: place(name) },
      since: since[name],
    }));
    return forecast(repository.world, repository.root, target, subjects);
  };

  it("sees none where the work is in different places, or in different lines of one file", async () => {
    await repository.commit({ "a.txt": text({ 1: "ann" }) }, "ann", await workspace("ann"));
    repository.write({ "a.txt": text({ 20: "bob" }), "new.txt": "new\n" }, await workspace("bob"));
    await workspace("cyd");
    const { clashes, seen, skipped } = await look(["ann", "bob", "cyd"]);
    expect({ clashes, skipped }).toEqual({ clashes: [], skipped: [] });
    expect(seen).toMatchObject([
      { name: "ann", behind: 0, ahead: 1, dirty: 0, paths: ["a.txt"] },
      { name: "bob", behind: 0, ahead: 0, dirty: 2, paths: ["a.txt", "new.txt"] },
      { name: "cyd", behind: 0, ahead: 0, dirty: 0, paths: [] },
    ]);
  });

  it("sees committed, staged, unstaged and untracked work", async () => {
    await repository.commit({ "a.txt": text({ 1: "ann" }), "b.txt": text({ 1: "ann" }) }, "a", await workspace("ann"));
    repository.write({ "a.txt": text({ 1: "bob" }) }, await workspace("bob"));
    repository.write({ "b.txt": text({ 1: "cyd" }), "new.txt": "cyd\n" }, await workspace("cyd"));
    await repository.gitIn(place("cyd"), "add", "b.txt");
    repository.write({ "new.txt": "dan\n" }, await workspace("dan"));
    expect((await look(["ann", "bob", "cyd", "dan"])).clashes).toEqual([
      { a: "ann", b: "bob", paths: ["a.txt"] },
      { a: "ann", b: "cyd", paths: ["b.txt"] },
      { a: "cyd", b: "dan", paths: ["new.txt"] },
    ]);
  });

  it("does not see what is ignored", async () => {
    await repository.commit({ ".gitignore": "*.log\n" });
    repository.write({ "x.log": "1\n" }, await workspace("ann"));
    repository.write({ "x.log": "2\n" }, await workspace("bob"));
    expect((await look(["ann", "bob"])).clashes).toEqual([]);
  });

  it("sees deleted against modified, binary, mode, link, and file against folder", async () => {
    await repository.commit({ "pic.bin": "\0\x01\x02" });
    const [ann, bob] = [await workspace("ann"), await workspace("bob")];
    repository.write({ "a.txt": null, "pic.bin": "\0ann", "b.txt": null }, ann);
    repository.write({ "a.txt": text({ 3: "bob" }), "pic.bin": "\0bob", "b.txt": null }, bob);
    repository.write({ "place/file": "ann\n", "tool.sh": null }, ann);
    repository.write({ place: "bob\n" }, bob);
    symlinkSync("a.txt", join(ann, "tool.sh"));
    repository.write({ "tool.sh": "#!/bin/bash\n" }, bob);
    const { clashes } = await look(["ann", "bob"]);
    expect(clashes).toHaveLength(1);
    expect(clashes[0]?.paths).toEqual(expect.arrayContaining(["a.txt", "pic.bin"]));
    expect(clashes[0]?.paths.some((path) => path.startsWith("place"))).toBe(true);
    expect(clashes[0]?.paths.some((path) => path.startsWith("tool.sh"))).toBe(true);
    expect(clashes[0]?.paths).not.toContain("b.txt");
  });

  it("follows renames of files and of folders, and tells of a folder that was split", async () => {
    await repository.commit({ "old/1": "1\n", "old/2": "2\n" });
    const [ann, bob, cyd] = [await workspace("ann"), await workspace("bob"), await workspace("cyd")];
    renameSync(join(ann, "a.txt"), join(ann, "c.txt"));
    repository.write({ "c.txt": text({ 5: "ann" }) }, ann);
    renameSync(join(ann, "src"), join(ann, "lib"));
    repository.write({ "a.txt": text({ 5: "bob" }), "src/three.txt": "three\n" }, bob);
    mkdirSync(join(cyd, "x"));
    mkdirSync(join(cyd, "y"));
    renameSync(join(cyd, "old/1"), join(cyd, "x/1"));
    renameSync(join(cyd, "old/2"), join(cyd, "y/2"));
    repository.write({ "old/3": "3\n" }, bob);
    expect((await look(["ann", "bob", "cyd"])).clashes).toEqual([
      { a: "ann", b: "bob", paths: ["c.txt", "lib/three.txt"] },
      { a: "bob", b: "cyd", paths: ["old"] },
    ]);
  });

  it("gives to the target what only the target's own news make collide", async () => {
    repository.write({ "a.txt": text({ 1: "ann" }), "b.txt": text({ 1: "ann" }) }, await workspace("ann"));
    await repository.commit({ "a.txt": text({ 1: "landed" }) });
    repository.write(
      { "a.txt": text({ 1: "landed", 20: "bob" }), "b.txt": text({ 1: "bob" }) },
      await workspace("bob"),
    );
    expect((await look(["ann", "bob"])).clashes).toEqual([
      { a: "ann", b: null, paths: ["a.txt"] },
      { a: "ann", b: "bob", paths: ["b.txt"] },
    ]);
  });

  it("sees both collisions of two that left an old target at the same commit", async () => {
    repository.write({ "a.txt": text({ 1: "ann" }) }, await workspace("ann"));
    repository.write({ "a.txt": text({ 1: "bob" }) }, await workspace("bob"));
    await repository.commit({ "a.txt": text({ 1: "landed" }) });
    expect((await look(["ann", "bob"])).clashes).toEqual([
      { a: "ann", b: null, paths: ["a.txt"] },
      { a: "ann", b: "bob", paths: ["a.txt"] },
      { a: "bob", b: null, paths: ["a.txt"] },
    ]);
  });

  it("compares what has landed, whole or in part, with the target only", async () => {
    const landed = { from: await repository.git("rev-parse", "main"), to: "" };
    landed.to = await repository.commit({ "a.txt": text({ 1: "ann" }) }, "first", await workspace("ann"));
    repository.write({ "a.txt": text({ 1: "bob" }) }, await workspace("bob"));
    repository.write({ "b.txt": text({ 1: "cyd" }) }, await workspace("cyd"));
    const bobs = { a: "bob", b: null, paths: ["a.txt"] };
    await repository.commit({ "tool.sh": "#!/bin/bash\n" });
    await repository.git("cherry-pick", landed.to);
    expect((await look(["ann", "bob", "cyd"])).clashes).toEqual([bobs]);
    await repository.commit({ "b.txt": text({ 1: "more" }) }, "second", place("ann"));
    await repository.commit({ "a.txt": text({ 1: "changed since" }) });
    const annsAndCyds = { a: "ann", b: "cyd", paths: ["b.txt"] };
    expect((await look(["ann", "bob", "cyd"], {}, [landed])).clashes).toEqual([
      { a: "ann", b: null, paths: ["a.txt"] },
      annsAndCyds,
      bobs,
    ]);
    landed.to = await repository.gitIn(place("ann"), "rev-parse", "HEAD");
    expect((await look(["ann", "bob", "cyd"], {}, [landed])).clashes).toEqual([bobs]);
  });

  it("merges from the newest common commit where one workspace began on another's work", async () => {
    const first = await repository.commit({ "a.txt": text({ 1: "ann" }) }, "ann", await workspace("ann"));
    await workspace("bob", first);
    await repository.commit({ "a.txt": text({ 2: "bob" }) }, "back", place("bob"));
    await repository.commit({ "b.txt": "ann\n" }, "more", place("ann"));
    expect((await look(["ann", "bob"])).clashes).toEqual([]);
    repository.write({ "a.txt": text({ 1: "ann", 2: "ann" }) }, place("ann"));
    expect((await look(["ann", "bob"])).clashes).toEqual([{ a: "ann", b: "bob", paths: ["a.txt"] }]);
  });

  it("bears workspaces that merged the target several times", async () => {
    const ann = await workspace("ann");
    await repository.commit({ "b.txt": text({ 1: "ann" }) }, "ann", ann);
    await repository.commit({ "a.txt": text({ 1: "landed" }) });
    await repository.git("merge", "-q", "--no-edit", await repository.gitIn(ann, "rev-parse", "HEAD"));
    const main = await repository.git("rev-parse", "main~1");
    await repository.gitIn(ann, "merge", "-q", "--no-edit", main);
    await repository.commit({ "src/one.txt": text({ 2: "ann" }) }, "criss", ann);
    repository.write({ "src/one.txt": text({ 2: "bob" }) }, await workspace("bob"));
    expect((await look(["ann", "bob"])).clashes).toEqual([{ a: "ann", b: "bob", paths: ["src/one.txt"] }]);
  });

  it("skips and names what is gone, broken or a stranger", async () => {
    for (const name of ["ann", "bob", "cyd", "dan", "eve"]) await workspace(name);
    repository.write({ "a.txt": "ann\n" }, place("ann"));
    repository.write({ "a.txt": "bob\n" }, place("bob"));
    rmSync(place("cyd"), { recursive: true });
    writeFileSync(join(repository.root, ".git", "worktrees", "work-dan", "HEAD"), `${"1".repeat(40)}\n`);
    await repository.gitIn(place("eve"), "checkout", "-q", "--orphan", "other");
    await repository.gitIn(place("eve"), "commit", "-qm", "stranger");
    const { clashes, skipped } = await look(["ann", "bob", "cyd", "dan", "eve"]);
    expect(clashes).toEqual([{ a: "ann", b: "bob", paths: ["a.txt"] }]);
    expect(skipped.map(({ name }) => name).sort()).toEqual(["cyd", "dan", "eve"]);
    expect(skipped.find(({ name }) => name === "eve")?.reason).toBe("It shares no history with main.");
  });

  it("tells the newest part of the work from the rest", async () => {
    const since = await repository.commit({ "a.txt": "1\n" }, "landed some day", await workspace("ann"));
    await repository.commit({ "b.txt": "2\n" }, "new", place("ann"));
    repository.write({ "new.txt": "3\n" }, place("ann"));
    const all = ["a.txt", "b.txt", "new.txt"];
    expect((await look(["ann"], { ann: since })).seen).toMatchObject([{ paths: all, recent: ["b.txt", "new.txt"] }]);
    expect((await look(["ann"], { ann: "0".repeat(40) })).seen).toMatchObject([{ paths: all, recent: all }]);
  });

  it("leaves every byte of the checkouts, their indexes and the repository as it was", async () => {
    repository.write({ "a.txt": "ann\n", 'odd \n"name"é': "x\n" }, await workspace("ann"));
    repository.write({ "a.txt": "bob\n" }, await workspace("bob"));
    await repository.gitIn(place("bob"), "add", "a.txt");
    await repository.commit({ "a.txt": "main\n" });
    const before = manifest(repository.dir);
    const { seen, clashes } = await look(["ann", "bob"]);
    expect(clashes).toHaveLength(3);
    expect(seen[0]?.paths).toEqual(["a.txt", 'odd \n"name"é']);
    expect(manifest(repository.dir)).toEqual(before);
  });
});

/** Every file below a folder, with what is in it. */
function manifest(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    files.sort().map((file) => [file, createHash("sha256").update(readFileSync(file)).digest("hex")]),
  );
}
