import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { asFault } from "../../src/errors.js";
import { type Key, type Keys, standardsOf } from "../../src/project/keys.js";
import { checkSettings, parseSettings, readSettings, settingsOf } from "../../src/project/read.js";
import { DEFAULT_ROLE, DEFAULT_SETTINGS, PROJECT_KEYS, ROLE_KEYS } from "../../src/project/settings.js";

function problemsOf(file: unknown): string[] {
  const problems: string[] = [];
  checkSettings(file, problems);
  return problems;
}

describe("the settings file", () => {
  it.each<[string, unknown, string[]]>([
    ["an empty object", {}, []],
    ["a name and a schema", { $schema: "./x.json", projectName: "Shop “1”" }, []],
    ["a list", [], ["the file: must be an object"]],
    ["null", null, ["the file: must be an object"]],
    ["a group that is none", { budget: 3 }, ["budget: must be an object"]],
    ["a role that is none", { roles: { code: "claude" } }, ["roles.code: must be an object"]],
    ["roles in a list", { roles: [] }, ["roles: must be an object"]],
    ["a near key", { buget: {} }, ["buget: unknown key. Did you mean budget?"]],
    ["a near key of a role", { roles: { qa: { dailyCap: 1 } } }, ["roles.qa.dailyCap: unknown key."]],
    ["a strange key", { "a b\n": 1 }, ['"a b\\n": unknown key.']],
    [
      "texts as numbers",
      { roles: { code: { dailyCapUsd: "20" } }, dispatch: { pollSeconds: "10" } },
      [
        "dispatch.pollSeconds: must be a number from 0.05 to 3600",
        "roles.code.dailyCapUsd: must be a number from 0 to 1000000 or null",
      ],
    ],
    [
      "a cap below 0",
      { roles: { code: { dailyCapUsd: -1 } } },
      ["roles.code.dailyCapUsd: must be a number from 0 to 1000000 or null"],
    ],
    ["no cap, and never", { roles: { a: { dailyCapUsd: null }, b: { dailyCapUsd: 0 } } }, []],
    [
      "half a run",
      { roles: { a: { concurrency: 1.5 } } },
      ["roles.a.concurrency: must be a whole number from 1 to 100"],
    ],
    [
      "an unknown CLI",
      { roles: { a: { cli: "cloud" } } },
      ["roles.a.cli: must be claude, codex, gemini, opencode, pi, command"],
    ],
    [
      "a tool that is a number",
      { roles: { a: { allowedTools: ["Read", 3] } } },
      ["roles.a.allowedTools: must be a list of texts or null"],
    ],
    [
      "a command without one",
      { roles: { a: { cli: "command" } } },
      ["roles.a.command: must say what to run, as cli is command"],
    ],
    ["a command", { roles: { a: { cli: "command", command: "./run.sh" } } }, []],
    [
      "a role's strange name",
      { roles: { QA: {} } },
      ["roles.QA: a role's name is a lower-case letter, then up to 31 letters, digits, _ or -"],
    ],
    [
      "a path out of the folder",
      { paths: { killSwitch: "../kill" } },
      ["paths.killSwitch: must be a path inside the project folder"],
    ],
    [
      "a path from the root",
      { paths: { reports: "/tmp" } },
      ["paths.reports: must be a path inside the project folder"],
    ],
    ["a path with dots in its names", { paths: { reports: "..reports/x..y/.z" } }, []],
    [
      "a topic with a slash",
      { notifications: { ntfyTopic: "a/b" } },
      ["notifications.ntfyTopic: must be at most 64 letters, digits, - or _"],
    ],
  ])("%s", (_, file, problems) => {
    expect(problemsOf(file)).toEqual(problems);
  });

  it("gives defaults for what it leaves out", () => {
    expect(parseSettings("{}")).toEqual(DEFAULT_SETTINGS);
    expect(parseSettings('\ufeff{"roles":{"code":{}},"budget":{"projectCeilingUsd":5}}')).toEqual({
      ...DEFAULT_SETTINGS,
      budget: { projectCeilingUsd: 5, softCapRatio: 0.8 },
      roles: { code: { name: "code", ...DEFAULT_ROLE } },
    });
  });

  it("takes no role from the language's own objects", () => {
    expect(problemsOf(JSON.parse('{"roles":{"constructor":{}},"__proto__":{"a":1},"toString":1}'))).toEqual([
      "__proto__: unknown key.",
      "toString: unknown key.",
    ]);
    expect(parseSettings("{}").roles["constructor"]).toBeUndefined();
  });
});

