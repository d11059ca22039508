import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { insertAgentIn } from "../../src/agents/agent.js";
import { type RowOf, write } from "../../src/db/write.js";
import { execProgram } from "../../src/exec.js";
import { newestUndoable, undoGroup } from "../../src/journal/undo/undo.js";
import { bookInteractive } from "../../src/runs/interactive.js";
import { listRuns } from "../../src/runs/run.js";
import { spendOfDay } from "../../src/runs/spend.js";
import { addTask } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { closeTask, releaseTask } from "../../src/tasks/lifecycle.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import { type Bench, onEachDialect, temporaryFolder } from "../support/database.js";

const DAY = "2026-11-30";
const at = (time: string) => `${DAY}T${time}.000Z`;
const lines = (...entries: unknown[]) => `${entries.map((one) => JSON.stringify(one)).join("\n")}\n{"torn`;

/** A home folder with one conversation of every CLI that keeps records, and a database on a clock of its own. */
async function crewOf(bench: Bench) {
  const home = temporaryFolder();
  let now = at("10:00:00");
  const clock = { ...bench.context.clock, now: () => new Date(now) };
  const context = { ...bench.context, clock };
  await initWorkstream(context, "demo");
  const found = await workstreamRow(context.store.db, "demo");
  const host = { context, exec: execProgram, env: { HOME: home.path }, stateDir: home.path, databaseEnv: {} };
  const save = (path: string, text: string) => {
    mkdirSync(dirname(join(home.path, path)), { recursive: true });
    writeFileSync(join(home.path, path), text);
  };
  const spawn = (name: string, cli: string, given: Partial<RowOf<"agents">> = {}) =>
    write(context, { op: "agent.spawn", scope: "demo", subject: `demo/${name}` }, (tx) =>
      insertAgentIn(tx, { workstream_id: found.id, name, cli, pane: "%1", session_ref: `session-${name}`, ...given }),
    );
  const held = async (task: string, agent: string, from: string, to: string, end = closeTask) => {
    const ref = { workstream: "demo", name: task };
    now = at(from);
    await claimTask(context, ref, { agent });
    now = at(to);
    await end(context, ref, { agent });
  };
  const book = () => bookInteractive(host, found);
  const runs = async () =>
    (await listRuns(context.store.db, "demo"))
      .reverse()
      .map(({ task, agent, state, costUsd, costBasis, tokensIn }) => ({
        ...{ task, agent, state, costUsd, costBasis, tokensIn },
      }));
  const setNow = (time: string) => {
    now = at(time);
  };
  return { context, host, found, save, spawn, held, book, runs, setNow, end: home.remove };
}

const claudeAnswer = (id: string, time: string, input: number) => ({
  ...{ type: "assistant", timestamp: at(time) },
  message: { id, model: "claude-sonnet-4-5", usage: { input_tokens: input, output_tokens: 10 } },
});

