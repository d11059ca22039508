import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AGENT_CLI_FOLDER, installAgentClis } from "../../scripts/install-agent-clis.js";
import { execProgram } from "../../src/exec.js";
import type { ModelScript } from "../fake-model/script.js";
import { type FakeModel, startFakeModel } from "../fake-model/server.js";
import { programsEnded } from "../support/private-tmux.js";
import type { Json } from "./crew.js";
import { writeClaudeHome, writePiHome } from "./homes.js";
import { SAID_COST } from "./said-cost.js";

const MAIN = fileURLToPath(new URL("../../dist/main.cjs", import.meta.url));

/** A provider rests nine minutes after a limit: longer than a drain waits for a retry. */
const PATIENCE = "9";

const script: ModelScript = {
  conversations: [
    {
      when: /Say how it stands/,
      turns: [
        { shell: "mu task note $MU_TASK 'I looked.' --json", usage: { input: 2000, cached: 300, output: 40 } },
        { text: "All is well.", usage: { input: 500, cached: 2300, output: 60 } },
      ],
    },
    { when: /Review it in two turns/, turns: [{ text: "It looks fine.", usage: { input: 1500, output: 30 } }] },
    {
      when: /You did not say how it ended/,
      turns: [{ text: "### PASS", usage: { input: 250, cached: 1500, output: 5 } }],
    },
    { when: /Meet a limit/, turns: [{ error: { status: 429, message: "Too many requests. Try again later." } }] },
    { when: /Come without a key/, turns: [{ error: { status: 401, message: "invalid x-api-key" } }] },
    { when: /Be killed on the way/, turns: [{ text: "I begin and go on.", hold: "the_killed_run" }] },
    {
      when: /Spend more than is left/,
      turns: [
        { shell: "echo spent", usage: { input: 100_000 } },
        { text: "I go on.", usage: { input: 100_000 } },
      ],
    },
  ],
};

