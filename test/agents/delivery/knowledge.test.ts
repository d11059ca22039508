import { existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { drainAgent, drainDeliveries, pullDelivery, reviewDeliveries } from "../../../src/agents/delivery/drain.js";
import { enqueue, listDeliveries } from "../../../src/agents/delivery/outbox.js";
import { retryDelivery, sendToAgent } from "../../../src/agents/delivery/send.js";
import { appendSpool, spoolPath } from "../../../src/agents/spool.js";
import { observeAgents } from "../../../src/agents/status/observe.js";
import { type RowOf, write } from "../../../src/db/write.js";
import type { Fault } from "../../../src/errors.js";
import type { Run } from "../../../src/tmux/run.js";
import { fewOf } from "../../support/sample.js";
import { openStage, PLAYER, type Stage } from "../../support/stage.js";
import { describeTmux, eventually } from "../../support/tmux.js";

describeTmux("what a delivery knows", () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(() => stage.end());

  const ref = (name: string) => ({ workstream: "demo", name });
  const send = (name: string, text: string, timeoutMs = 60_000) =>
    sendToAgent(stage.crew, ref(name), text, { sender: "tester", timeoutMs });
  const deliveries = () => listDeliveries(stage.crew.context.store.db, { limit: 0 });
  const states = async () => (await deliveries()).map(({ state }) => state);
  const receipts = (name: string): string[] => {
    const file = join(stage.server.dir, `${name}.receipts`);
    const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
    return lines.map((line) => JSON.parse(line).text);
  };
  /** Starts the program it is given and writes down its pid: tmux itself continues a program of its own that is stopped. */
  const WRAPPER = `const child = require("node:child_process").spawn(process.execPath, [process.argv[1]], { stdio: "inherit" });
    require("node:fs").writeFileSync(process.argv[2], String(child.pid));`;
  const pidFile = (name: string) => join(stage.server.dir, `${name}.pid`);
  async function play(name: string, script: object = {}) {
    const env = {
      MU_PLAYER_SCRIPT: JSON.stringify(script),
      MU_PLAYER_RECEIPTS: join(stage.server.dir, `${name}.receipts`),
    };
    const argv = [process.execPath, "-e", WRAPPER, ...PLAYER.slice(1), pidFile(name)] as const;
    const agent = await stage.enter(name, { cli: "player", argv: [...argv], env });
    const ready = async () =>
      (await observeAgents(stage.crew)).some((one) => one.agent === name && one.status === "idle");
    await eventually(`${name} is ready`, ready);
    return agent;
  }
  const signal = ({ name }: RowOf<"agents">, sent: NodeJS.Signals) =>
    process.kill(Number(readFileSync(pidFile(name), "utf8")), sent);

  it("says typed of a program that reads nothing, and of one that prints the word by itself", async () => {
    await stage.enter("sleeper", { cli: "command", argv: ["sleep", "1000"] });
    expect((await send("sleeper", "do it")).delivery).toMatchObject({ state: "typed", provedAt: null });
    const chatter = "stty -echo; while read -r line; do :; done & while :; do echo building; sleep 0.1; done";
    await stage.enter("deaf", { cli: "command", argv: ["sh", "-c", chatter] });
    await eventually("its first word", async () => (await stage.server.raw("list-panes", "-a")).includes("%1"));
    expect((await send("deaf", "building")).delivery).toMatchObject({ state: "typed", provedAt: null });
  });

  it("takes evidence that comes late, and a retry looks for it first", async () => {
    const ada = await play("ada");
    signal(ada, "SIGSTOP");
    const unproved: Fault = await send("ada", "build the shop", 0).catch((fault) => fault);
    expect(unproved).toMatchObject({ code: "delivery.unproved", exitCode: 5 });
    expect(unproved.message).toContain("its program may take the text when it goes on");
    expect(JSON.stringify(unproved.nextSteps)).not.toContain("retry");
    const id = unproved.details.delivery as number;
    await expect(retryDelivery(stage.crew, id)).rejects.toMatchObject({ code: "delivery.unread", exitCode: 4 });

    signal(ada, "SIGCONT");
    await eventually("it was taken", async () => receipts("ada").length === 1);
    await eventually("its answer", async () => (await stage.shows(ada)).includes("I have no script"));
    expect(await retryDelivery(stage.crew, id)).toMatchObject({ state: "proved", attempt: 1 });
    expect(receipts("ada")).toEqual(["build the shop"]);
  });

  it("waits for a stuck agent as long as for a busy one", async () => {
    const ada = await play("ada");
    signal(ada, "SIGSTOP");
    const sent = send("ada", "build the shop");
    await eventually("it is given up for now", async () => (await states())[0] === "unproved");
    signal(ada, "SIGCONT");
    expect((await sent).delivery).toMatchObject({ state: "proved", attempt: 1 });
    expect(receipts("ada")).toEqual(["build the shop"]);
  });

  /** An agent of Claude Code, as its hooks tell of it. */
  async function claude(name: string, session: string) {
    const agent = await stage.enter(name, { cli: "claude", argv: ["sleep", "1000"] });
    const says = (event: string, payload: object) =>
      appendSpool(spoolPath(stage.crew.stateDir, agent.id), { at: Date.now(), event, payload: { ...payload } });
    await says("SessionStart", { session_id: session, source: "startup" });
    await says("UserPromptSubmit", { session_id: session, prompt: "begin" });
    return { agent, says };
  }

  it("hands a prompt to the agent's own conversation only, and its next event proves it", async () => {
    const { agent, says } = await claude("eve", "own");
    await enqueue(stage.crew.context, agent, { text: "and then this", sender: "tester" });
    for (const event of ["SessionStart", "UserPromptSubmit", "PreToolUse", "Stop"])
      await says(event, { session_id: "nested", source: "startup", prompt: "x", tool_name: "Bash" });
    expect(await pullDelivery(stage.crew, agent.id, "nested")).toBeUndefined();
    expect(await pullDelivery(stage.crew, agent.id)).toBeUndefined();
    expect(await states()).toEqual(["queued"]);

    expect(await pullDelivery(stage.crew, agent.id, "own")).toMatchObject({ state: "handed", provedAt: null });
    await says("Stop", { session_id: "own" });
    await says("PreToolUse", { session_id: "nested", tool_name: "Bash" });
    expect(await reviewDeliveries(stage.crew)).toEqual([]);
    await says("PreToolUse", { session_id: "own", tool_name: "Bash" });
    expect(await reviewDeliveries(stage.crew)).toMatchObject([{ state: "proved" }]);
  });

  it.each([
    ["an answer without tools", "Stop", { stop_hook_active: true }, 1],
    ["another prompt that comes first", "UserPromptSubmit", { prompt: "no, this" }, 0],
  ])("after a hand-over, %s: %s", async (_what, event, payload, proofs) => {
    const { agent, says } = await claude("eve", "own");
    await enqueue(stage.crew.context, agent, { text: "and then this", sender: "tester" });
    await pullDelivery(stage.crew, agent.id, "own");
    await says(event, { session_id: "own", ...payload });
    await says("PreToolUse", { session_id: "own", tool_name: "Bash" });
    expect(await reviewDeliveries(stage.crew)).toHaveLength(proofs);
  });

  it("a spool that was shortened or removed since is no evidence, and no fault", async () => {
    const { agent, says } = await claude("eve", "own");
    await says("PreToolUse", { session_id: "own", filler: "x".repeat(200_000) });
    await enqueue(stage.crew.context, agent, { text: "and then this", sender: "tester" });
    await pullDelivery(stage.crew, agent.id, "own");
    for (const size of [100, 0]) {
      truncateSync(spoolPath(stage.crew.stateDir, agent.id), size);
      expect(await reviewDeliveries(stage.crew)).toEqual([]);
    }
    expect(await states()).toEqual(["handed"]);
  });

  it("the next conversation of the agent is its own, too", async () => {
    const { agent, says } = await claude("eve", "own");
    await enqueue(stage.crew.context, agent, { text: "and then this", sender: "tester" });
    await says("SessionEnd", { session_id: "own", reason: "clear" });
    await says("SessionStart", { session_id: "cleared", source: "clear" });
    expect(await pullDelivery(stage.crew, agent.id, "cleared")).toMatchObject({ state: "handed" });
  });

  it("a retry that is killed leaves the prompt with who has the name now, and the next one delivers it", async () => {
    const dead = await stage.enter("ada");
    const row = await enqueue(stage.crew.context, dead, { text: "echo again", sender: "tester" });
    const { store } = stage.crew.context;
    const spec = { op: "agent.close", scope: "demo", subject: "demo/ada" };
    await write(stage.crew.context, spec, (tx) => tx.patch("agents", dead.id, { closed_at: tx.now }));
    const heir = await stage.enter("ada");
    await eventually("a prompt", async () => /[$#]/.test(await stage.shows(heir)));
    expect(await drainDeliveries(stage.crew)).toMatchObject([{ id: row.id, state: "typed" }]);

    await store.write((db) => db.updateTable("deliveries").set({ agent_id: dead.id, state: "cancelled" }).execute());
    const gone: Run = () => Promise.reject(new Error("killed"));
    await retryDelivery(await stage.another(gone), row.id).catch(() => undefined);
    const found = await store.db.selectFrom("deliveries").select(["agent_id", "state"]).execute();
    expect(found).toEqual([{ agent_id: heir.id, state: "queued" }]);
    expect(await retryDelivery(stage.crew, row.id)).toMatchObject({ state: "typed" });
    expect((await stage.shows(heir)).match(/^again$/gm)?.length).toBe(2);
  });

  it("one process at a time types to an agent until nothing waits, and it ends with the agent", async () => {
    const ada = await play("ada", { acts: [{ when: "long", steps: [{ work: 600_000 }] }] });
    await send("ada", "long work");
    for (const text of ["one", "two"]) await enqueue(stage.crew.context, ada, { text, sender: "tester" });
    const poll = { everyMs: 50, timeoutMs: 60_000 };
    const first = drainAgent(stage.crew, ref("ada"), poll);
    const held = join(stage.crew.stateDir, "drains", `${ada.id}-${Date.parse(ada.spawned_at)}`);
    await eventually("it holds the outbox", async () => existsSync(held));
    expect(await drainAgent(stage.crew, ref("ada"), poll)).toEqual([]);
    await stage.crew.tmux.sendKeys({ pane: ada.pane ?? "", keys: ["Escape"] });
    expect((await first).map(({ text, state }) => [text, state])).toEqual([
      ["one", "proved"],
      ["two", "proved"],
    ]);
    expect(receipts("ada")).toEqual(["long work", "one", "two"]);
    expect(existsSync(held)).toBe(false);

    writeFileSync(held, `999999 0 ${hostname()}`);
    await enqueue(stage.crew.context, ada, { text: "three", sender: "tester" });
    await stage.server.raw("kill-pane", "-t", ada.pane ?? "");
    expect(await drainAgent(stage.crew, ref("ada"), poll)).toEqual([]);
    expect((await states())[0]).toBe("queued");
  });

  const LIMIT_MS = fewOf(120_000, 3_600_000);
  const STUCK = fewOf(4, 100);
  it(
    `${STUCK} prompts to receivers that are stuck and wake later arrive once each, and none is proved before`,
    async () => {
      const names = ["ada", "bob", "eve", "kim"];
      const agents = await Promise.all(names.map((name) => play(name)));
      for (let n = 0; n < STUCK / names.length; n++) {
        for (const agent of agents) signal(agent, "SIGSTOP");
        const sent = await Promise.all(names.map((name) => send(name, `number ${n} to ${name}`, 0).catch(String)));
        expect(sent.every((one) => /go on|goes on/.test(String(one)))).toBe(true);
        for (const agent of agents) signal(agent, "SIGCONT");
        const all = async () => names.every((name) => receipts(name).length === n + 1);
        await eventually("all are taken", all);
        await eventually("all are proved", async () => {
          await drainDeliveries(stage.crew);
          return (await states()).every((state) => state === "proved");
        });
      }
      for (const name of names) expect(new Set(receipts(name)).size).toBe(receipts(name).length);
    },
    LIMIT_MS,
  );

  const NESTED = fewOf(5, 50);
  it(
    `${NESTED} prompts that nested conversations ask for stay for the agent's own`,
    async () => {
      const { agent, says } = await claude("eve", "own");
      for (let n = 0; n < NESTED; n++) {
        await enqueue(stage.crew.context, agent, { text: `number ${n}`, sender: "tester" });
        await says("SessionStart", { session_id: `nested ${n}`, source: n % 2 ? "startup" : "resume" });
        await says("UserPromptSubmit", { session_id: `nested ${n}`, prompt: `number ${n}` });
        expect(await pullDelivery(stage.crew, agent.id, `nested ${n}`)).toBeUndefined();
        expect(await reviewDeliveries(stage.crew)).toEqual([]);
        expect(await pullDelivery(stage.crew, agent.id, "own")).toMatchObject({ text: `number ${n}`, state: "handed" });
        await says("PreToolUse", { session_id: "own", tool_name: "Bash", tool_use_id: `tool ${n}` });
        expect(await reviewDeliveries(stage.crew)).toMatchObject([{ state: "proved" }]);
      }
    },
    LIMIT_MS,
  );

  const BLOCKED = fewOf(4, 50);
  it(
    `${BLOCKED} prompts to dialogs and scripts answer none and are not typed`,
    async () => {
      const ada = await play("ada", { acts: [{ when: "delete", steps: [{ permission: "rm -rf /" }] }] });
      await send("ada", "delete it");
      const sue = await stage.enter("sue");
      await eventually("a prompt", async () => /[$#]/.test(await stage.shows(sue)));
      await send("sue", "while :; do sleep 1; done");
      await eventually("both are at it", async () => {
        const seen = await observeAgents(stage.crew);
        return seen.every(({ status }) => status === "needs_permission" || status === "busy");
      });
      const codes = new Set<string>();
      for (let n = 0; n < BLOCKED / 2; n++) {
        for (const name of ["ada", "sue"])
          codes.add(await send(name, `yes ${n}`, 0).then(String, (fault) => fault.code));
      }
      expect([...codes].sort()).toEqual(["delivery.pending", "delivery.refused"]);
      expect(receipts("ada")).toEqual(["delete it"]);
      expect(await stage.shows(ada)).toContain("Allow this command?");
      expect(await stage.shows(sue)).not.toContain("yes");
    },
    LIMIT_MS,
  );
});
