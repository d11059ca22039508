import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { newHome } from "./support/cli.js";

const GUIDE = readFileSync(new URL("../docs/guide.md", import.meta.url), "utf8");

/** The lines of the guide's session of that name. */
function session(name: string): string[] {
  const [, block = ""] = new RegExp(`^\`\`\`sh ${name}\\n([^]*?)^\`\`\``, "m").exec(GUIDE) ?? [];
  return block.trim().split("\n");
}

const role = (sh: string) => ({
  ...{ cli: "command", command: `sh -c '${sh}'`, access: "read-only", workspace: false, dailyCapUsd: 1 },
});

it("a night goes as the guide has it", async () => {
  const home = newHome();
  const mu = async (line: string) => {
    const ran = await home.mu(line, { env: { MU_NO_TMUX: "1", MU_RETRY_BACKOFF: "0" } });
    return { ...ran, line };
  };
  const settle = async (tasks: Record<string, string>) => {
    const states = async () => {
      const { items } = (await mu("task list --json")).json();
      return Object.fromEntries(
        items.map((task: Record<string, string>) => [task["name"], task["hold"] ?? task["status"]]),
      );
    };
    await expect.poll(states, { timeout: 60_000 }).toEqual(tasks);
  };
  try {
    const [init = "", ...evening] = session("evening");
    expect((await mu(init.replace(/^mu /, ""))).code).toBe(0);
    const code = role('test "$MU_TASK" != pay || exit 1; echo built');
    const roles = { design: role("echo drawn"), code, qa: role("echo looked") };
    const budget = { projectCeilingUsd: 5 };
    writeFileSync(join(home.project, ".mu", "settings.json"), JSON.stringify({ roles, budget }));
    const run = async (lines: readonly string[]) => {
      const all = [];
      for (const line of lines) all.push(await mu(line.replace(/^mu /, "")));
      expect(all.filter(({ code }) => code !== 0)).toEqual([]);
      return Object.fromEntries(all.map(({ line, stdout }) => [line, stdout]));
    };
    await run(evening);
    await settle({ draw: "CLOSED", build: "CLOSED", look: "CLOSED", pay: "escalated" });
    const morning = await run(session("morning"));
    expect(morning["dispatch --why --since 22:00"]).toMatch(/^\d+ runs started, 3 done, 4 failed/);
    expect(morning["inbox"]).toContain("Held (escalated): 4 attempts failed");
    expect(morning["report"]).toContain("- pay (code): 4 attempts failed");
    const decided = await run(session("decide"));
    expect(decided["escalations"]).toContain("pay");
    expect(decided["dispatch --explain"]).toMatch(/pay +code +starts as code-1/);
  } finally {
    home.end();
  }
});
