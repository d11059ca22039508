import { createHash } from "node:crypto";
import type { Context } from "../../db/context.js";
import type { Reader } from "../../db/schema.js";
import { write } from "../../db/write.js";
import { Fault } from "../../errors.js";
import { quote } from "../../names.js";

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
