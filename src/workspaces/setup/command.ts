import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { runCheck } from "../../checks.js";
import type { Context } from "../../db/context.js";
import type { Reader } from "../../db/schema.js";
import { write } from "../../db/write.js";
import { Fault } from "../../errors.js";
import type { Host } from "../../host.js";
import { quote, shellWord } from "../../names.js";
import { shape, type TypeOf } from "../../shape.js";

/** What a setup command runs for. */
interface CommandSpec {
  workstream: string;
  agent: string;
  path: string;
  command: string;
  env: Readonly<Record<string, string>>;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export const COMMAND_RUN = shape({
  command: "string",
  seconds: "number",
  /** Where its output is kept. */
  log: "string",
});

export type CommandRun = TypeOf<typeof COMMAND_RUN>;

/** A log takes no more than this much of what a command prints. */
const MOST_BYTES = 16 * 1024 * 1024;

/** Where the output of an agent's newest setup command is kept; it outlives the workspace. */
function setupLog(stateDir: string, { workstream, agent }: { workstream: string; agent: string }): string {
  return join(stateDir, "logs", "setup", workstream, `${agent}.log`);
}

/**
 * Runs a setup command in the workspace and keeps its output. Faults `setup.failed` (negative) with the last lines when
 * it is red or takes too long, `check.not_started`.
 */
export async function runSetupCommand(host: Host, spec: CommandSpec): Promise<CommandRun> {
  const { command, path: cwd, env, timeoutMs, signal } = spec;
  const log = setupLog(host.stateDir, spec);
  const file = openLog(log);
  try {
    const run = await runCheck(host, { command, cwd, env, timeoutMs, onOutput: file.add, ...(signal && { signal }) });
    if (run.exitCode === 0) return { command, seconds: run.seconds, log };
    const how = run.timedOut
      ? `did not end within ${timeoutMs / 1000} s`
      : run.exitCode === null
        ? "was ended"
        : `ended with ${run.exitCode}`;
    const tail = run.tail.split("\n").slice(-10).join("\n").trimEnd();
    throw new Fault(
      "negative",
      "setup.failed",
      `The setup command ${quote(command)} ${how}.${tail === "" ? "" : ` Its last lines:\n${tail}`}`,
      [
        { intent: "Read all it said", command: `cat ${shellWord(log)}` },
        { intent: "See or change the setup", command: `mu workspace setup -w ${spec.workstream}` },
      ],
      { command, exitCode: run.exitCode, timedOut: run.timedOut, seconds: run.seconds, tail: run.tail, log },
    );
  } finally {
    file.close();
  }
}

/** A log that nobody else may read: setup commands print tokens. What the disk does not take is left out. */
function openLog(path: string): { add(chunk: Uint8Array): void; close(): void } {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  rmSync(path, { force: true });
  const file = openSync(path, "wx", 0o600);
  let left = MOST_BYTES;
  return {
    add(chunk) {
      if (left <= 0) return;
      const part = chunk.subarray(0, left);
      left -= part.length;
      try {
        writeSync(file, part);
        if (left <= 0) writeSync(file, "\n… the rest of the output was left out\n");
      } catch {
        left = 0;
      }
    },
    close: () => closeSync(file),
  };
}

/** A command that a repository brings along, and where it is. */
export interface ForeignCommand {
  root: string;
  command: string;
}

/** True when a person has said of this very text, in this repository, that it may run. */
export async function isApproved(db: Reader, { root, command }: ForeignCommand): Promise<boolean> {
  const found = await db
    .selectFrom("approvals")
    .select("id")
    .where("root", "=", root)
    .where("hash", "=", hashOf(command))
    .executeTakeFirst();
  return found !== undefined;
}

/** Faults `setup.not_approved`, which shows the command. */
export async function requireApproved(db: Reader, foreign: ForeignCommand, workstream: string): Promise<void> {
  if (await isApproved(db, foreign)) return;
  const { root, command } = foreign;
  throw new Fault(
    "conflict",
    "setup.not_approved",
    `The repository at ${root} brings a command that nobody has approved yet: ${quote(command)}.`,
    [
      { intent: "Read it, then let it run", command: `mu workspace setup --approve -w ${workstream}` },
      { intent: "Use a command of your own", command: `mu workspace setup --command '…' -w ${workstream}` },
    ],
    { command, root },
  );
}

/**
 * Records a person's word that these commands may run, and gives those that were not approved before. The same text
 * needs no second word; another one does.
 */
export async function approveCommands(
  context: Context,
  workstream: string,
  commands: readonly ForeignCommand[],
): Promise<string[]> {
  const spec = { op: "workspace.approve", scope: workstream, subject: workstream };
  return write(context, spec, async (tx) => {
    const fresh: string[] = [];
    for (const { root, command } of commands) {
      if (await isApproved(tx.db, { root, command })) continue;
      await tx.insert("approvals", { root, hash: hashOf(command), text: command, actor: context.actor });
      fresh.push(command);
    }
    return fresh;
  });
}

const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");
