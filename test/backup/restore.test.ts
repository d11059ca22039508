import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { restoreDatabase } from "../../src/backup/restore.js";
import type { Snapshot } from "../../src/backup/snapshots.js";
import { systemClock } from "../../src/clock.js";
import { fileAt } from "../../src/db/sqlite/gate.js";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import type { Host } from "../../src/host.js";
import { processIdentity } from "../../src/processes.js";
import { addTask } from "../../src/tasks/add.js";
import { bundleChild } from "../support/child.js";
import { type Home, newHome, outcome, PROGRAM } from "../support/cli.js";
import { contextOn } from "../support/database.js";
import { sample } from "../support/sample.js";

let home: Home;
let kept: string;

beforeEach(async () => {
  home = newHome();
  kept = join(home.project, "kept.db");
  await home.here("workstream init shop");
  await home.here("task add old --title Old -w shop");
  await home.here("backup kept.db");
  await home.here("task add new --title New -w shop");
});
afterEach(() => home.end());

const add = (name: string) => home.here(`task add ${name} --title ${name} -w shop`);
const tasks = async () => {
  const { items } = (await home.here("task list -w shop --json")).json();
  return items.map(({ name }: { name: string }) => name).sort();
};
const snapshots = async (): Promise<Snapshot[]> => (await home.here("snapshot list --json")).json().items;
const restore = (source = "kept.db") => home.here(`snapshot restore ${source} --yes --json`);
const verify = async () => expect((await home.here("audit verify --tables")).code).toBe(0);
const folderOf = () => readdirSync(dirname(home.database)).sort();

function withSql(text: string): void {
  const database = new Database(home.database);
  database.exec(text);
  database.close();
}

