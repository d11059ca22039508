import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { getArchive, restoreArchive } from "../../src/archives.js";
import { readPredecessor } from "../../src/bundles/predecessor.js";
import { execute } from "../../src/operations/execute.js";
import { importOperation } from "../../src/operations/import.js";
import { readKept } from "../../src/tasks/kept.js";
import { openTestStore, temporaryFolder } from "../support/database.js";
import { fillPredecessor, predecessorDatabase } from "../support/predecessor.js";
import { seededApp } from "../support/seeded.js";

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = temporaryFolder();
  try {
    await work(folder.path);
  } finally {
    folder.remove();
  }
}

it.each([7, 9] as const)(
  "reads a database of schema %i with all that was committed to its -wal, and leaves it as it is",
  (version) =>
    inFolder(async (folder) => {
      const path = join(folder, "mu.db");
      const db = new Database(path);
      db.pragma("journal_mode = WAL");
      db.pragma("wal_autocheckpoint = 0");
      fillPredecessor(db, version);
      const open = db.prepare("select 1").iterate();
      open.next();
      const copy = join(folder, "copy.db");
      for (const suffix of ["", "-wal"]) copyFileSync(path + suffix, copy + suffix);
      const before = ["", "-wal"].map((suffix) => readFileSync(copy + suffix));

      for (const one of [path, copy]) {
        const { found, archives, left, ...rest } = await readPredecessor(one);
        expect(rest.version).toBe(version);
        expect(found).toMatchObject([
          {
            workstream: "auth",
            tasks: [
              {
                name: "design",
                status: "CLOSED",
                owner: "alice",
                closedAt: "2026-05-02T10:00:00.000Z",
                effortDays: 0.5,
              },
              { name: "ship", status: "IN_PROGRESS", owner: "bob", blockedBy: ["design"] },
            ],
          },
          { workstream: "idle", tasks: [] },
        ]);
        expect(found[0]?.tasks[0]?.notes).toMatchObject([
          { author: "alice", text: "Start small." },
          { author: "system", text: "Reaped." },
        ]);
        expect(left).toEqual(["agents: 2", "log entries: 1"]);
        expect(archives.map(({ label }) => label)).toEqual(version === 7 ? ["old_releases"] : []);
      }
      open.return?.();
      db.close();
      expect(["", "-wal"].map((suffix) => readFileSync(copy + suffix))).toEqual(before);
    }),
);

it("says what else a file is", () =>
  inFolder(async (folder) => {
    const code = (name: string) =>
      readPredecessor(join(folder, name)).then(
        () => "read",
        (error) => error.code,
      );
    writeFileSync(join(folder, "text.db"), "no database at all, whatever it is called".repeat(50));
    expect(await code("text.db")).toBe("import.unreadable");
    expect(await code(".")).toBe("import.not_found");
    const whole = predecessorDatabase();
    writeFileSync(join(folder, "torn.db"), whole.subarray(0, whole.length / 2));
    expect(await code("torn.db")).toBe("import.unreadable");
    await (await openTestStore(join(folder, "ours.db"))).close();
    await expect(readPredecessor(join(folder, "ours.db"))).rejects.toMatchObject({
      code: "import.not_predecessor",
      message: expect.stringContaining("MU_DB_PATH"),
    });
    for (const version of [4, 10]) {
      const db = new Database(join(folder, `v${version}.db`));
      fillPredecessor(db);
      db.prepare("update schema_version set version = ?").run(version);
      db.close();
      expect(await code(`v${version}.db`)).toBe("import.not_predecessor");
    }
    expect(readdirSync(folder)).not.toContain("text.db-wal");
  }));

it("imports each workstream and archive once, however often it is asked to", async () => {
  const app = await seededApp();
  try {
    const run = (input: Record<string, unknown>) =>
      execute(importOperation, { file: "old.db", ...input }, app.world, app.request) as Promise<
        Record<string, unknown>
      >;
    expect(await run({ source: ["idle"], dryRun: true })).toMatchObject({ items: [{ workstream: "idle" }], there: [] });
    expect(await run({ source: ["idle"] })).toMatchObject({ count: 1, archives: [] });
    expect(await run({})).toMatchObject({
      archives: [{ archive: "old_releases", tasks: 2, left: ['its label was "Old releases"'] }],
      items: [{ workstream: "auth", tasks: 2, edges: 1, notes: 2 }],
      there: ["idle"],
    });
    expect(await run({})).toMatchObject({ items: [], there: ["auth", "idle"] });
    const { db } = app.store;
    const [before, after] = [await getArchive(db, "old_releases"), await run({})];
    expect(after).toMatchObject({ archives: [], archivesThere: ["old_releases"] });
    expect(await getArchive(db, "old_releases")).toEqual(before);
    await restoreArchive(app.context, "old_releases", { as: "paper" });
    const [row] = await db.selectFrom("workstreams").select("id").where("name", "=", "paper").execute();
    expect(await readKept(db, row?.id ?? 0)).toMatchObject([
      { name: "draft", status: "CLOSED", owner: "carol", notes: [{ author: "carol", text: "On thick paper." }] },
      { name: "print", status: "OPEN", impact: 50, blockedBy: ["draft"] },
    ]);
    await expect(run({ source: ["aut"] })).rejects.toMatchObject({ code: "import.no_source" });
  } finally {
    await app.end();
  }
});
