import { expect, it } from "vitest";
import { titled } from "../../src/jobs/linear.js";

it.each([
  ["# One\n\ntwo\n", "One", "two"],
  ["before\n\n# One #\nafter", "One", "before\n\nafter"],
  ["```sh\n# a comment\n```\n# One", "One", "```sh\n# a comment\n```"],
  ["\n\nno heading\nmore", "no heading", "more"],
  [`${"x".repeat(300)}\nmore`, `${"x".repeat(254)}…`, `${"x".repeat(300)}\nmore`],
  ["\ufeff# One\r\n\r\ntwo\r\n", "One", "two"],
])("the title of %j", (text, title, description) => {
  expect(titled(text)).toEqual({ title, description });
});
