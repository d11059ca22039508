import { systemClock } from "../clock.js";
import { openStore, upgradeStore } from "../db/open.js";
import { execute, executeFollowing, type World } from "../operations/execute.js";
import { findOperation } from "../operations/index.js";
import { VERBS } from "../operations/manifest.js";
import { databasePath } from "../paths.js";
import { findVerb, type Line, readLine } from "./argv.js";
import { installSkill, processRequest } from "./io.js";
import { buildProgram, type Call } from "./program.js";
import { type Output, reportError, showFollowed, showResult } from "./show.js";
import { usageFault, withUsage } from "./usage.js";

/** Runs one command line to its end and gives the exit code. */
export async function runLine(argv: readonly string[], output: Output, signal: AbortSignal): Promise<number> {
  const line = readLine(argv, VERBS);
  try {
    const call = parse(line, output);
    return call === undefined ? 0 : await perform(call, line.json, output, signal);
  } catch (error) {
    return reportError(withUsage(error, line, VERBS), line, output);
  }
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
  const world = processWorld(output);
  const request = { ...processRequest(signal, { json }), self };
  if (verb.follows) {
    const show = await showFollowed(operation, json, output);
    if (await executeFollowing(operation, input, world, request, show)) return 0;
  }
  const result = await execute(operation, input, world, request);
  await showResult(operation, result, json, output);
  return operation.exitCode?.(result as never) ?? 0;
}

/** This process as verbs see it. */
function processWorld(output: Output): World {
  const address = {
    url: process.env.MU_DATABASE_URL,
    path: databasePath(process.env),
    busyTimeoutMs: milliseconds(process.env["MU_BUSY_TIMEOUT_MS"]),
  };
  const world: World = {
    clock: systemClock,
    program: {
      registry: { verbs: VERBS, find: findOperation },
      querySql: async (context, text) => {
        output.endAtSignals?.();
        const parent = process.env["MU_PARENT_PID"];
        if (parent) await endWithParent(Number(parent));
        return (await import("../journal/sql.js")).querySql(context, text);
      },
      serveMcp: async (request) => (await import("../mcp.js")).serveMcp(world, request),
      installSkill,
      upgradeDatabase: (options) => upgradeStore(address, options),
      playDemo: async (options, request) => (await import("./demo.js")).playDemoHere(options, request),
    },
    openCrew: async (context, { env }) => (await import("./crew.js")).processCrew(context, env),
    askPane: async (pane, { env }) => (await import("./crew.js")).askProcessPane(pane, env),
    openStore: () => openStore(address),
  };
  return world;
}

/** Ends this process soon after the server that started it, whatever its own thread is busy with. */
async function endWithParent(pid: number): Promise<void> {
  const { Worker } = await import("node:worker_threads");
  const watch = `setInterval(() => process.ppid === ${pid} || process.kill(process.pid, "SIGKILL"), 200)`;
  new Worker(watch, { eval: true }).unref();
}

/** A setting in ms; what is no such number counts as not set. */
function milliseconds(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
