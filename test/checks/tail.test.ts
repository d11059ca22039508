import fc from "fast-check";
import { expect, it } from "vitest";
import { tailOf } from "../../src/checks/tail.js";

const LIMITS = { lines: 5, bytes: 12 };

/** The tail of the whole text at once; letters of one byte only. */
function expected(text: string): string {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const cut = (line: string) => (line.length > LIMITS.bytes ? `…${line.slice(-LIMITS.bytes)}` : line);
  return lines.slice(-LIMITS.lines).map(cut).join("\n");
}

function tail(...chunks: (string | Uint8Array)[]): string {
  const kept = tailOf(LIMITS);
  for (const chunk of chunks) kept.add(Buffer.from(chunk as string));
  return kept.text();
}

it("is the end of the output, however it was cut in pieces", () => {
  const piece = fc.oneof(
    fc.string({ unit: fc.constantFrom("a", "b", "\n") }),
    fc.string({ unit: fc.constantFrom("x"), maxLength: 40 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      expect(tail(...pieces)).toBe(expected(pieces.join("")));
    }),
  );
});

it("keeps the lines before a line without an end, and the end of that line", () => {
  expect(tail("one\ntwo\n", "x".repeat(100_000), "end")).toBe(`one\ntwo\n…${"x".repeat(9)}end`);
});

it("bears what is no UTF-8, and cuts no letter in two", () => {
  expect(tail(Uint8Array.of(0xff, 0x61, 0xc3))).toBe("\ufffda\ufffd");
  expect(tail("ä".repeat(50))).toBe(`…${"ä".repeat(6)}`);
  expect(tail(`a${"ä".repeat(50)}b`)).toBe(`…${"ä".repeat(5)}b`);
});

it("leaves out colours, and what a progress bar has written over", () => {
  expect(tail("\u001b[1mr\u001b[0m\r\n10%\r99%\rdone\n")).toBe("r\ndone");
});
