import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EVERY_TIME, installAgentClis, type RealCli, versionOf } from "../../scripts/install-agent-clis.js";
import { programsEnded } from "../support/private-tmux.js";
import { type Json, openRealCrew, type RealCrew } from "./crew.js";
import { DIALOGS } from "./homes.js";

/** Named by `npm run test:agents -- --cli <name> --rounds <n>`. */
const CLIS = (process.env["MU_TEST_CLIS"]?.split(",") ?? EVERY_TIME) as RealCli[];
const ROUNDS = Number(process.env["MU_TEST_ROUNDS"] ?? 1);
const STORIES = Array.from({ length: ROUNDS }, (_, at) => CLIS.map((cli) => [cli, at + 1] as const)).flat();

/** A stop hook hands the prompt that waits to Claude; the end of that turn, or its first tool, proves it. */
const HANDED: Readonly<Partial<Record<RealCli, string>>> = { claude: "handed" };

/** What asks whether Esc was meant. */
const SURE: Readonly<Partial<Record<RealCli, RegExp>>> = { opencode: /esc again to interrupt/ };

/** One story in chapters: each goes on where the last one ended. */
describe.each(STORIES)("%s, round %i,", (cli, round) => {
  let crew: RealCrew;
  const sent: string[] = [];
  const mu: RealCrew["mu"] = (words, options) => crew.mu(words, options);
  /** The model was asked once, in the conversation of the beginning. */
  const once = [{ earlier: expect.arrayContaining(["Take the next task."]) }];
  const log = (line: string) => process.stdout.write(`${cli} ${versionOf(cli)}, round ${round}: ${line}\n`);
  const send = (text: string, words: readonly string[] = [], options = {}) => {
    sent.push(text);
    return mu(["agent", "send", "ann", text, ...words], options);
  };

  beforeAll(async () => {
    const { state, line } = await installAgentClis(CLIS);
    if (state === "failed") throw new Error(line);
    crew = await openRealCrew();
    await mu(["workstream", "init", "shop"]);
    for (const name of ["first", "second", "third"]) await mu(["task", "add", name, "--title", `Make the ${name}`]);
  });
  afterAll(() => crew?.close());

  test("is spawned and ready for prompts", async () => {
    const { agent, readiness } = await mu(["agent", "spawn", "ann", "--cli", cli, "--timeout", "2m"]);
    log(`ready after ${readiness.waitedMs} ms, by ${readiness.rule}`);
    expect([agent.cli, readiness.ready, readiness.status]).toEqual([cli, true, "idle"]);
    await stays("idle");
    await seen(/^(idle)?$/);
  });

  test("takes a prompt, which is proved, and closes its task", async () => {
    const { delivery } = await send("Take the next task.");
    log(`took its prompt: ${delivery.state}, ${delivery.reason}`);
    expect(delivery.state).toBe("proved");
    await crew.shows("ann", /I have closed first\./);
    await mu(["agent", "wait", "ann", "--timeout", "60s"]);
    expect(await closes()).toEqual(["first"]);
    await seen(/^(busy )?(idle)?$/);
  });

  test("is busy as long as its turn, takes the next prompt after it, and is not left busy by Esc", async () => {
    await send("Dwell in the_long_turn.");
    await crew.model.whenHeld("the_long_turn");
    await stays("busy");
    const pending = await send("Dwell in the_next_turn.", ["--timeout", "1s"], { code: 5 });
    expect(pending.code).toBe("delivery.pending");
    expect(asked("Dwell in the_next_turn.")).toHaveLength(0);

    crew.model.release("the_long_turn");
    await crew.model.whenHeld("the_next_turn");
    await stays("busy");
    const { items } = await mu(["delivery", "list", "--agent", "ann"]);
    log(`took the prompt that waited: ${items[0].state}, ${items[0].reason}`);
    expect(items[0]).toMatchObject({ text: "Dwell in the_next_turn.", state: HANDED[cli] ?? "proved", attempt: 1 });

    await crew.press("ann", "Escape");
    const sure = SURE[cli];
    if (sure !== undefined) {
      await crew.shows("ann", sure);
      await crew.press("ann", "Escape");
    }
    const pressed = Date.now();
    const idle = await crew.becomes("ann", "idle");
    log(`idle ${idle.at - pressed} ms after Esc: ${idle.reason}`);
    await seen(/^busy (idle busy )?idle$/);
  });

  test.runIf(DIALOGS[cli])("takes no prompt while it asks for a permission, until a person has answered", async () => {
    const dialog = DIALOGS[cli] ?? /never/;
    await send("Take the next task, and ask before you write.");
    const opened = crew.shows("ann", dialog);
    const { at, reason } = await crew.becomes("ann", "needs_permission");
    log(`needs a permission, reported ${at - (await opened)} ms after its dialog stood on the screen: ${reason}`);
    const refused = await mu(["agent", "send", "ann", "Hurry up."], { code: 4 });
    expect(refused.code).toBe("delivery.refused");
    await stays("needs_permission");
    expect(await crew.screen("ann")).toMatch(dialog);
    expect(existsSync(join(crew.project, "second.json"))).toBe(false);

    await crew.press("ann", "Enter");
    const answered = Date.now();
    const idle = await crew.becomes("ann", "idle");
    log(`idle ${idle.at - answered} ms after the answer: ${idle.reason}`);
    expect(existsSync(join(crew.project, "second.json"))).toBe(true);
    expect(await closes()).toEqual(["first", "second"]);
    expect(asked("Hurry up.")).toHaveLength(0);
    await seen(/^(busy )?needs_permission (busy )?idle$/);
  });

  test("is restarted in the same conversation", async () => {
    const { readiness, resumed, beginning } = await mu(["agent", "restart", "ann", "--timeout", "2m"]);
    log(`ready ${readiness.waitedMs} ms after its restart: ${beginning}`);
    expect([readiness.ready, resumed]).toEqual([true, true]);
    await stays("idle");
    await send("Do you remember?", ["--wait"]);
    expect(asked("Do you remember?")).toMatchObject(once);
    await seen(/^(idle)? ?(busy idle)?$/);
  });

  test("is back after its tmux server died, with its task, of which it is told once", async () => {
    await send("Take the next task and dwell in the_work.");
    await crew.model.whenHeld("the_work");
    await stays("busy");
    const [task] = (await mu(["task", "list", "--status", "IN_PROGRESS"])).items;
    const before = await crew.program("ann");

    await crew.tmux("kill-server");
    const { items } = await mu(["recover", "--yes"]);
    log(`back: ${items[0].why}; told its task: ${items[0].primed}`);
    expect(items).toMatchObject([{ agent: "ann", action: "resume", tasks: [task.name] }]);
    await programsEnded([before]);
    expect(isAlive(before)).toBe(false);
    await crew.shows("ann", new RegExp(`I have closed ${task.name}`));
    await mu(["agent", "wait", "ann", "--timeout", "60s"]);
    const told = asked(`Your task ${task.name} is still yours`);
    expect(told).toMatchObject(once);
    expect(await closes()).toContain(task.name);
    await seen(/^busy (spawning )?(idle )?(busy )?idle$/);
  });

  test("got every prompt exactly once, closed every task once, and the log proves it", async () => {
    expect(sent.map((text) => [text, asked(text).length])).toEqual(sent.map((text) => [text, 1]));
    expect(await closes()).toEqual([...new Set(await closes())]);
    expect(await mu(["audit", "verify", "--tables"])).toMatchObject({ ok: true, tables: "same" });
  });

  /** The model's first request for each time that it got the prompt. */
  function asked(text: string) {
    return crew.model.requests.filter(
      ({ prompt, step, label }) => step === 0 && label !== "aside" && prompt?.includes(text),
    );
  }

  /** The tasks that were closed, in order. */
  async function closes(): Promise<string[]> {
    const { items } = await mu(["log", "-n", "1000"]);
    const events = items.filter((event: Json) => event.op === "task.close");
    return events.map((event: Json) => event.subject.replace("shop/", ""));
  }

  /** The agent becomes this, and three looks on it is nothing else. */
  async function stays(status: string): Promise<void> {
    await crew.becomes("ann", status);
    for (let look = 0; look < 3; look++) {
      const { items } = await mu(["agent", "list"]);
      expect(items).toMatchObject([{ name: "ann", status }]);
    }
  }

  /** What the agent was seen to be since the last chapter, by whichever process looked, is this in this order. */
  let known = 0;
  async function seen(order: RegExp): Promise<void> {
    const from = `from observations o join agents a on a.id = o.agent_id where a.name = 'ann' and o.id > ${known}`;
    const rows: Json[] = await mu(["sql", `select o.id, status, reason, rule ${from} order by o.id`]);
    known = rows.at(-1)?.id ?? known;
    const changes = rows.map(({ status }) => status).filter((status, at, all) => status !== all[at - 1]);
    expect(changes.join(" "), rows.map((row) => JSON.stringify(row)).join("\n")).toMatch(order);
  }
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
