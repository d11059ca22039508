import { describe, expect, it } from "vitest";
import { readLine } from "../../src/cli/argv.js";
import { VERBS } from "../../src/operations/manifest.js";
import { findVerb } from "../../src/operations/verb.js";
import { BINDINGS, MOVES, splitWords } from "../../src/top/bindings.js";
import type { Data } from "../../src/top/data.js";
import { drawFrame } from "../../src/top/draw.js";
import { lineOf, placeOf, rowsNow, START } from "../../src/top/model.js";
import { plain } from "../../src/top/sequences.js";
import { type Row, VIEW, VIEWS } from "../../src/top/views.js";
import { agent, dataOf, pressed, task } from "../support/top.js";

const CREW = dataOf({ agents: [agent("ada"), agent("bob"), agent("eve")] });
const ASKED = dataOf({
  agents: [agent("ada"), agent("eve", { status: "needs_permission" })],
  inbox: [
    {
      ...{ id: "eve-1a2b", workstream: "shop", kind: "permission", subject: "eve", since: null, command: "mu inbox" },
      summary: "touch by_eve.txt",
      question: "touch by_eve.txt\n1. Yes\n2. No",
      choices: [
        { key: "1", label: "Yes" },
        { key: "2", label: "No" },
      ],
    },
  ],
});
const last = <T>(items: readonly T[]) => items[items.length - 1] as T;
const ran = (keys: readonly string[], data = CREW) => {
  const { effect } = last(pressed(keys, data));
  return effect && "words" in effect ? lineOf(effect.words) : effect?.do;
};

const verbOf = (words: readonly string[]) => findVerb(readLine(words, VERBS).words, VERBS);

describe("the key table", () => {
  const everywhere = MOVES.flatMap(({ keys }) => keys);

  it.each(VIEWS)("has one meaning for each key of the view %s", (view) => {
    const own = BINDINGS.filter(({ views }) => views.includes(view)).map(({ key }) => key);
    const all = [...everywhere, ...own];
    expect(all.filter((key, at) => all.indexOf(key) !== at)).toEqual([]);
  });

  it.each(BINDINGS.map((one) => [`${one.key}: ${one.what}`, one] as const))("names the mu line of %s", (_, binding) => {
    const row: Row = { id: "ada", subject: "ada", cells: [], fields: {} };
    for (const frozen of [true, false]) {
      const does = binding.does({ row, data: CREW, frozen });
      const words = "label" in does ? (does.line("some text") ?? []) : does.line;
      const verb = verbOf(words);
      expect(verb?.name, lineOf(words)).toBeDefined();
      const flags = verb?.options.map(({ flag }) => `--${flag}`) ?? [];
      const unknown = words.filter((word) => word.startsWith("--") && !["--yes", ...flags].includes(word));
      expect(unknown).toEqual([]);
    }
  });

  it.each(VIEWS)("has details in the view %s that are lines of mu's", (view) => {
    const row: Row = { id: "ada", subject: "ada", cells: [], fields: {} };
    for (const { of } of VIEW[view].details) {
      const words = of(row, CREW);
      if (words) expect(verbOf(words), words.join(" ")).toBeDefined();
    }
  });
});

