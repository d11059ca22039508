import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installAgentClis } from "../../scripts/install-agent-clis.js";
import { type Json, openRealCrew, type RealCrew } from "./crew.js";

const TASKS = ["design", "catalogue", "checkout", "launch", "blog"];

/** One story in chapters: each goes on where the last one ended. */
describe("a crew of two pi and one claude", () => {
  let crew: RealCrew;
  const mu: RealCrew["mu"] = (...words) => crew.mu(...words);
  const log = (line: string) => process.stdout.write(`real agents: ${line}\n`);

  beforeAll(async () => {
    const { state, line } = await installAgentClis();
    if (state === "failed") throw new Error(line);
    crew = await openRealCrew();
    await mu(["workstream", "init", "shop"]);
    for (const name of TASKS) await mu(["task", "add", name, "-w", "shop", "--title", `Make the ${name}`]);
  });
  afterAll(() => crew?.close());

  test("is spawned and ready for prompts", async () => {
    for (const [name, cli] of [
      ["ada", "pi"],
      ["bob", "pi"],
      ["eve", "claude"],
    ] as const) {
      const { agent, readiness } = await mu(["agent", "spawn", name, "--cli", cli, "-w", "shop"]);
      log(`${cli} ${name} was ready after ${readiness.waitedMs} ms, by ${readiness.rule}`);
      expect([agent.cli, readiness.ready, readiness.status]).toEqual([cli, true, "idle"]);
      expect(agent.command).toContain(cli);
    }
  });

  test("takes work, notes what it does and closes it, each in its own pane", async () => {
    for (const name of ["ada", "bob"]) {
      const { delivery } = await mu(["agent", "send", name, "Take the next task.", "-w", "shop"]);
      log(`${name} took the prompt: ${delivery.reason}`);
      expect(delivery.state).toBe("proved");
    }
    await mu(["agent", "wait", "ada", "bob", "-w", "shop", "--timeout", "60s"]);
    expect(await crew.screen("ada")).toMatch(/I have closed \w+\./);
    expect(await crew.screen("bob")).toMatch(/I have closed \w+\./);
    expect(await closedBy()).toEqual(["ada", "bob"]);
  });

  test("is seen to ask for a permission, and takes no prompt until a person has answered", async () => {
    await mu(["agent", "send", "eve", "Take the next task, and ask before you write.", "-w", "shop"]);
    const opened = crew.shows("eve", /Do you want to proceed\?/);
    const { at, reason } = await crew.becomes("eve", "needs_permission");
    log(`eve needs a permission, reported ${at - (await opened)} ms after its dialog stood on the screen: ${reason}`);
    expect(reason).toContain("| tee");

    const refused = await mu(["agent", "send", "eve", "Hurry up.", "-w", "shop"], { code: 4 });
    expect(refused.code).toBe("delivery.refused");
    await crew.press("eve", "Enter");
    const answered = Date.now();
    const idle = await crew.becomes("eve", "idle");
    log(`eve is idle ${idle.at - answered} ms after the answer: ${idle.reason}`);
    expect(await closedBy()).toEqual(["ada", "bob", "eve"]);
    expect(TASKS.filter((name) => existsSync(join(crew.project, `${name}.json`)))).toHaveLength(1);
  });

  test.each(["ada", "eve"])("is not left busy when a person interrupts a turn: %s", async (name) => {
    await mu(["agent", "send", name, `Dwell in thought_of_${name}.`, "-w", "shop"]);
    await crew.model.whenHeld(`thought_of_${name}`);
    const { reason } = await crew.becomes(name, "busy");
    await crew.press(name, "Escape");
    const pressed = Date.now();
    const idle = await crew.becomes(name, "idle");
    log(`${name} was busy (${reason}) and is idle ${idle.at - pressed} ms after Esc: ${idle.reason}`);
  });

  test.each(["ada", "eve"])("gives a busy agent its next prompt at the end of its turn: %s", async (name) => {
    await mu(["agent", "send", name, `Dwell in a_long_turn_of_${name}.`, "-w", "shop"]);
    await crew.model.whenHeld(`a_long_turn_of_${name}`);
    const pending = await mu(["agent", "send", name, "What next?", "-w", "shop", "--timeout", "1s"], { code: 5 });
    expect(pending.code).toBe("delivery.pending");
    crew.model.release(`a_long_turn_of_${name}`);
    await crew.shows(name, /What next\?[\s\S]*Understood\./);
    const { items } = await mu(["delivery", "list", "-w", "shop", "--agent", name]);
    log(`${name} took the prompt that waited: ${items[0].reason}`);
    expect(items[0]).toMatchObject({ text: "What next?", state: "proved", attempt: 1 });
  });

  test("loses one agent in the middle of a task, and another takes the task over", async () => {
    await mu(["agent", "send", "bob", "Take the next task and dwell in work_of_bob.", "-w", "shop"]);
    await crew.model.whenHeld("work_of_bob");
    const task = await taskOf("bob");

    await crew.kill("bob");
    await mu(["agent", "list", "-w", "shop"]);
    expect(await mu(["task", "show", task, "-w", "shop"])).toMatchObject({ task: { status: "OPEN", owner: null } });
    const { items } = await mu(["task", "notes", task, "-w", "shop"]);
    expect(items.at(-1).text).toContain("[reaper]");

    await mu(["agent", "send", "ada", "Take the next task.", "-w", "shop", "--wait"]);
    expect(await mu(["task", "show", task, "-w", "shop"])).toMatchObject({ task: { status: "CLOSED" } });
    expect(await closedBy()).toEqual(["ada", "ada", "bob", "eve"]);
  });

  test("is back after its tmux server died, each in its own conversation, and finishes its task", async () => {
    await mu(["agent", "send", "eve", "Take the next task and dwell in work_of_eve.", "-w", "shop"]);
    await crew.model.whenHeld("work_of_eve");
    await crew.becomes("eve", "busy");
    await crew.becomes("ada", "idle");
    const task = await taskOf("eve");

    await crew.tmux("kill-server");
    const { items } = await mu(["recover", "-w", "shop", "--yes"]);
    for (const { agent, why, primed } of items) log(`${agent} is back: ${why}; told its task: ${primed}`);
    expect(items).toMatchObject([
      { agent: "ada", action: "resume" },
      { agent: "eve", action: "resume", tasks: [task] },
    ]);
    await crew.shows("ada", /I have closed/);
    await crew.shows("eve", /I have closed/);
    await mu(["agent", "wait", "ada", "eve", "-w", "shop", "--timeout", "60s"]);
    expect(await closedBy()).toEqual(["ada", "ada", "bob", "eve", "eve"]);
  });

  test("has closed every task exactly once, and the log proves it", async () => {
    const { items } = await mu(["task", "list", "-w", "shop", "--status", "CLOSED"]);
    expect(items.map((task: Json) => task.name).sort()).toEqual([...TASKS].sort());
    const closes = await closeEvents();
    expect(closes.map((event) => event.subject).sort()).toEqual(TASKS.map((name) => `shop/${name}`).sort());
    expect(await mu(["audit", "verify", "--tables"])).toMatchObject({ ok: true, tables: "same" });
  });

  /** The task that an agent is at. */
  async function taskOf(agent: string): Promise<string> {
    const { items } = await mu(["task", "list", "-w", "shop", "--status", "IN_PROGRESS"]);
    expect(items.map((task: Json) => task.owner)).toEqual([agent]);
    return items[0].name;
  }

  async function closedBy(): Promise<string[]> {
    return (await closeEvents()).map((event) => event.source).sort();
  }

  async function closeEvents(): Promise<Json[]> {
    const { items } = await mu(["log", "-w", "shop", "-n", "1000"]);
    return items.filter((event: Json) => event.op === "task.close");
  }
});
