import { expect, test } from "vitest";
import { getAgentCli } from "../../src/agents/clis/table.js";
import { readCapture } from "../../src/agents/screen/capture.js";
import { explainScreen } from "../../src/agents/screen/verdict.js";
import { expectedOf, listCaptures } from "./captures.js";

test("there are panes of all five agent CLIs", () => {
  expect(new Set(listCaptures().map((capture) => capture.cli))).toEqual(
    new Set(["pi", "claude", "codex", "gemini", "opencode"]),
  );
});

test.each(listCaptures())("$cli/$name is read as its name says", async ({ cli, name, path }) => {
  const found = explainScreen(getAgentCli(cli), await readCapture(path));
  const expected = expectedOf(name);
  expect(found).toMatchObject({ status: expected.status, draft: expected.draft });
  expect(found.rule).toMatch(expected.status === "terminated" ? /./ : new RegExp(`^${cli}\\.`));
  expect(found.evidence.join("")).not.toBe("");
  expect(found.reason).toMatch(expected.reason ?? /./);
});
