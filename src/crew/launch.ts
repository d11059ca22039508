import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import {
  type Access,
  type AgentCli,
  type Launch,
  type LaunchOptions,
  launchOf,
  variablesFor,
} from "../agents/clis/cli.js";
import { cliOfWords, overrideName, resolveCli, wordsOf } from "../agents/clis/programs.js";
import type { Crew } from "../agents/crew.js";
import type { LaunchRecord } from "../agents/files.js";
import { agentEventsFile } from "../agents/hooks/install.js";
import { Fault } from "../errors.js";
import { type AgentRef, quote } from "../names.js";
import { type Place, placeHere } from "../place.js";
import type { Layout } from "../tmux/appearance.js";

/** What to start. */
export interface LaunchWishes {
  /** Which agent CLI; without it the command's own, when it is one, else `command`; without a command `pi`. */
  cli?: string | undefined;
  /** Command line in place of the CLI's own. */
  command?: string | undefined;
  /** Arguments behind it. */
  args?: readonly string[] | undefined;
  env?: Readonly<Record<string, string>> | undefined;
  /** Absolute. */
  cwd: string;
  access?: Access | undefined;
  model?: string | undefined;
  /** A window to share with other agents; without it the agent has a window of its own. */
  window?: string | undefined;
  layout?: Layout | undefined;
  /** Names of the caller's variables that the agent had at its last start. */
  variables?: readonly string[] | undefined;
  /** The conversation to resume. */
  resume?: string | undefined;
}

/** A checked launch. */
export interface LaunchPlan {
  cli: AgentCli;
  record: LaunchRecord;
  access: Access;
  window: string;
  /** Variables that the agent had at its last start, and that nobody sets now. */
  lacks: readonly string[];
  /** Where it will live. */
  place: Place;
  /** The conversation, when the CLI can resume it. */
  sessionRef: string | null;
  /** The conversation that it begins where it resumes none, if the CLI lets its caller name it. */
  newSession: string | null;
  /** Run the command by exec, without a shell. */
  program: readonly string[] | undefined;
}

/**
 * Checks that the agent can be started at all, before anything is written or opened. Faults `cli.unknown`,
 * `agent.command_not_found`, `agent.invalid_env`, `agent.invalid_command`.
 */
export async function planLaunch(crew: Crew, ref: AgentRef, wishes: LaunchWishes): Promise<LaunchPlan> {
  const key = keyOf(wishes);
  const cli = resolveCli(key, crew.env);
  const command = wishes.command ?? (crew.env[overrideName(key)] || cli.command);
  const env = checkEnvironment(wishes.env ?? {});
  if (command.trim() === "" || command.includes("\0")) throw invalidCommand(command);
  const given = Object.keys(variablesFor(cli, crew.env));
  const lacks = (wishes.variables ?? []).filter((name) => !given.includes(name) && env[name] === undefined);
  const path = env["PATH"] ?? crew.env["PATH"] ?? "";
  const program = await findProgram(crew, cli, { command, cwd: wishes.cwd, path });
  const plan: LaunchPlan = {
    cli,
    record: {
      command,
      args: wishes.args ?? [],
      env,
      variables: [...given, ...lacks],
      cwd: wishes.cwd,
      shared: wishes.window !== undefined,
      ...(wishes.layout !== undefined && { layout: wishes.layout }),
      ...(wishes.model !== undefined && { model: wishes.model }),
    },
    access: wishes.access ?? "full",
    window: wishes.window ?? ref.name,
    lacks,
    place: placeHere(),
    sessionRef: cli.switches !== undefined ? (wishes.resume ?? null) : null,
    newSession: null,
    program,
  };
  return { ...plan, newSession: canNameSession(plan) ? randomUUID() : null };
}

const keyOf = ({ cli, command }: LaunchWishes) => cli ?? cliOf(command);

/** The CLI that is wished for. Faults `cli.unknown`. */
export const cliFor = (crew: Crew, wishes: LaunchWishes): AgentCli => resolveCli(keyOf(wishes), crew.env);

/** The program and its arguments for the pane, and the environment that the CLI itself needs. */
export async function launchArgv(
  crew: Crew,
  plan: LaunchPlan,
): Promise<{ argv: [string, ...string[]]; env: Launch["env"] }> {
  const { stateDir, env } = crew;
  const home = env["HOME"];
  const eventsFile = await agentEventsFile(plan.cli, { stateDir, env, ...(home !== undefined && { home }) });
  const options: LaunchOptions = {
    stateDir,
    writableDirs: databaseFolder(crew),
    access: plan.access,
    ...(plan.record.model !== undefined && { model: plan.record.model }),
    ...(eventsFile !== undefined && { eventsFile }),
    ...(plan.newSession !== null && { newSession: plan.newSession }),
  };
  const launch = launchOf(plan.cli, options, plan.sessionRef);
  const args = [...(takesSwitches(plan) ? launch.args : []), ...plan.record.args];
  return { argv: argvOf(plan, args), env: { ...variablesFor(plan.cli, env), ...launch.env } };
}