describe.each(["pi", "claude"])("%s without a terminal", (cli) => {
  let model: FakeModel;
  let folder: string;
  let env: Record<string, string>;
  const state = () => join(folder, "state");

  beforeAll(async () => {
    const { state: installed, line } = await installAgentClis();
    if (installed === "failed") throw new Error(line);
    model = await startFakeModel({ script });
    folder = mkdtempSync("/tmp/mu-runs-");
    env = writeWorld();
    await mu("workstream init shop");
  });
  afterAll(async () => {
    // The workstream's session is on a server of the test's own.
    if (folder !== undefined) await execProgram("tmux", ["kill-server"], { env });
    if (folder !== undefined) await programsEnded(programs());
    await model?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });

  test("books what the CLI printed, and gives the agent its own name in mu", async () => {
    settings();
    await add("look", "Say how it stands");
    await drain();
    const [run] = await runsOf("look");
    expect(run).toMatchObject({
      state: "done",
      costBasis: "cli",
      tokensIn: 2500,
      tokensOut: 100,
      tokensCacheRead: 2600,
    });
    expect(run.costUsd).toBeGreaterThan(0);
    expect(run.costUsd).toBeCloseTo(saidCost(run), 6);
    expect((await mu("task show look")).task.status).toBe("CLOSED");
    const { items } = await mu("task notes look");
    expect(items).toMatchObject([{ author: "code-1", text: "I looked." }]);
    expect(asked("Say how it stands")).toHaveLength(2);
    log(`one run cost ${run.costUsd}, as it printed`);
  });

  test("books a second turn of the conversation once", async () => {
    settings();
    await add("two", "Review it in two turns", "--kind review");
    await drain();
    const [run] = await runsOf("two");
    expect(run).toMatchObject({ state: "done", verdict: "pass", tokensIn: 1750, tokensOut: 35, tokensCacheRead: 1500 });
    expect(run.costUsd).toBeCloseTo(saidCost(run), 6);
    const [second] = asked("You did not say how it ended");
    expect(second?.earlier?.join()).toContain("Review it in two turns");
    expect(readdirSync(runFolder(run)).filter((name) => name.endsWith(".stdout"))).toHaveLength(2);
  });

  test("stops asking a provider that says 429, also for other tasks", async () => {
    settings();
    await add("limited", "Meet a limit", "--priority 1");
    await add("next", "Say how it stands");
    const { waiting } = await drain();
    expect(waiting.map(({ task, code }: Json) => [task, code]).sort()).toEqual([
      ["limited", "back_off"],
      ["next", "provider_limit"],
    ]);
    const [run, ...others] = await runsOf("limited");
    expect(others).toEqual([]);
    expect(run).toMatchObject({ state: "failed", failure: "rate_limit" });
    expect(Date.parse(run.retryAt) - Date.parse(run.finishedAt)).toBe(540_000);
    expect(await runsOf("next")).toEqual([]);
    log(`a limit: ${run.reason}`);
    await endLimit();
  });

  test("holds a task at once when the sign-in fails", async () => {
    settings();
    await add("locked", "Come without a key");
    await drain(1);
    const { task } = await mu("task show locked");
    expect(task).toMatchObject({ status: "OPEN", hold: "failed", holdReason: expect.stringMatching(/^auth: /) });
    expect(await runsOf("locked")).toHaveLength(1);
    log(`no sign-in: ${task.holdReason}`);
  });

  test("is found and tried again after its runner was killed, and what it was is ended", async () => {
    settings();
    await add("killed", "Be killed on the way");
    const first = drain(undefined);
    await model.whenHeld("the_killed_run");
    const [{ process: identity }] = await mu(["sql", "select process from runs where state = 'running'"]);
    const before = programs();
    expect(before).not.toEqual([]);
    process.kill(Number(identity.split(" ")[0]), "SIGKILL");
    await programsEnded(before);
    model.release("the_killed_run");
    await first;
    expect((await runsOf("killed")).map(({ state, attempt }: Json) => [state, attempt])).toEqual([
      ["done", 2],
      ["lost", 1],
    ]);
    expect((await mu("task show killed")).task.status).toBe("CLOSED");
  });

  test.runIf(cli === "claude")("stops at what is left of its role's cap", async () => {
    const { roles } = await mu("budget");
    const spent = roles.reduce((sum: number, { settledUsd }: Json) => sum + settledUsd, 0);
    settings({ dailyCapUsd: spent + 0.1, reservationUsd: 0.01 });
    await add("dear", "Spend more than is left");
    await drain(undefined);
    const [run, ...others] = await runsOf("dear");
    expect(others).toEqual([]);
    expect(asked("Spend more than is left")).toHaveLength(1);
    expect(run.costUsd).toBeCloseTo(saidCost(run), 6);
    log(`a cap: ${run.state} ${run.failure}: ${run.reason}`);
  });

  test("leaves a log that proves all of it", async () => {
    expect(await mu("audit verify --tables")).toMatchObject({ ok: true, tables: "same" });
  });

  const log = (line: string) => process.stdout.write(`${cli} without a terminal: ${line}\n`);

  async function run(words: readonly string[]) {
    return execProgram(process.execPath, [MAIN, ...words, "--json"], {
      env,
      cwd: join(folder, "shop"),
      timeoutMs: 120_000,
    });
  }

  async function mu(line: string | readonly string[], code: number | undefined = 0): Promise<Json> {
    const words = typeof line === "string" ? line.split(" ") : line;
    const result = await run(words);
    if (code !== undefined && result.code !== code) {
      throw new Error(`mu ${words.join(" ")} gave ${result.code}: ${result.stderr || result.stdout}`);
    }
    return JSON.parse(result.stdout || result.stderr);
  }

  const add = (name: string, title: string, flags = "") =>
    mu(["task", "add", name, "--title", title, "--role", "code", ...flags.split(" ").filter(Boolean)]);
  const drain = (code?: number) => mu("dispatch --once", code);
  const runsOf = async (task: string) => (await mu(`runs list -n 0 --task ${task}`)).items;
  const asked = (text: string) =>
    model.requests.filter(({ prompt, label }) => label !== "aside" && prompt?.includes(text));

  function settings(role: object = {}): void {
    const model = cli === "claude" ? "claude-sonnet-4-5" : null;
    const code = { cli, model, access: "full", workspace: false, concurrency: 1, ...role };
    mkdirSync(join(folder, "shop", ".mu"), { recursive: true });
    writeFileSync(join(folder, "shop", ".mu", "settings.json"), JSON.stringify({ roles: { code } }));
  }

  function runFolder({ id }: Json): string {
    const name = readdirSync(join(state(), "runs")).find((one) => one.startsWith(`${id}-`)) ?? expect.fail("no output");
    return join(state(), "runs", name);
  }

  function saidCost(run: Json): number {
    const files = readdirSync(runFolder(run)).filter((name) => name.endsWith(".stdout"));
    return SAID_COST[cli]?.(files.sort().map((name) => readFileSync(join(runFolder(run), name), "utf8"))) ?? Number.NaN;
  }

  /** As if the provider's limit were over. */
  const endLimit = () => mu(["sql", "--write", "update runs set retry_at = null where failure = 'rate_limit'"]);

  /** The processes of the run that is under way, but for its runner. */
  function programs(): number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        try {
          const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
          return environment.includes(`MU_STATE_DIR=${state()}\0`) && environment.includes("MU_RUN_ID=");
        } catch {
          return false;
        }
      });
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
      ...{ MU_STATE_DIR: state(), MU_WORKSTREAM: "shop", MU_NO_TMUX: "1", MU_RETRY_BACKOFF: PATIENCE },
      ...{ CLAUDE_CODE_MAX_RETRIES: "1", TMUX_TMPDIR: folder, TMUX: "" },
    };
  }
});
