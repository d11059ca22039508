import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { installAgentClis } from "../../scripts/install-agent-clis.js";
import { type Json, openRealCrew, type RealCrew } from "./crew.js";

const TASKS = ["design", "catalogue", "checkout", "launch"];

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
    expect(await closedBy()).toEqual(["ada", "ada", "bob"]);
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
    expect(await closedBy()).toEqual(["ada", "ada", "bob", "eve"]);
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
