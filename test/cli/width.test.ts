import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPaint } from "../../src/cli/paint.js";
import { printableValue } from "../../src/cli/printable.js";
import { execute } from "../../src/operations/execute.js";
import { loadOperations } from "../../src/operations/index.js";
import type { Column, Paint } from "../../src/operations/paint.js";
import { addTask } from "../../src/tasks/add.js";
import { parseCommand } from "../support/command.js";
import { type Seeded, seededApp } from "../support/seeded.js";

const HOSTILE = [
  "very long words ".repeat(12).trim(),
  "漢字かな".repeat(60),
  "👩‍👩‍👧‍👦🚀é".repeat(30),
  "x".repeat(200),
];
const LONGEST_NAME = "n".repeat(64);

/** Verbs that read and are not walked, each with the reason. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  "agent.attach": "takes over the terminal",
  "agent.explain": "looks at a pane",
  "agent.focus": "looks at a pane",
  "agent.read": "looks at a pane",
  "agent.wait": "waits",
  "delivery.show": "looks at a prompt that a pane got",
  "audit.verify": "finds the hostile rows, which are written past the journal, and draws no table",
  doctor: "starts the programs of this machine",
  "hooks.status": "starts an agent CLI",
  mcp: "serves until its input ends",
  recover: "looks at panes",
  review: "looks at a repository",
  "review.comments": "looks at a repository",
  "runs.log": "looks at a pane",
  "salvage.show": "looks at a repository",
  "task.wait": "waits",
  "task.owned-by": "its example names an agent that the project does not have",
  "task.diff": "looks at a repository",
  "workspace.commits": "looks at a repository",
  "workspace.conflicts": "looks at a repository",
  "workspace.diff": "looks at a repository",
  "workspace.path": "looks at a repository",
};

/** Lines beside the examples, because of the tables that they draw. */
const MORE = ["mu task list", "mu task list --all", "mu runs list", "mu sql 'select * from tasks'", "mu delivery list"];

const operations = await loadOperations();
const walked = operations.filter(({ name, effect }) => effect !== "write" && !(name in LEFT_OUT));

/** Columns of a terminal, counted apart from the code under test: what is not plain Latin or a dash counts double. */
function columnsOf(line: string): number {
  const letters = [...new Intl.Segmenter("en", { granularity: "grapheme" }).segment(line)];
  return letters.reduce((sum, { segment }) => sum + (/^[ -~…—é]+$/.test(segment) ? 1 : 2), 0);
}

/** A column that says nothing in any row is left out. */
const isSaid = (cell: string) => cell !== "" && cell !== "—";

/** The tables in what a person sees, each line as wide as it is printed, with what its cells say. */
function draw(command: string, result: unknown, columns: number | undefined) {
  const { verb, input } = parseCommand(command);
  const operation = operations.find(({ name }) => name === verb.name);
  const paint = createPaint({ colour: false, now: Date.now(), columns, spans: input["all"] === true });
  const tables: string[] = [];
  const cells: string[] = [];
  const table = <T>(rows: readonly T[], heads: readonly Column<T>[]) => {
    cells.push(...rows.flatMap((row) => heads.map(({ text }) => text(row).replace(/\s+/g, " ").trim())).filter(isSaid));
    tables.push(paint.table(rows, heads));
    return tables.at(-1) ?? "";
  };
  const recording: Paint = { ...paint, table, list: (rows, none, heads) => (rows.length ? table(rows, heads) : none) };
  const text = operation?.render?.(printableValue(result) as never, recording) ?? "";
  const drawn = new Set(tables.flatMap((one) => one.split("\n").map((line) => line.trim())));
  return { lines: text.split("\n").filter((line) => line !== "" && drawn.has(line.trim())), cells };
}

