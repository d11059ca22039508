import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { outlived, type Snapshot } from "../../src/backup/snapshots.js";
import { type Home, newHome } from "../support/cli.js";

let home: Home;
let file: string;

beforeEach(async () => {
  home = newHome();
  file = join(home.project, "kept.db");
  expect((await home.here("workstream init shop")).code).toBe(0);
  expect((await home.here("task add build --title Build -w shop")).code).toBe(0);
});
afterEach(() => home.end());

const snapshots = async () => (await home.here("snapshot list --json")).json().items;
const fault = async (line: string) => (await home.here(`${line} --json`)).fault();

describe("a backup", () => {
  it("is a file for its owner alone, that holds what was committed when it was made", async () => {
    expect((await home.here("backup kept.db --json")).json()).toMatchObject({ file, bytes: statSync(file).size });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await home.here("task add later --title Later -w shop");
    const found = (await home.here("backup verify kept.db --json")).json();
    expect(found).toMatchObject({ workstreams: ["shop"], tasks: 1, events: 2, pending: [] });
    expect(readdirSync(home.project)).toEqual(["kept.db"]);
  });

  it("is made while another process is in the middle of a write, and holds nothing of that", async () => {
    const writer = new Database(home.database);
    writer.exec("begin immediate; delete from tasks");
    expect((await home.here("backup kept.db")).code).toBe(0);
    writer.exec("rollback");
    writer.close();
    expect((await home.here("backup verify kept.db --json")).json().tasks).toBe(1);
  });

  it("goes over no other file unasked, and never over the database", async () => {
    writeFileSync(file, "a letter");
    expect(await fault("backup kept.db")).toMatchObject({ code: "backup.exists", exitCode: 4 });
    expect(readFileSync(file, "utf8")).toBe("a letter");
    expect((await home.here("backup kept.db --replace")).code).toBe(0);
    expect((await home.here("backup verify kept.db")).code).toBe(0);
    const over = ["backup", home.database, "--replace", "--json"];
    expect((await home.here(over)).fault().code).toBe("backup.is_database");
    expect((await home.here("task list -w shop --json")).json().count).toBe(1);
  });

  it("leaves nothing behind on a full disk, which it names", async () => {
    const { code, stderr } = await home.sh("ulimit -f 400; mu backup kept.db --json");
    expect([code, JSON.parse(stderr).code]).toEqual([5, "backup.not_written"]);
    expect(JSON.parse(stderr).message).toContain(file);
    expect(readdirSync(home.project)).toEqual([]);
  });

  it.each([
    ["that is empty", "backup.empty", () => writeFileSync(file, "")],
    ["that is text", "backup.not_a_database", () => writeFileSync(file, "a letter\n".repeat(900))],
    ["that was torn", "backup.damaged", () => truncateSync(file, 40_000)],
    ["of another program", "backup.foreign", () => withSql("drop table kysely_migration")],
    ["of a newer mu", "db.newer", () => withSql("insert into kysely_migration values ('9999_later', 'x')")],
    ["with a cut chain", "backup.broken_chain", () => withSql("update chains set head_n = 1")],
    ["with an edited row", "backup.tables_differ", () => withSql("update tasks set title = 'Break'")],
    ["that is missing", "backup.not_found", () => expect(readdirSync(home.project)).toContain("kept.db"), "gone.db"],
  ])("%s is called by its name", async (_, code, spoil, name = "kept.db") => {
    await home.here("backup kept.db");
    spoil();
    const before = existsSync(file) && readFileSync(file);
    expect(await fault(`backup verify ${name}`)).toMatchObject({ code, message: expect.stringContaining(name) });
    expect(await fault(`snapshot restore ./${name} --yes`)).toMatchObject({
      code: name === "gone.db" ? "snapshot.not_found" : code,
    });
    expect(existsSync(file) && readFileSync(file)).toEqual(before);
    expect((await home.here("task list -w shop --json")).json().count).toBe(1);
  });
});

function withSql(text: string): void {
  const database = new Database(file);
  database.exec(text);
  database.close();
}

