import { describe, expect, it } from "vitest";
import { wantsColour } from "../../src/cli/colour.js";
import { createPaint } from "../../src/cli/paint.js";
import type { Column } from "../../src/operations/paint.js";

interface Row {
  name: string;
  role: string;
  path: string;
  title: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { head: "name", text: ({ name }) => name },
  { head: "role", text: ({ role }) => role },
  { head: "path", text: ({ path }) => path, max: 20, cut: "front" },
  { head: "title", text: ({ title }) => title, max: 24 },
];

const PATH = "/home/ada/.local/state/mu/workspaces/shop/ada";
const ROWS: readonly Row[] = [
  { name: "build", role: "—", path: PATH, title: "Build the catalogue from the feed of every supplier" },
  {
    name: "漢字かな",
    role: "—",
    path: `${PATH}2`,
    title: "日本語の題名はここにありますので切られます、そして続きます",
  },
];

const draw = (columns: number | undefined, rows = ROWS) =>
  createPaint({ colour: false, now: 0, columns }).table(rows, COLUMNS);

describe("a table", () => {
  it("fits 80 columns, with paths cut in front and titles at their end, each character as wide as it is shown", () => {
    expect(`\n${draw(80)}`).toBe(`
name      path                             title
build     …/state/mu/workspaces/shop/ada   Build the catalogue from the feed …
漢字かな  …/state/mu/workspaces/shop/ada2  日本語の題名はここにありますので切…`);
  });

  it("cuts nothing that fits into 200 columns, and nothing in a pipe", () => {
    expect(draw(200)).not.toContain("…");
    expect(draw(undefined)).toBe(draw(200));
  });

  it("narrows the widest where not even that fits", () => {
    for (const line of draw(40).split("\n")) expect(line.length).toBeLessThanOrEqual(38);
  });

  it("leaves out a column that says nothing in any row, unless it was asked for", () => {
    expect(draw(200)).not.toContain("role");
    expect(draw(200, [{ ...(ROWS[0] as Row), role: "qa" }])).toContain("role");
    const paint = createPaint({ colour: false, now: 0 });
    expect(paint.table([{}], [{ head: "owner", text: () => "—", always: true }])).toBe("owner\n—");
  });

  it("has no line of heads where no column has one", () => {
    const paint = createPaint({ colour: false, now: 0 });
    expect(paint.table([{}], [{ head: "", text: () => "one" }])).toBe("one");
  });
});

it("uses no colour that cannot be read on black or on white", () => {
  const paint = createPaint({ colour: true, now: 0 });
  const all = ["OPEN", "IN_PROGRESS", "CLOSED", "REJECTED", "DEFERRED", "busy", "idle", "needs_input", "terminated"];
  const unreadable = all.map((status) => paint.status(status)).filter((text) => /\[(?:30|33|34|36|37|9\d)m/.test(text));
  expect(unreadable).toEqual([]);
  expect(paint.status("needs_permission")).not.toBe("needs_permission");
  expect(createPaint({ colour: false, now: 0 }).status("needs_permission")).toBe("needs_permission");
});

it("colours a terminal, and a pipe only if FORCE_COLOR says so", () => {
  expect(wantsColour({ TERM: "xterm-256color" }, true)).toBe(true);
  expect(wantsColour({ TERM: "xterm-256color" }, false)).toBe(false);
  expect(wantsColour({ NO_COLOR: "1" }, true)).toBe(false);
  expect(wantsColour({ TERM: "dumb" }, true)).toBe(false);
  expect(wantsColour({ FORCE_COLOR: "1", NO_COLOR: "1" }, false)).toBe(true);
  for (const FORCE_COLOR of ["0", "false"]) expect(wantsColour({ FORCE_COLOR }, true)).toBe(false);
});
