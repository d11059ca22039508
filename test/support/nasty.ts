import fc from "fast-check";
import { VERBS } from "../../src/operations/manifest.js";
import type { Argument, Flag, Verb } from "../../src/operations/verb.js";
import { wordsOf } from "../../src/operations/verb.js";

/** Text that has broken a program before. */
const KNOWN_BAD = [
  "", " ", "\n", "\t", "\r\n", "-", "--", "---", "-w", "--json", "--help", "-h", "--yes", "--no-such", "--title=", "-x1",
  "\u0000", "a\u0000b", "\u001b[31mred\u001b[0m", "\u001b]0;title\u0007", "\u0007", "\u009b2J", "\u202e", "\ufeff", "\ufffd", "\ud800",
  "../../etc/passwd", "/etc/passwd", "..", ".", "/", "//", "demo/", "/build", "demo/build/x", "~", "C:\\",
  "$(touch pwned)", "`touch pwned`", "$HOME", "%s%n", "'", '"', "\\", "'; drop table tasks; --", "a'b\"c`d", "*", "%", "_", "?",
  "__proto__", "constructor", "toString", "null", "undefined", "true", "NaN", "Infinity", "-Infinity", "{}", "[]", "[1", '{"a":',
  "0", "-0", "-1", "1e999", "-1e999", "1e-999", "0x10", "9007199254740993", "99999999999999999999", "0.1", "1,2", ",", ",,", "{a,b}",
  "@", "@-", "@nothing", "@/", "\\@x", "nothing", "Build", "mu-demo", "é", "ﷺ", "💥", "👩‍👩‍👧‍👦", "e\u0301",
]; // biome-ignore format: a list of words reads best in few lines

/** Any text: mostly known trouble and unicode, rarely a megabyte. */
export const nastyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...KNOWN_BAD) },
  { weight: 4, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
  { weight: 2, arbitrary: fc.string({ unit: "grapheme", maxLength: 100 }) },
  {
    weight: 2,
    arbitrary: fc.string({ unit: fc.constantFrom(..."\u0000\u0001\u001b\r\n\t\u007f\u0085\u2028"), maxLength: 20 }),
  },
  { weight: 2, arbitrary: fc.oneof(fc.integer(), fc.double(), fc.bigInt()).map(String) },
  { weight: 1, arbitrary: fc.integer({ min: 60, max: 600 }).map((length) => "x".repeat(length)) },
);
const rarelyHuge = fc.oneof(
  { weight: 300, arbitrary: nastyText },
  { weight: 1, arbitrary: fc.constantFrom("x".repeat(1_048_577), "é\u0000".repeat(400_000), "- ".repeat(500_000)) },
);

const TASKS = ["build", "deploy", "docs", "review", "done", "demo/build", "demo/docs", "other/build"];

/** What fits a field by its name, so that fuzzing gets past the first check. */
const FITTING: Readonly<Record<string, readonly string[]>> = {
  file: ["plan.yaml", "circle.yaml", "-", "../project/plan.yaml", "."],
  query: [
    "select * from tasks",
    "update tasks set impact = impact + 1",
    "delete from task_notes",
    "delete from tasks",
    "insert into task_notes (task_id, author, kind, text, created_at) select id, 'x', 'note', 'y', created_at from tasks",
    "update tasks set workstream_id = 2 where name = 'docs'",
    "update tasks set id = id + 100",
    "update tasks set title = zeroblob(10)",
    "update tasks set title = x'00ff'",
    "update workstreams set name = name || '_2'",
    "insert or replace into workstreams (id, name, created_at) values (1, 'new', '2026')",
    "replace into tasks select * from tasks",
    "update events set n = 1",
    "drop table tasks",
    "attach database 'x' as y",
    "pragma journal_mode = delete",
    "vacuum into 'stolen.db'",
    "begin; commit",
    "select 1; select 2",
    "select",
    "with recursive r(n) as (select 1 union all select n + 1 from r where n < 10) select * from r",
    "select 1 as a, 2 as a, x'00' as b, 1e999 as c, 9007199254740993 as d",
    "-",
    "",
  ],
  command: [
    "cat",
    "true",
    "sh -c 'exit 3'",
    "no-such-program",
    "",
    " ",
    "'",
    "-x",
    "$(true)",
    "`true`",
    "a\u0000b",
    "💥",
  ],
  project: [".", "new/folder", "plan.yaml", "/dev/null", "a\u0000b", " ", "-x", "$(true)", "💥"],
  save: ["screen", "/dev/null", "nowhere/screen", "a\u0000b", ""],
  keep: ["plan.yaml", "/dev/null", "a\u0000b", ""],
  shell: ["bash", "zsh", "fish"],
  verb: ["task", "claim", "task.claim", "state"],
  words: ["task", "claim", "cl", "", "--", "-w", "demo", "--status", "list"],
  name: ["demo", "other", "fresh", "build", "new_one"],
  to: ["other", "demo", "renamed"],
  lease: ["1ms", "0", "5s", "9999999d"],
  timeout: ["1ms", "0", "0.001s"],
  stuckAfter: ["1ms", "0", "1h"],
  notBefore: ["2026-01-31", "2999-01-01T00:00:00Z", "0000-01-01", "9999-12-31T23:59:59+14:00", "275760-09-13"],
  kind: ["note", "decision", "task", "message", "event"],
  clear: ["description", "payload", "root"],
  fields: ["name", "owner", "payload"],
  root: ["build", "demo/docs", ".", "/"],
  tags: ["core", "a,b", ""],
  payload: ['{"a":1}', "null", "[[[]]]", '"\\u0000"'],
};

