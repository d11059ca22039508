import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Fault } from "../src/errors.js";
import {
  checkAgentName,
  checkTaskName,
  checkWorkstreamName,
  counted,
  didYouMean,
  duration,
  enumerate,
  isAgentName,
  nearest,
  parseRef,
  qualifiedName,
  quote,
  shellWord,
  shellWords,
  slug,
  unusedName,
  wholeSlug,
} from "../src/names.js";

it.each([
  [0, "0 s"],
  [40, "0 s"],
  [3_644, "3.6 s"],
  [59_940, "59.9 s"],
  [59_960, "1 min"],
  [725_000, "12 min 5 s"],
  [3_599_700, "1 h"],
  [7_530_000, "2 h 5 min"],
  [90_000_000, "25 h"],
  [-5, "0 s"],
])("%i ms is %s for a person", (ms, text) => expect(duration(ms)).toBe(text));

function refusal(check: (name: string) => void, name: string): Fault | undefined {
  try {
    check(name);
    return undefined;
  } catch (fault) {
    return fault as Fault;
  }
}

describe("a name", () => {
  it.each([
    [checkWorkstreamName, ["a", "shop-2", "a_b", "mu", "a-mu-", "x".repeat(32)]],
    [checkAgentName, ["a", "worker-1", "mu-a", "x".repeat(32)]],
    [checkTaskName, ["a", "build_it-2", "x".repeat(64)]],
  ])("%o takes what is short and plain", (check, names) => {
    for (const name of names) expect(refusal(check, name), name).toBeUndefined();
  });

  it.each([
    [checkWorkstreamName, 33, ["mu-shop"]],
    [checkAgentName, 33, []],
    [checkTaskName, 65, []],
  ])("%o refuses what tmux, a shell or a person may misread", (check, tooLong, others) => {
    const bad = ["", "Shop", "1a", "_a", "a.b", "a:b", "a/b", "a b", "a\n", "é", "x".repeat(tooLong), ...others];
    for (const name of bad) {
      expect(refusal(check, name), name).toMatchObject({
        kind: "usage",
        code: expect.stringMatching(/\.invalid_name$/),
      });
    }
    expect(isAgentName("a.b")).toBe(false);
    expect(isAgentName("a-b")).toBe(true);
  });

  it("that is refused is quoted, with the rule and one that fits", () => {
    expect(refusal(checkWorkstreamName, "Mu Shop")?.toJSON()).toMatchObject({
      code: "workstream.invalid_name",
      message:
        '"Mu Shop" is not a valid workstream name: use lowercase letters, digits, `_` or `-`, at most 32, starting with a letter and not with mu-.',
      nextSteps: [{ intent: "Use a similar name", command: "mu workstream init mu_shop" }],
    });
    expect(refusal(checkAgentName, "A")?.toJSON()).toMatchObject({
      code: "agent.invalid_name",
      message:
        '"A" is not a valid agent name: use lowercase letters, digits, `_` or `-`, at most 32, starting with a letter, such as a.',
      nextSteps: [],
    });
    expect(refusal(checkTaskName, "Build it")?.toJSON()).toMatchObject({
      code: "task.invalid_name",
      message:
        '"Build it" is not a valid task name: use lowercase letters, digits, `_` or `-`, at most 64, starting with a letter.',
      nextSteps: [{ intent: "Use a similar name", command: "mu task add build_it --title '…'" }],
    });
  });

  it.each([
    [checkWorkstreamName, "mu-shop", "shop"],
    [checkWorkstreamName, "Emu-farm", "emu_farm"],
    [checkWorkstreamName, "…", "work"],
    [checkWorkstreamName, "x".repeat(70), "x".repeat(32)],
    [checkTaskName, "1a", "t_1a"],
    [checkTaskName, "…", "task"],
    [checkTaskName, "x".repeat(70), "x".repeat(40)],
  ])("%o: instead of %s, %s is suggested", (check, name, better) => {
    expect(refusal(check, name)?.nextSteps[0]?.command.split(" ")[3]).toBe(better);
  });

  it("that is suggested is itself a name", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."mu-_ 1aÉ.…") }), (name) => {
        for (const check of [checkWorkstreamName, checkTaskName]) {
          const better = refusal(check, name)?.nextSteps[0]?.command.split(" ")[3];
          if (better !== undefined) expect(refusal(check, better), better).toBeUndefined();
        }
      }),
    );
  });
});