describe("keys", () => {
  it("run the line of the chosen row", () => {
    expect(ran(["down", "enter"])).toBe("mu agent attach shop/bob");
    expect(ran(["end", "i"])).toBe("mu agent interrupt shop/eve");
    expect(ran(["f"])).toBe("mu freeze -w shop");
    expect(ran(["q"])).toBe("quit");
  });

  it("close only when pressed twice in a row", () => {
    const [once] = pressed(["x"], CREW);
    expect(once?.effect).toBeUndefined();
    expect(once?.model.last?.said).toBe("x again runs: mu agent close shop/ada");
    expect(ran(["x", "x"])).toBe("mu agent close shop/ada");
    expect(ran(["x", "down", "x"])).toBeUndefined();
    expect(ran(["x", "esc", "x"])).toBeUndefined();
  });

  it("answer a dialog at once by its number, else by words", () => {
    expect(ran(["space", "1"], ASKED)).toBe("mu inbox answer eve-1a2b 1 -w shop");
    expect(ran(["space", "3"], ASKED)).toBeUndefined();
    expect(ran(["space", "n", "o", "enter"], ASKED)).toBe("mu inbox answer eve-1a2b no -w shop");
    expect(ran(["down", "space", "h", "i", "enter"], ASKED)).toBe("mu agent send shop/ada hi");
  });

  it("take a paste as text, never as keys", () => {
    expect(ran(['"xxq\nq"'])).toBeUndefined();
    expect(ran(["space", '"one\n  two"', "enter"])).toBe("mu agent send shop/ada 'one two'");
  });

  it("say nothing and run nothing where there is no row", () => {
    for (const key of ["space", "enter", "x", "i"]) expect(ran([key], dataOf())).toBeUndefined();
    expect(ran(["n", "a", "enter"], dataOf())).toBe("mu agent spawn a -w shop");
  });

  it("edit what is typed", () => {
    const typed = (...keys: string[]) => last(pressed([":", ...keys], CREW)).model.prompt;
    expect(typed("a", "b", "left", "c")?.text).toBe("acb");
    expect(typed('"one two"', "ctrl+w", "x")?.text).toBe("one x");
    expect(typed('"one"', "home", "delete", "end", "backspace")?.text).toBe("n");
    expect(typed('"日本"', "left", "backspace")?.text).toBe("本");
    expect(typed('"one"', "ctrl+c")).toBeNull();
    expect(ran([":", '"mu task list --status open"', "enter"])).toBe("mu task list --status open");
  });

  it("scroll the help while words are searched in it", () => {
    const data = dataOf();
    const [help, down, word] = pressed(["?", "down", "q"], data);
    expect([help?.model.page?.top, down?.model.page?.top]).toEqual([0, 1]);
    expect(word?.model.prompt?.text).toBe("q");
  });

  it("leave everything by Esc", () => {
    const { model } = last(pressed(["/", "b", "esc", "?", "esc", ":", "esc"], CREW));
    expect([model.prompt, model.page, model.filters.crew]).toEqual([null, null, ""]);
  });
});