/** What these say is run or written to, so that only what is written here may come of it. */
const DANGEROUS = new Set(["command", "project", "keep", "save"]);

const SHAPES: Readonly<Record<string, readonly string[]>> = {
  task: TASKS,
  workstream: ["demo", "demo", "demo", "other"],
  agent: ["ann", "bob"],
  role: ["tester"],
  group: ["a", "0"],
};

/** A value for a field of a verb, as a word: often one that fits. */
function valueFor(field: Argument | Flag): fc.Arbitrary<string> {
  const fitting = field.choices ?? FITTING[field.field] ?? SHAPES[field.completes ?? ""] ?? [];
  const fits =
    field.type === "number"
      ? fc.oneof(fc.integer({ min: 0, max: 100 }), fc.integer({ min: -3, max: 1_000_000 })).map(String)
      : fitting.length > 0
        ? fc.constantFrom(...fitting)
        : fc.constantFrom("Some text", "two\nlines", "word");
  if (DANGEROUS.has(field.field)) return fits;
  return fc.oneof({ weight: 3, arbitrary: fits }, { weight: 2, arbitrary: rarelyHuge });
}

const optionFor = (flag: Flag): fc.Arbitrary<string[]> => {
  const spelling = fc.constantFrom(flag.flag, ...flag.aliases).map((name) => `--${name}`);
  if (flag.type === "boolean") return spelling.map((name) => [name]);
  return fc.oneof(
    { weight: 6, arbitrary: fc.tuple(spelling, valueFor(flag)) },
    { weight: 2, arbitrary: fc.tuple(spelling, valueFor(flag)).map(([name, value]) => [`${name}=${value}`]) },
    {
      weight: 1,
      arbitrary: flag.short
        ? valueFor(flag).map((value) => [`-${flag.short}${value}`])
        : spelling.map((name) => [name]),
    },
  );
};

const ANYWHERE: readonly string[][] = [
  ["--json"],
  ["--json"],
  ["--yes"],
  ["-w", "demo"],
  ["--nope"],
  ["--"],
  ["--help"],
];

/** A command line of the verb: its words, then arguments and options in any order, most of them possible. */
export function lineOf(verb: Verb): fc.Arbitrary<string[]> {
  const words = fc.constantFrom(
    wordsOf(verb.name),
    wordsOf(verb.name),
    ...verb.aliases.map((alias) => alias.split(" ")),
  );
  const given = verb.arguments.map((argument) => {
    const one = valueFor(argument).map((value) => [value]);
    const several = fc.array(valueFor(argument), { maxLength: 3 });
    return fc.oneof({ weight: 8, arbitrary: argument.variadic ? several : one }, { weight: 1, arbitrary: several });
  });
  const options = fc.oneof(...verb.options.map(optionFor), fc.constantFrom(...ANYWHERE));
  return fc
    .tuple(
      words,
      fc.tuple(...given),
      fc.array(options, { maxLength: 4 }),
      fc.array(fc.nat(), { minLength: 5, maxLength: 5 }),
    )
    .map(([called, args, flags, places]) => {
      const parts = args.map((arg) => arg);
      for (const [at, flag] of flags.entries()) parts.splice((places[at] ?? 0) % (parts.length + 1), 0, flag);
      return [...called, ...parts.flat()];
    });
}

