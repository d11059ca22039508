import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { importSources } from "../../src/bundles/import.js";
import { readBundle } from "../../src/bundles/read.js";
import { readTaskFile, writeTaskFile } from "../../src/bundles/task-file.js";
import { writeBundle } from "../../src/bundles/write.js";
import type { Context } from "../../src/db/context.js";
import { compareTables } from "../../src/journal/replay.js";
import { undoGroup } from "../../src/journal/undo/undo.js";
import { type KeptTask, keptNote, keptTask, readKept } from "../../src/tasks/kept.js";
import { listWorkstreams, workstreamRow } from "../../src/workstreams/workstream.js";
import { dialect, itOnce, onEachDialect, temporaryFolder } from "../support/database.js";
import { KEPT_TASKS } from "../support/kept.js";

const NOW = "2026-11-30T12:00:00.000Z";
const LATER = "2026-12-01T12:00:00.000Z";
const MOMENTS = { createdAt: NOW, updatedAt: NOW };
const task = (name: string, fields: Partial<KeptTask> = {}) => keptTask(name, `Do ${name}`, { ...MOMENTS, ...fields });

const keptOf = async ({ store }: Context, workstream: string) =>
  readKept(store.db, (await workstreamRow(store.db, workstream)).id);

/** Every file below a folder with its text. */
function filesOf(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const files = names.filter((name) => statSync(join(folder, name)).isFile());
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

/** The same without the moments of the export. */
const withoutTimes = (files: Record<string, string>) => ({
  ...files,
  "manifest.json": (files["manifest.json"] ?? "").replace(/"(createdAt|updatedAt)": "[^"]*"/g, ""),
});

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = temporaryFolder();
  try {
    await work(folder.path);
  } finally {
    folder.remove();
  }
}