const ARBITRARIES = {
  text: fc.stringMatching(/^[ -~é\n]{0,40}$/),
  line: fc.stringMatching(/^[ -~é]{0,40}$/),
  path: fc.stringMatching(/^[a-z]{1,5}(\/[a-z.]{0,3}[a-z]){0,3}$/),
  origin: fc.constantFrom("", "https://laptop.example", "http://localhost:9000"),
  url: fc.constantFrom("http://localhost:8080", "https://ntfy.example/x"),
  topic: fc.stringMatching(/^[-_A-Za-z0-9]{0,64}$/),
  boolean: fc.boolean(),
  texts: fc.array(fc.string({ minLength: 1 })),
  object: fc.constant({}),
};

const isKey = (key: Key | Keys): key is Key => "standard" in key;

/** Any value that a key takes. */
function validOf({ kind, nullable, least = 0, most = 0 }: Key): fc.Arbitrary<unknown> {
  const plain =
    typeof kind !== "string"
      ? fc.constantFrom(...kind)
      : kind === "whole"
        ? fc.integer({ min: least, max: most })
        : kind === "number"
          ? fc.double({ min: least, max: most, noNaN: true }).map((value) => value + 0)
          : ARBITRARIES[kind];
  return nullable ? fc.option(plain as fc.Arbitrary<unknown>) : plain;
}

/** Any object that gives some of the keys. */
function anyOf(keys: Keys): fc.Arbitrary<object> {
  const fields = Object.entries(keys).map(([name, key]) => [name, isKey(key) ? validOf(key) : anyOf(key)]);
  return fc.record(Object.fromEntries(fields), { requiredKeys: [] });
}

const role = anyOf(ROLE_KEYS).map((given) => ({ command: "./run", ...given }) as { command?: string | null });
const roles = fc.dictionary(
  fc.stringMatching(/^[a-z][a-z0-9_-]{0,31}$/),
  role.map((given) => (given.command?.trim() ? given : { ...given, command: "./run" })),
);
const files = fc
  .tuple(anyOf(PROJECT_KEYS), roles)
  .map(([settings, found]) => ({ ...settings, roles: found }) as Record<string, unknown>);

/** The paths of all keys of a file with a role `code`. */
function pathsOf(keys: Keys, path: string[] = []): string[][] {
  return Object.entries(keys).flatMap(([name, key]) =>
    isKey(key) ? [[...path, name]] : pathsOf(key, [...path, name]),
  );
}

function withValue(file: object, [first = "", ...rest]: readonly string[], value: unknown): Record<string, unknown> {
  const inner = (file as Record<string, unknown>)[first];
  return { ...file, [first]: rest.length === 0 ? value : withValue((inner as object) ?? {}, rest, value) };
}

