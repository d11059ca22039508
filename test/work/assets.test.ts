import { createHash } from "node:crypto";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { compareTables } from "../../src/journal/replay.js";
import { addTask } from "../../src/tasks/add.js";
import { addAsset, listAssets } from "../../src/work/assets.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { onEachDialect, temporaryFolder } from "../support/database.js";

const folder = temporaryFolder();
afterAll(() => folder.remove());

onEachDialect("an asset", (bench) => {
  const begin = async () => {
    const root = join(folder.path, crypto.randomUUID());
    mkdirSync(join(root, "out"), { recursive: true });
    await initWorkstream(bench.context, "demo", { root });
    await addTask(bench.context, "demo", { name: "build", title: "Build it" });
    return { root, file: join(root, "out", "a.txt") };
  };
  const add = (file: string, kind = "text", task?: string) => addAsset(bench.context, "demo", { file, kind, task });
  const versions = async () =>
    (await listAssets(bench.context.store.db, "demo")).map(({ version, kind }) => [version, kind]);

  it("is a version of its file: its content once, then the next", async () => {
    const { file } = await begin();
    writeFileSync(file, "one");
    const { asset, changed } = await add(file, "text", "build");
    expect(changed).toBe(true);
    expect(asset).toMatchObject({ path: "out/a.txt", version: 1, bytes: 3, task: "build", agent: "tester", run: null });
    expect(asset.sha256).toBe(createHash("sha256").update("one").digest("hex"));
    expect(await add(file)).toEqual({ asset, changed: false });
    writeFileSync(file, "two!");
    expect((await add(file)).asset).toMatchObject({ version: 2, bytes: 4, task: null });
    expect((await add(file, "draft")).asset).toMatchObject({ version: 3, kind: "draft" });
    expect(await versions()).toEqual([
      [3, "draft"],
      [2, "text"],
      [1, "text"],
    ]);
    expect(await listAssets(bench.context.store.db, "demo", { task: { workstream: "demo", name: "build" } })).toEqual([
      asset,
    ]);
    expect(await compareTables(bench.context.store.db)).toEqual([]);
  });

  it("is registered once by many at once, and by any path to it", async () => {
    const { root, file } = await begin();
    writeFileSync(file, "one");
    symlinkSync(join(root, "out"), join(root, "link"));
    const made = await Promise.all([file, file, join(root, "link", "a.txt"), file].map((path) => add(path)));
    expect(made.filter(({ changed }) => changed).length).toBe(1);
    expect(new Set(made.map(({ asset }) => `${asset.path} ${asset.version}`))).toEqual(new Set(["out/a.txt 1"]));
  });

  it("must be a file of this machine, and its task one of the workstream", async () => {
    const { root, file } = await begin();
    await expect(add(file)).rejects.toMatchObject({ code: "asset.not_a_file", kind: "missing" });
    await expect(add(root)).rejects.toMatchObject({ code: "asset.not_a_file" });
    writeFileSync(file, "");
    await expect(add(file, "text", "nobody")).rejects.toMatchObject({ code: "task.not_found" });
    expect((await add(file)).asset).toMatchObject({ bytes: 0, version: 1 });
  });
});
