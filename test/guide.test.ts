import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { newHome } from "./support/cli.js";
import { STUB_PI } from "./support/pi.js";

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

it("a feature goes from an idea to the main branch as the guide has it", async () => {
  const home = newHome();
  const git = (...args: string[]) => execFileSync("git", args, { cwd: home.project, env: home.env, encoding: "utf8" });
  try {
    git("init", "-q", "-b", "main");
    for (const [key, value] of Object.entries({ "user.email": "ann@example.org", "user.name": "Ann" }))
      git("config", key, value);
    const mu = (line: string) => home.mu(line.replace(/^mu /, ""), { env: { MU_NO_TMUX: "1", MU_RETRY_BACKOFF: "0" } });
    const must = async (line: string) => {
      const { code, stdout, stderr } = await mu(line);
      expect([line, code, code === 0 ? "" : stderr]).toEqual([line, 0, ""]);
      return stdout;
    };
    await must("mu workstream init shop");
    const save = (file: string) => `git add -A; git commit -qm ${file}; echo ${file} is there`;
    const agent = [
      "cat > /dev/null; case $MU_TASK in",
      `*-work-build-1) echo dark > theme.css; ${save("theme.css")} ;;`,
      "*-work-build-*) git rebase -q main || { echo both > theme.css; git add -A; GIT_EDITOR=true git rebase --continue; } >&2; echo mended ;;",
      '*-test-*) echo "### PASS" ;; *-review-1) echo "Which colour?"; echo "### FAIL" ;; *-review-*) echo "### PASS" ;;',
      `*-update-*) echo doc > _shop.md; ${save("_shop.md")} ;; *-report-*) echo "feat: add a dark mode" ;; *) echo It is dark. ;; esac`,
    ].join(" ");
    const one = { cli: "command", command: `sh -c '${agent}'`, workspace: false };
    const roles = { builder: one, tester: one, reviewer: { ...one, access: "read-only" } };
    mkdirSync(join(home.project, ".mu"), { recursive: true });
    writeFileSync(
      join(home.project, ".mu", "settings.json"),
      JSON.stringify({ roles, dispatch: { landing: "manual" } }),
    );
    writeFileSync(join(home.project, ".gitignore"), ".mu\n");
    git("add", ".");
    git("commit", "-qm", "Begin");
    const said = new Map<string, string>();
    for (const line of session("feature")) said.set(line, await must(line));
    expect(said.get("mu job show dark-mode")).toContain("task, plan, work, update, upgrade, report");
    expect(said.get("mu job trace dark-mode")?.trim().split("\n")).toHaveLength(10);
    expect(said.get("mu task diff dark-mode")).toContain("+dark");
    writeFileSync(join(home.project, "theme.css"), "light\n");
    git("add", ".");
    git("commit", "-qm", "Lighten");
    const [land = "", ...rest] = session("back");
    expect(await mu(land)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("conflicts with main in theme.css"),
    });
    for (const line of rest) said.set(line, await must(line));
    expect(said.get("mu inbox")).toContain("It did not land: it conflicts with main in theme.css");
    expect(git("show", "main:theme.css")).toBe("both\n");
  } finally {
    home.end();
  }
});

it("requests come in as the guide has it", async () => {
  const home = newHome();
  const env = { MU_NO_TMUX: "1", MU_PI_COMMAND: STUB_PI };
  const run = async (name: string) => {
    const ran = [];
    for (const line of session(name)) ran.push(await home.sh(line, { env }));
    expect(ran.filter(({ code }) => code !== 0)).toEqual([]);
    return ran;
  };
  try {
    expect((await home.mu("workstream init shop")).code).toBe(0);
    const done = { ...role("echo made"), concurrency: 1 };
    const roles = { builder: done, tester: role('echo Fine.; echo "### PASS"') };
    mkdirSync(join(home.project, ".mu"), { recursive: true });
    writeFileSync(join(home.project, ".mu", "settings.json"), JSON.stringify({ roles }));
    const [direct, delegated, list] = await run("script");
    expect(direct?.stdout).toBe("done: What does this project do?\n");
    expect(delegated?.json()).toMatchObject({ outcome: "completed", scoped_completion: true });
    expect(list?.stdout).toContain("pay_by_card");
    const [talk] = await run("talk");
    expect(talk?.stdout).toMatch(/^done: Say hello\nshop: /);
    const [program] = await run("program");
    expect(program?.json()).toMatchObject({ status: "succeeded", completion: { scoped_completion: true } });
  } finally {
    home.end();
  }
});
