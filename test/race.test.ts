import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Home, newHome, type Ran } from "./support/cli.js";
import { postgresPrograms, type Server, startPostgres } from "./support/postgres.js";

const TASKS = 40;
const CLAIMERS = 8;

let home: Home;
beforeEach(() => {
  home = newHome();
});
afterEach(() => home.end());

const PLAN = JSON.stringify({
  tasks: Array.from({ length: TASKS }, (_, n) => ({ name: `t${n}`, title: `Task ${n}` })),
});

/** Claims until nothing is left, every claim in a process of its own. */
async function claimAll(name: string, env: Record<string, string>): Promise<Ran[]> {
  const runs: Ran[] = [];
  do runs.push(await home.mu("task claim --next -w demo --json", { env: { ...env, USER: name } }));
  while (runs.at(-1)?.code === 0);
  return runs;
}

async function race(env: Record<string, string>): Promise<void> {
  const applied = await home.mu("task apply - --init -w demo", { env, input: PLAN });
  expect([applied.code, applied.stderr]).toEqual([0, ""]);
  const names = Array.from({ length: CLAIMERS }, (_, n) => `worker-${n}`);
  const runs = (await Promise.all(names.map((name) => claimAll(name, env)))).flat();
  const lost = runs.filter((run) => run.code !== 0);
  expect(lost.map((run) => [run.code, run.fault().code])).toEqual(names.map(() => [3, "task.none_ready"]));
  const claimed = runs.filter((run) => run.code === 0).map((run) => run.json().task);
  expect(claimed.map((task) => task.name).sort()).toEqual(Array.from({ length: TASKS }, (_, n) => `t${n}`).sort());

  const { items } = (await home.mu("task list -w demo --json", { env })).json();
  const owners = Object.fromEntries(items.map((task: { name: string; owner: string }) => [task.name, task.owner]));
  expect(owners).toEqual(Object.fromEntries(claimed.map((task) => [task.name, task.owner])));
  expect((await home.mu("audit verify --tables", { env })).code).toBe(0);
}

it("eight processes claim forty tasks, each once, and none is ever locked out", () => race({}));

describe("on a PostgreSQL server", () => {
  const bin = postgresPrograms();
  let server: Server;
  beforeEach(async () => {
    if (bin !== undefined) server = await startPostgres(bin);
  });
  afterEach(() => server?.end());

  it("the same race has the same end", async (test) => {
    if (bin === undefined) test.skip("no PostgreSQL server is installed in /usr/lib/postgresql");
    await race({ MU_DATABASE_URL: server.url });
  });

  it("the log is followed across processes", async (test) => {
    if (bin === undefined) test.skip("no PostgreSQL server is installed in /usr/lib/postgresql");
    const env = { MU_DATABASE_URL: server.url };
    expect((await home.mu("workstream init demo", { env })).stderr).toBe("");
    const child = home.start("log --follow -n 1 --json -w demo", { env });
    const lines = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]();
    expect(JSON.parse((await lines.next()).value).op).toBe("workstream.init");
    for (const text of ["one", "two"]) {
      expect((await home.mu(`log write ${text} -w demo`, { env })).code).toBe(0);
      expect(JSON.parse((await lines.next()).value).text).toContain(text);
    }
    const end = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGINT");
    expect(await end).toBe(130);
  });
});
