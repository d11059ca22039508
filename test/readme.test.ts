import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { newHome } from "./support/cli.js";

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

it("the scripted session goes as it should", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [`${root}/scripts/session.mjs`]);
  expect(stdout).toContain("The session went as it should.");
});
