import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { runLine } from "../../src/cli/run.js";
import { shellWords } from "./command.js";
import { temporaryFolder } from "./database.js";

/** The built program; `test/support/build.ts` sees to it that it is there. */
export const PROGRAM = fileURLToPath(new URL("../../dist/main.cjs", import.meta.url));

/** The scripted agent, built like the program. */
export const PLAYER_PROGRAM = fileURLToPath(new URL("../../dist/player.cjs", import.meta.url));

/** V8's compiled form of the program, shared by all test processes so that only the first one compiles. */
export const CODE_CACHE = fileURLToPath(new URL("../../.cache/xdg", import.meta.url));

/** How a command line ended, and what it said. */
export interface Ran {
  /** Null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Standard output as the one JSON value that it must be. */
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into it, and a wrong shape fails them
  json(): any;
  /** Standard error as the one JSON fault that it must be. */
  fault(): FaultJson;
}

export interface FaultJson {
  error: string;
  code: string;
  message: string;
  nextSteps: { intent: string; command: string }[];
  exitCode: number;
  [detail: string]: unknown;
}

export interface RunOptions {
  env?: Record<string, string | undefined>;
  cwd?: string;
  input?: string;
  /** Another user to be, by number. */
  user?: { uid?: number; gid?: number };
}

/** A user's machine of its own: an empty home, a project folder, and mu's database under it. */
export interface Home {
  folder: string;
  project: string;
  database: string;
  env: Record<string, string>;
  /** Runs a line, written as in a shell after the word mu, or its arguments, to its end in a process of its own. */
  mu(line: string | readonly string[], options?: RunOptions): Promise<Ran>;
  /**
   * Runs a line in this process, for what is about the line and its outcome, not about a process: no program is
   * started. One line at a time, as the environment and the folder of the process are the home's meanwhile.
   */
  here(
    line: string | readonly string[],
    options?: Pick<RunOptions, "env" | "cwd" | "input"> & { signal?: AbortSignal },
  ): Promise<Ran>;
  /** Starts a line and hands out the running process; `end` ends what is still running. */
  start(line: string | readonly string[], options?: RunOptions): ChildProcess;
  /** Runs a script with sh or another shell, where `mu` is on the path. */
  sh(script: string, options?: RunOptions & { shell?: string }): Promise<Ran>;
  end(): void;
}

/** A fresh home; nothing of this machine's environment but the path gets into it. */
export function newHome(): Home {
  const { path: folder, remove } = temporaryFolder();
  const project = join(folder, "project");
  mkdirSync(project);
  const state = join(folder, "state");
  const database = join(state, "mu.db");
  const bin = join(folder, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "mu"), `#!/bin/sh\nexec "${process.execPath}" "${PROGRAM}" "$@"\n`, { mode: 0o755 });
  const env = {
    PATH: [bin, dirname(process.execPath), process.env["PATH"]].join(delimiter),
    HOME: folder,
    TMPDIR: folder,
    TMUX_TMPDIR: folder,
    USER: "ann",
    XDG_CACHE_HOME: CODE_CACHE,
    MU_STATE_DIR: state,
    MU_DB_PATH: database,
  };
  const running = new Set<ChildProcess>();
  const launch = (file: string, args: readonly string[], options: RunOptions): ChildProcess => {
    const child = spawn(file, args, {
      ...options.user,
      cwd: options.cwd ?? project,
      env: { ...env, ...options.env } as NodeJS.ProcessEnv,
    });
    running.add(child);
    child.once("close", () => running.delete(child));
    child.stdin.on("error", () => {});
    if (options.input !== undefined) child.stdin.end(options.input);
    return child;
  };
  const start = (line: string | readonly string[], options: RunOptions = {}) =>
    launch(process.execPath, [PROGRAM, ...wordsOf(line)], options);
  return {
    folder,
    project,
    database,
    env,
    start,
    here: (line, { env: own, cwd = project, input = "", ...signal } = {}) =>
      inPlaceOf({ env: { ...env, ...own }, cwd }, () => runHere(wordsOf(line), { input, ...signal })),
    mu: (line, options = {}) => outcome(start(line, { input: "", ...options })),
    sh: (script, { shell = "sh", ...options } = {}) => {
      return outcome(launch(shell, ["-c", script], { input: "", ...options }));
    },
    end: () => {
      for (const child of running) child.kill("SIGKILL");
      if (readdirSync(folder).some((name) => name.startsWith("tmux-"))) spawnSync("tmux", ["kill-server"], { env });
      remove();
    },
  };
}

const wordsOf = (line: string | readonly string[]) => (typeof line === "string" ? shellWords(line) : line);

/** The end of a process that was started. */
export async function outcome(child: ChildProcess): Promise<Ran> {
  const [stdout, stderr, [code, signal]] = await Promise.all([
    allOf(child.stdout),
    allOf(child.stderr),
    new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once("close", (code, signal) => resolve([code, signal]));
      child.once("error", reject);
    }),
  ]);
  return ran(code, signal, stdout, stderr);
}

async function allOf(stream: Readable | null): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream ?? []) parts.push(part as Buffer);
  return Buffer.concat(parts).toString("utf8");
}

function ran(code: number | null, signal: NodeJS.Signals | null, stdout: string, stderr: string): Ran {
  return { code, signal, stdout, stderr, json: () => JSON.parse(stdout), fault: () => JSON.parse(stderr) };
}

/** Runs a line in this process: the same code without the start of a process, for many cases. */
export async function runHere(
  argv: readonly string[],
  options: { input?: string; signal?: AbortSignal } = {},
): Promise<Ran> {
  const said = { out: "", err: "" };
  const output = {
    out: (text: string) => {
      said.out += text;
    },
    err: (text: string) => {
      said.err += text;
    },
    colour: false,
  };
  const input = Readable.from(options.input === undefined ? [] : [Buffer.from(options.input)]);
  Object.defineProperty(process, "stdin", { get: () => input, configurable: true });
  const code = await runLine(argv, output, options.signal ?? new AbortController().signal);
  return ran(code, null, said.out, said.err);
}

/** Does something in another environment and folder; what is written to standard error meanwhile is its answer's. */
async function inPlaceOf(place: { env: NodeJS.ProcessEnv; cwd: string }, run: () => Promise<Ran>): Promise<Ran> {
  const before = { env: process.env, cwd: process.cwd(), write: process.stderr.write };
  const stdin = Object.getOwnPropertyDescriptor(process, "stdin") as PropertyDescriptor;
  let remarks = "";
  process.env = place.env;
  process.chdir(place.cwd);
  process.stderr.write = (text) => {
    remarks += text;
    return true;
  };
  try {
    const { code, signal, stdout, stderr } = await run();
    return ran(code, signal, stdout, remarks + stderr);
  } finally {
    process.env = before.env;
    process.chdir(before.cwd);
    process.stderr.write = before.write;
    Object.defineProperty(process, "stdin", stdin);
  }
}