/** A command line of any verb. */
export const anyLine: fc.Arbitrary<string[]> = fc.oneof(...VERBS.filter((verb) => verb.name !== "demo").map(lineOf));

const nastyValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: rarelyHuge },
  { weight: 2, arbitrary: fc.oneof(fc.integer(), fc.double(), fc.constantFrom(1e308, -1e308, 2 ** 53, -1)) },
  { weight: 1, arbitrary: fc.constantFrom(null, undefined, true, false, [], {}, [[]], [null]) },
  { weight: 1, arbitrary: fc.array(rarelyHuge, { maxLength: 3 }) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
);

/** A raw input of the verb, as a program would send it. */
export function inputOf(verb: Verb): fc.Arbitrary<Record<string, unknown>> {
  const fields = [...verb.arguments, ...verb.options];
  const model = Object.fromEntries(
    fields.map((field) => [
      field.field,
      DANGEROUS.has(field.field)
        ? typed(field)
        : fc.oneof({ weight: 3, arbitrary: typed(field) }, { weight: 1, arbitrary: nastyValue }),
    ]),
  );
  const required = verb.arguments.map((argument) => argument.field);
  return fc
    .tuple(
      fc.record(model, { requiredKeys: required }),
      fc.constantFrom(...Array(9).fill({}), { "": 1 }, { constructor: 1 }),
    )
    .map(([input, more]) => ({ ...input, ...more }));
}

function typed(field: Argument | Flag): fc.Arbitrary<unknown> {
  const value = valueFor(field);
  switch (field.type) {
    case "boolean":
      return fc.boolean();
    case "number":
      return value.map(Number);
    case "list":
      return fc.array(value, { maxLength: 4 });
    case "json":
      return fc.jsonValue({ maxDepth: 4 });
    default:
      return value;
  }
}

const planTask: fc.Arbitrary<unknown> = fc.record(
  {
    name: fc.oneof(fc.constantFrom("a", "b", "c", "build", "done"), nastyValue),
    title: fc.oneof({ weight: 3, arbitrary: fc.constantFrom("A", "Build") }, { weight: 1, arbitrary: nastyValue }),
    impact: fc.oneof(fc.integer({ min: 1, max: 100 }), nastyValue),
    effortDays: fc.oneof(fc.double({ min: 0.1, max: 100, noNaN: true }), nastyValue),
    priority: fc.oneof(fc.integer({ min: 1, max: 9 }), nastyValue),
    blockedBy: fc.oneof(
      fc.array(fc.constantFrom("a", "b", "c", "build", "deploy", "nope"), { maxLength: 3 }),
      nastyValue,
    ),
    description: nastyValue,
    role: nastyValue,
    kind: nastyValue,
    tags: fc.oneof(fc.array(nastyText, { maxLength: 3 }), nastyValue),
    touches: nastyValue,
    payload: fc.jsonValue({ maxDepth: 4 }),
    notes: fc.oneof(fc.array(nastyText, { maxLength: 3 }), nastyValue),
    status: nastyValue,
  },
  { requiredKeys: [] },
);
const sanePlanTask = fc.record(
  {
    name: fc.constantFrom("a", "b", "c", "d", "build", "done", "deploy"),
    title: fc.oneof(fc.constant("A title"), nastyText),
    blockedBy: fc.array(fc.constantFrom("a", "b", "c", "d", "build", "deploy", "docs"), { maxLength: 3 }),
    notes: fc.array(nastyText, { maxLength: 2 }),
    tags: fc.array(fc.constantFrom("x", "y"), { maxLength: 2 }),
    payload: fc.jsonValue({ maxDepth: 3 }),
    impact: fc.integer({ min: 1, max: 100 }),
  },
  { requiredKeys: ["title"] },
);

/** The value that a plan's document says, before it is written as JSON or YAML. */
export const planValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ tasks: fc.array(sanePlanTask, { maxLength: 5 }) }) },
  { weight: 4, arbitrary: fc.record({ tasks: fc.array(planTask, { maxLength: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ tasks: nastyValue, more: nastyValue }, { requiredKeys: [] }) },
  { weight: 1, arbitrary: nastyValue },
);