/**
 * Switches are for the CLI itself, or a wrapper with its name; any other command might not accept them. A conversation or
 * read-only access that was asked for is never dropped silently.
 */
function takesSwitches({ cli, record, access, sessionRef }: LaunchPlan): boolean {
  if (sessionRef !== null || access !== "full" || record.command === cli.command) return true;
  return firstWord(record.command)?.split("/").at(-1)?.includes(cli.key) ?? false;
}

/** A person who names the conversation in the command decides about it. */
const NAMES_SESSION = /(?:^|\s)(?:-r|--resume|--session-id)(?:[\s=]|$)/;

function canNameSession(plan: LaunchPlan): boolean {
  const { cli, record } = plan;
  if (cli.switches?.begin === undefined || !takesSwitches({ ...plan, sessionRef: null })) return false;
  return !NAMES_SESSION.test([record.command, ...record.args].join(" "));
}

function argvOf({ program, record: { command } }: LaunchPlan, args: readonly string[]): [string, ...string[]] {
  const [file, ...words] = program ?? [];
  if (file !== undefined) return [file, ...words, ...args];
  if (args.length === 0) return ["/bin/sh", "-c", command];
  return ["/bin/sh", "-c", `${command} "$@"`, "sh", ...args];
}

/** A database outside of the state folder must be in a sandboxed CLI's reach too. */
function databaseFolder({ databaseEnv, stateDir }: Crew): string[] {
  const path = databaseEnv["MU_DB_PATH"];
  if (path === undefined || resolve(dirname(path)) === resolve(stateDir)) return [];
  return [dirname(path)];
}

function cliOf(command: string | undefined): string {
  return command === undefined ? "pi" : (cliOfWords(wordsOf(command), {}) ?? "command");
}

/** A command line of plain words, which means the same with and without a shell. */
const PLAIN = /^\s*[\w@%+:,./-]+(?:[ \t]+[\w@%+=:,./-]+)*\s*$/;
/** The program's name behind assignments, where sh would not read more into it. */
const FIRST_WORD = /^\s*(?:[A-Za-z_]\w*=[\w@%+:,./-]*\s+)*([\w@%+:,./-]+)(?=[\s;&|<>]|$)/;

function firstWord(command: string): string | undefined {
  return FIRST_WORD.exec(command)?.[1];
}

/** The words of a plain command whose program is a file; undefined when sh has to run it. */
async function findProgram(
  crew: Crew,
  cli: AgentCli,
  { command, cwd, path }: { command: string; cwd: string; path: string },
): Promise<readonly string[] | undefined> {
  const word = firstWord(command);
  if (word === undefined) return undefined;
  if (await isProgram(word, cwd, path)) return PLAIN.test(command) ? command.trim().split(/[ \t]+/) : undefined;
  if (!word.includes("/") && (await isBuiltin(crew, word, path))) return undefined;
  throw commandNotFound(cli, word);
}

async function isProgram(word: string, cwd: string, path: string): Promise<boolean> {
  const candidates = word.includes("/")
    ? [isAbsolute(word) ? word : join(cwd, word)]
    : path.split(":").map((folder) => join(folder === "" ? cwd : folder, word));
  for (const candidate of candidates) {
    const found = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

/** Only sh knows its own commands: `exec`, `while`, `.` … */
async function isBuiltin(crew: Crew, word: string, path: string): Promise<boolean> {
  const { code } = await crew.exec("/bin/sh", ["-c", 'command -v -- "$1"', "sh", word], { env: { PATH: path } });
  return code === 0;
}

function commandNotFound(cli: AgentCli, word: string): Fault {
  const where = word.includes("/") ? "is not a program" : "is not on PATH";
  return new Fault(
    "unavailable",
    "agent.command_not_found",
    `${quote(word)} ${where}: nothing was started.`,
    [
      { intent: "Look for it", command: `command -v ${/^[\w./-]+$/.test(word) ? word : "<program>"}` },
      {
        intent: "Set its path",
        command: `${overrideName(cli.key)}=/path/to/${cli.command} mu agent spawn <agent> --cli ${cli.key}`,
      },
    ],
    { command: word },
  );
}

function invalidCommand(command: string): Fault {
  return new Fault("usage", "agent.invalid_command", `${quote(command)} is not a command line.`, [
    { intent: "Start a shell", command: "mu agent spawn <agent> --cli shell" },
  ]);
}

/** The variables that identify an agent; only mu sets them. */
export const IDENTITY_VARIABLES = ["MU_WORKSTREAM", "MU_AGENT", "MU_AGENT_ID", "MU_AGENT_SINCE"] as const;

function checkEnvironment(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(env)) {
    const reserved = (IDENTITY_VARIABLES as readonly string[]).includes(name);
    if (!reserved && /^[A-Za-z_]\w*$/.test(name) && !value.includes("\0")) continue;
    const why = reserved ? "is set by mu" : "is not a valid environment variable";
    throw new Fault("usage", "agent.invalid_env", `${quote(name)} ${why}.`, [
      { intent: "Set a variable", command: "mu agent spawn <agent> --env NAME=value" },
    ]);
  }
  return env;
}
