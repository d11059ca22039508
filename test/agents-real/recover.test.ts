import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ALL_CLIS, installAgentClis } from "../../scripts/install-agent-clis.js";
import { type Json, openRealCrew, type RealCrew } from "./crew.js";

/** Asked for by `npm run test:agents -- --recover <n>`: minutes of work, and about 400 MB for each agent. */
const AGENTS = Number(process.env["MU_TEST_RECOVER"] ?? 0);
const crowd = Array.from({ length: AGENTS }, (_, at) => {
  return { name: `agent-${at + 1}`, cli: ALL_CLIS[at % ALL_CLIS.length] as string, gate: `work_of_${at + 1}` };
});

/** Each step is done by every agent, however slow the machine is. */
const MINUTES = 60_000;

describe.runIf(AGENTS > 0)(`${AGENTS} agents of ${ALL_CLIS.length} CLIs, each in the middle of a task`, () => {
  let crew: RealCrew;
  const mu: RealCrew["mu"] = (words, options) => crew.mu(words, { timeoutMs: 5 * MINUTES, ...options });
  const log = (line: string) => process.stdout.write(`recover: ${line}\n`);
  const taskOf = new Map<string, string>();

  beforeAll(async () => {
    const { state, line } = await installAgentClis(ALL_CLIS);
    if (state === "failed") throw new Error(line);
    crew = await openRealCrew();
    await mu(["workstream", "init", "shop"]);
    for (const { name } of crowd) await mu(["task", "add", `task-${name}`, "--title", `Make what ${name} makes`]);
  });
  afterAll(() => crew?.close());

  test(
    "are back in their own conversations after their tmux server died, each told its task once",
    async () => {
      for (const { name, cli, gate } of crowd) {
        await mu(["agent", "spawn", name, "--cli", cli, "--timeout", "4m"]);
        // Codex names its conversation when its first turn has ended.
        for (const text of ["Hello.", `Take the next task and dwell in ${gate}.`]) {
          const { code } = await mu(["agent", "send", name, text, "--timeout", "2m"], { code: undefined });
          if (code !== undefined) log(`${cli} ${name} took its prompt late: ${code}`);
        }
        await crew.model.whenHeld(gate);
      }
      for (const { name, owner } of (await mu(["task", "list", "--status", "IN_PROGRESS"])).items)
        taskOf.set(owner, name);
      expect(new Set(taskOf.values()).size).toBe(AGENTS);

      const killed = Date.now();
      await crew.tmux("kill-server");
      const { items, code } = await mu(["recover", "--yes"], { code: undefined });
      const back = Date.now();
      log(`recover took ${back - killed} ms${code === undefined ? "" : ` and said ${code}`}`);
      const wanted = crowd.map(({ name }) => ({ agent: name, action: "resume", tasks: [taskOf.get(name)] }));
      expect([...items].sort(byNumber)).toMatchObject(wanted);
      const states = items.map(({ cli, primed }: Json) => `${cli} ${primed}`);
      for (const state of [...new Set<string>(states)].sort()) {
        log(`${state}: ${states.filter((one: string) => one === state).length}`);
      }

      for (const { name } of crowd)
        await crew.shows(name, new RegExp(`I have closed ${taskOf.get(name)}`), 5 * MINUTES);
      log(`all tasks were closed ${Date.now() - killed} ms after the tmux server died`);
      for (const { name, cli, gate } of crowd) {
        const told = crew.model.requests.filter(
          ({ prompt, step, label }) =>
            step === 0 && label !== "aside" && prompt?.includes(`Your task ${taskOf.get(name)} is still yours`),
        );
        const earlier = told.map((one) => one.earlier?.filter((text) => text.includes("and dwell in")));
        expect([name, cli, earlier]).toEqual([name, cli, [[expect.stringContaining(`dwell in ${gate}.`)]]]);
      }
      const closed = (await mu(["log", "-n", "5000"])).items.filter(({ op }: Json) => op === "task.close");
      expect(closed.map(({ source }: Json) => source).sort()).toEqual(crowd.map(({ name }) => name).sort());
      expect(await mu(["audit", "verify", "--tables"])).toMatchObject({ ok: true, tables: "same" });
    },
    40 * MINUTES,
  );
});

function byNumber(a: Json, b: Json): number {
  return Number(a.agent.split("-")[1]) - Number(b.agent.split("-")[1]);
}