describe("a restore", () => {
  it("only says what it would discard, until --yes", async () => {
    const before = readFileSync(home.database);
    const { code, stdout } = await home.here("snapshot restore kept.db");
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/Would restore .*\n.*Would discard 1 event of shop: its head 3 /),
    ]);
    expect(readFileSync(home.database).equals(before)).toBe(true);
    expect(await tasks()).toEqual(["new", "old"]);
  });

  it("puts the backup in place, says in the log what it discarded, and is undone by another one", async () => {
    const [head] = (await home.here("audit head -w shop --json")).json().items;
    const { aside, nextSteps } = (await restore()).json();
    expect(nextSteps.map((next: { command: string }) => next.command)).toEqual([
      "mu reconcile --dry-run",
      `mu snapshot restore ${aside.id} --yes`,
    ]);
    expect(await tasks()).toEqual(["old"]);
    await verify();
    for (const scope of ["-w shop", "--all"]) {
      const [entry] = (await home.here(`log ${scope} -n 1 --json`)).json().items;
      expect(entry).toMatchObject({ op: "snapshot.restore", payload: { discarded: [{ ...head, events: 1 }] } });
      expect(entry.text).toBe(`restored the database from ${kept} and discarded 1 event`);
    }
    expect(await snapshots()).toEqual([aside]);
    expect((await restore(aside.id)).code).toBe(0);
    expect(await tasks()).toEqual(["new", "old"]);
    expect(await snapshots()).toHaveLength(2);
    await verify();
    expect(folderOf()).toEqual(["mu.db", "mu.db.snapshots"]);
    expect(statSync(home.database).mode & 0o777).toBe(0o600);
  });

  it("replaces a damaged database, of which it keeps all that there is", async () => {
    writeFileSync(home.database, "no database\n".repeat(1_000));
    expect((await home.here("task list -w shop")).code).toBe(5);
    const { path } = (await restore()).json().aside;
    expect(await tasks()).toEqual(["old"]);
    expect(readFileSync(path, "utf8")).toContain("no database");
  });

  it("fills the place of one that is gone", async () => {
    rmSync(home.database);
    writeFileSync(`${home.database}-wal`, "the log of the one that is gone");
    expect((await restore()).json().aside).toBe(null);
    expect(await tasks()).toEqual(["old"]);
    const [log = ""] = readdirSync(`${home.database}.snapshots`);
    expect(readFileSync(join(`${home.database}.snapshots`, log), "utf8")).toBe("the log of the one that is gone");
    await verify();
  });

  it("is refused while a dispatcher or a run is at work", async () => {
    const host = { context: { clock: systemClock } } as Host;
    withSql(
      `insert into dispatchers (workstream_id, process, created_at) values (1, '${await processIdentity(host)}', 'x')`,
    );
    const { code, message, nextSteps } = (await restore()).fault();
    expect([code, message]).toEqual(["restore.busy", expect.stringContaining("the dispatcher of shop")]);
    expect(nextSteps[0]?.command).toBe("mu dispatch stop -w shop");
    withSql("delete from dispatchers");
    expect((await restore()).code).toBe(0);
  });

  it("is refused while another program has the database open, and changes nothing", async () => {
    const other = new Database(home.database);
    other.exec("begin immediate");
    const given = { source: kept, name: "kept", clock: systemClock, actor: "ann", present: fileAt(home.database) };
    const restoring = () => restoreDatabase(home.database, { ...given, waitMs: 30 });
    await expect(restoring()).rejects.toMatchObject({ code: "restore.in_use" });
    other.exec("rollback");
    await expect(restoring()).rejects.toMatchObject({ code: "restore.in_use" });
    other.close();
    expect(await tasks()).toEqual(["new", "old"]);
    expect(folderOf()).toEqual(["mu.db", "mu.db.snapshots"]);
    await restoring();
    expect(await tasks()).toEqual(["old"]);
  });

  it("leaves everything as it was on a full disk", async () => {
    const { code, fault } = await home.sh("ulimit -f 400; mu snapshot restore kept.db --yes --json");
    expect([code, fault().message]).toEqual([5, expect.stringContaining(`${home.database}.restored`)]);
    expect(await tasks()).toEqual(["new", "old"]);
    expect(folderOf()).toEqual(["mu.db", "mu.db.snapshots"]);
    expect(await snapshots()).toEqual([]);
  });

  it("has one winner of two at once", async () => {
    await add("third");
    await home.here("backup other.db");
    const lines = ["kept.db", "other.db"].map((source) => `snapshot restore ${source} --yes --json`);
    const ended = await Promise.all(lines.map((line) => home.mu(line)));
    const [lost] = ended.filter(({ code }) => code !== 0);
    const wins = ended.filter(({ code }) => code === 0);
    // The second one may begin after the end of the first: then it has seen what that did.
    if (wins.length < 2) expect(lost?.fault().code).toBe("restore.another");
    expect(await snapshots()).toHaveLength(wins.length);
    expect([["old"], ["new", "old", "third"]]).toContainEqual(await tasks());
    await verify();
  });
});

