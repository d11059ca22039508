import { copyFileSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { CommanderError } from "commander";
import fc from "fast-check";
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { verifyChains } from "../src/audit.js";
import { processIo } from "../src/cli/io.js";
import { openSqlite } from "../src/db/sqlite.js";
import { Fault } from "../src/errors.js";
import { execute } from "../src/operations/execute.js";
import { loadOperations } from "../src/operations/index.js";
import { VERBS } from "../src/operations/manifest.js";
import type { Operation } from "../src/operations/operation.js";
import type { Verb } from "../src/operations/verb.js";
import { compareTables } from "../src/replay.js";
import { type Home, newHome, type Ran, runHere } from "./support/cli.js";
import { parseCommand } from "./support/command.js";
import { anyLine, inputOf, lineOf, nastyText, planValue } from "./support/nasty.js";
import { type Seeded, seededApp } from "./support/seeded.js";

/** A batch starts on a fresh copy of the seeded database, which is checked at its end. */
const BATCH = 20;
/** FUZZ_RUNS asks for more batches than the 10 of every day. */
const RUNS = { numRuns: Number(process.env["FUZZ_RUNS"] ?? 10), endOnFailure: true };

let seeded: Seeded;
let database: string;
const before = {
  env: { ...process.env },
  cwd: process.cwd(),
  stdin: Object.getOwnPropertyDescriptor(process, "stdin"),
};

beforeAll(async () => {
  seeded = await seededApp();
  await sql`pragma wal_checkpoint(truncate)`.execute(seeded.store.db);
  database = join(seeded.folder, "fuzzed.db");
  // No tmux and no agent's CLI is within reach, nor anybody's settings: verbs about panes must bear that too.
  const bin = join(seeded.folder, "bin");
  mkdirSync(bin);
  for (const program of ["sh", "true"]) symlinkSync(join("/bin", program), join(bin, program));
  for (const name of Object.keys(process.env)) if (/^(MU|TMUX|XDG)(_|$)/.test(name)) delete process.env[name];
  Object.assign(process.env, {
    HOME: seeded.folder,
    TMUX_TMPDIR: seeded.folder,
    PATH: bin,
    MU_STATE_DIR: join(seeded.folder, "state"),
    MU_DB_PATH: database,
    MU_WORKSTREAM: "demo",
    USER: "ann",
    VISUAL: "true",
  });
  process.chdir(join(seeded.folder, "project"));
});
afterAll(async () => {
  process.chdir(before.cwd);
  process.env = before.env;
  if (before.stdin) Object.defineProperty(process, "stdin", before.stdin);
  await seeded.end();
});

function freshDatabase(): void {
  for (const suffix of ["-wal", "-shm"]) rmSync(database + suffix, { force: true });
  copyFileSync(join(seeded.folder, "mu.db"), database);
}

/** The database is whole, its chains verify, and its tables are what the events say. */
async function expectSoundDatabase(): Promise<void> {
  const store = await openSqlite(database, { missing: "create", synchronous: "NORMAL" });
  try {
    const { rows } = await sql<{ integrity_check: string }>`pragma integrity_check`.execute(store.db);
    expect(rows).toEqual([{ integrity_check: "ok" }]);
    expect((await verifyChains(store.db)).filter((chain) => !chain.ok)).toEqual([]);
    expect(await compareTables(store.db)).toEqual([]);
  } finally {
    await store.close();
  }
}

/** What must hold of any run whatsoever. */
function expectGoodManners(argv: readonly string[], { code, stdout, stderr }: Ran): void {
  const said = `mu ${JSON.stringify(argv).slice(0, 2000)} → ${code}\n${stdout.slice(0, 1000)}\n${stderr.slice(0, 2000)}`;
  const check = (holds: boolean, rule: string) => {
    if (!holds) throw new Error(`${rule}: ${said}`);
  };
  check(code !== null && code >= 0 && code <= 7, "the exit code is 0 to 7");
  check(!/^ {4}at /m.test(stderr) && !/\n {4}at .*:\d+:\d+/.test(stderr), "no stack");
  check(!/internal\.bug|bug of its own/.test(stderr), "no bug");
  const end = argv.indexOf("--");
  const json = argv.slice(0, end < 0 ? undefined : end).includes("--json");
  if (json) {
    if (stderr !== "") check(isFault(stderr, code), "stderr is one fault in JSON");
    for (const command of nextSteps(stderr || stdout)) check(isCommand(command), `${command} can be run`);
    if (stdout !== "" && !/^Usage: /.test(stdout)) check(stdout.trimEnd().split("\n").every(isJson), "stdout is JSON");
  } else {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    check(!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(stdout + stderr), "nothing steers the terminal");
    check(code === 0 || code === 5 || code === 6 || code === 7 || /^mu: /.test(stderr), "an error says so");
  }
}

function isFault(text: string, code: number | null): boolean {
  if (text.trimEnd().includes("\n") || !isJson(text)) return false;
  const { error, code: name, message, nextSteps, exitCode } = JSON.parse(text);
  return (
    [error, name, message].every((word) => typeof word === "string") && Array.isArray(nextSteps) && exitCode === code
  );
}

/** The commands that a result or a fault in JSON offers. */
function nextSteps(text: string): string[] {
  const value = isJson(text) ? JSON.parse(text) : null;
  const commands: string[] = (value?.nextSteps ?? []).map((step: { command: string }) => step.command);
  return commands.filter((command) => /^(EDITOR=\w+ )?mu /.test(command));
}

const parsed = new Map<string, boolean>();

function isCommand(command: string): boolean {
  const known = parsed.get(command) ?? parses(command);
  parsed.set(command, known);
  return known;
}

function parses(command: string): boolean {
  try {
    return parseCommand(command.replace(/^EDITOR=\w+ /, "")) !== undefined;
  } catch (error) {
    return error instanceof CommanderError && error.exitCode === 0;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Aborted from the start, so that what would go on for ever ends at once. */
const ended = AbortSignal.abort();

/** A play takes seconds and has a test of its own: here it is only asked for in ways that it refuses. */
const boundedLineOf = (verb: Verb) =>
  verb.name === "demo" ? lineOf(verb).map((argv) => [...argv, "--keep", "/dev/null"]) : lineOf(verb);

const input = fc.oneof(fc.constant("tasks:\n  - title: One\n"), nastyText);

describe("any command line", () => {
  it.each(VERBS.map((verb) => [verb.name.replace(".", " "), verb] as const))("mu %s …", async (_name, verb) => {
    const batch = fc.array(fc.tuple(boundedLineOf(verb), input), { minLength: BATCH, maxLength: BATCH });
    await fc.assert(
      fc.asyncProperty(batch, async (lines) => {
        freshDatabase();
        for (const [argv, text] of lines) expectGoodManners(argv, await runHere(argv, { input: text, signal: ended }));
        await expectSoundDatabase();
      }),
      RUNS,
    );
  });

  it("in any order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyLine, { minLength: 40, maxLength: 40 }), async (lines) => {
        freshDatabase();
        for (const argv of lines) expectGoodManners(argv, await runHere(argv, { signal: ended }));
        await expectSoundDatabase();
      }),
      RUNS,
    );
  });
});

