import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import { write } from "../../src/db/write.js";
import { followLog, type LogEntry, readLog, writeMessage } from "../../src/journal/log.js";
import { describeEvent, oneForEachThing } from "../../src/journal/sentences.js";
import { writeSql } from "../../src/journal/sql.js";
import { taskHistory } from "../../src/tasks/history.js";
import { initWorkstream } from "../../src/workstreams/workstream.js";
import { contextOn, describeOnce, onEachDialect, temporaryFolder } from "../support/database.js";
import { patchTask, putEdge, putNote, putTask } from "../support/history.js";

onEachDialect("the log", (bench) => {
  it("accepts messages of any kind, and shows them among the events", async () => {
    const { context } = bench;
    await putTask(context, "demo", "build");
    const said = await writeMessage(bench.as("alice"), "demo", { text: "hello\n'there'", kind: "chat" });
    expect(said).toMatchObject({ workstream: "demo", source: "alice", kind: "chat", text: "hello\n'there'" });
    await writeMessage(context, "", { text: "to the machine" });
    const lines = await readLog(context.store.db);
    expect(lines.map((line) => [line.workstream, line.source, line.kind, line.text])).toEqual([
      ["demo", "tester", "event", "created demo"],
      ["demo", "tester", "event", "added build: Title of build"],
      ["demo", "alice", "chat", "hello\n'there'"],
      [null, "tester", "message", "to the machine"],
    ]);
  });

  it("filters, and returns the newest lines oldest first or continues after one", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    await initWorkstream(context, "other");
    for (const n of [1, 2, 3, 4]) await writeMessage(bench.as(`a${n % 2}`), "demo", { text: `m${n}`, kind: `k_${n}` });
    const texts = async (filter: Parameters<typeof readLog>[1]) =>
      (await readLog(context.store.db, filter)).map((line) => line.text);
    expect(await texts({ limit: 2 })).toEqual(["m3", "m4"]);
    expect(await texts({ kind: "event" })).toEqual(["created demo", "created other"]);
    expect(await texts({ kind: "k_2" })).toEqual(["m2"]);
    expect(await texts({ kind: "kx2" })).toEqual([]);
    expect(await texts({ workstream: "other" })).toEqual(["created other"]);
    expect(await texts({ source: "a1", workstream: "demo" })).toEqual(["m1", "m3"]);
    const [first] = await readLog(context.store.db, { kind: "k_1" });
    expect(await texts({ sinceId: first?.id ?? 0, limit: 2 })).toEqual(["m2", "m3"]);
  });

  it("refuses empty texts, odd kinds and unknown workstreams", async () => {
    const { context } = bench;
    const refused = (message: { text: string; kind?: string }, scope = "") => writeMessage(context, scope, message);
    await expect(refused({ text: " \n" })).rejects.toMatchObject({ kind: "usage", code: "log.empty" });
    for (const kind of ["event", "", "Two words", "x".repeat(40)]) {
      await expect(refused({ text: "a", kind })).rejects.toMatchObject({ kind: "usage", code: "log.invalid_kind" });
    }
    await expect(refused({ text: "a" }, "nowhere")).rejects.toMatchObject({ code: "workstream.not_found" });
    expect(await readLog(context.store.db)).toEqual([]);
  });

  it("is followed through bursts, without loss or repetition", async () => {
    const { context } = bench;
    await putTask(context, "demo", "build");
    await writeMessage(context, "demo", { text: "before" });
    const end = new AbortController();
    const lines = followLog(context, { limit: 1 }, end.signal);
    const seen = [(await lines.next()).value as LogEntry];
    const following = (async () => {
      for await (const line of lines) {
        seen.push(line);
        if (line.text === "last") end.abort();
      }
    })();
    for (let n = 0; n < 30; n++) {
      await writeMessage(context, n % 2 === 0 ? "demo" : "", { text: `m${n}` });
      if (n % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await writeMessage(context, "demo", { text: "last" });
    await following;
    expect(seen.map((line) => line.text)).toEqual(["before", ...Array.from({ length: 30 }, (_, n) => `m${n}`), "last"]);
  });

  it("can be followed for one kind, until the signal aborts", async () => {
    const { context } = bench;
    const end = new AbortController();
    const lines = followLog(context, { kind: "chat" }, end.signal);
    const first = lines.next();
    await new Promise((resolve) => setImmediate(resolve));
    await writeMessage(context, "", { text: "no" });
    await writeMessage(context, "", { text: "yes", kind: "chat" });
    expect((await first).value).toMatchObject({ text: "yes" });
    const second = lines.next();
    end.abort();
    expect((await second).done).toBe(true);
  });
});

describeOnce("a log without a database", () => {
  it("is followed from the first event on", async () => {
    const folder = temporaryFolder();
    const path = join(folder.path, "deep", "mu.db");
    const early = await openSqlite(path, { missing: "empty" });
    const end = new AbortController();
    const lines = followLog(contextOn(early), { limit: 5 }, end.signal);
    const first = lines.next();
    const later = await openSqlite(path, { missing: "create" });
    await initWorkstream(contextOn(later), "demo");
    await writeMessage(contextOn(later), "demo", { text: "hello" });
    expect((await first).value).toMatchObject({ text: "created demo" });
    expect((await lines.next()).value).toMatchObject({ text: "hello" });
    end.abort();
    expect((await lines.next()).done).toBe(true);
    await Promise.all([early.close(), later.close()]);
    folder.remove();
  });

  it("is made by the first write", async () => {
    const folder = temporaryFolder();
    const store = await openSqlite(join(folder.path, "mu.db"), { missing: "empty" });
    expect(await readLog(store.db)).toEqual([]);
    await initWorkstream(contextOn(store), "demo");
    expect(await readLog(store.db)).toHaveLength(1);
    await store.close();
    folder.remove();
  });
});

onEachDialect("the history of a task", (bench) => {
  it("lists every change, with names and values before and after", async () => {
    const { context } = bench;
    const build = await putTask(context, "demo", "build");
    const deploy = await putTask(context, "demo", "deploy");
    await putEdge(context, "demo", build, deploy);
    await putNote(context, "demo", deploy, "careful\nhere");
    await putNote(context, "demo", build, "not this one");
    await patchTask(context, "demo", deploy, { status: "CLOSED", closed_at: "2026-01-01T00:00:00.000Z" });
    const history = await taskHistory(context.store.db, { workstream: "demo", name: "deploy" });
    expect(history.map((line) => [line.op, line.changes])).toEqual([
      ["task.add", [{ field: "task", before: null, after: "Title of deploy" }]],
      ["task.block", [{ field: "blocker", before: null, after: "build" }]],
      ["task.note", [{ field: "note", before: null, after: "careful\nhere" }]],
      [
        "task.update",
        [
          { field: "status", before: "OPEN", after: "CLOSED" },
          { field: "closed_at", before: null, after: "2026-01-01T00:00:00.000Z" },
        ],
      ],
    ]);
    expect(history.map((line) => line.text)).toEqual([
      "added deploy: Title of deploy",
      "blocked demo: blocker – → build",
      "noted on task: careful here",
      "set status and closed_at of task: status OPEN → CLOSED, closed_at – → 2026-01-01T00:00:00.000Z",
    ]);
  });

  it("includes deleted tasks, and does not mix tasks of the same name", async () => {
    const { context } = bench;
    const first = await putTask(context, "demo", "build");
    await write(context, { op: "task.delete", scope: "demo", subject: "demo/build" }, (tx) =>
      tx.remove("tasks", first),
    );
    const ref = { workstream: "demo", name: "build" };
    expect((await taskHistory(context.store.db, ref)).map((line) => line.op)).toEqual(["task.add", "task.delete"]);
    await putTask(context, "demo", "build");
    expect((await taskHistory(context.store.db, ref)).map((line) => line.op)).toEqual(["task.add"]);
    await expect(taskHistory(context.store.db, { ...ref, name: "biuld" })).rejects.toMatchObject({
      code: "task.not_found",
    });
  });
});

describeOnce("the sentence for an event", () => {
  const told = (op: string, subject = "demo/build", payload = {}) =>
    describeEvent({ op, subject, payload, changes: [] });

  it("is short and human", () => {
    expect(told("task.claim")).toBe("claimed build");
    expect(told("undo", "", { group: "abc" })).toBe("undid abc");
    expect(told("workstream.rename", "demo", { from: "demo", to: "prod" })).toBe("renamed demo to prod");
    expect(told("agent.spawn", "demo/ada")).toBe("spawned ada");
    expect(told("agent.spawn", "demo/ada", { failed: "agent.died" })).toBe("failed to spawn ada (agent.died)");
    expect(told("thing.frob")).toBe("thing frob build");
    expect(told("sql.write", "", { sql: "update\n tasks" })).toBe("ran SQL: update tasks");
  });

  it("is there for every op that mu writes", () => {
    const files = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
    const text = files.map((name) => readFileSync(join("src", name), "utf8")).join("\n");
    const written = /(?:\bop: |\b(?:taskVerb|agentWrite|aboutWorkspace)\()"([a-z]+(?:\.[a-z]+)?)"/g;
    const ops = new Set([...text.matchAll(written)].map(([, op = ""]) => op).filter((op) => op !== "string"));
    expect(ops.size).toBeGreaterThan(35);
    for (const op of [...ops, "task.reject", "task.defer"]) {
      const payload = {
        key: "k",
        value: "v",
        group: "g",
        from: "a",
        to: "b",
        tasks: ["a"],
        reason: "r",
        into: "c",
        branch: "main",
        sql: "s",
        run: 1,
        agent: "code-1",
        state: "done",
        question: "q",
        answer: "y",
        kind: "idle",
        problem: "p",
      };
      expect(told(op, "demo/build", payload)).not.toBe(`${op.replace(".", " ")} build`);
      expect(told(op, "demo/build", payload)).not.toMatch(/undefined|null|\[object/);
    }
  });

  it("says whom a reap closed and why, and what it released", () => {
    const reaped = [
      { agent: "bob", reason: "Pane %1 is gone.", tasks: ["build", "docs"] },
      { agent: "eve", reason: "exit 1", tasks: [] },
    ];
    expect(told("agent.reap", "demo", { reaped })).toBe(
      "closed bob: Pane %1 is gone, and released build and docs; closed eve: exit 1",
    );
  });

  it("comes once for each thing that happened", () => {
    const event = (n: number, op: string, subject: string, group: string, payload = {}) => ({
      n,
      op,
      subject,
      group,
      payload,
    });
    const events = [
      event(1, "agent.spawn", "demo/ada", "g"),
      event(2, "workspace.create", "demo/ada", "g"),
      event(3, "workspace.create", "demo/ada", "g"),
      event(4, "agent.spawn", "demo/ada", "g"),
      event(5, "agent.spawn", "demo/bob", "g"),
      event(6, "agent.spawn", "demo/ada", "h"),
      event(7, "log.write", "demo", "h", { text: "a" }),
      event(8, "log.write", "demo", "h", { text: "b" }),
    ];
    expect(oneForEachThing(events).map(({ n }) => n)).toEqual([3, 4, 5, 6, 7, 8]);
  });

  it("is found for any op, subject and payload", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.string({ unit: "binary" }),
        fc.dictionary(fc.string(), fc.jsonValue()),
        (op, subject, payload) => {
          expect(typeof describeEvent({ op, subject, payload, changes: [] })).toBe("string");
        },
      ),
    );
  });
});

onEachDialect("a hand-written write", (bench) => {
  it("shows its rows in the log", async () => {
    const { context } = bench;
    await putTask(context, "demo", "build");
    if (context.store.dialect === "postgres") {
      await expect(writeSql(context, "delete from tasks")).rejects.toMatchObject({ code: "sql.not_allowed" });
      return;
    }
    await writeSql(context, "update tasks set title = 'x'");
    const [line] = await readLog(context.store.db, { limit: 1 });
    expect(line).toMatchObject({ workstream: "demo", text: "ran SQL (1 row): update tasks set title = 'x'" });
  });
});