describe("tables of the verbs that read", () => {
  let app: Seeded;
  beforeAll(async () => {
    app = await seededApp();
    for (const [at, title] of HOSTILE.entries())
      await addTask(app.context, "demo", { name: `${LONGEST_NAME.slice(1)}${at}`, title, tags: ["t".repeat(32)] });
    await app.store.write(async (db) => {
      await db.updateTable("tasks").set({ title: HOSTILE[1] }).where("name", "=", "build").execute();
      await db
        .updateTable("tasks")
        .set({ title: HOSTILE[2], hold: "escalated", hold_reason: HOSTILE[0] } as never)
        .where("name", "=", "docs")
        .execute();
      await db.updateTable("runs").set({ reason: HOSTILE[1], model: HOSTILE[3], answer: HOSTILE[2] }).execute();
      await db
        .updateTable("workstreams")
        .set({ root: `/${HOSTILE[3]}` })
        .where("name", "=", "other")
        .execute();
      await db
        .updateTable("agents")
        .set({ name: "a".repeat(32) })
        .where("name", "=", "code-1")
        .execute();
    });
  });
  afterAll(() => app.end());

  it("are no wider than a terminal, and are whole in a pipe", async () => {
    const missed: unknown[] = [];
    const wide: unknown[] = [];
    const seen = new Set<string>();
    const examples = walked.flatMap(({ name, examples: all }) => {
      const good = all.filter(({ command, fault }) => fault === undefined && !command.includes("--yes"));
      if (good.length === 0) missed.push([name, "has no example to run"]);
      return good.map(({ command }) => command);
    });
    for (const command of [...examples, ...MORE]) {
      const { verb, input } = parseCommand(command);
      const operation = operations.find(({ name }) => name === verb.name);
      if (operation === undefined) throw new Error(command);
      const result = await execute(operation, input, app.world, app.request).catch((error) => {
        missed.push([command, String(error)]);
      });
      if (result === undefined) continue;
      for (const columns of [40, 80, 120]) {
        const { lines } = draw(command, result, columns);
        if (lines.length > 0) seen.add(verb.name);
        wide.push(...lines.filter((line) => columnsOf(line) > columns).map((line) => [command, columns, line]));
      }
      const { lines, cells } = draw(command, result, undefined);
      const whole = lines.join("\n");
      wide.push(...cells.filter((cell) => !whole.includes(cell)).map((cell) => [command, "cut in a pipe", cell]));
    }
    expect({ missed, wide }).toEqual({ missed: [], wide: [] });
    expect([...seen]).toEqual(expect.arrayContaining(["task.list", "state", "escalations", "runs.list", "sql"]));
  });

  it("are walked, but for verbs that exist", () => {
    const names = operations.map(({ name }) => name);
    expect(Object.keys(LEFT_OUT).filter((name) => !names.includes(name))).toEqual([]);
  });
});

const titled = (text: string) => [{ head: "title", text: () => text }];

it("cuts between letters only, and cuts what is coloured inside its colour", () => {
  const paint = createPaint({ colour: true, now: 0, columns: 30 });
  const drawn = paint.table([{}], titled("🚀".repeat(100)));
  expect(drawn).toMatch(/\n(🚀){13}…$/u);
  const coloured = paint.table([{}], titled(paint.bold("long ".repeat(20))));
  expect(coloured).toContain(paint.bold(`${"long ".repeat(20).slice(0, 27)}…`));
});

it("prints one line per field where there are too many columns", () => {
  const paint = createPaint({ colour: false, now: 0, columns: 20 });
  const heads = Array.from({ length: 9 }, (_, at) => ({ head: `h${at}`, text: () => "long ".repeat(9) }));
  const drawn = paint.table([{}, {}], heads).split("\n");
  expect(drawn.slice(0, 2)).toEqual(["h0: long long lon…", "h1: long long lon…"]);
  expect(drawn).toHaveLength(19);
});

it("draws a hundred thousand rows, and on a terminal of one column", () => {
  const rows = Array.from({ length: 100_000 }, () => ({}));
  expect(createPaint({ colour: false, now: 0 }).table(rows, titled("x")).split("\n")).toHaveLength(100_001);
  expect(createPaint({ colour: false, now: 0, columns: 1 }).table([{}], titled("long words"))).toBe("tit…\nlon…");
});
