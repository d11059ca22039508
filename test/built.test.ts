import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Home, newHome, PROGRAM } from "./support/cli.js";

let home: Home;
beforeEach(() => {
  home = newHome();
});
afterEach(() => home.end());

describe("the built program", () => {
  it.each(["main.cjs", "app.cjs", "player.cjs"])("is ASCII alone, since it is read as Latin-1: %s", (file) => {
    const bytes = readFileSync(join(PROGRAM, "..", file));
    expect(bytes.findIndex((byte) => byte > 0x7f)).toBe(-1);
  });

  it("knows screens with signs beyond ASCII", async () => {
    const capture = new URL("./fixtures/captures/claude/06-busy-tool.txt", import.meta.url).pathname;
    const explained = await home.mu(["agent", "explain", "--from", capture, "--cli", "claude", "--json"]);
    expect(explained.json()).toMatchObject({ status: "busy" });
  });

  it("finds the skill that ships with it", async () => {
    const { code, stdout } = await home.mu("skill install --cli claude --json");
    expect(code).toBe(0);
    expect(existsSync(JSON.parse(stdout).items[0].path)).toBe(true);
  });
});
