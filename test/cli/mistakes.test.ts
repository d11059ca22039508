import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Home, newHome } from "../support/cli.js";

let home: Home;
beforeAll(async () => {
  home = newHome();
  await home.here("workstream init shop");
  for (const name of ["fix", "build"]) await home.here(`task add ${name} --title ${name} -w shop`);
});
afterAll(() => home.end());

/** What people type who come from another tool, how it ends, and what the answer has to say. */
const MISTAKES: readonly (readonly [line: string, code: number, says: string])[] = [
  // words of git, gh, tmux and docker, for which mu has another line
  ["push", 2, "mu land --push"],
  ["pull", 2, "mu workspace refresh <agent>"],
  ["commit -m done", 2, "mu task close <task>"],
  ["checkout ada", 2, "mu workspace path ada"],
  ["revert fix", 2, "mu land --revert fix"],
  ["pr create", 2, "mu land <task> --pr"],
  ["kill-session -t ada", 2, "mu agent close <agent>"],
  ["new-session", 2, "mu agent spawn <name>"],
  ["exec ada 'npm test'", 2, "mu agent send ada '…'"],
  ["stop ada", 2, "mu agent close ada"],
  ["config", 2, "mu workstream show"],
  ["workstream switch shop", 2, "mu state -w shop"],
  ["version", 2, "mu --version"],
  ["-v", 2, "mu --version"],
  ["task assign fix ada", 2, "mu task claim fix --for ada"],
  ["task status fix", 2, "mu task show fix"],
  ["task depends fix build", 2, "mu task block fix --by build"],
  // those that simply work
  ["issue list", 0, "build"],
  ["tasks list", 0, "build"],
  ["worktree list", 0, "No workspaces."],
  ["crew", 0, "No agents."],
  ["TASK List", 0, "build"],
  ["task.list", 0, "build"],
  ["mu task list", 0, "build"],
  ["task help claim", 0, "Usage: mu task claim"],
  ["task -h", 0, "Usage: mu task"],
  ["diff fix", 0, "fix has changed nothing yet."],
  // arguments: too few, too many, swapped, in another case, with a unit
  ["task show", 2, "mu task show <task>"],
  ["completion", 2, "mu completion bash"],
  ["task block fix", 2, "mu task block fix --by <task>"],
  ["task block fix build", 2, "mu task block fix --by build"],
  ["task claim fix ada", 2, "mu task claim fix --for ada"],
  ["task show fix build", 2, "mu task show fix\n"],
  ["mcp serve", 2, "mu mcp\n"],
  ["init shop", 2, "mu workstream init shop"],
  ["task add", 2, "mu task add <name> --title"],
  ["task show FIX", 3, "Did you mean fix?"],
  ["agent spawn Ada", 2, "such as ada"],
  ["agent send 'Run the tests' ada", 3, "mu agent send ada 'Run the tests'"],
  ["agent spawn ada --cli=claud", 2, "Did you mean claude?"],
  ["task add x -t X -i 200", 2, "--impact is a whole number from 1 to 100, not 200."],
  ["task add x -t X --effort 3d", 2, '--effort-days is a number above 0, at most 100000, not "3d".'],
  ["task wait fix --timeout 10mins", 2, "a duration such as 30s, 10m or 2h"],
  ["--workstream task list", 3, 'There is no workstream "task".'],
  // flags of other tools and verbs
  ["land all", 3, "mu land --all"],
  ["land --al", 2, "Did you mean --all?"],
  ["task close fix -m done", 2, "Did you mean --evidence?"],
  ["task close fix --force", 2, "Did you mean --override?"],
  ["task claim fix --as ada", 2, "Did you mean --for?"],
  ["task next --count 2", 2, "Did you mean --limit?"],
  ["task list --state open", 2, "Did you mean --status?"],
  ["task block fix --on build", 2, "Did you mean --by?"],
  ["task add x -t X -p 1", 2, "--priority"],
  ["log --tail 5", 2, "mu log -n 5"],
  // what needs a terminal, where there is none
  ["dashboard", 2, "mu state -w shop"],
  ["task edit fix", 2, "mu task update --help"],
];

describe("a line that is typed by habit", () => {
  it.each(MISTAKES)("mu %s", async (line, code, says) => {
    const ran = await home.here(line);
    expect([ran.code, ran.stdout + ran.stderr]).toEqual([code, expect.stringContaining(says)]);
    if (code > 0) expect(ran.stdout).toBe("");
  });
});

it("is told without next steps where MU_HINTS=0 says so", async () => {
  const lines = ["push", "workstream init other"];
  for (const line of lines) {
    const ran = await home.mu(line, { cwd: home.folder });
    expect(ran.stdout + ran.stderr).toContain("Next:\n");
  }
  const without = { cwd: home.folder, env: { MU_HINTS: "0" } };
  expect((await home.mu("push", without)).stderr).toBe("mu: Unknown command 'push'.\n");
  const { code, stdout } = await home.mu("workstream init third", without);
  expect([code, stdout.includes("third"), stdout.includes("Next:")]).toEqual([0, true, false]);
});