onEachDialect("a bundle", (bench) => {
  it("gives back what was exported, byte for byte, whatever is in it", async () => {
    const { context } = bench;
    let run = 0;
    await inFolder(async (root) => {
      const property = fc.asyncProperty(KEPT_TASKS, async (tasks) => {
        const [name, again] = [`w-${++run}`, join(root, `again-${run}`)];
        const given = tasks.map(({ name: own = "", title = "", ...fields }) => keptTask(own, title, fields));
        const first = join(root, `first-${run}`);
        await importSources(context, [{ workstream: name, tasks: given, deleted: 0, left: [] }]);
        await writeBundle(first, [{ workstream: "w", tasks: await keptOf(context, name) }], NOW);
        const copy = `copy-${run}`;
        await importSources(context, await readBundle(first), { as: copy });
        await writeBundle(again, [{ workstream: "w", tasks: await keptOf(context, copy) }], LATER);
        expect(withoutTimes(filesOf(again))).toEqual(withoutTimes(filesOf(first)));
      });
      await fc.assert(property, { numRuns: dialect === "sqlite" ? 25 : 3 });
    });
    expect(await compareTables(context.store.db)).toEqual([]);
  });

  it("imports each source with one write, or none of them, and is undone as one", async () => {
    const { context } = bench;
    await inFolder(async (folder) => {
      const api = [
        task("build"),
        task("ship", { blockedBy: ["build@landed", "gone"], owner: "ada", status: "IN_PROGRESS" }),
      ];
      const web = [task("draw", { status: "CLOSED", level: "landed", closedAt: NOW })];
      await writeBundle(folder, [{ workstream: "api", tasks: api }], NOW);
      await writeBundle(folder, [{ workstream: "web", tasks: web }], NOW);
      const found = await readBundle(folder);
      expect(await importSources(context, found, { dryRun: true })).toMatchObject([{ tasks: 2 }, { tasks: 1 }]);
      expect(await listWorkstreams(context.store.db)).toEqual([]);

      const group = "feedface00";
      const imported = await importSources({ ...context, group }, found);
      expect(imported).toMatchObject([
        { workstream: "api", tasks: 2, edges: 1, left: ["ship waited for gone, which is not there"] },
        { workstream: "web", tasks: 1 },
      ]);
      expect(await keptOf(context, "api")).toMatchObject([{}, { status: "OPEN", owner: "ada" }]);
      await expect(importSources(context, found)).rejects.toMatchObject({ code: "workstream.exists" });

      await undoGroup(context, group);
      expect(await listWorkstreams(context.store.db)).toEqual([]);
      const second = found.map((source) => ({ ...source, tasks: source.tasks.map((one) => ({ ...one, impact: 0 })) }));
      const bad = [found[0], second[1]].flatMap((source) => source ?? []);
      await expect(importSources(context, bad)).rejects.toMatchObject({ code: "task.invalid_field" });
      expect(await listWorkstreams(context.store.db)).toEqual([]);
      expect(await compareTables(context.store.db)).toEqual([]);
    });
  });

  itOnce("writes only what changed, keeps deleted tasks with a banner, and mends what was damaged", async () => {
    await inFolder(async (root) => {
      const folder = join(root, "out");
      const tasks = [task("a"), task("b", { description: "Text\n<!-- mu:end -->\n" }), task("c")];
      const write = (now: string, of = tasks) => writeBundle(folder, [{ workstream: "w", tasks: of }], now);
      expect(await write(NOW)).toMatchObject({ written: 3, unchanged: 0 });
      const before = filesOf(folder);
      expect(await write(LATER)).toMatchObject({ written: 0, unchanged: 3 });
      expect(filesOf(folder)).toEqual(before);

      const [a, b] = [join(folder, "w/tasks/a.md"), join(folder, "w/tasks/b.md")];
      writeFileSync(a, "torn");
      rmSync(b);
      expect(await write(LATER)).toMatchObject({ written: 2, unchanged: 1 });
      expect(filesOf(folder)).toEqual(before);
      const copied = join(root, "copied");
      cpSync(folder, copied, { recursive: true });
      utimesSync(join(copied, "manifest.json"), 1, 1);
      expect(await writeBundle(copied, [{ workstream: "w", tasks }], LATER)).toMatchObject({
        written: 0,
        unchanged: 3,
      });

      expect(await write(LATER, tasks.slice(1))).toMatchObject({ written: 0, unchanged: 2, deleted: 1 });
      expect(readFileSync(a, "utf8")).toContain("> **Deleted.**");
      const buried = filesOf(folder);
      await write(LATER, tasks.slice(1));
      expect(filesOf(folder)).toEqual(buried);
      expect(await readBundle(folder)).toMatchObject([{ deleted: 1, tasks: [{ name: "b" }, { name: "c" }] }]);
      await write(LATER);
      expect(withoutTimes(filesOf(folder))).toEqual(withoutTimes(before));
    });
  });

  itOnce("is refused where a file is not as its manifest says, is missing, or leads out of the folder", async () => {
    await inFolder(async (root) => {
      const folder = join(root, "out");
      await writeBundle(folder, [{ workstream: "w", tasks: [task("a"), task("b")] }], NOW);
      const a = join(folder, "w/tasks/a.md");
      const text = readFileSync(a, "utf8");
      const code = () =>
        readBundle(folder).then(
          () => "read",
          (error) => error.code,
        );

      writeFileSync(a, text.replace("Do a", "Do more"));
      await expect(readBundle(folder)).rejects.toMatchObject({
        code: "bundle.changed",
        message: expect.stringContaining("w/tasks/a.md"),
      });
      expect(await readBundle(folder, { changed: "take" })).toMatchObject([{ tasks: [{ title: "Do more" }, {}] }]);
      writeFileSync(a, text.replace('"a"', '"z"'));
      await expect(readBundle(folder, { changed: "take" })).rejects.toMatchObject({ code: "bundle.invalid" });
      rmSync(a);
      expect(await code()).toBe("bundle.file_missing");
      writeFileSync(join(root, "secret.md"), text);
      symlinkSync(join(root, "secret.md"), a);
      expect(await code()).toBe("file.outside");
      rmSync(a);
      writeFileSync(a, text);
      expect(await code()).toBe("read");

      const path = join(folder, "manifest.json");
      const manifest = readFileSync(path, "utf8");
      for (const [from, to, wanted] of [
        ['"name": "a"', '"name": "../../secret"', "bundle.invalid"],
        ['"w":', '"..":', "bundle.invalid"],
        ['"bundleVersion": 3', '"bundleVersion": 4', "bundle.newer"],
        ["}", "", "bundle.invalid"],
      ] as const) {
        writeFileSync(path, manifest.replace(from, to));
        expect(await code()).toBe(wanted);
      }
      await expect(readBundle(root)).rejects.toMatchObject({ code: "bundle.not_found" });
      writeFileSync(path, manifest);
      await expect(readBundle(folder, { only: ["v"] })).rejects.toMatchObject({ code: "bundle.no_source" });
    });
  });

  itOnce("leaves a folder alone that has other files, and says which file cannot be written", async () => {
    await inFolder(async (root) => {
      const sources = [{ workstream: "w", tasks: [task("a")] }];
      mkdirSync(join(root, "mine"));
      writeFileSync(join(root, "mine/README.md"), "# Mine\n");
      await expect(writeBundle(join(root, "mine"), sources, NOW)).rejects.toMatchObject({
        code: "bundle.not_a_bundle",
      });
      expect(readFileSync(join(root, "mine/README.md"), "utf8")).toBe("# Mine\n");
      writeFileSync(join(root, "file"), "");
      await expect(writeBundle(join(root, "file/x"), sources, NOW)).rejects.toMatchObject({
        kind: "unavailable",
        code: "file.not_writable",
        message: expect.stringContaining("file/x"),
      });
    });
  });

  itOnce("of two exports at once into one folder, loses no source", async () => {
    await inFolder(async (folder) => {
      await writeBundle(folder, [{ workstream: "base", tasks: [task("a")] }], NOW);
      const write = (workstream: string) => writeBundle(folder, [{ workstream, tasks: [task("a"), task("b")] }], NOW);
      const outcomes = await Promise.allSettled(["v", "w"].map(write));
      for (const [index, { status }] of outcomes.entries())
        if (status === "rejected") await write(["v", "w"][index] ?? "");
      expect((await readBundle(folder)).map(({ workstream }) => workstream)).toEqual(["base", "v", "w"]);
    });
  });

  itOnce("reads a task that an editor or git gave other line ends, and YAML that a person wrote", async () => {
    const whole = task("a", {
      description: "One\ntwo",
      notes: [keptNote({ author: "a > b", text: "x", createdAt: NOW })],
    });
    const text = writeTaskFile(whole);
    expect(await readTaskFile(text)).toEqual(whole);
    expect(await readTaskFile(text.replaceAll("\n", "\r\n"))).toEqual(whole);
    const edited = text.replace('status: "OPEN"', "status: OPEN # for now").replace("impact: 50", "tags: [x, y]");
    expect(await readTaskFile(edited)).toMatchObject({ status: "OPEN", tags: ["x", "y"], impact: 50 });
    expect(await readTaskFile("# no front matter")).toBeUndefined();
    expect(await readTaskFile("---\n{\n---\n")).toBeUndefined();
  });

  itOnce("of mu 0.3 is read as it was written there", async () => {
    await inFolder(async (folder) => {
      writeBucket(folder);
      const [found] = await readBundle(folder);
      expect(found).toMatchObject({ workstream: "auth", deleted: 1 });
      expect(found?.tasks).toMatchObject([
        {
          ...{ name: "design", title: "Design | it", status: "CLOSED", impact: 80, effortDays: 0.5, owner: "alice" },
          ...{ closedAt: "2026-05-02T00:00:00.000Z", blockedBy: [] },
          notes: [
            { author: "alice", createdAt: "2026-05-01T10:00:00.000Z", text: "Use\n```\ncode\n```\n### #2 by x, y" },
            { author: "system", text: "done" },
          ],
        },
        { name: "ship", status: "OPEN", owner: null, blockedBy: ["design"], notes: [] },
      ]);
      await importSources(bench.context, await readBundle(folder));
      expect(await keptOf(bench.context, "auth")).toHaveLength(2);
      await expect(writeBundle(folder, [{ workstream: "auth", tasks: [] }], NOW)).rejects.toMatchObject({
        code: "bundle.older",
      });
      expect(existsSync(join(folder, "auth/tasks/gone.md"))).toBe(true);
    });
  });
});

