import { expect, test } from "vitest";
import type { AgentCliKey } from "../../../src/agents/clis/cli.js";
import { getAgentCli } from "../../../src/agents/clis/table.js";
import { checkVerbatim, guardText } from "../../../src/agents/delivery/outbox.js";
import { normalisePrompt } from "../../../src/agents/delivery/proof.js";

const CLIS = ["claude", "codex", "gemini", "opencode", "pi"] as const satisfies readonly AgentCliKey[];

const refuses = (key: AgentCliKey, text: string) => {
  try {
    checkVerbatim(getAgentCli(key), text);
    return false;
  } catch (error) {
    expect(error).toMatchObject({ code: "delivery.not_verbatim", exitCode: 2 });
    return true;
  }
};

/** How each CLI gets a text: as it is, with a blank that the CLI takes off, or not at all. */
const TEXTS: [string, Partial<Record<AgentCliKey, "refused" | "before" | "after">>][] = [
  ["build the shop", {}],
  [
    "/tmp is full, please look",
    { claude: "refused", gemini: "refused", pi: "refused", codex: "before", opencode: "before" },
  ],
  ["/compact", {}],
  ["/tmp/build/log is full", { codex: "before", opencode: "before" }],
  ["!ls please", { codex: "before", opencode: "refused", pi: "refused", claude: "before", gemini: "before" }],
  ["look at @src/ma", { codex: "after", opencode: "after", gemini: "after" }],
  ["look at @src/main.ts and say", {}],
  ["it ends with a backslash \\", { claude: "after", gemini: "after", pi: "after" }],
  ["two lines,\nand a backslash \\", { claude: "after", gemini: "after", pi: "after" }],
  ["a backslash \\\nin the middle, and !this", {}],
];

test.each(TEXTS)("%j is typed so that it arrives, or is refused", (text, forms) => {
  for (const key of CLIS) {
    expect([key, refuses(key, text)]).toEqual([key, forms[key] === "refused"]);
    if (forms[key] === "refused") continue;
    const pasted = `${forms[key] === "before" ? " " : ""}${text}${forms[key] === "after" ? " " : ""}`;
    expect([key, guardText(getAgentCli(key), text)]).toEqual([key, pasted]);
    expect(normalisePrompt(pasted)).toBe(normalisePrompt(text));
  }
});

test("a leading blank does not hide a command from the refusal", () => {
  expect(refuses("claude", "  /clear the list of orders")).toBe(true);
  expect(refuses("pi", "\n!rm -rf build")).toBe(true);
});
