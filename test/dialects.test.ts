import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { Clock } from "../src/clock.js";
import type { Context } from "../src/db/context.js";
import type { Store } from "../src/db/store.js";
import { write } from "../src/db/write.js";
import { Fault } from "../src/errors.js";
import type { Exec } from "../src/exec.js";
import { execute, type World } from "../src/operations/execute.js";
import { loadOperations } from "../src/operations/index.js";
import { TASK_SORTS } from "../src/tasks/task.js";
import { createTmux } from "../src/tmux/tmux.js";
import { agentRow } from "./support/agent-row.js";
import { parseCommand } from "./support/command.js";
import { dialect, onEachDialect, openTestStore } from "./support/database.js";
import { type Seeded, seededApp } from "./support/seeded.js";

const operations = await loadOperations();

/** A history with everything that is stored and sorts, counts or compares differently from dialect to dialect. */
const HISTORY = [
  "mu workstream init demo",
  "mu workstream init other",
  "mu task add done --title Prepare",
  "mu task claim done",
  "mu task close done --evidence 'it works'",
  "mu task add build --title 'Build it' --impact 80 --effort-days 2.5 --tags core,Core --touches 'src/**'",
  "mu task add deploy --title 'Deploy the Über_50%' --blocked-by build --tags core --until landed",
  "mu task add docs --title 'write the docs' --note 'Payment \\\\ first'",
  "mu task add docs2 --title 'Write the docs' --role writer",
  "mu task add epic --title Epic --kind container",
  "mu task add a-b --title 'ärger' --not-before 2999-12-25",
  "mu task add a_b --title 'zebra' --blocked-by build,docs2",
  "mu task add held --title Held --hold review",
  "mu task add best --title Best",
  "mu task add gone --title Gone --impact 1 --effort-days 0.1",
  "mu task reject gone --evidence 'not needed'",
  "mu task add later --title Later -w other",
  "mu task claim build --lease 1h",
  "mu task note build 'first payment'",
  "mu task note build 'second'",
  "mu task update deploy --title 'Deploy the Über_50% twice' --impact 81",
  "mu log write 'the shop is open'",
];

/** What happens once there is a worker. */
const WORKED = ["mu task claim docs2 --for worker-1", "mu task note docs2 third --author worker-1"];

/** Reads beside the examples: every order, filter and limit that goes through SQL. */
const READS = [
  ...TASK_SORTS.map((sort) => `mu task list --sort ${sort}`),
  "mu task list --all",
  "mu task list --tag core",
  "mu task list --tag Core",
  "mu task list --mine",
  "mu task list --status CLOSED,REJECTED --limit 1",
  "mu task search ÜBER_50%",
  "mu task search payment --all",
  "mu task search '\\\\'",
  "mu task show docs2",
  "mu task show deploy",
  "mu task tree epic --down",
  "mu task history deploy",
  "mu workstream show other",
  "mu agent list --people --no-reconcile",
  "mu delivery list --limit 2",
  "mu state -w other",
  "mu log --all",
  "mu sql 'select count(*) as n, avg(impact) as mean, sum(effort_days) as days, max(name) as last from tasks'",
  "mu sql 'select name, impact > 80 as high, effort_days from tasks order by id'",
  "mu sql 'select * from ready order by name'",
];

/** Read verbs that need a pane, a workspace's folder or a database in a file, speak with a program, or print where it is. */
const ELSEWHERE =
  /^(snapshot\.\w+|agent\.(focus|attach|read|wait|explain)|workspace\.(diff|path|commits)|mcp|doctor|hooks\.\w+)$/;

/** Faults of the command line, which never reaches a database. */
const REFUSED_BEFORE = ["usage.unknown_option", "usage.missing_argument"];

const reads = operations
  .filter(({ name, effect, standalone }) => effect === "read" && !standalone && !ELSEWHERE.test(name))
  .flatMap(({ examples }) => examples.filter(({ fault }) => !REFUSED_BEFORE.includes(fault ?? "")))
  .map(({ command }) => command)
  // Both sides would write the same file.
  .filter((command) => !command.includes(" --cast "));

