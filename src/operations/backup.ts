import { resolve } from "node:path";
import * as z from "zod";
import { writeBackup } from "../backup/backup.js";
import { BACKUP, type Backup, verifyBackup } from "../backup/verify.js";
import { counted, enumerate, shellWord } from "../names.js";
import { defineOperation, type Paint, step } from "./define.js";
import { field, flag, optionalText } from "./fields.js";

export const backup = defineOperation({
  name: "backup",
  summary: "Copy the database to a file while others work",
  description:
    "Without a name, the file is mu-<time>.db in this folder. It is written whole or not at all, and never over another file without --replace. Workspaces, transcripts and settings are not in it.",
  effect: "write",
  journalled: false,
  input: () => ({
    file: optionalText("File to write"),
    replace: flag("Replace the file if it exists"),
  }),
  output: { file: "string", bytes: "number" },
  positional: ["file"],
  examples: [
    { command: "mu backup before-upgrade.db", shows: "a copy of everything" },
    { command: "mu backup no/such/folder/mu.db", shows: "a missing folder", fault: "backup.not_written" },
  ],
  async run({ context, request }, { file, replace }) {
    const time = context.clock
      .now()
      .toISOString()
      .replaceAll(/[-:]|\.\d+/g, "");
    const path = resolve(request.cwd, file ?? `mu-${time}.db`);
    return { file: path, bytes: await writeBackup(context.store, path, replace ? "replace" : "refuse") };
  },
  next: ({ file }) => [
    step("Verify it", `mu backup verify ${shellWord(file)}`),
    step("See what restoring it would discard", `mu snapshot show ${shellWord(file)}`),
  ],
  render: ({ file, bytes }) => `Backed up to ${file} (${sizeText(bytes)})`,
});

export const backupVerify = defineOperation({
  name: "backup.verify",
  summary: "Verify a backup without changing it",
  description:
    "Checks its pages, its schema and its chains, and that its tables are what its events say. Exits 1 if it cannot be restored.",
  effect: "read",
  input: () => ({ file: field(z.string().min(1), "File to check") }),
  output: BACKUP,
  positional: ["file"],
  examples: [
    { command: "mu backup verify kept.db", shows: "a backup that can be restored" },
    { command: "mu backup verify no-such.db", shows: "no such file", fault: "backup.not_found" },
  ],
  run: ({ request }, { file }) => verifyBackup(resolve(request.cwd, file)),
  next: ({ file }) => [step("See what restoring it would discard", `mu snapshot show ${shellWord(file)}`)],
  render: (found, paint) => backupLines(found, paint),
});

/** What is in a backup. */
export const backupLines = ({ file, bytes, schema, pending, workstreams, tasks, events }: Backup, paint: Paint) => [
  `${paint.bold(file)} is whole (${sizeText(bytes)})`,
  `  ${counted(tasks, "task")} in ${counted(workstreams.length, "workstream")}${workstreams.length > 0 ? `: ${enumerate(workstreams)}` : ""}`,
  `  ${counted(events, "event")}, and the tables match them`,
  paint.dim(`  schema ${schema}${pending.length > 0 ? `, ${counted(pending.length, "migration")} behind` : ""}`),
];

/** A size for people: `3.2 MiB`. */
export const sizeText = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