describe("the slug of a title", () => {
  it.each([
    ["Build it!", "build_it"],
    ["  --Straße & Ærø: Łódź…", "strasse_aero_lodz"],
    ["été ÉTÉ", "ete_ete"],
    ["x__-__y", "x_y"],
    ["3 wishes", "t_3_wishes"],
    ["日本", ""],
    ["日本 a", "a"],
  ])("%s is %s", (title, found) => {
    expect(slug(title)).toBe(found);
    expect(wholeSlug(title)).toBe(found);
  });

  it("ends with a word, if it must be cut at all", () => {
    const words = (...lengths: number[]) => lengths.map((length) => "w".repeat(length)).join("_");
    expect(slug(words(20, 19))).toBe(words(20, 19));
    expect(slug(words(20, 19, 5))).toBe(words(20, 19));
    expect(slug(words(20, 20))).toBe(words(20));
    expect(slug(words(50))).toBe(words(40));
    expect(wholeSlug(words(20, 20, 9))).toBe(words(20, 20, 9));
  });
});

it.each([
  [[], "a"],
  [["a"], "a_2"],
  [["a", "a_2", "a_4"], "a_3"],
])("beside %j, a is called %s", (taken, found) => expect(unusedName("a", (name) => taken.includes(name))).toBe(found));

it("reads a reference with or without a workstream, and writes it back", () => {
  expect(parseRef("build")).toEqual({ name: "build" });
  for (const [text, workstream, name] of [
    ["demo/build", "demo", "build"],
    ["/build", "", "build"],
    ["demo/a/b", "demo", "a/b"],
  ] as const) {
    expect(parseRef(text)).toEqual({ workstream, name });
    expect(qualifiedName({ workstream, name })).toBe(text);
  }
});

describe("names like one that is not there", () => {
  it.each([
    ["build", ["docs", "guild", "built", "build_it", "bild", "builds"], ["bild", "builds", "built"]],
    ["a", ["abc", "abcd"], ["abc"]],
    ["checkout", ["checkouts", "check", "outcheck"], ["checkouts"]],
    ["integrates", ["integr", "integra", "integrat"], ["integrat", "integra"]],
    ["deploy", [], []],
  ])("%s: of %j it is %j", (name, names, found) => {
    expect(nearest(name, names)).toEqual(found);
    expect(nearest(name, [...names].reverse())).toEqual(found);
  });

  it("are asked for", () => {
    expect(didYouMean("bild", ["build", "built", "docs"])).toBe(" Did you mean build or built?");
    expect(didYouMean("bild", ["docs"])).toBe("");
  });
});

it("says how many more there are, and one of a kind", () => {
  const names = [..."abcdefgh"];
  expect(enumerate(names)).toBe("a, b, c, d, e, f, g, h");
  expect(enumerate([...names, "i"])).toBe("a, b, c, d, e, f, g, h and 1 more");
  expect(enumerate(names, 2)).toBe("a, b and 6 more");
  expect([0, 1, 2].map((count) => counted(count, "task"))).toEqual(["0 tasks", "1 task", "2 tasks"]);
  expect([counted(1, "entry", "entries"), counted(2, "entry", "entries")]).toEqual(["1 entry", "2 entries"]);
});

describe("words of a shell", () => {
  it("come back as they were", () => {
    const word = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."a'\"\\ $`\n/.-") }));
    fc.assert(
      fc.property(fc.array(word), (words) => {
        expect(shellWords(words.map(shellWord).join(" "))).toEqual(words);
      }),
    );
  });

  it.each([
    ["src/a-b_1.ts", "src/a-b_1.ts"],
    ["", "''"],
    ["a b", "'a b'"],
    ["a;", "'a;'"],
    [";a", "';a'"],
    ["it's", "'it'\\''s'"],
  ])("%j is written %s", (word, written) => expect(shellWord(word)).toBe(written));

  it.each([
    ['mu  task\tadd "a b"', ["mu", "task", "add", "a b"]],
    ['"say \\"hi\\" \\\\ \\$x \\n"', ['say "hi" \\ $x \\n']],
    ["a\\ b\\'c", ["a b'c"]],
    [`x'y z'"'"w`, ["xy z'w"]],
    [`"" ''`, ["", ""]],
    ["  ", []],
    ["", []],
  ])("%s is read as %j", (line, words) => expect(shellWords(line)).toEqual(words));
});

it.each([
  ["a", '"a"'],
  ['say "hi"', '"say \\"hi\\""'],
  ["x".repeat(80), `"${"x".repeat(80)}"`],
  ["x".repeat(81), `"${"x".repeat(79)}…"`],
  ["a\u202eb\u200bc\u009b", '"a�b�c�"'],
  ["👨\u200d👩", '"👨\u200d👩"'],
])("a message quotes %j as %s", (text, quoted) => expect(quote(text)).toBe(quoted));