describe("a verb that destroys", () => {
  it("leaves a snapshot of what was before it, if it writes", async () => {
    await home.here("task delete build -w shop");
    await home.here("task delete nosuch -w shop --yes");
    expect(await snapshots()).toEqual([]);
    expect((await home.here("task delete build -w shop --yes")).code).toBe(0);
    const [taken, ...others] = await snapshots();
    expect([taken.before, others]).toEqual(["task.delete", []]);
    const shown = (await home.here(`snapshot show ${taken.id} --json`)).json();
    expect(shown).toMatchObject({ backup: { tasks: 1 }, discards: [{ scope: "shop", events: 1 }] });
    expect(statSync(dirname(taken.path)).mode & 0o777).toBe(0o700);
  });

  it("takes one for all that it destroys, and none where the disk is full: then it destroys nothing", async () => {
    await home.here("task add other --title Other -w shop");
    const { code, stderr } = await home.sh("ulimit -f 400; mu task delete build -w shop --yes --json");
    expect([code, JSON.parse(stderr).code]).toEqual([5, "backup.not_written"]);
    expect((await home.here("task list -w shop --json")).json().count).toBe(2);
    expect((await home.here("workstream destroy shop --yes")).code).toBe(0);
    expect((await snapshots()).map(({ before }: Snapshot) => before)).toEqual(["workstream.destroy"]);
  });

  it("deletes what is left of one that was killed days ago, not of one that may still be written", async () => {
    const folder = `${home.database}.snapshots`;
    mkdirSync(folder);
    const drafts = ["a", "b"].map((letter) =>
      join(folder, `20260101T000000000Z-5eed5eed-undo.db.mu-${letter.repeat(12)}`),
    );
    for (const draft of drafts) writeFileSync(draft, "half");
    utimesSync(drafts[0] ?? "", 0, 0);
    await home.here("task delete build -w shop --yes");
    expect(drafts.map((draft) => existsSync(draft))).toEqual([false, true]);
  });

  it("is kept within bounds of number, age and size, but the newest stays", () => {
    const now = new Date("2026-06-30T12:00:00Z");
    const at = (hours: number, bytes = 1, before = "undo") => {
      return { id: `${hours}`, at: new Date(now.getTime() - hours * 3_600_000).toISOString(), before, bytes, path: "" };
    };
    const gone = (kept: Snapshot[]) => outlived(kept, now).map(({ id }) => id);
    expect(gone(Array.from({ length: 22 }, (_, hour) => at(hour)))).toEqual(["20", "21"]);
    expect(gone([at(0), at(1, 2 ** 30), at(2)])).toEqual(["1", "2"]);
    expect(gone([at(0, 2 ** 31), at(400), at(500, 1, "set-aside")])).toEqual(["400", "500"]);
    expect(gone([at(400)])).toEqual([]);
  });
});

describe("snapshots", () => {
  it("are deleted by a person with --yes, one or those beyond an age", async () => {
    await home.here("task delete build -w shop --yes");
    const [{ id }] = await snapshots();
    expect((await home.here(`snapshot delete ${id.slice(0, 3)} --json`)).json().deleted).toBe(false);
    expect((await home.here("snapshot prune --older-than 1d --json")).json().items).toEqual([]);
    expect((await home.here("snapshot prune --all --json")).json().count).toBe(1);
    expect(await snapshots()).toHaveLength(1);
    expect((await home.here("snapshot prune --older-than 0s --yes --json")).json().deleted).toBe(true);
    expect(await snapshots()).toEqual([]);
    expect(await fault(`snapshot delete ${id}`)).toMatchObject({ code: "snapshot.not_found", exitCode: 3 });
  });

  it("are those of mu alone: other files in the folder are left alone", async () => {
    const folder = `${home.database}.snapshots`;
    mkdirSync(folder);
    writeFileSync(join(folder, "notes.txt"), "mine");
    copyFileSync(home.database, join(folder, "old.db"));
    await home.here("task delete build -w shop --yes");
    await home.here("snapshot prune --all --yes");
    expect(readdirSync(folder).sort()).toEqual(["notes.txt", "old.db"]);
  });
});