onEachDialect("what agents in panes cost", (bench) => {
  it("is what their conversations used while they held the task, by the records of each CLI", async () => {
    const crew = await crewOf(bench);
    const used = { input: 100, output: 20, cacheRead: 0, cacheWrite: 0 };
    const answer = (id: string, time: string, total: number) => ({
      ...{ type: "message", id, timestamp: at(time) },
      message: { role: "assistant", model: "m", usage: { ...used, cost: { total } } },
    });
    crew.save(
      ".pi/agent/sessions/--x--/2026_session-pia.jsonl",
      lines({ type: "session" }, answer("1", "10:00:00", 5), answer("2", "10:05:00", 0.25), answer("3", "10:30:00", 9)),
    );
    crew.save(
      ".claude/projects/-x/session-cla.jsonl",
      lines(claudeAnswer("1", "10:06:00", 700), claudeAnswer("1", "10:06:01", 1000), claudeAnswer("2", "11:00:00", 1)),
    );
    crew.save(".claude/projects/-x/session-cla/subagents/a.jsonl", lines(claudeAnswer("9", "10:07:00", 200)));
    const count = (time: string, total: number, last: number) => ({
      ...{ type: "event_msg", timestamp: at(time) },
      payload: {
        type: "token_count",
        info: {
          total_token_usage: { input_tokens: total, output_tokens: 0 },
          last_token_usage: { input_tokens: last, output_tokens: 0 },
        },
      },
    });
    crew.save(
      ".codex/sessions/2026/11/30/rollout-session-cod.jsonl",
      lines(
        { type: "turn_context", payload: { model: "gpt-5-codex" } },
        ...[count("10:04:00", 50, 50), count("10:08:00", 350, 300), count("10:09:00", 350, 300)],
      ),
    );
    crew.save(".local/share/opencode/opencode.db", "");
    const db = new Database(join(crew.host.env.HOME, ".local/share/opencode/opencode.db"));
    db.exec("create table session (id text, parent_id text)");
    db.exec("create table message (id text, session_id text, time_created integer, data text)");
    db.prepare("insert into session values ('session-ope', null), ('child', 'session-ope')").run();
    const message = JSON.stringify({ role: "assistant", modelID: "m", cost: 0.5, tokens: { input: 30, output: 1 } });
    const insert = db.prepare("insert into message values (?, ?, ?, ?)");
    insert.run("1", "child", Date.parse(at("10:07:00")), message);
    insert.run("2", "session-ope", Date.parse(at("12:07:00")), message);
    db.close();

    for (const [name, cli] of Object.entries({ pia: "pi", cla: "claude", cod: "codex", ope: "opencode" })) {
      await crew.spawn(name, cli);
      await addTask(crew.context, "demo", { name: `of-${name}`, title: "Work" });
      await crew.held(`of-${name}`, name, "10:05:00", "10:20:00");
    }
    expect(await crew.book()).toBe(4);
    const known = { state: "done", costUsd: expect.any(Number) };
    expect(await crew.runs()).toEqual([
      { ...known, task: "of-pia", agent: "pia", costUsd: 0.25, costBasis: "cli", tokensIn: 100 },
      { ...known, task: "of-cla", agent: "cla", costBasis: "price list", tokensIn: 1200 },
      { ...known, task: "of-cod", agent: "cod", costBasis: "price list", tokensIn: 300 },
      { ...known, task: "of-ope", agent: "ope", costUsd: 0.5, costBasis: "cli", tokensIn: 30 },
    ]);
    crew.end();
  });

  it("is unknown, and not 0, where there is no record; a shell costs nothing", async () => {
    const crew = await crewOf(bench);
    await crew.spawn("gem", "gemini", { role: "qa" });
    await crew.spawn("sh", "shell");
    for (const name of ["a", "b"]) await addTask(crew.context, "demo", { name, title: "Work" });
    await crew.held("a", "gem", "10:01:00", "10:02:00", releaseTask);
    await crew.held("b", "sh", "10:03:00", "10:04:00");
    expect(await crew.book()).toBe(1);
    expect(await crew.runs()).toMatchObject([{ task: "a", state: "cancelled", costUsd: null, costBasis: null }]);
    expect(await spendOfDay(crew.context.store.db, crew.found.id, DAY)).toEqual([
      { role: "qa", settled: 0, reserved: 0, runs: 1, panes: 0, unknown: 1 },
    ]);
    crew.end();
  });

  it("is booked once for every claim, however often and by however many at once it is asked for", async () => {
    const crew = await crewOf(bench);
    await crew.spawn("cla", "claude");
    await crew.spawn("clo", "claude");
    await addTask(crew.context, "demo", { name: "a", title: "Work" });
    crew.save(
      ".claude/projects/-x/session-cla.jsonl",
      lines(claudeAnswer("1", "10:01:30", 1000), claudeAnswer("2", "10:05:30", 500)),
    );
    await crew.held("a", "cla", "10:01:00", "10:02:00", releaseTask);
    expect((await Promise.all([crew.book(), crew.book(), crew.book()])).sort()).toEqual([0, 0, 1]);
    crew.setNow("10:03:00");
    await claimTask(crew.context, { workstream: "demo", name: "a" }, { agent: "clo" }, { leaseSeconds: 1 });
    expect(await crew.book()).toBe(0);
    crew.setNow("10:05:00");
    await claimTask(crew.context, { workstream: "demo", name: "a" }, { agent: "cla" }, { steal: "expired" });
    crew.setNow("10:06:00");
    await closeTask(crew.context, { workstream: "demo", name: "a" }, { agent: "cla" });
    expect(await crew.book()).toBe(2);
    const { db } = crew.context.store;
    const newest = await newestUndoable(db, { workstream: "demo" });
    expect(newest.ops).toEqual(["task.close"]);
    await undoGroup(crew.context, newest.group);
    expect(await crew.book()).toBe(0);
    expect(await crew.runs()).toMatchObject([
      { agent: "cla", state: "cancelled", tokensIn: 1000 },
      { agent: "clo", state: "cancelled", costUsd: null },
      { agent: "cla", state: "done", tokensIn: 500 },
    ]);
    crew.end();
  });
});
