import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AGENT_CLI_FOLDER, installAgentClis } from "../../scripts/install-agent-clis.js";
import { execProgram } from "../../src/exec.js";
import type { ModelScript, Moment } from "../fake-model/script.js";
import { type FakeModel, startFakeModel } from "../fake-model/server.js";
import type { Json } from "./crew.js";
import { writeClaudeHome, writePiHome } from "./homes.js";
import { SAID_COST } from "./said-cost.js";

const MAIN = fileURLToPath(new URL("../../dist/main.cjs", import.meta.url));

const usage = { input: 1000, output: 50 };
const build = (text: string) => [
  { shell: `echo ${text} > price.txt && git add -A && git commit -qm 'Write the price: ${text}'`, usage },
  { text: `price.txt says ${text}.`, usage },
];

/** The reviewer wants a number in the plan, and the tester the right one in the file. */
const script: ModelScript = {
  conversations: [
    { when: /the reviewer in the step plan[\s\S]*write 42/, turns: [{ text: "Good.\n### PASS", usage }] },
    { when: /the reviewer in the step plan/, turns: [{ text: "Which number?\n### FAIL", usage }] },
    {
      when: /the builder in the step plan[\s\S]*Which number\?/,
      turns: [{ text: "Plan: write 42 to price.txt.", usage }],
    },
    { when: /the builder in the step plan/, turns: [{ text: "Plan: write to price.txt.", usage }] },
    { when: /the builder in the step work[\s\S]*The tester says/, turns: build("42") },
    { when: /the builder in the step work/, turns: build("41") },
    {
      when: /the tester in the step work/,
      turns: [
        { shell: "cat price.txt", usage },
        ({ toolResult }: Moment) => ({ text: `I read it.\n### ${toolResult.includes("42") ? "PASS" : "FAIL"}`, usage }),
      ],
    },
  ],
};

describe.each(["pi", "claude"])("a job by %s", (cli) => {
  let model: FakeModel;
  let folder: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    const { state, line } = await installAgentClis();
    if (state === "failed") throw new Error(line);
    model = await startFakeModel({ script });
    folder = mkdtempSync("/tmp/mu-job-");
    env = writeWorld();
    const git = (...args: string[]) => execFileSync("git", args, { cwd: join(folder, "shop"), env });
    git("init", "-q", "-b", "main");
    git("config", "user.name", "Ann");
    git("config", "user.email", "ann@example.org");
    git("commit", "-q", "--allow-empty", "-m", "Begin");
    mkdirSync(join(folder, "shop", ".mu"));
    writeFileSync(join(folder, "shop", ".mu", "settings.json"), JSON.stringify({ jobs: { cli } }));
    await mu("workstream init shop");
  });
  afterAll(async () => {
    if (folder !== undefined) await execProgram("tmux", ["kill-server"], { env });
    await model?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });

  test("is refused once by its reviewer and once by its tester, and costs what the CLI printed", async () => {
    await mu("job new price --workspace");
    const { job } = await mu(["job", "run", "price", "plan", "work", "-i", "Set the price", "--wait"]);
    expect(job.steps).toMatchObject([
      { step: "plan", status: "CLOSED", outcome: "done", runs: 4 },
      { step: "work", status: "CLOSED", outcome: "done", runs: 4 },
    ]);
    const { items: runs } = await mu("runs list -n 0");
    expect(runs.map(({ task, verdict }: Json) => `${task} ${verdict ?? "done"}`).sort()).toEqual([
      "price-plan-draft-1 done",
      "price-plan-draft-2 done",
      "price-plan-review-1 fail",
      "price-plan-review-2 pass",
      "price-work-build-1 done",
      "price-work-build-2 done",
      "price-work-test-1 fail",
      "price-work-test-2 pass",
    ]);
    const artifact = (name: string) => readFileSync(join(folder, "shop", ".mu", "jobs", "price", name), "utf8");
    expect([artifact("plan.md"), artifact("work.md")]).toEqual([
      "Plan: write 42 to price.txt.\n",
      "price.txt says 42.\n",
    ]);
    expect(readFileSync(join(job.checkout, "price.txt"), "utf8")).toBe("42\n");
    const said = runs.reduce((sum: number, run: Json) => sum + saidCost(run), 0);
    expect(said).toBeGreaterThan(0);
    expect(job.costUsd).toBeCloseTo(said, 6);
    expect(await mu("audit verify --tables")).toMatchObject({ ok: true, tables: "same" });
    process.stdout.write(`a job by ${cli}: ${runs.length} runs cost ${job.costUsd}, as they printed\n`);
  });

  async function mu(line: string | readonly string[]): Promise<Json> {
    const words = typeof line === "string" ? line.split(" ") : line;
    const options = { env, cwd: join(folder, "shop"), timeoutMs: 180_000 };
    const { code, stdout, stderr } = await execProgram(process.execPath, [MAIN, ...words, "--json"], options);
    if (code !== 0) throw new Error(`mu ${words.join(" ")} gave ${code}: ${stderr || stdout}`);
    return JSON.parse(stdout);
  }

  function saidCost({ id }: Json): number {
    const runs = join(folder, "state", "runs");
    const own = join(runs, readdirSync(runs).find((name) => name.startsWith(`${id}-`)) ?? expect.fail("no output"));
    const files = readdirSync(own).filter((name) => name.endsWith(".stdout"));
    return SAID_COST[cli]?.(files.sort().map((name) => readFileSync(join(own, name), "utf8"))) ?? Number.NaN;
  }

  function writeWorld(): Record<string, string> {
    const [bin, home, project] = ["bin", "home", "shop"].map((name) => join(folder, name)) as [string, string, string];
    for (const path of [bin, home, project]) mkdirSync(path);
    writeFileSync(join(bin, "mu"), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
    chmodSync(join(bin, "mu"), 0o755);
    const homes = [
      writePiHome(home, { modelUrl: model.url, retries: false }),
      writeClaudeHome(home, { modelUrl: model.url, project, allow: [] }),
    ];
    const clis = join(AGENT_CLI_FOLDER, "node_modules", ".bin");
    return {
      ...Object.assign({}, ...homes.map(({ env }) => env)),
      ...{ PATH: [bin, clis, dirname(process.execPath), process.env["PATH"]].join(":"), LANG: "C.UTF-8", USER: "ann" },
      ...{ MU_STATE_DIR: join(folder, "state"), MU_WORKSTREAM: "shop", MU_NO_TMUX: "1", MU_RETRY_BACKOFF: "0" },
      ...{ CLAUDE_CODE_MAX_RETRIES: "1", TMUX_TMPDIR: folder, TMUX: "" },
    };
  }
});
