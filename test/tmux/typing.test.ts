import { expect, it } from "vitest";
import { paste, sendKeys } from "../../src/tmux/input.js";
import type { Run } from "../../src/tmux/run.js";

/** What a living pane gets, as the lines of the commands that tmux runs for it. */
async function typedBy(type: (run: Run) => Promise<void>): Promise<string[][]> {
  const calls: string[][] = [];
  await type(async (commands) => {
    calls.push(...commands.map((command) => [...command]));
    return { stdout: "" };
  });
  return calls;
}

const enters = (calls: string[][]) =>
  calls
    .flat()
    .join(" ")
    .match(/\bEnter\b/g)?.length ?? 0;

it("leaves copy mode before a paste, in the same call", async () => {
  const calls = await typedBy((run) => paste(run, { pane: "%1", text: "hello" }));
  const typing = calls.flat().find((word) => word.includes("paste-buffer")) ?? "";
  expect(typing.indexOf("copy-mode")).toBeGreaterThanOrEqual(0);
  expect(typing.indexOf("copy-mode")).toBeLessThan(typing.indexOf("paste-buffer"));
  expect(typing).toMatch(/copy-mode\W+-q\W+-t\W+%1/);
});

it.each([
  ["with its text", "hello", 1],
  ["without a text", "", 1],
])("presses Enter once %s", async (_, text, times) => {
  expect(enters(await typedBy((run) => paste(run, { pane: "%1", text, enter: true })))).toBe(times);
  expect(enters(await typedBy((run) => paste(run, { pane: "%1", text })))).toBe(0);
});

it("presses keys once, and after copy mode is left", async () => {
  const calls = await typedBy((run) => sendKeys(run, { pane: "%1", keys: ["Enter"] }));
  expect(enters(calls)).toBe(1);
  const typing = calls.flat().find((word) => word.includes("send-keys")) ?? "";
  expect(typing.indexOf("copy-mode")).toBeLessThan(typing.indexOf("send-keys"));
  expect(typing).toContain("copy-mode");
});
