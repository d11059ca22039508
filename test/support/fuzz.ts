import { copyFileSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { CommanderError } from "commander";
import { sql } from "kysely";
import { afterAll, beforeAll, expect } from "vitest";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import { verifyChains } from "../../src/journal/audit.js";
import { compareTables } from "../../src/journal/replay.js";
import type { Ran } from "./cli.js";
import { parseCommand } from "./command.js";
import { fewOf, seed } from "./sample.js";
import { type Seeded, seededApp } from "./seeded.js";

/** A batch starts on a fresh copy of the seeded database, which is checked at its end. */
export const BATCH = 20;
/** Batches of each verb; FUZZ_RUNS asks for more in a soak. */
export const RUNS = { numRuns: fewOf(2, Number(process.env["FUZZ_RUNS"] ?? 10)), seed, endOnFailure: true };

/** Aborted from the start, so that what would go on for ever ends at once. */
export const ended = AbortSignal.abort();

/** A project and a database that may be maltreated. */
export interface Victim {
  seeded: Seeded;
  /** The file that `MU_DB_PATH` names. */
  database: string;
  /** Puts the seeded database back into its place. */
  refresh(): void;
}

/** Makes a victim for the tests of this file and turns this process's environment to it. */
export function fuzzVictim(): Victim {
  const victim = {} as Victim;
  const before = {
    env: { ...process.env },
    cwd: process.cwd(),
    stdin: Object.getOwnPropertyDescriptor(process, "stdin"),
  };
  beforeAll(async () => {
    const seeded = await seededApp();
    await sql`pragma wal_checkpoint(truncate)`.execute(seeded.store.db);
    const database = join(seeded.folder, "fuzzed.db");
    Object.assign(victim, { seeded, database, refresh: () => refresh(seeded.folder, database) });
    isolate(seeded.folder, database);
  });
  afterAll(async () => {
    process.chdir(before.cwd);
    process.env = before.env;
    if (before.stdin) Object.defineProperty(process, "stdin", before.stdin);
    await victim.seeded.end();
  });
  return victim;
}

/** No tmux and no agent's CLI is within reach, nor anybody's settings: verbs about panes must bear that too. */
function isolate(folder: string, database: string): void {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  for (const program of ["sh", "true"]) symlinkSync(join("/bin", program), join(bin, program));
  for (const name of Object.keys(process.env)) if (/^(MU|TMUX|XDG)(_|$)/.test(name)) delete process.env[name];
  Object.assign(process.env, {
    HOME: folder,
    TMUX_TMPDIR: folder,
    PATH: bin,
    MU_STATE_DIR: join(folder, "state"),
    MU_DB_PATH: database,
    MU_WORKSTREAM: "demo",
    USER: "ann",
    VISUAL: "true",
  });
  process.chdir(join(folder, "project"));
}

function refresh(folder: string, database: string): void {
  for (const suffix of ["-wal", "-shm"]) rmSync(database + suffix, { force: true });
  copyFileSync(join(folder, "mu.db"), database);
}

/** The database is whole, its chains verify, and its tables are what the events say. */
export async function expectSoundDatabase(database: string): Promise<void> {
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
export function expectGoodManners(argv: readonly string[], { code, stdout, stderr }: Ran): void {
  const said = `mu ${JSON.stringify(argv).slice(0, 2000)} → ${code}\n${stdout.slice(0, 1000)}\n${stderr.slice(0, 2000)}`;
  const check = (holds: boolean, rule: string) => {
    if (!holds) throw new Error(`${rule}: ${said}`);
  };
  check(code !== null && code >= 0 && code <= 8, "the exit code is 0 to 8");
  check(!/^ {4}at /m.test(stderr) && !/\n {4}at .*:\d+:\d+/.test(stderr), "no stack");
  check(!/internal\.bug|bug of its own/.test(stderr), "no bug");
  const end = argv.indexOf("--");
  const json = argv.slice(0, end < 0 ? undefined : end).includes("--json");
  if (json) {
    const fault = stderr
      .split("\n")
      .filter((line) => line !== "" && !isRemark(line))
      .join("\n");
    if (fault !== "") check(isFault(fault, code), "stderr is remarks and one fault in JSON");
    for (const command of nextSteps(fault || stdout)) check(isCommand(command), `${command} can be run`);
    const isJsonOut = isJson(stdout) || stdout.trimEnd().split("\n").every(isJson);
    if (stdout !== "" && !/^Usage: /.test(stdout)) check(isJsonOut, "stdout is JSON");
  } else {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    check(!/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(stdout + stderr), "nothing steers the terminal");
    // The report of `mu doctor` says on standard output what failed.
    const isReported = code === 1 && /^✗ /m.test(stdout);
    // Of several names, each that is refused has its line.
    const isListed = /^ {2}! /m.test(stdout);
    // What a program asked for is answered on standard output, whatever came of it.
    const isAnswered = code === 1 && isJson(stdout);
    const isSaid = isReported || isListed || isAnswered || /^mu: /.test(stderr);
    check([0, 5, 6, 7, 8].includes(code ?? -1) || isSaid, "an error says so");
  }
}

function isRemark(line: string): boolean {
  return isJson(line) && typeof JSON.parse(line).remark === "string";
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
