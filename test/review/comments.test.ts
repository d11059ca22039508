import fc from "fast-check";
import { expect, it } from "vitest";
import { commentText, parseComments } from "../../src/review/comments.js";

it.each([
  ["src/a.ts:12 Say why", [{ file: "src/a.ts", line: 12, text: "Say why" }]],
  ["src/a.ts:12:3: Say why", [{ file: "src/a.ts", line: 12, text: "Say why" }]],
  ["the file.ts:3 x", [{ file: "the file.ts", line: 3, text: "x" }]],
  ["Note: a ratio of 3:4 is odd", [{ file: null, line: null, text: "Note: a ratio of 3:4 is odd" }]],
  ["Makefile:3 x", [{ file: "Makefile", line: 3, text: "x" }]],
  ["Too long", [{ file: null, line: null, text: "Too long" }]],
  ["See http://a.b:80/c", [{ file: null, line: null, text: "See http://a.b:80/c" }]],
  [
    "In general:\nno\n\na.ts:1 One\nmore of it\r\nb.ts:2\ntext below",
    [
      { file: null, line: null, text: "In general:\nno" },
      { file: "a.ts", line: 1, text: "One\nmore of it" },
      { file: "b.ts", line: 2, text: "text below" },
    ],
  ],
  ["a.ts:1\nb.ts:2 only this", [{ file: "b.ts", line: 2, text: "only this" }]],
  [" \n", []],
])("reads %j", (text, comments) => {
  expect(parseComments(text)).toEqual(comments);
});

it("reads any comment again as it was written", () => {
  const comment = fc.record({
    file: fc.stringMatching(/^[a-z][a-z/.]{0,20}$/),
    line: fc.integer({ min: 1, max: 999_999 }),
    text: fc.stringMatching(/^[a-z][a-z ,]{0,30}[a-z]$/),
  });
  fc.assert(
    fc.property(fc.array(comment, { minLength: 1, maxLength: 6 }), (comments) => {
      expect(parseComments(comments.map(commentText).join("\n"))).toEqual(comments);
    }),
  );
});