describe("any input of a program", async () => {
  const operations = (await loadOperations()).filter((operation) => !operation.standalone);

  it.each(operations.map((operation) => [operation.name, operation] as const))("%s", async (_name, operation) => {
    const verb = VERBS.find((known) => known.name === operation.name);
    if (verb === undefined) throw new Error(`${operation.name} is not in the manifest`);
    await fc.assert(
      fc.asyncProperty(fc.array(inputOf(verb), { minLength: BATCH, maxLength: BATCH }), async (inputs) => {
        freshDatabase();
        for (const one of inputs) await expectAnswerOrFault(operation, one);
        await expectSoundDatabase();
      }),
      RUNS,
    );
  });
});

async function expectAnswerOrFault(operation: Operation, given: unknown): Promise<void> {
  const world = {
    ...seeded.world,
    io: { ...processIo(ended, seeded.world.io), edit: seeded.world.io.edit },
    openStore: () => openSqlite(database, { missing: "empty", synchronous: "NORMAL" }),
  };
  try {
    const result = await execute(operation, given, world);
    const checked = operation.output().safeParse(result);
    if (!checked.success) throw new Error(`a result of another shape: ${JSON.stringify(checked.error.issues)}`);
  } catch (error) {
    if (error instanceof Fault && error.code !== "internal.bug") return;
    throw new Error(`${operation.name} ${JSON.stringify(given)?.slice(0, 2000)}: ${(error as Error).stack}`);
  }
}

describe("any plan", () => {
  const written = fc.oneof(
    planValue.map((value) => JSON.stringify(value) ?? ""),
    planValue.map((value) => stringify(value, { aliasDuplicateObjects: false }) ?? ""),
    fc.tuple(planValue, fc.nat()).map(([value, at]) => broken(JSON.stringify(value) ?? "", at)),
    fc.tuple(planValue, fc.nat()).map(([value, at]) => broken(stringify(value) ?? "", at)),
    fc.constantFrom(
      "&a [*a]",
      "a: &a [x]\nb: [*a, *a]",
      "!!binary x",
      "---\n---\n",
      "tasks: *nothing",
      "[".repeat(50_000),
      "{a: ".repeat(10_000),
    ),
    nastyText,
  );

  it("is applied, or refused with its place, and nothing in between", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(written, { minLength: BATCH, maxLength: BATCH }), async (plans) => {
        freshDatabase();
        for (const plan of plans) {
          const argv = ["task", "apply", "-", "--json"];
          const ran = await runHere(argv, { input: plan });
          expectGoodManners([...argv, plan], ran);
        }
        await expectSoundDatabase();
      }),
      { ...RUNS, numRuns: 2 * RUNS.numRuns },
    );
  });
});

/** A text with a piece taken out: half a document. */
const broken = (text: string, at: number) =>
  text.slice(0, at % (text.length + 1)) + text.slice((at % (text.length + 1)) + 3);

describe("in processes of their own", () => {
  let home: Home;
  beforeEach(() => {
    home = newHome();
  });
  afterEach(() => home.end());

  it("every verb keeps its manners", async () => {
    const env = { PATH: process.env["PATH"] ?? "", MU_DB_PATH: database, MU_WORKSTREAM: "demo", VISUAL: "true" };
    // NUL cannot stand in a process's arguments, nor can a megabyte; a signal ends what waits on.
    const possible = (argv: readonly string[]) => argv.every((word) => !word.includes("\0") && word.length < 100_000);
    freshDatabase();
    for (const verb of VERBS) {
      if (verb.follows || verb.name.endsWith(".wait")) continue;
      const lines = fc.sample(boundedLineOf(verb).filter(possible), 2);
      const ends = await Promise.all(lines.map((argv) => home.mu(argv, { env })));
      for (const [at, ran] of ends.entries()) expectGoodManners(lines[at] ?? [], ran);
    }
    await expectSoundDatabase();
  });
});