describe("any settings", () => {
  it("come back as they were written, also with all defaults", () => {
    fc.assert(
      fc.property(files, (file) => {
        const settings = parseSettings(JSON.stringify(file));
        expect(settings).toMatchObject(JSON.parse(JSON.stringify(file)));
        const { roles: found, ...rest } = settings;
        const bare = Object.entries(found).map(([name, { name: _, ...given }]) => [name, given]);
        expect(parseSettings(JSON.stringify({ ...rest, roles: Object.fromEntries(bare) }))).toEqual(settings);
      }),
      { numRuns: 60 },
    );
  });

  it("with one wrong value or unknown key name its path, and only that", () => {
    const paths = [...pathsOf(PROJECT_KEYS), ...pathsOf(ROLE_KEYS, ["roles", "code"])];
    fc.assert(
      fc.property(files, fc.constantFrom(...paths), fc.boolean(), (file, path, isUnknown) => {
        const place = isUnknown ? [...path.slice(0, -1), "zzzzzzzz"] : path;
        const whole = withValue(file, ["roles", "code"], { command: "./run" });
        const problems = problemsOf(withValue(whole, place, { wrong: true }));
        const [first, ...more] = problems;
        expect(first).toMatch(isUnknown ? `${place.join(".")}: unknown key.` : `${place.join(".")}: must be `);
        expect(more).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it("has defaults that it takes itself", () => {
    expect(problemsOf(standardsOf(PROJECT_KEYS))).toEqual([]);
    expect(problemsOf({ roles: { code: standardsOf(ROLE_KEYS) } })).toEqual([]);
  });
});

describe("reading the file", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "mu-settings-"));
  });
  afterEach(() => rm(root, { recursive: true }));

  const write = async (text: string) => {
    await mkdir(join(root, ".mu"), { recursive: true });
    await writeFile(join(root, ".mu", "settings.json"), text);
  };
  const faultOf = (reading: Promise<unknown>) =>
    reading.then(
      () => expect.unreachable("it was read"),
      (error: unknown) => asFault(error),
    );

  it("gives the defaults without a file or a folder", async () => {
    expect(await readSettings(root)).toEqual(DEFAULT_SETTINGS);
    expect(await readSettings(join(root, "nowhere"))).toEqual(DEFAULT_SETTINGS);
  });

  it.each([
    ["an empty file", "", "the file is empty"],
    ["a torn file", '{"roles": {"code": {"cli": "cla', "the file is not JSON: "],
    ["comments", '{ // none\n"roles": {} }', "the file is not JSON: "],
  ])("refuses %s and names it", async (_, text, reason) => {
    await write(text);
    expect(await faultOf(readSettings(root))).toMatchObject({
      code: "settings.invalid",
      exitCode: 2,
      message: expect.stringContaining(`.mu/settings.json is not valid: ${reason}`),
    });
  });

  it("refuses a folder in its place, and a file that it may not read", async () => {
    await mkdir(join(root, ".mu", "settings.json"), { recursive: true });
    expect((await faultOf(readSettings(root))).message).toContain("it is not a file");
    await rm(join(root, ".mu"), { recursive: true });
    await write("{}");
    await chmod(join(root, ".mu", "settings.json"), 0o000);
    if (process.getuid?.() === 0) return;
    expect((await faultOf(readSettings(root))).message).toContain("cannot be read (EACCES)");
  });

  it("lists all problems at once", async () => {
    await write('{"projectNam":"x","roles":{"code":{"concurrency":0,"cli":"x"}}}');
    const { message, details } = await faultOf(readSettings(root));
    expect(details["problems"]).toHaveLength(3);
    expect(message).toBe(
      [
        ".mu/settings.json is not valid:",
        "projectNam: unknown key. Did you mean projectName?",
        "roles.code.cli: must be claude, codex, gemini, opencode, pi, command",
        "roles.code.concurrency: must be a whole number from 1 to 100",
      ].join("\n  "),
    );
  });

  it("holds the last good settings while the file is broken or gone, and says so", async () => {
    const read = settingsOf(root);
    expect(await read()).toEqual({ settings: DEFAULT_SETTINGS, problem: null });
    await write('{"projectName":"one"}');
    const first = await read();
    expect(first).toMatchObject({ settings: { projectName: "one" }, problem: null });
    expect(await read()).toBe(first);

    await write('{"projectName":"tw');
    const broken = await read();
    expect(broken.settings).toBe(first.settings);
    expect(broken.problem).toContain("the file is not JSON");
    expect(await read()).toBe(broken);

    await rename(join(root, ".mu", "settings.json"), join(root, "away"));
    expect(await read()).toMatchObject({ settings: { projectName: "one" }, problem: expect.stringContaining("gone") });
    expect(await read()).toMatchObject({ settings: { projectName: "one" }, problem: expect.stringContaining("gone") });

    await write('{"projectName":"two"}');
    expect(await read()).toMatchObject({ settings: { projectName: "two" }, problem: null });
  });
});
