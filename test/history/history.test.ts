import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openStore } from "../../src/db/open.js";
import { verifyChains } from "../../src/journal/audit.js";
import { compareTables } from "../../src/journal/replay.js";
import { bundleChild, type Planted } from "../support/child.js";
import { isPerson } from "../support/claims.js";
import { contextOn, temporaryFolder } from "../support/database.js";
import { postgresPrograms, startPostgres } from "../support/postgres.js";
import { fewOf, sample, seed } from "../support/sample.js";
import { DEMO, plan, spawn } from "../support/tasks.js";
import { letWork, unexplained } from "../support/workers.js";

// The memory's own file system: what is tried here is the order of many writes, not that each is on a disk.
if (existsSync("/dev/shm")) process.env["TMPDIR"] = "/dev/shm";

const WORKERS = fewOf(6, 32);
const ACTS = fewOf(80, 5_000);
const TASKS = Array.from({ length: fewOf(4, 16) }, (_, n) => `t${n}`);
/** One in eight is a person. */
const CROWD = Array.from({ length: WORKERS }, (_, n) => `${n % 8 === 0 ? "p" : "w"}${n}`);

/** Lets the crowd work on a new database, and gives what of its history no order explains. */
async function historyOf(options: { url?: string; planted?: Planted; acts?: number } = {}): Promise<string[]> {
  const folder = temporaryFolder();
  try {
    const address = { path: join(folder.path, "mu.db"), ...(options.url !== undefined && { url: options.url }) };
    const program = await bundleChild(folder.path, "worker-child", options.planted);
    const store = await openStore(address);
    const context = contextOn(store);
    await plan(context, ...TASKS.map((name) => [name]));
    for (const name of CROWD) if (!isPerson(name)) await spawn(context, name);
    const acts = options.acts ?? ACTS;
    const place = { program, folder: folder.path, address, workstream: DEMO };
    const { calls, kills } = await letWork({ ...place, workers: CROWD, tasks: TASKS, acts, seed });
    expect(kills).toBe(CROWD.filter((_, n) => n % 4 === 1).length);
    expect(calls.length).toBeGreaterThan((acts * WORKERS) / 2);
    const changed = calls.filter(({ op }) => op.answer?.startsWith("changed")).length;
    expect(changed).toBeGreaterThan(calls.length / 8);
    await store.read(async (db) => {
      expect((await verifyChains(db)).filter((chain) => !chain.ok)).toEqual([]);
      expect(await compareTables(db)).toEqual([]);
    });
    await store.close();
    process.stderr.write(`${calls.length} acts of ${WORKERS} processes, ${changed} changed a task, ${kills} kills\n`);
    return unexplained(calls, TASKS);
  } finally {
    folder.remove();
  }
}

/** Faults that the check must find. */
const PLANTED: Record<string, Planted> = {
  "a task is claimed twice": {
    ...{ file: "tasks/claim.ts", text: 'if (row.status === "IN_PROGRESS") throw alreadyClaimed(row);', instead: "" },
  },
  "a lease that runs is stolen": {
    ...{ file: "tasks/claim.ts", text: "if (row.lease_until <= now) return;", instead: "return;" },
  },
  "an agent closes what another works on": {
    ...{ file: "tasks/lifecycle.ts", text: "await requireAuthority(tx.db, row, claimant, options);", instead: "" },
  },
  "a claim is answered before it is written": {
    ...{ file: "tasks/transition.ts", text: "await tx.patch(", instead: 'if (verb !== "steal") await tx.patch(' },
  },
};

/** The history on a database of each kind; undefined where there is no server. */
const DATABASES: Record<string, () => Promise<string[] | undefined>> = {
  SQLite: () => historyOf(),
  async PostgreSQL() {
    const bin = postgresPrograms();
    if (bin === undefined) return undefined;
    const server = await startPostgres(bin);
    return historyOf({ url: server.url, acts: fewOf(80, 1_000) }).finally(server.end);
  },
};

describe("what many processes were answered about a task, some of them killed and some with a wrong clock", () => {
  it.each(Object.entries(DATABASES).slice(0, fewOf(1, 2)))("has one legal order on %s", async (_, history) => {
    const found = await history();
    if (found === undefined) process.stderr.write("skipped: there is no PostgreSQL in /usr/lib/postgresql\n");
    else expect(found).toEqual([]);
  });

  it.each(sample(Object.entries(PLANTED), 1))("has none once %s", async (_, planted) => {
    expect(await historyOf({ planted, acts: 100 })).not.toEqual([]);
  });
});
