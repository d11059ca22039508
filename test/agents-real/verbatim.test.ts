import { afterAll, beforeAll, expect, test } from "vitest";
import { installAgentClis } from "../../scripts/install-agent-clis.js";
import { openRealCrew, type RealCrew } from "./crew.js";

const TEXTS = [
  "/tmp/build/log is full, please look",
  "look at @src/ma",
  "it ends with a backslash \\",
  "two lines,\nand a backslash \\",
  "# not to be remembered",
  "? what is this",
];

let crew: RealCrew;
beforeAll(async () => {
  const { state, line } = await installAgentClis();
  if (state === "failed") throw new Error(line);
  crew = await openRealCrew();
  await crew.mu(["workstream", "init", "shop"]);
});
afterAll(() => crew?.close());

test.each([
  ["pi", [], ["!ls please", "/clear the list of orders"]],
  ["claude", ["!ls please"], ["/clear the list of orders"]],
] as const)("%s gets a text as it is, or it is refused", async (cli, more, refused) => {
  await crew.mu(["agent", "spawn", cli, "--cli", cli, "-w", "shop"]);
  for (const text of [...TEXTS, ...more]) {
    const before = crew.model.requests.length;
    const { delivery } = await crew.mu(["agent", "send", cli, text, "-w", "shop", "--wait"]);
    const asked = crew.model.requests.slice(before).map(({ prompt }) => prompt?.trim());
    expect([delivery.state, asked]).toEqual(["proved", [text]]);
  }
  for (const text of refused) {
    const fault = await crew.mu(["agent", "send", cli, text, "-w", "shop"], { code: 2 });
    expect(fault.code).toBe("delivery.not_verbatim");
  }
});