onEachDialect("every read verb", (bench) => {
  // SQLite itself is what the others are compared with.
  it.runIf(dialect === "postgres")("gives the same as on SQLite", async () => {
    const app = await seededApp();
    onTestFinished(app.end);
    const sqlite = await openTestStore(join(app.folder, "other.db"));
    onTestFinished(() => sqlite.close());
    const here = await shopOn(bench.context.store, app);
    const there = await shopOn(sqlite, app);
    const differences = [];
    for (const command of [...READS, ...reads]) {
      const [answer, expected] = [await here(command), await there(command)];
      if (JSON.stringify(answer) !== JSON.stringify(expected)) differences.push({ command, answer, expected });
    }
    expect(differences).toEqual([]);
  });

  it.runIf(dialect === "postgres")("but of snapshots, which are the server's business, as are backups", async () => {
    const app = await seededApp();
    onTestFinished(app.end);
    const run = await shopOn(bench.context.store, app);
    for (const command of ["mu backup b.db", "mu snapshot list", "mu snapshot restore kept.db --yes"]) {
      const { code, message } = (await run(command)) as Fault;
      expect([code, message]).toEqual(["backup.server", expect.stringContaining("`pg_dump`")]);
    }
    await run("mu task delete gone -w demo --yes");
    expect(JSON.stringify(await run("mu task list --all"))).not.toContain('"gone"');
  });
});

/** The history in this database; gives what a command answers there. */
async function shopOn(store: Store, app: Seeded): Promise<(command: string) => Promise<unknown>> {
  const clock = steadyClock();
  const world: World = {
    ...app.world,
    clock,
    openStore: async () => ({ ...store, close: async () => {} }),
    openCrew: async (context, request) => {
      const crew = await app.world.openCrew(context, request);
      return { ...crew, exec: withoutServer, tmux: createTmux({ exec: withoutServer, env: crew.env }) };
    },
  };
  const request = { ...app.request, signal: AbortSignal.abort() };
  const run = async (command: string) => {
    const { verb, input } = parseCommand(command);
    const operation = operations.find(({ name }) => name === verb.name);
    if (operation === undefined) throw new Error(command);
    return execute(operation, input, world, operation.effect === "read" ? request : app.request);
  };
  for (const command of HISTORY) await run(command);
  await enterWorker({ store, clock, actor: "ann" });
  for (const command of WORKED) await run(command);
  return async (command) =>
    withoutChance(await run(command).catch((error) => (error instanceof Fault ? error : Promise.reject(error))));
}

/** The agent `worker-1`, which nobody looks at, with a prompt in each state. */
async function enterWorker(context: Context): Promise<void> {
  await write(context, { op: "agent.spawn", scope: "demo", subject: "demo/worker-1" }, async (tx) => {
    const workstream = await tx.db
      .selectFrom("workstreams")
      .select("id")
      .where("name", "=", "demo")
      .executeTakeFirstOrThrow();
    const agent = await tx.insert(
      "agents",
      agentRow({
        workstream_id: workstream.id,
        name: "worker-1",
        role: "writer",
        command: "sh",
        spawned_at: tx.now,
      }),
    );
    for (const state of ["queued", "proved", "cancelled"]) {
      const row = {
        agent_id: agent.id,
        workstream_id: workstream.id,
        agent: agent.name,
        sender: "ann",
        text: state,
        text_hash: state,
        state,
      };
      await tx.db
        .insertInto("deliveries")
        .values({ ...row, created_at: tx.now, updated_at: tx.now } as never)
        .execute();
    }
  });
}

/** tmux, as it answers where nothing runs. */
const withoutServer: Exec = async () => ({
  code: 1,
  stdout: "",
  stderr: "no server running on /tmp/mu",
  timedOut: false,
});

/** A second passes with every look. */
function steadyClock(): Clock {
  let at = Date.UTC(2030, 0, 1);
  const now = () => {
    at += 1000;
    return new Date(at);
  };
  return { now, sleep: async () => {} };
}

/** The same without groups and hashes, which are never the same twice. */
const withoutChance = (value: unknown) =>
  JSON.parse(JSON.stringify(value).replace(/\b[0-9a-f]{64}\b|\b[0-9a-f]{10}\b/g, "<chance>"));
