import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Home, newHome, PROGRAM } from "./support/cli.js";

/** Ends by itself only after an hour or so. */
const ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 1e11) select count(*) from n";

let home: Home;
let client: Client;
let server: StdioClientTransport;

beforeEach(async () => {
  home = newHome();
  expect((await home.mu("workstream init demo")).code).toBe(0);
  client = new Client({ name: "tests", version: "1" });
  const { env, project: cwd } = home;
  server = new StdioClientTransport({ command: process.execPath, args: [PROGRAM, "mcp"], env, cwd, stderr: "ignore" });
  await client.connect(server);
});
afterEach(async () => {
  await client.close();
  home.end();
});

// biome-ignore lint/suspicious/noExplicitAny: tests reach into answers, and a wrong shape fails them
async function call(name: string, args: Record<string, unknown> = {}, signal?: AbortSignal): Promise<any> {
  const { content } = await client.callTool({ name, arguments: args }, undefined, { ...(signal && { signal }) });
  return JSON.parse((content as [{ text: string }])[0].text);
}

const addTask = (name: string, rest = {}) => call("task_add", { name, title: name, workstream: "demo", ...rest });

/** Processes that the server has started, by the operating system's own account. */
function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  const rows = stdout.split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  return rows.filter(([, parent]) => parent === pid).map(([child]) => child as number);
}

const until = (holds: () => boolean) => expect.poll(holds, { timeout: 10_000, interval: 20 }).toBe(true);
const hasQuery = () => childrenOf(server.pid ?? 0).length > 0;

describe("many requests to one server", () => {
  it("are all done, each once", async () => {
    const names = Array.from({ length: 40 }, (_, n) => `t${n}`);
    const added = await Promise.all(names.map((name) => addTask(name)));
    expect(added.map((answer) => answer.task.name)).toEqual(names);
    expect((await call("task_list", { workstream: "demo" })).count).toBe(40);
    const { stdout } = await home.mu("sql 'select count(*) as n, count(distinct group_id) as g from events' --json");
    expect(JSON.parse(stdout)).toEqual([{ n: 41, g: 41 }]);
    expect((await home.mu("audit verify --tables")).code).toBe(0);
  });

  it("share a task that all want with one winner", async () => {
    await addTask("build");
    const claims = await Promise.all(
      Array.from({ length: 8 }, () => call("task_claim", { next: true, workstream: "demo" })),
    );
    expect(claims.filter((answer) => answer.task?.name === "build")).toHaveLength(1);
    expect(claims.filter((answer) => answer.code === "task.none_ready")).toHaveLength(7);
  });

  it("answer beside a slow query, which ends when it is cancelled", async () => {
    await addTask("build");
    const cancel = new AbortController();
    const slow = call("sql", { query: ENDLESS }, cancel.signal);
    slow.catch(() => {});
    await until(hasQuery);
    expect((await call("task_list", { workstream: "demo" })).count).toBe(1);
    await addTask("docs");
    expect(hasQuery()).toBe(true);
    cancel.abort();
    await expect(slow).rejects.toThrow();
    await until(() => !hasQuery());
    expect(await call("sql", { query: "select name from tasks order by name" })).toEqual([
      { name: "build" },
      { name: "docs" },
    ]);
    expect(await call("sql", { query: "delete from tasks" })).toMatchObject({ code: "sql.not_a_read", exitCode: 2 });
  });

  it("go on beside a wait, which can be cancelled", async () => {
    await addTask("build");
    const cancel = new AbortController();
    const waiting = call("task_wait", { tasks: ["demo/build"] }, cancel.signal);
    const other = call("task_wait", { tasks: ["demo/build"] });
    await addTask("docs");
    cancel.abort();
    await expect(waiting).rejects.toThrow();
    await call("task_claim", { task: "demo/build" });
    await call("task_close", { task: "demo/build" });
    expect(await other).toMatchObject({ outcome: "reached" });
  });

  it("end the check of a close that is cancelled, with all its processes, and the task stays", async () => {
    await addTask("build");
    const mark = join(home.project, "pid");
    const cancel = new AbortController();
    const check = `echo $$ > ${mark}.new; mv ${mark}.new ${mark}; sleep 1000; sleep 1000`;
    const closing = call("task_close", { task: "demo/build", check }, cancel.signal);
    closing.catch(() => {});
    await until(() => existsSync(mark));
    cancel.abort();
    await expect(closing).rejects.toThrow();
    await until(() => !isRunning(Number(readFileSync(mark, "utf8"))));
    expect((await call("task_show", { task: "demo/build" })).task).toMatchObject({ status: "OPEN", level: null });
  });

  it("take back a write that is cancelled while another process has the lock", async () => {
    const other = new Database(home.database);
    other.exec("begin immediate");
    const cancel = new AbortController();
    const adding = call("task_add", { name: "late", title: "Late", workstream: "demo" }, cancel.signal);
    adding.catch(() => {});
    expect((await call("task_list", { workstream: "demo" })).count).toBe(0);
    cancel.abort();
    await expect(adding).rejects.toThrow();
    // The server has read of the cancelling once it answers what was sent after it.
    await call("task_list", { workstream: "demo" });
    other.close();
    await addTask("next");
    expect((await call("task_list", { workstream: "demo" })).items).toMatchObject([{ name: "next" }]);
  });

  it("see a database that was put in place of the old one", async () => {
    await addTask("build");
    expect(spawnSync("sh", ["-c", 'rm "$0"*', home.database]).status).toBe(0);
    expect((await call("workstream_list")).count).toBe(0);
    expect(await call("workstream_init", { name: "fresh" })).toMatchObject({ workstream: { name: "fresh" } });
    expect((await call("workstream_list")).items).toMatchObject([{ name: "fresh" }]);
    expect(spawnSync("sh", ["-c", 'rm "$0"*', home.database]).status).toBe(0);
    expect((await home.mu("workstream init other")).code).toBe(0);
    expect((await call("workstream_list")).items).toMatchObject([{ name: "other" }]);
  });

  it("are each asked who calls", async () => {
    expect((await call("me")).name).toBe("ann");
    expect((await home.mu("task add build --title Build -w demo")).code).toBe(0);
    expect((await call("task_claim", { task: "demo/build" })).task.owner).toBe("ann");
    await home.mu("workstream rename demo shop");
    expect((await call("task_show", { task: "shop/build" })).task.owner).toBe("ann");
  });
});