describe("a list", () => {
  it("keeps the row that was chosen, wherever it goes, and takes its neighbour when it is gone", () => {
    const { model } = last(pressed(["down"], CREW));
    const at = (agents: string[]) => {
      const rows = rowsNow(model, dataOf({ agents: agents.map((name) => agent(name)) }));
      return rows[placeOf(model, rows)]?.id;
    };
    expect(at(["aaa", "abc", "ada", "bob", "eve"])).toBe("bob");
    expect(at(["ada", "eve"])).toBe("eve");
    expect(at(["ada"])).toBe("ada");
    expect(at([])).toBeUndefined();
  });

  it("has who waits longest first", () => {
    const since = (minutes: number) => new Date(Date.parse("2026-05-01T12:00:00Z") - minutes * 60_000).toISOString();
    const agents = [
      agent("ada"),
      agent("bob", { status: "needs_input", statusSince: since(1) }),
      agent("eve", { status: "needs_permission", statusSince: since(9) }),
    ];
    expect(rowsNow(START, dataOf({ agents })).map(({ id }) => id)).toEqual(["eve", "bob", "ada"]);
  });

  it("filters while it is typed, by fields, negation and alternatives", () => {
    const tasks = [
      task("build", { role: "code" }),
      task("ship", { ready: false, waitsFor: ["build"], blockers: ["build"] }),
      task("test", { role: "qa", status: "IN_PROGRESS", ready: false, owner: "ada" }),
    ];
    const shown = (text: string) =>
      rowsNow(last(pressed(["2", "t", "/", `"${text}"`], dataOf({ tasks }))).model, dataOf({ tasks })).flatMap(
        ({ subject }) => subject ?? [],
      );
    expect(shown("role:qa")).toEqual(["test"]);
    expect(shown("role:qa,code")).toEqual(["test", "build"]);
    expect(shown("!role:qa status:ready")).toEqual(["build"]);
    expect(shown("OWNER:ada")).toEqual(["test"]);
    expect(shown("do sh")).toEqual(["ship"]);
    expect(shown("http://x")).toEqual([]);
  });

  it("completes a filter's fields and values, and goes round", () => {
    const data = dataOf({ tasks: [task("build", { role: "code" }), task("ship", { role: "qa" })] });
    const text = (...keys: string[]) => last(pressed(["2", "/", ...keys], data)).model.prompt?.text;
    expect(text('"ro"', "tab")).toBe("role:");
    expect(text('"role:"', "tab")).toBe("role:code ");
    expect(text('"role:"', "tab", "tab")).toBe("role:qa ");
    expect(text('"role:"', "tab", "shift+tab")).toBe("role:qa ");
  });

  it("shows a tree from the goals down, a shared blocker once whole, and any depth", () => {
    const chain = Array.from({ length: 20_000 }, (_, at) =>
      task(`t${at}`, { blockers: at === 0 ? [] : [`t${at - 1}`], ready: at === 0 }),
    );
    const tasks = [
      task("a", { blockers: ["base"] }),
      task("b", { blockers: ["base"] }),
      task("base", { blockers: ["root"] }),
      task("root"),
    ];
    const { model } = last(pressed(["2"], dataOf({ tasks })));
    const rows = rowsNow(model, dataOf({ tasks }));
    expect(rows.map(({ cells }) => cells[1]?.text)).toEqual(["a", "  base", "    root", "b", "  base"]);
    expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
    expect(rowsNow(model, dataOf({ tasks: chain }))).toHaveLength(20_000);
    expect(rowsNow({ ...model, view: "graph" }, dataOf({ tasks: chain }))).not.toHaveLength(0);
  });
});

describe("a frame", () => {
  const drawn = (data: Data, keys: readonly string[] = [], columns = 80) => {
    const model = pressed(keys, data).at(-1)?.model ?? START;
    const facts = { size: { columns, rows: 24 }, detail: { title: "", lines: [] }, frozen: false, colour: false };
    return drawFrame({ model, data, ...facts }).map((row) => plain(row).trimEnd());
  };

  it("leaves out columns that say nothing, and cuts no text that fits", () => {
    const data = dataOf({ agents: [agent("ada-with-a-long-name", { tasks: ["build"] })] });
    expect(drawn(data)).toContainEqual(expect.stringMatching(/^ {4}agent +status for task +cli$/));
    expect(drawn(data)).toContainEqual(expect.stringMatching(/^> ○ ada-with-a-long-name idle +3m build +claude$/));
  });

  it("names the longest path of the graph, and has it first in every step", () => {
    const tasks = [
      task("api", { ready: false, waitsFor: ["plan"] }),
      task("art", { ready: false, waitsFor: ["plan"] }),
      task("plan"),
    ];
    const rows = drawn(dataOf({ tasks, critical: ["plan", "art"] }), ["3"]);
    const at = rows.findIndex((row) => row.includes("longest path"));
    expect(rows.slice(at, at + 6).map((row) => row.slice(2).trim().replace(/ +/g, " "))).toEqual([
      ...["longest path ▶ plan → art", "step 1: waits for nothing (1)", "ready ▶ plan Do plan"],
      ...["step 2 (2)", "blocked ▶ art Do art ← plan", "blocked api Do api ← plan"],
    ]);
    expect(rows.some((row) => / of \d/.test(row))).toBe(false);
  });
});

describe("words of a line", () => {
  it.each([
    ["task add 'two words' -w x", ["task", "add", "two words", "-w", "x"]],
    ['a "b \\"c\\"" d\\ e', ["a", 'b "c"', "d e"]],
    ["it's open", ["its open"]],
    ["''", [""]],
    ["", []],
  ])("%s", (text, words) => expect(splitWords(text)).toEqual(words));
});
