import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { isatty } from "node:tty";
import { systemClock } from "../clock.js";
import { type Address, openStore, upgradeStore } from "../db/open.js";
import { Fault, interrupted } from "../errors.js";
import type { Program, Request } from "../operations/app.js";
import { execute, executeFollowing, type World } from "../operations/execute.js";
import { findOperation } from "../operations/index.js";
import { VERBS } from "../operations/manifest.js";
import type { Operation } from "../operations/operation.js";
import { findVerb } from "../operations/verb.js";
import { databasePath, stateFolder } from "../paths.js";
import { type Line, readLine } from "./argv.js";
import { installSkill, processRequest, readSkill, readTemplate } from "./io.js";
import { buildProgram, type Call } from "./program.js";
import { type Output, reportError, showFollowed, showResult } from "./show.js";
import { usageFault, withUsage } from "./usage.js";

/** Runs one command line to its end and gives the exit code. */
export async function runLine(argv: readonly string[], output: Output, signal: AbortSignal): Promise<number> {
  // What the dispatcher starts for every run: it needs no verb.
  if (argv[0] === "runner" && /^\d+$/.test(argv[1] ?? "")) {
    return (await import("./runner.js")).carryOutRun(Number(argv[1]), addressOf(signal), output, signal);
  }
  const line = readLine(argv, VERBS, () => (forPerson(output) ? "top" : "state"));
  try {
    const call = parse(line, output);
    return call === undefined ? 0 : await perform(call, line.json, output, signal);
  } catch (error) {
    return reportError(withUsage(error, line, VERBS), line, output);
  }
}

/** Whether a person sits at this terminal: an agent in its pane would be caught in a view. */
function forPerson({ captured }: Output): boolean {
  return !captured && isatty(0) && isatty(1) && !process.env["MU_AGENT_ID"];
}

/** What the line asks for; undefined when it asked for help and got it. */
function parse(line: Line, output: Output): Call | undefined {
  let call: Call | undefined;
  const called = findVerb(line.words, VERBS);
  const wanted = called !== undefined && !hasVerbsBelow(called.name, line) ? [called] : VERBS;
  const program = buildProgram(wanted, (found) => {
    call = found;
  });
  for (const command of everyCommand(program)) command.configureOutput({ writeOut: output.out, writeErr: () => {} });
  const help = line.bare ? [...line.words, "--help"] : [...line.argv, "--help"];
  try {
    program.parse(line.bare || (line.help && !line.argv.some(isHelp)) ? help : line.argv, { from: "user" });
  } catch (error) {
    const fault = usageFault(error, line, VERBS);
    if (fault !== undefined) throw fault;
  }
  return call;
}

/** A line that somebody suggests, read as if it was typed. */
const readCommand: Program["readCommand"] = (words) => {
  try {
    const call = parse(readLine(words, VERBS), { out: () => {}, err: () => {}, colour: false });
    return call && { verb: call.verb.name, input: call.input };
  } catch {
    return undefined;
  }
};

const isHelp = (word: string) => word === "-h" || word === "--help";

/** `mu me` has verbs below it, so that its help and its mistakes need the whole tree. */
function hasVerbsBelow(name: string, line: Line): boolean {
  return line.help && VERBS.some((verb) => verb.name.startsWith(`${name}.`));
}

function everyCommand(command: ReturnType<typeof buildProgram>): ReturnType<typeof buildProgram>[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

async function perform(
  { verb, input, self }: Call,
  json: boolean,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const operation = await findOperation(verb.name);
  if (operation === undefined) throw new Error(`the manifest names ${verb.name}, which is no operation`);
  const parent = process.env[PARENT];
  if (parent) await endWithParent(Number(parent));
  const world = processWorld(parent ? { ...output, program: undefined } : output, signal);
  const request = {
    ...processRequest(signal, { json, ...(output.captured && { captured: output.err }) }),
    self,
    endAtSignals: output.endAtSignals,
  };
  if (verb.follows) {
    const show = await showFollowed(operation, json, output);
    const following = executeFollowing(operation, input, world, request, show);
    if (await untilTidy(operation, following, signal)) return output.endsWith ?? 0;
  }
  const result = await untilTidy(operation, execute(operation, input, world, request), signal);
  await showResult(operation, input, result, json, output);
  if (!operation.standalone) reportMissingFolder(output);
  const code = operation.exitCode?.(result as never) ?? 0;
  // A write that gives its result is done, however late the signal came; of a read it may be a part.
  return operation.effect === "read" ? (output.endsWith ?? code) : code;
}

/** How long an interrupted verb may take to undo what it began, in ms: what is left then is settled as after a crash. */
const TIDY_MS = { read: 200, write: 2_000, destroy: 2_000 };

/** The verb's answer, or the fault that it was interrupted where it does not end by itself. */
async function untilTidy<T>(operation: Operation, answer: Promise<T>, signal: AbortSignal): Promise<T> {
  const { effect, standalone, endsLate } = operation;
  if (standalone || endsLate) return answer;
  let timer: NodeJS.Timeout | undefined;
  let giveUp = () => {};
  const late = new Promise<never>((_, reject) => {
    giveUp = () => {
      timer = setTimeout(() => reject(interrupted("Interrupted.")), TIDY_MS[effect]);
    };
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp, { once: true });
  });
  return Promise.race([answer, late]).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
  });
}

