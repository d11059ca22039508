import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "../src/db/sqlite/connect.js";
import { type Home, newHome } from "./support/cli.js";

let home: Home;
beforeEach(() => {
  home = newHome();
});
afterEach(() => home.end());

interface Said {
  probe: string;
  severity: string;
  subject: string;
  detail: string;
  command: string | null;
}

/** What the doctor says, in this process unless it has to be able to kill a part of itself. */
const examine = async (line = "", env: Record<string, string> = {}) => {
  const ran = await home.here(`doctor ${line} --json`, { env });
  const { findings, fixed, ok } = ran.json();
  const wrong: Said[] = findings.filter(({ severity }: Said) => severity === "warning" || severity === "error");
  return { code: ran.code, ok, findings: findings as Said[], wrong, fixed };
};

const about = async (subject: string, env?: Record<string, string>) => {
  const { code, findings } = await examine("", env);
  return { code, ...findings.find((one) => one.subject === subject) };
};

describe("mu doctor", () => {
  it("finds nothing wrong on a fresh machine and in a fresh project, and makes nothing", async () => {
    expect(await examine("--deep")).toMatchObject({ code: 0, ok: true, wrong: [] });
    expect(existsSync(home.database)).toBe(false);
    await home.here("workstream init demo");
    expect(await examine("--deep --fix")).toMatchObject({ code: 0, ok: true, wrong: [], fixed: [] });
  });

  it("finds a page of the database that nobody has read yet damaged, and says how to save the rest", async () => {
    await home.here("workstream init demo");
    const plan = {
      tasks: Array.from({ length: 300 }, (_, n) => ({ name: `t${n}`, title: `Task ${n} ${"x".repeat(99)}` })),
    };
    writeFileSync(join(home.project, "plan.json"), JSON.stringify(plan));
    expect((await home.mu("task apply plan.json")).code).toBe(0);
    const bytes = readFileSync(home.database);
    bytes.fill(0xee, bytes.length - 3 * 4096);
    writeFileSync(home.database, bytes);
    const ran = await home.mu("doctor --json");
    expect(ran.code).toBe(1);
    expect(ran.json().findings).toContainEqual(
      expect.objectContaining({
        severity: "error",
        subject: "database",
        detail: expect.stringContaining(`${home.database} is damaged`),
        command: `sqlite3 ${home.database} .recover`,
      }),
    );
  });

  it("does not take an empty file for a database without tasks, and leaves it as it is", async () => {
    mkdirSync(join(home.database, ".."));
    writeFileSync(home.database, "");
    expect(await about("database")).toMatchObject({
      ...{ code: 1, severity: "error", command: `rm ${home.database}` },
      detail: expect.stringContaining(`${home.database} is an empty file`),
    });
    expect(statSync(home.database).size).toBe(0);
    rmSync(home.database);
    expect(await about("database")).toMatchObject({ code: 0, severity: "ok" });
  });

  it.each([
    [
      "no database at all",
      (path: string) => writeFileSync(path, "no database, but text ".repeat(400)),
      "is not a database",
    ],
    ["another program's", (path: string) => makeDatabase(path, "create table songs (name text)"), "has other tables"],
    [
      "a newer mu's",
      (path: string) =>
        makeDatabase(path, "create table kysely_migration (name text); insert into kysely_migration values ('9999')"),
      "was made by a newer mu",
    ],
  ])("examines all the rest where the database is %s, and touches it with no fix", async (_, make, says) => {
    mkdirSync(join(home.database, ".."));
    make(home.database);
    const before = readFileSync(home.database);
    const { code, findings, wrong } = await examine("--fix");
    expect([code, wrong.length]).toEqual([1, 1]);
    expect(wrong[0]).toMatchObject({ subject: "database", severity: "error", detail: expect.stringContaining(says) });
    expect(findings.find(({ probe }) => probe === "workspaces")).toMatchObject({
      ...{ severity: "note", detail: "Not examined: the database cannot be used as it is." },
    });
    // Names are not looked up in a database that cannot be used.
    for (const line of ["doctor -w demo --json", "doctor --send demo/ann --json"])
      expect(await home.here(line, { env: { MU_WORKSTREAM: "demo" } })).toMatchObject({ code: 1, stderr: "" });
    expect(readFileSync(home.database)).toEqual(before);
  });

  it("names migrations that are pending, and runs none", async () => {
    await home.here("workstream init demo");
    const file = connect(home.database, { timeout: 1_000 });
    file.exec(
      "drop table search_index; drop table search_marks; drop table search_entries; drop table archived_tasks; drop table archives; delete from kysely_migration where name = (select max(name) from kysely_migration)",
    );
    file.close();
    expect(await about("database")).toMatchObject({ code: 1, command: "mu db upgrade" });
    expect(await about("database")).toMatchObject({ detail: expect.stringContaining("1 migration pending") });
    expect((await home.here("db upgrade")).code).toBe(0);
    expect(await about("database")).toMatchObject({ code: 0, severity: "ok" });
  });

  describe("of a write-ahead log", () => {
    it("lets nobody make a database beside that of one that is gone", async () => {
      await crash();
      rmSync(home.database);
      const { code, stderr } = await home.here("workstream init shop --json");
      expect([code, JSON.parse(stderr)]).toMatchObject([4, { code: "db.stray_wal" }]);
      expect(existsSync(home.database)).toBe(false);
    });

    /** The files of a process that was killed: its last writes are in the log alone. */
    const crash = async () => {
      await home.here("workstream init demo");
      const file = connect(home.database, { timeout: 1_000 });
      for (let n = 0; n < 40; n++) file.exec(`create table t${n} (x); insert into t${n} values (zeroblob(3000))`);
      for (const suffix of ["", "-wal"]) copyFileSync(home.database + suffix, `${home.database}.crashed${suffix}`);
      file.close();
      for (const suffix of ["", "-wal"]) renameSync(`${home.database}.crashed${suffix}`, home.database + suffix);
      // Written last, as it was by the process that died.
      writeFileSync(`${home.database}-wal`, readFileSync(`${home.database}-wal`));
    };

    it("that a killed process has left says nothing", async () => {
      await crash();
      expect(await about("database")).toMatchObject({ code: 0, severity: "ok" });
    });

    it.each([
      ["is gone", () => rmSync(home.database), "is gone"],
      ["was emptied", () => writeFileSync(home.database, ""), "an empty file"],
      [
        "was replaced by a backup",
        () => {
          // A file system counts time in steps of some ms.
          const changedAt = (suffix: string) => statSync(home.database + suffix).mtimeMs;
          do copyFileSync(join(home.folder, "backup.db"), home.database);
          while (changedAt("") <= changedAt("-wal"));
        },
        "was put in its place",
      ],
      [
        "was replaced by one with other pages",
        () => {
          makeDatabase(join(home.folder, "songs.db"), "pragma page_size = 1024; create table songs (name text)");
          renameSync(join(home.folder, "songs.db"), home.database);
        },
        "another size",
      ],
    ])("says so where the database %s, before anything is merged", async (_, damage, says) => {
      await home.here("workstream init demo");
      copyFileSync(home.database, join(home.folder, "backup.db"));
      await crash();
      damage();
      const log = readFileSync(`${home.database}-wal`);
      const found = await about("database");
      expect(found).toMatchObject({ code: 1, severity: "error", detail: expect.stringContaining(says) });
      expect(readFileSync(`${home.database}-wal`)).toEqual(log);
      expect(found.command).toBe(`mv ${home.database}-wal ${home.database}-wal.aside`);
      expect((await home.sh(found.command ?? "")).code).toBe(0);
      expect((await about("database")).detail).not.toContain("-wal");
    });
  });

  it("names the agent CLIs that are installed, and a version that it has not seen", async () => {
    const bin = join(home.folder, "clis");
    mkdirSync(bin);
    const install = (name: string, says: string) =>
      writeFileSync(join(bin, name), `#!/bin/sh\n${says}\n`, { mode: 0o755 });
    install("claude", "echo '2.1.332 (Claude Code)'");
    install("codex", "echo 'codex-cli 9.9.9'");
    install("gemini", "echo 'who knows'");
    const env = { PATH: `${bin}:${home.env["PATH"]}` };
    const { code, findings } = await examine("", env);
    const of = (name: string) => findings.find(({ subject }) => subject === name);
    expect(code).toBe(0);
    expect(of("claude")).toMatchObject({ severity: "ok", detail: "2.1.332" });
    expect(of("codex")).toMatchObject({
      severity: "note",
      detail: "9.9.9; its screens are known from 0.169.0 and 0.171.0, so a status may be wrong.",
      command: "mu agent explain <agent> --save /tmp/screen",
    });
    expect(of("gemini")).toBeUndefined();
    expect(await about("claude", { ...env, MU_CLAUDE_COMMAND: "claude" })).not.toHaveProperty("severity");
  });

  it("gives up a probe that takes too long, and makes all others", async () => {
    const bin = join(home.folder, "clis");
    mkdirSync(bin);
    writeFileSync(join(bin, "codex"), "#!/bin/sh\nexec sleep 30\n", { mode: 0o755 });
    const ran = await home.mu("doctor --timeout 3s --json", { env: { PATH: `${bin}:${home.env["PATH"]}` } });
    const late = ran.json().findings.filter(({ detail }: Said) => detail.startsWith("Not examined"));
    expect([ran.code, late]).toMatchObject([
      1,
      [
        {
          probe: "clis",
          severity: "warning",
          detail: "Not examined: it took longer than 3 s.",
          command: "mu doctor --timeout 1m",
        },
      ],
    ]);
  });

  it("brings hooks up to date with --fix", async () => {
    await home.here("hooks install --cli pi");
    const path = (await home.here("hooks status --cli pi --json")).json().items[0].path;
    writeFileSync(path, readFileSync(path, "utf8").replace(/\n/, "\n\n"));
    const { wrong } = await examine();
    expect(wrong).toMatchObject([{ subject: "pi hooks", command: "mu hooks install --cli pi" }]);
    const { code, fixed } = await examine("--fix");
    expect([code, fixed]).toMatchObject([0, [{ probe: "hooks", ok: true }]]);
  });

  it("says in 80 columns what it did and what is left", async () => {
    await home.here("workstream init demo");
    const state = join(home.folder, "state");
    mkdirSync(join(state, "drains"), { recursive: true });
    writeFileSync(join(state, "drains", "1-5"), "");
    const found = await home.here("doctor");
    expect([found.code, found.stdout]).toEqual([1, expect.stringContaining("1 finding to mend.\nNext:\n")]);
    const mended = await home.here("doctor --fix");
    expect(mended.stdout).toMatch(/^mended {2}Deleted\n? .*drains\/1-5\./m);
    expect(mended.stdout).toContain("Nothing is wrong.");
    const long = `${found.stdout}${mended.stdout}`.split("\n").filter((line) => line.length > 80);
    expect(long.filter((line) => !line.includes(home.folder))).toEqual([]);
  });

  it("fails without tmux, with the line that installs it", async () => {
    const env = { PATH: join(home.folder, "nothing") };
    expect(await about("tmux", env)).toMatchObject({
      code: 1,
      severity: "error",
      command: "sudo apt-get install tmux",
    });
    expect(await about("crew", env)).toMatchObject({
      severity: "note",
      detail: expect.stringContaining("Not examined"),
    });
    expect((await about("workspaces", env)).severity).toBe("ok");
    expect((await home.mu("doctor", { env })).stdout).toMatch(/^Next:\n.*: sudo apt-get install tmux$/m);
  });
});

/** A database that is not mu's. */
function makeDatabase(path: string, statements: string): void {
  const file = connect(path, { timeout: 1_000 });
  file.exec(statements);
  file.close();
}

it("names the folder of MU_DB_PATH that is not there, and makes it with the first write", async () => {
  const folder = join(home.folder, "not", "there");
  const env = { MU_DB_PATH: join(folder, "mu.db") };
  const read = await home.mu("state", { env });
  expect([read.code, read.stdout]).toEqual([0, expect.stringContaining("No workstreams")]);
  expect(read.stderr).toContain(`There is no folder ${folder}, which MU_DB_PATH names`);
  expect(existsSync(folder)).toBe(false);
  expect((await home.mu("workstream init demo", { env })).code).toBe(0);
  expect((await home.mu("state", { env })).stderr).toBe("");
});
