import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { drainDeliveries } from "../../../src/agents/delivery/drain.js";
import { cancelDelivery, listDeliveries, showDelivery } from "../../../src/agents/delivery/outbox.js";
import { retryDelivery, sendToAgent } from "../../../src/agents/delivery/send.js";
import { observeAgents } from "../../../src/agents/status/observe.js";
import { openStage, PLAYER, type Stage } from "../../support/stage.js";
import { describeTmux, eventually } from "../../support/tmux.js";

describeTmux("sending prompts", () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(() => stage.end());

  const send = (name: string, text: string, options: { timeoutMs?: number; task?: string; wait?: boolean } = {}) =>
    sendToAgent(stage.crew, { workstream: "demo", name }, text, { sender: "tester", ...options });
  const becomes = (agent: string, status: string) =>
    eventually(`${agent} is ${status}`, async () =>
      (await observeAgents(stage.crew)).some((one) => one.agent === agent && one.status === status),
    );
  const receipts = (name = "ada") => {
    const file = join(stage.server.dir, `${name}.receipts`);
    const lines = existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : [];
    return lines.map((line): string => JSON.parse(line).text);
  };
  async function play(script: object = {}, name = "ada") {
    const env = {
      MU_PLAYER_SCRIPT: JSON.stringify(script),
      MU_PLAYER_RECEIPTS: join(stage.server.dir, `${name}.receipts`),
    };
    const agent = await stage.enter(name, { cli: "player", argv: PLAYER, env });
    await becomes(name, "idle");
    return agent;
  }
  const shell = async () => {
    const agent = await stage.enter("sue");
    await eventually("a prompt", async () => /[$#]/.test(await stage.shows(agent)));
    return agent;
  };

  it("runs a command in a shell, and knows that it was typed", async () => {
    const agent = await shell();
    const { delivery } = await send("sue", "echo one; echo 'two' > out;");
    expect(delivery).toMatchObject({ agent: "sue", workstream: "demo", state: "typed", attempt: 1, sender: "tester" });
    await eventually("its output", async () => existsSync(join(stage.server.dir, "out")));
    expect(await stage.shows(agent)).toMatch(/^one$/m);
  });

  it.each([
    ["one byte", "x"],
    ["a leading dash and a trailing semicolon", "-l --help;"],
    ["tabs, quotes, formats and substitutions", "a\tb 'c' \"d\" #{pane_id} #(id) %H \\"],
    ["unicode", "日本語 é 🎉"],
    ["several lines", "one\ntwo\n\nthree"],
    ["carriage returns and paste marks", "one\r\ntwo\u001b[201~\u001b[200~ three\u0007"],
  ])("%s arrives at a program as one text", async (_, text) => {
    await stage.enter("cat", { cli: "command", argv: ["sh", "-c", "exec tee got"] });
    expect((await send("cat", text)).delivery).toMatchObject({ state: "typed" });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what is taken out
    const clean = text.replace(/\r\n/g, "\n").replace(/\u001b\[20[01]~|\u0007/g, "");
    const got = () => readFileSync(join(stage.server.dir, "got"), "utf8");
    await eventually("the text", async () => got() === `${clean}\n`);
  });

  it("presses Enter once in a shell, so that what the command reads is still to come", async () => {
    const agent = await shell();
    await send("sue", 'read answer; echo "[$answer]" > got');
    await stage.crew.tmux.paste({ pane: agent.pane ?? "", text: "yes", enter: true });
    const got = () => readFileSync(join(stage.server.dir, "got"), "utf8");
    await eventually("the answer", async () => existsSync(join(stage.server.dir, "got")) && got() !== "");
    expect(got()).toBe("[yes]\n");
  });

  it.each([
    ["a line", "build it"],
    ["a page with tabs and quotes", Array.from({ length: 40 }, (_, n) => `line ${n}:\t"$HOME" \`x\` #; é`).join("\n")],
    ["a trailing semicolon", "make;"],
    ["a leading dash", "-x"],
    ["one byte", "x"],
    ["a megabyte", "0123456789 abcdef\n".repeat(58_000)],
  ])("a prompt of %s is proved by an agent, once and whole", async (_, text) => {
    await play();
    const { delivery } = await send("ada", text);
    expect(delivery).toMatchObject({ state: "proved", attempt: 1 });
    expect(receipts().length).toBe(1);
    expect(receipts()[0] === text).toBe(true);
  });

  it("presses Enter again when the first one was lost", async () => {
    await play({ quirks: { loseEveryNthEnter: 2 } });
    for (const text of ["one", "two", "three"]) await send("ada", text);
    expect(receipts()).toEqual(["one", "two", "three"]);
  });

  it("clears what no Enter submits, says so, and is not in the way of the next one", async () => {
    await play({ quirks: { loseEveryNthEnter: 1 } });
    for (const text of ["one", "two\nlines"]) {
      await expect(send("ada", text)).rejects.toMatchObject({ code: "delivery.unproved", exitCode: 5 });
      const [{ state, reason } = {}] = await listDeliveries(stage.crew.context.store.db);
      expect([state, reason]).toEqual(["unproved", "Enter had no effect; it is cleared from the composer"]);
    }
    expect(receipts()).toEqual([]);
  });

  it("never types into a permission dialog", async () => {
    await play({ acts: [{ steps: [{ permission: "rm -rf /" }] }] });
    await send("ada", "go");
    await becomes("ada", "needs_permission");
    await expect(send("ada", "yes please")).rejects.toMatchObject({
      code: "delivery.refused",
      details: { state: "refused", reason: expect.stringMatching(/^dialog: /) },
    });
    await becomes("ada", "needs_permission");
    expect(receipts()).toEqual(["go"]);
  });

  it("never types behind a half-typed draft", async () => {
    const agent = await play();
    await stage.crew.tmux.sendKeys({ pane: agent.pane ?? "", keys: ["wait, I"], as: "characters" });
    await eventually("the draft", async () => (await stage.shows(agent)).includes("wait, I"));
    await expect(send("ada", "go")).rejects.toMatchObject({ details: { reason: expect.stringMatching(/^draft: /) } });
    const sue = await shell();
    await stage.crew.tmux.sendKeys({ pane: sue.pane ?? "", keys: ["ls -l"], as: "characters" });
    await eventually("the draft", async () => (await stage.shows(sue)).includes("ls -l"));
    await expect(send("sue", "rm x")).rejects.toMatchObject({ details: { reason: expect.stringMatching(/^draft: /) } });
  });

  it("never types into the shell that an agent fell back to, nor into a stranger's or a dead pane", async () => {
    const fallen = await stage.enter("pia", { cli: "pi", argv: ["sh"] });
    await eventually("a prompt", async () => /[$#]/.test(await stage.shows(fallen)));
    await expect(send("pia", "hello")).rejects.toMatchObject({
      details: { reason: expect.stringMatching(/^shell: /) },
    });
    const sue = await shell();
    await stage.crew.tmux.setPaneIdentity(sue.pane ?? "", { agent: "eve", agentId: "999" });
    await expect(send("sue", "ls")).rejects.toMatchObject({
      details: { reason: expect.stringMatching(/^stranger: /) },
    });
    const bob = await stage.enter("bob");
    await stage.server.raw("kill-pane", "-t", bob.pane ?? "");
    await expect(send("bob", "ls")).rejects.toMatchObject({ details: { reason: expect.stringMatching(/^dead: /) } });
    expect(await stage.shows(fallen)).not.toContain("hello");
  });

  it("refuses a line that a terminal in canonical mode would cut", async () => {
    await stage.enter("cat", { cli: "command", argv: ["cat"] });
    await expect(send("cat", "x".repeat(5000))).rejects.toMatchObject({
      details: { reason: expect.stringMatching(/^long_line: /) },
    });
    expect((await send("cat", `${"x".repeat(4000)}\n${"y".repeat(4000)}`)).delivery.state).toBe("typed");
  });

  it("leaves copy mode first", async () => {
    const agent = await play();
    await stage.server.raw("copy-mode", "-t", agent.pane ?? "");
    await send("ada", "go");
    expect(receipts()).toEqual(["go"]);
  });

  it("waits for a busy agent and types at its turn boundary", async () => {
    await play({ acts: [{ when: "long", steps: [{ work: 700 }] }] });
    await send("ada", "long work");
    expect((await send("ada", "then this")).delivery.state).toBe("proved");
    expect(receipts()).toEqual(["long work", "then this"]);
  });

  it("leaves a text queued when the agent stays busy; the same text is the same delivery; a drain types it", async () => {
    const agent = await play({ acts: [{ when: "long", steps: [{ work: 60_000 }] }] });
    await send("ada", "long work");
    const pending = await send("ada", "then this", { timeoutMs: 0 }).catch((fault) => fault);
    expect(pending).toMatchObject({ code: "delivery.pending", exitCode: 5 });
    const again = await send("ada", "then this", { timeoutMs: 0 }).catch((fault) => fault);
    expect(again.details.delivery).toBe(pending.details.delivery);
    expect(await drainDeliveries(stage.crew)).toEqual([]);
    await stage.crew.tmux.sendKeys({ pane: agent.pane ?? "", keys: ["Escape"] });
    await becomes("ada", "idle");
    expect(await drainDeliveries(stage.crew, { workstream: "demo" })).toMatchObject([
      { id: pending.details.delivery, state: "proved" },
    ]);
    expect(receipts()).toEqual(["long work", "then this"]);
  });

  it("lets a person cancel and retry", async () => {
    const agent = await play({ acts: [{ when: "long", steps: [{ work: 60_000 }] }] });
    await send("ada", "long work");
    const { details } = await send("ada", "then this", { timeoutMs: 0 }).catch((fault) => fault);
    const { context } = stage.crew;
    expect(await cancelDelivery(context, details.delivery)).toMatchObject({ state: "cancelled" });
    await expect(cancelDelivery(context, details.delivery)).rejects.toMatchObject({ code: "delivery.settled" });
    await expect(showDelivery(context.store.db, 99)).rejects.toMatchObject({ code: "delivery.not_found" });
    await stage.crew.tmux.sendKeys({ pane: agent.pane ?? "", keys: ["Escape"] });
    expect(await retryDelivery(stage.crew, details.delivery)).toMatchObject({ state: "proved" });
    await expect(retryDelivery(stage.crew, details.delivery)).rejects.toMatchObject({ code: "delivery.settled" });
    expect(receipts()).toEqual(["long work", "then this"]);
  });

  it("never mixes two senders", async () => {
    await play();
    const texts = ["task 0", "task 1", "task 2", "task 3"];
    await Promise.all(texts.map((text) => send("ada", text)));
    expect(receipts().sort()).toEqual(texts);
  });

  it("with wait, comes back when the agent is done", async () => {
    await play({ acts: [{ steps: [{ work: 600 }, { run: "touch done" }] }] });
    const { after } = await send("ada", "go", { wait: true });
    expect(after).toMatchObject({ status: "idle" });
    expect(existsSync(join(stage.server.dir, "done"))).toBe(true);
  });

  it("refuses nothing, a flood and a person", async () => {
    await shell();
    await expect(send("sue", " \u0007\n")).rejects.toMatchObject({ code: "delivery.empty", exitCode: 2 });
    await expect(send("sue", "x".repeat(1_100_000))).rejects.toMatchObject({ code: "delivery.too_long" });
    await expect(send("nobody", "x")).rejects.toMatchObject({ code: "agent.not_found" });
  });
});
