import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { credentialsPath, isolateConfig, signInOf } from "../../src/runs/auth.js";

const KEY = { HOME: "/home/dev", ANTHROPIC_API_KEY: "sk-1" };
const TOKEN = { HOME: "/home/dev", CLAUDE_CODE_OAUTH_TOKEN: "t" };
const BARE = { HOME: "/home/dev" };
const FILE = "/home/dev/.claude/.credentials.json";

describe("how a run signs in", () => {
  test.each([
    ["auto", KEY, true, "api", null, true],
    ["auto", TOKEN, false, "subscription", null, false],
    ["auto", BARE, true, "subscription", FILE, false],
    ["auto", BARE, false, "inherit", null, false],
    ["api", KEY, false, "api", null, true],
    ["subscription", KEY, true, "subscription", FILE, false],
    ["subscription", TOKEN, true, "subscription", null, false],
    ["inherit", KEY, true, "inherit", null, true],
    ["inherit", BARE, true, "inherit", null, false],
  ] as const)(
    "%s with %o, a credentials file: %s, is %s",
    (mode, env, hasCredentials, expected, credentials, isBilled) => {
      const found = signInOf(mode, env, { hasCredentials });
      expect(found).toMatchObject({ mode: expected, credentials, isBilled });
      expect(found.warning !== null).toBe(mode === "auto" && expected === "inherit");
      expect("ANTHROPIC_API_KEY" in found.env).toBe(expected === "subscription");
      expect(found.env).toMatchObject({ GIT_TERMINAL_PROMPT: "0", LINEAR_API_KEY: undefined });
      expect("LINEAR_API_KEY" in found.env).toBe(true);
    },
  );

  test("what the mode needs and is not there is a fault", () => {
    const codeOf = (act: () => unknown) => {
      try {
        return act();
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(codeOf(() => signInOf("api", BARE, { hasCredentials: true }))).toBe("auth.no_key");
    expect(codeOf(() => signInOf("subscription", KEY, { hasCredentials: false }))).toBe("auth.no_credentials");
  });

  test("the configuration of its own has the credentials as a link, for this user alone", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mu-auth-"));
    try {
      const own = { CLAUDE_CONFIG_DIR: join(folder, "own") };
      mkdirSync(own.CLAUDE_CONFIG_DIR);
      writeFileSync(credentialsPath(own), "secret");
      const made = join(folder, "runs", "config");
      for (const _ of [1, 2]) {
        expect(await isolateConfig(made, credentialsPath(own))).toEqual({ CLAUDE_CONFIG_DIR: made });
      }
      const link = credentialsPath({ CLAUDE_CONFIG_DIR: made });
      expect(lstatSync(link).isSymbolicLink()).toBe(true);
      expect(readlinkSync(link)).toBe(credentialsPath(own));
      expect(statSync(made).mode & 0o777).toBe(0o700);
      writeFileSync(link, "refreshed");
      expect(readFileSync(credentialsPath(own), "utf8")).toBe("refreshed");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