describe("a request that the server cannot serve as a command line would be", () => {
  it("has no terminal and no standard input", async () => {
    const { tools } = await client.listTools();
    const names = tools.map((tool) => tool.name);
    for (const missing of ["task_edit", "agent_attach", "mcp", "demo"]) expect(names).not.toContain(missing);
    await addTask("build");
    expect(await call("task_edit", { task: "demo/build" })).toMatchObject({ code: "usage.needs_terminal" });
    expect(await call("task_apply", { file: "-", workstream: "demo" })).toMatchObject({ code: "usage.needs_stdin" });
  });

  it("takes - and @file in a text as they are", async () => {
    writeFileSync(join(home.project, "secret"), "secret");
    expect((await addTask("build", { description: "@secret" })).task.description).toBe("@secret");
    const updated = await call("task_update", { task: "demo/build", description: "-" });
    expect(updated.task.description).toBe("-");
    for (const text of ["-", "@-", "@secret", "\\@x"]) await call("task_note", { task: "demo/build", text });
    const { items } = await call("task_notes", { task: "demo/build" });
    expect(items.map((note: { text: string }) => note.text)).toEqual(["-", "@-", "@secret", "\\@x"]);
    expect(await call("sql", { query: "-" })).toMatchObject({ code: "sql.failed" });
  });
});

describe("a server ends with its client", () => {
  it.each([
    ["closes its input", () => client.close()],
    ["ends it", async () => process.kill(server.pid ?? 0, "SIGTERM")],
    ["kills it", async () => process.kill(server.pid ?? 0, "SIGKILL")],
  ])("that %s, and leaves no process behind", async (_how, end) => {
    await addTask("build");
    const pending = [call("task_wait", { tasks: ["demo/build"] }), call("sql", { query: ENDLESS })];
    for (const one of pending) one.catch(() => {});
    await until(hasQuery);
    const pid = server.pid ?? 0;
    const queries = childrenOf(pid);
    await end();
    await until(() => ![pid, ...queries].some(isRunning));
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
