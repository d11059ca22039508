import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const folder = fileURLToPath(new URL("../skills", import.meta.url));
const skills = readdirSync(folder);
const read = (name: string) => readFileSync(join(folder, name, "SKILL.md"), "utf8");

/**
 * About as many as the tokenizers of the agent CLIs' models make, and rather more: one for each punctuation mark, one for
 * each 8 letters of a word, one for each 3 digits of a number. Words times 1.3 is the usual estimate for prose.
 */
function tokens(text: string): number {
  const pieces = text.match(/\p{L}+|\p{N}+|[^\s\p{L}\p{N}]/gu) ?? [];
  const cost = (piece: string) => Math.ceil(piece.length / (/^\p{L}/u.test(piece) ? 8 : 3));
  const words = text.trim().split(/\s+/).length;
  return Math.max(
    words * 1.3,
    pieces.map(cost).reduce((sum, count) => sum + count, 0),
  );
}

it("there is one for each part in a crew, and one for jobs", () => {
  expect(skills.sort()).toEqual(["mu", "mu-jobs", "mu-orchestrator"]);
});

it.each(skills)("%s is named as its folder, says when it is of use, and fits into 1,500 tokens", (name) => {
  const text = read(name);
  expect(text).toMatch(new RegExp(`^---\\nname: ${name}\\ndescription: .{60,400}\\n---\\n`));
  expect(tokens(text)).toBeLessThanOrEqual(1_500);
});

it.each([
  ["mu", ["me", "task claim", "task note", "task close", "task release"]],
  [
    "mu-orchestrator",
    [
      "agent spawn",
      "agent send",
      "task wait",
      "agent wait",
      "agent read",
      "task note",
      "workspace diff",
      "task open",
      "land",
    ],
  ],
])("%s says how to do each part of the work", (name, verbs) => {
  for (const verb of verbs) expect(read(name)).toContain(`\`mu ${verb} `.replace("me ", "me"));
});
