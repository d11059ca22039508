import { expect, test } from "vitest";
import { AGENT_CLIS, getAgentCli } from "../../src/agents/clis/table.js";
import { readCapture } from "../../src/agents/screen/capture.js";
import { explainScreen } from "../../src/agents/screen/verdict.js";
import { expectedOf, listCaptures } from "./captures.js";

test("there are panes of all five agent CLIs", () => {
  expect(new Set(listCaptures().map((capture) => capture.cli))).toEqual(
    new Set(["pi", "claude", "codex", "gemini", "opencode"]),
  );
});

test("there are panes of every version that the rules say they were made with", () => {
  const recorded = new Set(listCaptures().map(({ cli, name }) => `${cli} ${name.split("-", 1)[0]}`));
  const claimed = Object.values(AGENT_CLIS).flatMap(({ key, seenWith = [] }) => seenWith.map((one) => `${key} ${one}`));
  expect(claimed.filter((one) => !recorded.has(one))).toEqual([]);
  expect(claimed).toHaveLength(8);
});

test.each(listCaptures())("$cli/$name is read as its name says", async ({ cli, name, path }) => {
  const found = explainScreen(getAgentCli(cli), await readCapture(path));
  const expected = expectedOf(name);
  expect(found).toMatchObject({ status: expected.status, draft: expected.draft });
  expect(found.rule).toMatch(expected.status === "terminated" ? /./ : new RegExp(`^${cli}\\.`));
  expect(found.evidence.join("")).not.toBe("");
  expect(found.reason).toMatch(expected.reason ?? /./);
});
