import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AGENT_CLI_FOLDER, installAgentClis } from "../../scripts/install-agent-clis.js";
import { execProgram } from "../../src/exec.js";
import type { ModelScript } from "../fake-model/script.js";
import { type FakeModel, startFakeModel } from "../fake-model/server.js";
import { writePiHome } from "./homes.js";

const MAIN = fileURLToPath(new URL("../../dist/main.cjs", import.meta.url));

const script: ModelScript = {
  conversations: [
    { when: /The delegated work has come to an end/, turns: [{ text: "It is proved." }] },
    { when: /A part of the delegated work has ended/, turns: [{ text: "OK" }] },
    { when: /Say the word/, turns: [{ text: "plum" }] },
    { when: /Say it again/, turns: [({ earlier }) => ({ text: `I was asked ${earlier.length} times before.` })] },
    {
      when: /Look where you are/,
      turns: [{ shell: "echo here" }, ({ toolResult }) => ({ text: `I am\u2028${toolResult.trim()}.` })],
    },
    { when: /You are the builder/, turns: [{ shell: "echo paid > pay.txt" }, { text: "I made pay.txt." }] },
    { when: /You are the tester/, turns: [{ text: "Fine.\n\n### PASS" }] },
  ],
};

describe("requests that real pi answers", () => {
  let model: FakeModel;
  let folder: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    const { state, line } = await installAgentClis(["pi"]);
    if (state === "failed") throw new Error(line);
    model = await startFakeModel({ script });
    folder = mkdtempSync("/tmp/mu-requests-");
    const [bin, home, project] = ["bin", "home", "shop"].map((name) => join(folder, name)) as [string, string, string];
    for (const path of [bin, home, join(project, ".mu")]) mkdirSync(path, { recursive: true });
    writeFileSync(join(bin, "mu"), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
    chmodSync(join(bin, "mu"), 0o755);
    const roles = Object.fromEntries(["builder", "tester"].map((role) => [role, { cli: "pi", workspace: false }]));
    writeFileSync(join(project, ".mu", "settings.json"), JSON.stringify({ roles, jobs: { maxTests: 1 } }));
    env = {
      ...writePiHome(home, { modelUrl: model.url }).env,
      PATH: [bin, join(AGENT_CLI_FOLDER, "node_modules", ".bin"), dirname(process.execPath), process.env["PATH"]].join(
        ":",
      ),
      ...{ LANG: "C.UTF-8", USER: "ann", MU_STATE_DIR: join(folder, "state"), MU_WORKSTREAM: "shop" },
      ...{ MU_NO_TMUX: "1", TMUX_TMPDIR: folder, TMUX: "" },
    };
    await mu(["workstream", "init", "shop"]);
  });
  afterAll(async () => {
    if (folder !== undefined) await mu(["dispatch", "stop", "--json"]).catch(() => {});
    await model?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  });

  async function mu(args: readonly string[], input = ""): Promise<string> {
    const { code, stdout, stderr } = await execProgram(process.execPath, [MAIN, ...args], {
      ...{ env, input, cwd: join(folder, "shop"), timeoutMs: 110_000 },
    });
    if (code !== 0) throw new Error(`mu ${args.join(" ")} gave ${code}: ${stderr}`);
    return stdout;
  }

  test("mu operator keeps one conversation for two requests", async () => {
    const said = await mu(["operator", "--route", "direct"], "Say the word\nSay it again\n/exit\n");
    expect(said).toBe("plum\nI was asked 1 times before.\n");
  });

  test("mu run --route direct has pi use its tools", async () => {
    const result = JSON.parse(await mu(["run", "--output", "json", "--route", "direct", "Look where you are"]));
    expect(result).toMatchObject({ outcome: "completed", scoped_completion: false, output: "I am\u2028here." });
  });

  test("mu run --route millrace ends with scoped completion", async () => {
    const line = ["run", "--output", "json", "--route", "millrace", "--intake", "task", "Pay by card"];
    const result = JSON.parse(await mu(line));
    expect(result).toMatchObject({ outcome: "completed", scoped_completion: true, output: "It is proved." });
    expect(result.completion_evidence).toHaveLength(1);
  });
});