/** Without its folder a database reads as an empty one, also if only its name is misspelt. */
function reportMissingFolder(output: Output): void {
  const folder = dirname(databasePath(process.env));
  if (process.env.MU_DATABASE_URL || existsSync(folder) || folder === stateFolder(process.env)) return;
  output.err(`There is no folder ${folder}, which MU_DB_PATH names: nothing is stored there yet.\n`);
}

/** Where this process's database is. */
function addressOf(signal: AbortSignal): Address {
  return {
    url: process.env.MU_DATABASE_URL,
    path: databasePath(process.env),
    busyTimeoutMs: milliseconds(process.env["MU_BUSY_TIMEOUT_MS"]),
    signal,
  };
}

/** This process as verbs see it. */
function processWorld(output: Output, signal: AbortSignal): World {
  const address = addressOf(signal);
  const world: World = {
    clock: systemClock,
    program: {
      registry: { verbs: VERBS, find: findOperation },
      runApart: output.program === undefined ? undefined : (...call) => runApart(output.program as string, ...call),
      startApart: output.program === undefined ? undefined : (...call) => startApart(output.program as string, ...call),
      argvOf:
        output.program === undefined ? undefined : (words) => [process.execPath, output.program as string, ...words],
      readCommand,
      async *readLines(options) {
        yield* (await import("./lines.js")).readLines(options);
      },
      answerOps: async (...call) => (await import("../gateway.js")).answerOps(world, ...call),
      async *streamOps(...call) {
        yield* (await import("../gateway.js")).streamOps(world, ...call);
      },
      serveUi: async (app, { browser, ...options }, told) => {
        const { serveUi } = await import("../web/serve.js");
        await serveUi(world, app, options, (address) => {
          told(address);
          if (browser) void import("../web/browser.js").then(({ openBrowser }) => openBrowser(address, process.env));
        });
      },
      serveMcp: async (...call) => (await import("../mcp.js")).serveMcp(world, ...call),
      installSkill,
      readSkill,
      readTemplate,
      showTop: async (app, workstream, under) =>
        (await import("./top.js")).showTopHere(app, { workstream, under }, { output, runLine }),
      paintFile: async (columns) =>
        (await import("./paint.js")).createPaint({ colour: true, columns, now: Date.now() }),
      upgradeDatabase: (options) => upgradeStore(address, options),
      playDemo: async (options, request) => (await import("./demo.js")).playDemoHere(options, request),
    },
    openCrew: async (context, { env, signal }) => (await import("../agents/crew.js")).processCrew(context, env, signal),
    askPane: async (pane, { env }) => (await import("./crew.js")).askProcessPane(pane, env),
    openStore: (damaged) => openStore(address, damaged),
    openExamined: async () => (await import("../db/examine.js")).openExamined(address),
  };
  return world;
}

/** SQLite blocks its thread until it has an answer, and only a process can be ended. */
async function runApart(program: string, words: readonly string[], input: string, request: Request) {
  const { env, cwd, signal, self } = request;
  const { execProgram } = await import("../exec.js");
  const { code, stdout, stderr, notStarted } = await execProgram(
    process.execPath,
    [program, ...words, "--json", ...(self ? ["--self"] : [])],
    {
      env: { ...env, [PARENT]: String(process.pid) },
      cwd,
      input,
      signal,
      endWith: "SIGKILL",
    },
  );
  if (code === 0) return JSON.parse(stdout);
  if (signal.aborted) throw interrupted();
  if (!stderr.startsWith("{")) throw noAnswer(notStarted ?? (code === null ? "it was killed" : `exit ${code}`));
  const { error, code: name, message, nextSteps, exitCode: _, ...details } = JSON.parse(stderr);
  throw new Fault(error, name, message, nextSteps, details);
}

function noAnswer(why: string): Fault {
  const message = `The statement runs in a process of its own (${process.execPath}), which gave no answer: ${why}.`;
  return new Fault("unavailable", "sql.no_answer", message, [
    { intent: "See what the log says of it", command: "mu log -n 5" },
  ]);
}

async function startApart(program: string, words: readonly string[], { env, cwd }: Request): Promise<void> {
  (await import("../exec.js")).startDetached([program, ...words], { env: { ...env }, cwd });
}

/** Names the process that a process apart ends with. */
const PARENT = "MU_PARENT_PID";

/** Ends this process soon after the one that started it, whatever its own thread is busy with. */
async function endWithParent(pid: number): Promise<void> {
  const { Worker } = await import("node:worker_threads");
  const watch = `setInterval(() => process.ppid === ${pid} || process.kill(process.pid, "SIGKILL"), 200)`;
  new Worker(watch, { eval: true }).unref();
}

/** A setting in ms; what is no such number counts as not set. */
function milliseconds(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
