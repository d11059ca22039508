import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { drainDeliveries, pullDelivery } from "../../../src/agents/delivery/drain.js";
import { enqueue, HOLD_MS, listDeliveries, reserve } from "../../../src/agents/delivery/outbox.js";
import { retryDelivery, sendToAgent } from "../../../src/agents/delivery/send.js";
import { appendSpool, spoolPath } from "../../../src/agents/spool.js";
import { observeAgents } from "../../../src/agents/status/observe.js";
import type { Clock } from "../../../src/clock.js";
import { closeAgent } from "../../../src/crew/close.js";
import { reconcile } from "../../../src/crew/reconcile.js";
import { spawnAgent } from "../../../src/crew/spawn.js";
import { execProgram } from "../../../src/exec.js";
import { createRun, type Run } from "../../../src/tmux/run.js";
import { fewOf, sample } from "../../support/sample.js";
import { openStage, PLAYER, type Stage } from "../../support/stage.js";
import { describeTmux, eventually } from "../../support/tmux.js";

describeTmux("sending while the world breaks", () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(() => stage.end());

  const receipts = (name: string): string[] => {
    const file = join(stage.server.dir, `${name}.receipts`);
    const lines = existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : [];
    return lines.map((line) => JSON.parse(line).text);
  };
  async function play(name: string, script: object = {}) {
    const env = {
      MU_PLAYER_SCRIPT: JSON.stringify(script),
      MU_PLAYER_RECEIPTS: join(stage.server.dir, `${name}.receipts`),
    };
    const agent = await stage.enter(name, { cli: "player", argv: PLAYER, env });
    const ready = async () =>
      (await observeAgents(stage.crew)).some((one) => one.agent === name && one.status === "idle");
    await eventually(`${name} is ready`, ready);
    return agent;
  }
  /** The crew behind an executor whose call number `at` does `fault` instead. */
  async function failing(at: number, fault: (run: () => ReturnType<Run>) => ReturnType<Run>) {
    const run = createRun({ exec: execProgram, env: stage.server.env });
    let calls = 0;
    const broken: Run = (commands, options) => {
      calls++;
      return calls === at ? fault(() => run(commands, options)) : run(commands, options);
    };
    return stage.another(broken);
  }
  const states = async () => (await listDeliveries(stage.crew.context.store.db)).map(({ state }) => state);

  const faults: [string, (run: () => ReturnType<Run>) => ReturnType<Run>][] = [
    ["fails before it is done", () => Promise.reject(new Error("the executor broke"))],
    [
      "fails after it is done",
      async (run) => {
        await run();
        throw new Error("the executor broke");
      },
    ],
  ];
  const cases = faults.flatMap(([what, fault]) => [1, 2, 3, 4, 5, 6].map((at) => ({ what, at, fault })));
  it.each(sample(cases, 4))("call $at that $what neither loses a prompt nor doubles it", async ({ at, fault }) => {
    await play("ada");
    const crew = await failing(at, fault);
    const sent = sendToAgent(crew, { workstream: "demo", name: "ada" }, "do it", { sender: "tester" });
    await sent.catch(() => undefined);
    const [state] = await states();
    expect(["queued", "proved", "unproved"]).toContain(state);
    if (state === "queued") {
      await eventually("the drain", async () => (await drainDeliveries(stage.crew)).length > 0);
      expect(await states()).toEqual(["proved"]);
    }
    if ((await states())[0] === "proved") expect(receipts("ada")).toEqual(["do it"]);
    expect(receipts("ada").length).toBeLessThanOrEqual(1);
  });

  it.each(sample([2, 3, 4, 5], 2))(
    "a pane that is killed at call %i leaves the prompt settled, and never typed elsewhere",
    async (at) => {
      const agent = await play("ada");
      const crew = await failing(at, async (run) => {
        await stage.server.raw("kill-pane", "-t", agent.pane ?? "");
        return run();
      });
      const sent = sendToAgent(crew, { workstream: "demo", name: "ada" }, "do it", { sender: "tester" });
      await expect(sent).rejects.toMatchObject({ code: expect.stringMatching(/^delivery\.(refused|unproved)$/) });
      await drainDeliveries(stage.crew);
      expect(["refused", "unproved"]).toContain((await states())[0]);
    },
  );

  it("a prompt whose sender was cut off while typing is proved by the agent's word, or unproved, and never typed again", async () => {
    const agent = await play("ada");
    const { context } = stage.crew;
    for (const text of ["one", "two"]) {
      const row = await enqueue(context, agent, { text, sender: "tester" });
      const pi = { ...agent, cli: text === "one" ? "pi" : "player" };
      await context.store.write((db) =>
        db.updateTable("agents").set({ cli: pi.cli }).where("id", "=", agent.id).execute(),
      );
      await reserve(context, row, null);
      if (text === "one") {
        const payload = { text, source: "interactive" };
        await appendSpool(spoolPath(stage.crew.stateDir, agent.id), { at: Date.now(), event: "input", payload });
      }
      expect(await drainDeliveries(stage.crew)).toEqual([]);
      const later: Clock = { ...context.clock, now: () => new Date(Date.now() + HOLD_MS + 1000) };
      await drainDeliveries({ ...stage.crew, context: { ...context, clock: later } });
    }
    expect(await states()).toEqual(["unproved", "proved"]);
    expect(receipts("ada")).toEqual([]);
  });

  it("and a person who asks for it again meanwhile has it typed once its sender must be dead", async () => {
    const agent = await play("ada");
    const { context } = stage.crew;
    const row = await enqueue(context, agent, { text: "one", sender: "tester" });
    await reserve(context, row, null);
    const later: Clock = { ...context.clock, now: () => new Date(Date.now() + HOLD_MS + 1000) };
    const person = { ...stage.crew, context: { ...context, clock: later } };
    expect(await retryDelivery(person, row.id)).toMatchObject({ state: "proved", attempt: 2 });
    expect(receipts("ada")).toEqual(["one"]);
  });

  const SHELL = { cwd: "/tmp", cli: "shell", command: "sh" };

  it("what waits for an agent that died is typed to the next one of its name", async () => {
    const ref = { workstream: "demo", name: "ada" };
    const dead = await stage.enter("ada");
    await enqueue(stage.crew.context, dead, { text: "echo carried over", sender: "tester" });
    await stage.server.raw("kill-pane", "-t", dead.pane ?? "");
    expect((await reconcile(stage.crew)).reaped).toMatchObject([{ agent: "ada" }]);
    expect(await states()).toEqual(["queued"]);
    await spawnAgent(stage.crew, ref, { ...SHELL, ready: { timeoutMs: 20_000 } });
    await eventually("it is typed", async () => (await drainDeliveries(stage.crew)).length > 0);
    expect(await listDeliveries(stage.crew.context.store.db)).toMatchObject([{ state: "typed", agent: "ada" }]);
  });

  it("what waits for an agent that somebody closes is taken back", async () => {
    const agent = await stage.enter("ada");
    await enqueue(stage.crew.context, agent, { text: "too late", sender: "tester" });
    await closeAgent(stage.crew, { workstream: "demo", name: "ada" });
    expect(await listDeliveries(stage.crew.context.store.db)).toMatchObject([
      { state: "cancelled", reason: "the agent was closed" },
    ]);
  });

  it("cancelling the wait leaves the prompt queued", async () => {
    const ref = { workstream: "demo", name: "ada" };
    await play("ada", { acts: [{ steps: [{ work: 600_000 }] }] });
    await sendToAgent(stage.crew, ref, "work", { sender: "tester" });
    const leaving = new AbortController();
    const sent = sendToAgent(stage.crew, ref, "and then", { sender: "tester", signal: leaving.signal });
    leaving.abort();
    await expect(sent).rejects.toMatchObject({
      code: "delivery.pending",
      message: expect.stringContaining("before the wait was cancelled"),
    });
    expect(await states()).toEqual(["queued", "proved"]);
  });

  it("hands a waiting prompt to an agent that asks for it, once", async () => {
    const agent = await play("ada");
    await enqueue(stage.crew.context, agent, { text: "next", sender: "tester" });
    const pulled = await Promise.all([pullDelivery(stage.crew, agent.id), pullDelivery(stage.crew, agent.id)]);
    expect(pulled.filter(Boolean)).toMatchObject([{ text: "next", state: "handed" }]);
    expect(await drainDeliveries(stage.crew)).toEqual([]);
    expect(receipts("ada")).toEqual([]);
  });

  const SENDS = fewOf(60, 1_002);
  it(
    `${SENDS} prompts to 3 agents that lose every fifth Enter arrive once each`,
    async () => {
      const names = ["ada", "bob", "eve"];
      for (const name of names) await play(name, { quirks: { loseEveryNthEnter: 5 } });
      const texts = Array.from({ length: SENDS / 3 }, (_, n) => `prompt number ${n}`);
      const sendAll = async (name: string) => {
        for (const text of texts)
          await sendToAgent(stage.crew, { workstream: "demo", name }, text, { sender: "tester" });
      };
      await Promise.all(names.map(sendAll));
      expect(names.map(receipts)).toEqual([texts, texts, texts]);
      expect(new Set(await states())).toEqual(new Set(["proved"]));
    },
    fewOf(180_000, 3_600_000),
  );
});
