import { chmodSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "../src/db/sqlite/connect.js";
import { type Home, newHome } from "./support/cli.js";
import { noStrace } from "./sweep/strace.js";

let home: Home;
beforeEach(() => {
  home = newHome();
});
afterEach(() => home.end());

const planned = async () => {
  for (const line of ["workstream init demo", "task add build", "task note build 'A note'"]) {
    expect((await home.mu(line)).code).toBe(0);
  }
};

/** A read and a write both end with exit 5, the path, and what to do; in text and in JSON. */
async function expectUnavailable(code: string, path: string, lines = ["task list -w demo", "task add x -w demo"]) {
  const env = { MU_DB_PATH: path };
  for (const line of lines) {
    const json = await home.mu(`${line} --json`, { env });
    expect([line, json.code, json.stdout]).toEqual([line, 5, ""]);
    expect(json.fault()).toMatchObject({ error: "unavailable", code, exitCode: 5 });
    expect(json.fault().message).toMatch(/MU_DB_PATH|Try again|backup/);
    const text = await home.mu(line, { env });
    expect(text.stderr).toContain(dirname(path));
    expect(text.stderr).not.toMatch(/^\s+at /m);
  }
}

describe("a database", () => {
  it("that is missing is empty to a read, which makes nothing; the first write makes it", async () => {
    for (const line of [
      "state --json",
      "workstream list --json",
      "log --json",
      "sql 'select * from tasks' --json",
      "audit verify --tables",
    ]) {
      expect([line, (await home.mu(line)).code]).toEqual([line, 0]);
    }
    expect((await home.mu("task list -w demo")).code).toBe(3);
    expect((await home.mu("task add x -w demo")).code).toBe(3);
    expect(existsSync(home.database)).toBe(false);
    expect((await home.mu("workstream init demo")).code).toBe(0);
    expect(existsSync(home.database)).toBe(true);
  });

  it("whose folder cannot be made", async () => {
    const file = join(home.folder, "a file");
    writeFileSync(file, "");
    await expectUnavailable("db.cannot_open", join(file, "folder", "mu.db"), ["workstream init demo"]);
  });

  it("that is a folder", () => expectUnavailable("db.cannot_open", home.project));

  it("that is none", async () => {
    const file = join(home.folder, "notes.db");
    writeFileSync(file, "These are only notes, long enough to be more than a header.\n".repeat(100));
    await expectUnavailable("db.not_a_database", file);
    expect(readFileSync(file, "utf8")).toMatch(/^These are only notes/);
  });

  it("that is damaged", async () => {
    await planned();
    const bytes = readFileSync(home.database);
    bytes.fill(0xee, 4096);
    writeFileSync(home.database, bytes);
    await expectUnavailable("db.corrupt", home.database);
  });

  it("that is cut off", async () => {
    await planned();
    truncateSync(home.database, 5000);
    await expectUnavailable("db.corrupt", home.database);
  });

  it("beside which the files of a write lie damaged, works without them", async () => {
    await planned();
    for (const file of ["mu.db-wal", "mu.db-shm"]) {
      for (const text of ["", "7\x7f\x06\x82", "\x00\xffgarbage\n".repeat(3000)]) {
        writeFileSync(join(dirname(home.database), file), text, "latin1");
        const { json } = await home.here("task list --json");
        expect([file, text.length, json().count]).toEqual([file, text.length, 1]);
      }
      expect((await home.here("task note build more")).code).toBe(0);
    }
    expect((await home.here("audit verify --tables")).code).toBe(0);
  });

  it("that is another program's", async () => {
    const file = join(home.folder, "other.db");
    const other = connect(file, { timeout: 5_000 });
    other.exec("create table theirs (x)");
    other.close();
    await expectUnavailable("db.foreign", file);
  });

  it("that is locked for longer than the timeout", async () => {
    await planned();
    const other = connect(home.database, { timeout: 5_000 });
    other.exec("begin immediate");
    try {
      const ran = await home.mu("task add x --json", { env: { MU_BUSY_TIMEOUT_MS: "20" } });
      expect([ran.code, ran.fault().code]).toEqual([5, "db.locked"]);
      expect(ran.fault().message).toContain(home.database);
      expect((await home.mu("task list --json")).json().count).toBe(1);
    } finally {
      other.exec("rollback");
      other.close();
    }
    expect((await home.mu("task add x")).code).toBe(0);
  });

  it("that may only be read", async (test) => {
    await planned();
    const user = plainUser();
    if (user === undefined) return test.skip("neither a plain user, nor one to become");
    chmodSync(home.database, 0o444);
    for (const folder of [home.folder, home.project]) chmodSync(folder, 0o755);
    chmodSync(dirname(home.database), 0o555);
    const options = { env: { XDG_CACHE_HOME: join(home.folder, "none") }, user };
    if ((await home.mu("--version", options)).code !== 0) return test.skip("another user cannot run the program here");
    const written = await home.mu("task add x --json", options);
    expect([written.code, written.stdout]).toEqual([5, ""]);
    expect(written.fault().message).toContain(home.database);
    expect(written.fault().code).toMatch(/^db\.(read_only|cannot_open)$/);
    expect(written.fault().message).toContain("MU_DB_PATH");
    chmodSync(dirname(home.database), 0o755);
  });

  it("whose folder may not be written", async (test) => {
    const user = plainUser();
    if (user === undefined) return test.skip("neither a plain user, nor one to become");
    chmodSync(home.folder, 0o755);
    const options = { env: { XDG_CACHE_HOME: join(home.folder, "none") }, user };
    if ((await home.mu("--version", options)).code !== 0) return test.skip("another user cannot run the program here");
    chmodSync(home.folder, 0o555);
    const written = await home.mu("workstream init demo --json", options);
    expect([written.code, written.fault().code]).toEqual([5, "db.cannot_open"]);
    expect(written.fault().message).toContain(dirname(home.database));
    chmodSync(home.folder, 0o755);
  });

  it("on a server that does not answer", async () => {
    const ran = await home.mu("task list --json", {
      env: { MU_DATABASE_URL: "postgres://ann:secret@127.0.0.1:1/none" },
    });
    expect([ran.code, ran.fault().code]).toEqual([5, "db.cannot_open"]);
    expect(ran.fault().message).toContain("MU_DATABASE_URL");
    expect(ran.stderr).not.toContain("secret");
  });
});

it.skipIf(!existsSync("/dev/full"))(
  "a disk that is full under the answer is named, and what was done stays",
  async () => {
    await planned();
    const { code, stderr } = await home.sh("mu task add late > /dev/full");
    expect([code, stderr]).toEqual([
      5,
      "mu: Cannot write standard output: no space left on device (ENOSPC). Fix this, then try again.\n",
    ]);
    expect((await home.sh("mu task show nothing 2> /dev/full")).code).toBe(3);
    expect((await home.here("task show late --json")).code).toBe(0);
  },
);

it.skipIf(noStrace).each([
  ["plan.yaml", "task apply plan.yaml -w demo"],
  ["plan.yaml", "asset add plan.yaml --kind plan --task build -w demo"],
  [".mu/settings.json", "dispatch --once -w demo"],
  [".claude/settings.json", "hooks install --cli claude"],
])("a disk that does not give %s back is named by mu %s", async (name, line) => {
  await planned();
  const folder = name.startsWith(".claude") ? home.folder : home.project;
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "{}");
  const failing = `strace -f -qq -o /dev/null -P '${path}' -e trace=openat -e inject=openat:error=EIO`;
  const { code, stderr } = await home.sh(`${failing} mu ${line}`);
  expect([code, stderr]).toEqual([5, `mu: Cannot open ${path}: i/o error (EIO). Fix this, then try again.\n`]);
});

/** A user whom permissions bind: ourselves, or nobody where we are root. */
function plainUser(): { uid?: number; gid?: number } | undefined {
  const uid = process.getuid?.();
  if (uid === undefined) return undefined;
  return uid === 0 ? { uid: 65_534, gid: 65_534 } : {};
}
