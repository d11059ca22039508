import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { runCheck } from "../../checks.js";
import type { Context } from "../../db/context.js";
import type { Reader } from "../../db/schema.js";
import { sha256 } from "../../db/texts.js";
import { type Tx, write } from "../../db/write.js";
import { Fault } from "../../errors.js";
import type { Host } from "../../host.js";
import { duration, quote, shellWord } from "../../names.js";
import { shape, type TypeOf } from "../../shape.js";

export interface CommandSpec {
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
  /** The file with its output. */
  log: "string",
});

export type CommandRun = TypeOf<typeof COMMAND_RUN>;

/** The most output kept in a log, in bytes. */
const MAX_BYTES = 16 * 1024 * 1024;

/** The log of an agent's newest setup command; it outlives the workspace. */
function setupLog(stateDir: string, { workstream, agent }: { workstream: string; agent: string }): string {
  return join(stateDir, "logs", "setup", workstream, `${agent}.log`);
}

/** Runs a setup command and logs its output. Faults `setup.failed` (negative) with the last lines, `check.not_started`. */
export async function runSetupCommand(host: Host, spec: CommandSpec): Promise<CommandRun> {
  const { command, path: cwd, env, timeoutMs, signal } = spec;
  const log = setupLog(host.stateDir, spec);
  const file = openLog(log);
  try {
    const run = await runCheck(host, { command, cwd, env, timeoutMs, onOutput: file.add, signal });
    if (run.exitCode === 0) return { command, seconds: run.seconds, log };
    const how = run.timedOut
      ? `timed out after ${duration(timeoutMs)}`
      : run.exitCode === null
        ? "was stopped"
        : `exited with ${run.exitCode}`;
    const tail = run.tail.split("\n").slice(-10).join("\n").trimEnd();
    throw new Fault(
      "negative",
      "setup.failed",
      `The setup command ${quote(command)} ${how}.${tail === "" ? "" : ` Last lines:\n${tail}`}`,
      [
        { intent: "Read its output", command: `cat ${shellWord(log)}` },
        { intent: "See or change the setup", command: `mu workspace setup -w ${spec.workstream}` },
      ],
      { command, exitCode: run.exitCode, timedOut: run.timedOut, seconds: run.seconds, tail: run.tail, log },
    );
  } finally {
    file.close();
  }
}

/** A private log, because setup commands may print tokens. Stops at `MAX_BYTES` or if the disk is full. */
function openLog(path: string): { add(chunk: Uint8Array): void; close(): void } {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  rmSync(path, { force: true });
  const file = openSync(path, "wx", 0o600);
  let left = MAX_BYTES;
  return {
    add(chunk) {
      if (left <= 0) return;
      const part = chunk.subarray(0, left);
      left -= part.length;
      try {
        writeSync(file, part);
        if (left <= 0) writeSync(file, "\n… output truncated\n");
      } catch {
        left = 0;
      }
    },
    close: () => closeSync(file),
  };
}

/** A setup command from a repository's file. */
export interface RepositoryCommand {
  root: string;
  command: string;
}

/** True if a person has approved this exact command for this repository. */
export async function isApproved(db: Reader, { root, command }: RepositoryCommand): Promise<boolean> {
  const found = await db
    .selectFrom("approvals")
    .select("id")
    .where("root", "=", root)
    .where("hash", "=", sha256(command))
    .executeTakeFirst();
  return found !== undefined;
}

/** Faults `setup.not_approved`, which shows the command. */
export async function requireApproved(db: Reader, setup: RepositoryCommand, workstream: string): Promise<void> {
  if (await isApproved(db, setup)) return;
  const { root, command } = setup;
  throw new Fault(
    "conflict",
    "setup.not_approved",
    `The setup command of ${root} needs approval: ${quote(command)}.`,
    [
      { intent: "Approve it, after reading it", command: `mu workspace setup --approve -w ${workstream}` },
      { intent: "Use your own command", command: `mu workspace setup --command '…' -w ${workstream}` },
    ],
    { command, root },
  );
}

/** Records a person's approval of these commands; gives those that were not approved before. */
export async function approveCommands(
  context: Context,
  workstream: string,
  commands: readonly RepositoryCommand[],
): Promise<string[]> {
  const spec = { op: "workspace.approve", scope: workstream, subject: workstream };
  return write(context, spec, (tx) => approveCommandsIn(tx, context.actor, commands));
}

/** Approves commands in the name of `actor`; gives those that were not approved before. */
export async function approveCommandsIn(
  tx: Tx,
  actor: string,
  commands: readonly RepositoryCommand[],
): Promise<string[]> {
  const approved: string[] = [];
  for (const { root, command } of commands) {
    if (await isApproved(tx.db, { root, command })) continue;
    await tx.insert("approvals", { root, hash: sha256(command), text: command, actor });
    approved.push(command);
  }
  return approved;
}
