import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkDisk } from "../src/operations/doctor.js";
import { type Home, newHome } from "./support/cli.js";

let home: Home;
beforeEach(() => {
  home = newHome();
});
afterEach(() => home.end());

const checkOf = async (name: string, env: Record<string, string> = {}) => {
  const ran = await home.mu("doctor --json", { env });
  const { checks, nextSteps } = ran.json();
  const check = checks.find((found: { name: string }) => found.name === name);
  return { code: ran.code, ...check, commands: nextSteps.map(({ command }: { command: string }) => command) };
};

describe("mu doctor", () => {
  it("finds a page of the database that nobody has read yet damaged, and says how to save the rest", async () => {
    await home.here("workstream init demo");
    const plan = {
      tasks: Array.from({ length: 300 }, (_, n) => ({ name: `t${n}`, title: `Task ${n} ${"x".repeat(99)}` })),
    };
    writeFileSync(join(home.project, "plan.json"), JSON.stringify(plan));
    expect((await home.mu("task apply plan.json")).code).toBe(0);
    expect(await checkOf("database")).toMatchObject({ code: 0, verdict: "ok" });
    const bytes = readFileSync(home.database);
    bytes.fill(0xee, bytes.length - 3 * 4096);
    writeFileSync(home.database, bytes);
    expect(await checkOf("database")).toMatchObject({
      code: 1,
      verdict: "error",
      says: expect.stringContaining(`${home.database} is damaged`),
      commands: [`sqlite3 ${home.database} .recover`],
    });
  });

  it("names the agent CLIs that are installed, and a version that it has not seen", async () => {
    const bin = join(home.folder, "clis");
    mkdirSync(bin);
    const install = (name: string, says: string) =>
      writeFileSync(join(bin, name), `#!/bin/sh\necho '${says}'\n`, { mode: 0o755 });
    install("claude", "2.1.332 (Claude Code)");
    install("codex", "codex-cli 9.9.9");
    install("gemini", "who knows");
    const env = { PATH: `${bin}:${process.env["PATH"]}` };
    expect(await checkOf("claude", env)).toMatchObject({ code: 0, verdict: "ok", says: "2.1.332" });
    expect(await checkOf("codex", env)).toMatchObject({
      code: 0,
      verdict: "warning",
      says: "9.9.9; its screens are known from 0.169.0 and 0.171.0, so a status may be wrong",
      commands: ["mu agent explain <agent> --save /tmp/screen"],
    });
    const { verdict } = await checkOf("gemini", env);
    expect(verdict).toBeUndefined();
    expect(await checkOf("claude", { ...env, MU_CLAUDE_COMMAND: "claude" })).not.toHaveProperty("verdict");
  });

  it("says how much is kept of agents, kind by kind, and what bounds it", async () => {
    await home.here("workstream init demo");
    const state = join(home.folder, "state");
    mkdirSync(join(state, "spool"), { recursive: true });
    writeFileSync(join(state, "spool", "7"), "x".repeat(3 * 2 ** 20));
    const env = { MU_STATE_DIR: state };
    const { kept } = (await home.mu("doctor --json", { env })).json();
    expect(kept.map(({ kind }: { kind: string }) => kind)).toEqual([
      "spools",
      "transcripts",
      "screens",
      "launches",
      "deliveries",
    ]);
    expect(kept[0]).toMatchObject({ where: join(state, "spool"), count: 1, bytes: 3 * 2 ** 20, limitBytes: 2 ** 26 });
    const { stdout } = await home.mu("doctor", { env });
    expect(stdout).toMatch(/^ {2}spools: 1, 3\.0 MiB; at most 64 MiB$/m);
    expect(stdout).toMatch(/^ {2}deliveries: 0, 0\.0 MiB; at most settled ones for 30 days and 200 for each agent/m);
  });

  it("does not take an empty file for a database without tasks, and leaves it as it is", async () => {
    mkdirSync(join(home.database, ".."));
    writeFileSync(home.database, "");
    expect(await checkOf("database")).toMatchObject({
      code: 1,
      verdict: "error",
      says: expect.stringContaining(`${home.database} is an empty file`),
    });
    expect((await home.mu("task list --all")).stdout).toBe("No matching tasks.\n");
    expect(statSync(home.database).size).toBe(0);
    expect((await home.mu("workstream init demo")).code).toBe(0);
    expect(await checkOf("database")).toMatchObject({ code: 0, verdict: "ok" });
  });

  it("fails without tmux, with the line that installs it", async () => {
    const env = { PATH: join(home.folder, "nothing") };
    expect(await checkOf("tmux", env)).toMatchObject({
      code: 1,
      verdict: "error",
      commands: expect.arrayContaining(["sudo apt-get install tmux"]),
    });
    expect((await home.mu("doctor", { env })).stdout).toMatch(/^Next:\n.*: sudo apt-get install tmux$/m);
  });

  it.each([
    [0, "error"],
    [15 * 2 ** 20, "error"],
    [16 * 2 ** 20, "warning"],
    [255 * 2 ** 20, "warning"],
    [256 * 2 ** 20, "ok"],
    [2 ** 40, "ok"],
  ])("calls %i bytes left on the disk %s", (bytes, verdict) => {
    expect(checkDisk(bytes).check).toMatchObject({ name: "disk", verdict });
  });
});

it("names the folder of MU_DB_PATH that is not there, and makes it with the first write", async () => {
  const folder = join(home.folder, "not", "there");
  const env = { MU_DB_PATH: join(folder, "mu.db") };
  const read = await home.mu("state", { env });
  expect([read.code, read.stdout]).toEqual([0, expect.stringContaining("No workstreams")]);
  expect(read.stderr).toContain(`There is no folder ${folder}, which MU_DB_PATH names`);
  expect(existsSync(folder)).toBe(false);
  expect((await home.mu("workstream init demo", { env })).code).toBe(0);
  expect((await home.mu("state", { env })).stderr).toBe("");
});