/** A bucket as mu 0.3.1 lays it out. */
function writeBucket(folder: string): void {
  const head = (id: string, status: string, owner: string, rest: string) =>
    `---\nid: "${id}"\nworkstream: "auth"\nstatus: ${status}\nimpact: 80\neffort_days: 0.5\nroi: 160.00\nowner: ${owner}\n` +
    `created_at: "2026-05-01T00:00:00.000Z"\nupdated_at: "2026-05-02T00:00:00.000Z"\n${rest}---\n\n`;
  const note =
    "## Notes (2)\n\n### #1 by alice, 2026-05-01T10:00:00.000Z\n\n````\nUse\n```\ncode\n```\n### #2 by x, y\n````\n\n" +
    "### #2 by system, 2026-05-01T11:00:00.000Z\n\n```\ndone\n```\n";
  const files: Record<string, string> = {
    design: `${head("design", "CLOSED", '"alice"', 'blocked_by: []\nblocks: ["ship"]\n')}# Design | it\n\n${note}`,
    gone: `> **Deleted from DB on 2026-05-03T00:00:00.000Z** — gone.\n\n${head("gone", "OPEN", "null", "")}# Gone\n\n_No notes._\n`,
    ship: `${head("ship", "OPEN", "null", 'blocked_by: ["design"]\nblocks: []\n')}# Ship\n\n_No notes._\n`,
  };
  mkdirSync(join(folder, "auth/tasks"), { recursive: true });
  const tasks = Object.entries(files).map(([id, text]) => {
    writeFileSync(join(folder, "auth/tasks", `${id}.md`), text);
    const sha256 = createHash("sha256").update(text).digest("hex");
    return { id, path: `auth/tasks/${id}.md`, sha256, ...(id === "gone" && { deletedAt: LATER }) };
  });
  const source = { addedAt: NOW, lastReExportedAt: NOW, eventsSeqAtExport: 3, tasks };
  const times = { bucketCreatedAt: NOW, bucketLastUpdatedAt: NOW, muVersion: "0.3.1" };
  const manifest = { bucketVersion: 2, bucketLabel: null, ...times, sources: { auth: source } };
  writeFileSync(join(folder, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

it("waits for the lock of another export, and takes it where that one was killed", async () => {
  await inFolder(async (root) => {
    const folder = join(root, "out");
    await writeBundle(folder, [{ workstream: "w", tasks: [] }], NOW);
    const lock = join(folder, ".manifest.json.lock");
    writeFileSync(lock, "");
    await writeBundle(folder, [{ workstream: "w", tasks: [task("a")] }], LATER);
    expect(await readBundle(folder)).toMatchObject([{ tasks: [{ name: "a" }] }]);
    expect(existsSync(lock)).toBe(false);
  });
});

it("is begun by a manifest without sources, so that an export that was cut off goes on, and a folder of others stays", async () => {
  const folder = temporaryFolder();
  try {
    const out = join(folder.path, "out");
    const sources = [{ workstream: "shop", tasks: [task("cart"), task("pay")] }];
    mkdirSync(join(out, "shop/tasks/pay.md"), { recursive: true });
    await expect(writeBundle(out, sources, NOW)).rejects.toMatchObject({ code: "bundle.not_a_bundle" });
    rmSync(join(out, "shop"), { recursive: true });
    mkdirSync(join(out, "notes"));
    const cutOff = [{ workstream: "shop", tasks: [task("cart"), { ...task("pay"), notes: null as never }] }];
    await expect(writeBundle(out, cutOff, NOW)).rejects.toThrow();
    expect(existsSync(join(out, "shop/tasks/cart.md"))).toBe(true);
    expect(await readBundle(out)).toEqual([]);
    expect(await writeBundle(out, sources, LATER)).toMatchObject({ written: 2 });
    expect(await readBundle(out)).toMatchObject([{ workstream: "shop", tasks: [{ name: "cart" }, { name: "pay" }] }]);
    expect(existsSync(join(out, "notes"))).toBe(true);
  } finally {
    folder.remove();
  }
});
