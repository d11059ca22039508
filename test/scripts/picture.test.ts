import { readdirSync, readFileSync, statSync } from "node:fs";
import { expect, it } from "vitest";
import { drawFrame, shownBy } from "../../scripts/picture.js";
import { castOf } from "../../src/operations/cast.js";

const SIZE = { columns: 14, rows: 3 };

it("is drawn as it was captured: colours, weight, wide letters and what XML would misread", async () => {
  const lines = ["\u001b[1;32mada\u001b[0m  <b> & c", "\u001b[2m漢字\u001b[0m\u001b[7m ! \u001b[0m", ""];
  expect(await drawFrame(lines, SIZE, "a < b")).toBe(`\
<svg xmlns="http://www.w3.org/2000/svg" width="136" height="75" viewBox="0 0 136 75">
<title>a &lt; b</title>
<style>text{font:13px ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}</style>
<rect width="136" height="75" rx="6" fill="#16181d"/>
<text x="12" y="25" textLength="24" fill="#98c379" font-weight="bold">ada</text>
<text x="52" y="25" textLength="56" fill="#d8dbe0">&lt;b&gt; &amp; c</text>
<text x="12" y="42" textLength="32" fill="#d8dbe0" opacity="0.6">漢字</text>
<rect x="44" y="29" width="24" height="17" fill="#d8dbe0"/>
<text x="52" y="42" textLength="8" fill="#16181d">!</text>
</svg>
`);
});

it("is a cast that ends with what was shown last, and says only what changed", async () => {
  const frames = [
    { at: 0, lines: ["one", "two", "three"] },
    { at: 0.5, lines: ["one", "two", "three"] },
    { at: 1.004, lines: ["one", "\u001b[31mtwo and more\u001b[0m"] },
  ];
  const [head, ...events] = castOf(frames, SIZE, "a story")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(head).toEqual({ version: 2, width: 14, height: 3, title: "a story" });
  expect(events.map(([at, kind]) => [at, kind])).toEqual([
    [0, "o"],
    [1, "o"],
  ]);
  expect(events[1]?.[2]).not.toContain("one");
  const { says } = await shownBy(
    events.map(([, , text]) => text),
    SIZE,
  );
  expect(says).toEqual(["one", "two and more", ""]);
});

it("of the demo, mu top and mu ui are small, and the README shows them", () => {
  const folder = new URL("../../docs/pictures/", import.meta.url);
  const files = readdirSync(folder);
  expect(files.sort()).toEqual(["demo.cast", "demo.svg", "top.cast", "top.svg", "ui.png"]);
  for (const file of files) expect(statSync(new URL(file, folder)).size).toBeLessThan(150_000);
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  for (const file of files) expect(readme).toContain(`docs/pictures/${file}`);
});