describe("those who have the database open", () => {
  it("follow and wait on in the new one, and serve it", async () => {
    const { env, project: cwd } = home;
    const client = new Client({ name: "tests", version: "1" });
    await client.connect(new StdioClientTransport({ command: process.execPath, args: [PROGRAM, "mcp"], env, cwd }));
    const call = async (name: string, args: Record<string, unknown>) => {
      const { content } = await client.callTool({ name, arguments: { workstream: "shop", ...args } });
      return JSON.parse((content as [{ text: string }])[0].text);
    };
    expect((await call("task_list", {})).count).toBe(2);
    const follower = home.start("log -w shop --follow -n 1 --json");
    const lines = createInterface({ input: follower.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    const line = async () => JSON.parse((await lines.next()).value).text;
    expect(await line()).toContain("new");
    const waiting = home.start("task wait old -w shop --json");
    const waited = outcome(waiting);
    await hasOpen(waiting);

    expect((await home.mu("snapshot restore kept.db --yes")).code).toBe(0);
    expect(await line()).toContain("restored the database");
    expect((await call("task_add", { name: "after", title: "After" })).task.name).toBe("after");
    expect(await line()).toContain("after");
    expect((await call("task_list", {})).items.map(({ name }: { name: string }) => name).sort()).toEqual([
      "after",
      "old",
    ]);
    await home.mu("task close old -w shop --evidence done");
    expect((await waited).json().outcome).toBe("reached");
    follower.kill();
    await client.close();
    await verify();
  });

  it("write all that they acknowledge to the old or to the new one, while it is replaced", async () => {
    const names = ["a", "b", "c"].flatMap((loop) => [1, 2, 3, 4, 5].map((n) => `${loop}${n}`));
    const loops = ["a", "b", "c"].map((loop) =>
      home.sh(`for n in 1 2 3 4 5; do mu task add ${loop}$n --title t -w shop >&2 && echo ${loop}$n; done`),
    );
    const restored = await home.mu("snapshot restore kept.db --yes --json");
    const acknowledged = (await Promise.all(loops)).flatMap(({ stdout }) => stdout.split("\n").filter(Boolean));
    expect(acknowledged.sort()).toEqual(names);
    const { path } = restored.json().aside;
    const aside = new Database(path, { readonly: true });
    const before = aside.prepare("select name from tasks").pluck().all() as string[];
    aside.close();
    const after: string[] = await tasks();
    expect(names.filter((name) => !before.includes(name) && !after.includes(name))).toEqual([]);
    expect((await home.here(["backup", "verify", path])).code).toBe(0);
    await verify();
  });

  it("write into the one that was put there by hand, never into the one that was moved away", async () => {
    const store = await openSqlite(home.database, { missing: "create" });
    const away = join(home.folder, "away.db");
    renameSync(home.database, away);
    for (const suffix of ["-wal", "-shm"]) renameSync(home.database + suffix, away + suffix);
    renameSync(kept, home.database);
    await addTask(contextOn(store), "shop", { name: "there", title: "There" });
    await store.close();
    expect(await tasks()).toEqual(["old", "there"]);
    await verify();
    expect(new Database(away).prepare("select name from tasks").pluck().all()).toContain("new");
  });
});

async function hasOpen(child: ChildProcess): Promise<void> {
  const files = `/proc/${child.pid}/fd`;
  if (!existsSync("/proc/self/fd")) return;
  await expect.poll(() => readdirSync(files).length, { timeout: 10_000, interval: 20 }).toBeGreaterThan(20);
}

describe("a restore that is killed", () => {
  it.each(["before", "after"])(
    "%s any of its steps leaves a whole database, and is done by running it again",
    async (killing) => {
      const program = await bundleChild(home.folder, "restore-child");
      const source = join(home.folder, "source.db");
      renameSync(kept, source);
      const run = async (step: number) => {
        const child = spawn(process.execPath, [program, home.database, source, String(step), killing], {
          stdio: ["ignore", "pipe", "inherit"],
        });
        let said = "";
        child.stdout.on("data", (chunk) => (said += chunk));
        await once(child, "close");
        return said;
      };
      const steps = Number(await run(0));
      expect(steps).toBeGreaterThan(10);
      for (const step of sample(
        Array.from({ length: steps }, (_, n) => n + 1),
        5,
      )) {
        await add("new");
        expect(await run(step)).toBe("");
        expect([["old"], ["new", "old"]]).toContainEqual(await tasks());
        await verify();
        expect(Number(await run(0))).toBeGreaterThan(10);
        expect(await tasks()).toEqual(["old"]);
        expect(folderOf()).toEqual(["mu.db", "mu.db.snapshots"]);
        for (const { path } of await snapshots()) expect((await home.here(["backup", "verify", path])).code).toBe(0);
        await home.here("snapshot prune --all --yes");
      }
      await verify();
    },
  );
});
