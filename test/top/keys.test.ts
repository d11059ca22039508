import { PassThrough } from "node:stream";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { type Key, readKeys } from "../../src/top/keys.js";

async function keysOf(chunks: readonly string[]): Promise<Key[]> {
  const input = new PassThrough();
  const keys: Key[] = [];
  const end = readKeys(input, (key) => keys.push(key));
  for (const chunk of [...chunks, "\x1b[24~"]) input.write(chunk);
  await vi.waitFor(() => expect(keys.at(-1)).toEqual({ name: "f12" }), { timeout: 10_000, interval: 5 });
  end();
  return keys.slice(0, -1);
}

describe("what a terminal sends", () => {
  it.each<[string, string, Key[]]>([
    ["letters", "aG ", [{ name: "a" }, { name: "G" }, { name: "space" }]],
    ["controls", "\x03\x1a\r\t\x7f", ["ctrl+c", "ctrl+z", "enter", "tab", "backspace"].map((name) => ({ name }))],
    ["arrows", "\x1b[A\x1bOB\x1b[5~\x1b[Z", ["up", "down", "pageup", "shift+tab"].map((name) => ({ name }))],
    ["wide characters", "日é", [{ name: "日" }, { name: "é" }]],
    ["a click", "\x1b[<0;12;5M\x1b[<0;12;5m", [{ name: "click", at: { column: 11, row: 4 } }]],
    [
      "the wheel",
      "\x1b[<64;1;1M\x1b[<65;1;1M",
      ["wheelup", "wheeldown"].map((name) => ({ name, at: { column: 0, row: 0 } }) as Key),
    ],
    ["a paste", "\x1b[200~rm -rf\nq\x1b[201~x", [{ name: "paste", text: "rm -rf\nq" }, { name: "x" }]],
  ])("%s", async (_, sent, keys) => expect(await keysOf([sent])).toEqual(keys));

  it("is the same wherever it is cut", async () => {
    const sent = "a\x1b[200~p\x1b[A\x1b[201~\x1b[<0;12;5Mb\x1b[A";
    const whole = await keysOf([sent]);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: sent.length - 1 }), async (at) => {
        // A sequence that is cut behind its Esc waits only as long as a person's Esc does.
        fc.pre(sent[at - 1] !== "\x1b");
        expect(await keysOf([sent.slice(0, at), sent.slice(at)])).toEqual(whole);
      }),
      { numRuns: 15 },
    );
  });
});
