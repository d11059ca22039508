import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { execProgram } from "../src/exec.js";
import { quoteWord } from "../src/tmux/run.js";
import { newHome, PLAYER_PROGRAM } from "./support/cli.js";
import { openDesk } from "./support/desk.js";
import { describeTmux } from "./support/tmux.js";

const author = Object.fromEntries(
  ["AUTHOR", "COMMITTER"].flatMap((who) => [
    [`GIT_${who}_NAME`, "Ann"],
    [`GIT_${who}_EMAIL`, "ann@example.org"],
  ]),
);
const root = fileURLToPath(new URL("../", import.meta.url));

it("a minute with mu goes as the README says", async () => {
  const readme = readFileSync(`${root}/README.md`, "utf8");
  const block = /## A minute with mu\n+```sh\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
  const lines = block.split("\n").filter((line) => line.startsWith("mu "));
  expect(lines.length).toBeGreaterThan(5);
  const home = newHome();
  try {
    for (const line of lines) {
      const { code, stderr } = await home.sh(line);
      expect(`${line} → ${code} ${stderr}`).toBe(`${line} → 0 `);
    }
  } finally {
    home.end();
  }
});

describeTmux("from nothing to main", () => {
  it("four lines bring a scripted agent's checked commit onto main", async () => {
    const readme = readFileSync(`${root}/README.md`, "utf8");
    const block = /## From nothing to main[\s\S]*?```sh\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
    const lines = block.split("\n").filter((line) => line.startsWith("mu "));
    expect(lines).toHaveLength(4);
    const steps = [
      { run: 'echo "0" >total.txt && git add -A && git commit -qm "Total an empty cart"' },
      { run: 'mu task close fix --check "test -s total.txt"' },
    ];
    const desk = openDesk();
    try {
      const git = async (...args: string[]) =>
        (await execProgram("git", args, { cwd: desk.project, env: { ...process.env, ...author } })).stdout;
      await git("init", "-q", "-b", "main");
      await git("commit", "-q", "--allow-empty", "-m", "Begin");
      const player = `${desk.server.dir}/player`;
      const exported = { ...author, MU_PLAYER_SCRIPT: JSON.stringify({ acts: [{ steps }] }) };
      const exports = Object.entries(exported).map(([name, value]) => `export ${name}=${quoteWord(value)}`);
      const start = `exec ${process.execPath} ${PLAYER_PROGRAM}`;
      writeFileSync(player, ["#!/bin/sh", ...exports, start, ""].join("\n"), { mode: 0o755 });
      const env = { ...author, MU_PLAYER_COMMAND: player };
      for (const line of lines) {
        for (const part of line.replace(/ #.*/, "").replace("--cli claude", "--cli player").split(" && ")) {
          const words = [...part.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "");
          const { code, err } = await desk.mu(words.slice(1), { env });
          expect([part, code, err]).toEqual([part, 0, ""]);
        }
      }
      expect(await git("show", "main:total.txt")).toBe("0\n");
      expect(await desk.json("task", "show", "fix", "-w", "shop")).toMatchObject({ task: { level: "landed" } });
    } finally {
      await desk.end();
    }
  });
});

it("the scripted session goes as it should", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [`${root}/scripts/session.mjs`]);
  expect(stdout).toContain("The session went as it should.");
});
