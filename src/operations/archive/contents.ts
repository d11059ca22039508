import { resolve } from "node:path";
import * as z from "zod";
import {
  ADDITION,
  ARCHIVE,
  ARCHIVE_RESTORATION,
  addToArchive,
  readArchive,
  removeFromArchive,
  restoreArchive,
} from "../../archives.js";
import { EXPORTED, writeBundle } from "../../bundles/write.js";
import { timestamp } from "../../db/context.js";
import { counted } from "../../names.js";
import { defineOperation, step } from "../define.js";
import { field, optionalText, workstreamField } from "../fields.js";
import { labelField } from "./archives.js";

export const archiveAdd = defineOperation({
  name: "archive.add",
  summary: "Keep the tasks of a workstream in an archive",
  description:
    "Keeps them as they are now, with edges, notes and kinds. Run it again to add new tasks and to refresh changed ones; tasks that the workstream no longer has stay in the archive.",
  effect: "write",
  repeatable: true,
  input: () => ({ label: labelField(), workstream: workstreamField() }),
  output: ADDITION,
  positional: ["label"],
  examples: [
    { command: "mu archive add old", shows: "keep the tasks of this workstream" },
    { command: "mu archive add olt", shows: "an unknown label", fault: "archive.not_found" },
    { command: "mu archive add old -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  run: ({ context }, { label, workstream }) => addToArchive(context, label, workstream),
  next: ({ archive }) => [step("Show it", `mu archive show ${archive}`)],
  render: ({ archive, workstream, added, refreshed, unchanged }, paint) =>
    `${paint.bold(archive)} has the tasks of ${workstream}: ${added} added, ${refreshed} refreshed, ${unchanged} unchanged.`,
});

export const archiveRemove = defineOperation({
  name: "archive.remove",
  summary: "Remove the tasks of a workstream from an archive",
  effect: "write",
  input: () => ({
    label: labelField(),
    from: field(z.string().min(1), "Workstream that they come from; it may be gone", {
      ...{ short: "w", completes: "workstream", value: "workstream" },
    }),
  }),
  output: { archive: ARCHIVE, removed: "number" },
  positional: ["label"],
  examples: [
    { command: "mu archive remove old --from demo", shows: "what it had of demo goes" },
    {
      command: "mu archive remove old --from nothing",
      shows: "nothing of it is there",
      fault: "archive.no_such_source",
    },
  ],
  run: ({ context }, { label, from }) => removeFromArchive(context, label, from),
  next: (_, __, { context }) => [step("Put them back", `mu undo ${context.group ?? ""} --yes`)],
  render: ({ archive, removed }, paint) =>
    `Removed ${counted(removed, "task")} from ${paint.bold(archive.label)}; ${archive.tasks} left.`,
});

export const archiveRestore = defineOperation({
  name: "archive.restore",
  summary: "Add archived tasks to a workstream, which is created if necessary",
  description:
    "Restores tasks with their edges, notes and kinds, but not agents. Tasks in progress become OPEN, and the name of a former owner is kept as text. The archive keeps its copies.",
  effect: "write",
  input: () => ({
    label: labelField(),
    as: field(z.string().min(1), "Workstream to add them to", { value: "workstream" }),
    from: optionalText("Workstream that they come from, if the archive has several", { value: "workstream" }),
  }),
  output: ARCHIVE_RESTORATION,
  positional: ["label"],
  examples: [
    { command: "mu archive restore old --as again", shows: "its tasks in a new workstream" },
    { command: "mu archive restore old --as demo", shows: "their names are taken", fault: "task.exists" },
    { command: "mu archive restore olt --as again", shows: "an unknown label", fault: "archive.not_found" },
  ],
  run: ({ context }, { label, as, from }) => restoreArchive(context, label, { as, from }),
  next: ({ workstream }) => [step("See the tasks", `mu task list -w ${workstream}`)],
  render: ({ workstream, from, tasks, edges, notes, left }, paint) => [
    `Restored ${counted(tasks, "task")} of ${from} into ${paint.bold(workstream)}, with ${counted(edges, "edge")} and ${counted(notes, "note")}.`,
    left.map((line) => `  ! ${line}`),
  ],
});

export const archiveExport = defineOperation({
  name: "archive.export",
  summary: "Write archived tasks to a folder of Markdown files",
  description:
    "The folder is like that of mu workstream export, with a part for each workstream. Exporting again writes only what changed.",
  effect: "write",
  journalled: false,
  repeatable: true,
  input: () => ({
    label: labelField(),
    out: optionalText("Folder to write to (default: one with the archive's label, here)", { value: "folder" }),
  }),
  output: { archive: "string", ...EXPORTED },
  positional: ["label"],
  examples: [
    { command: "mu archive export old", shows: "into the folder old" },
    { command: "mu archive export olt", shows: "an unknown label", fault: "archive.not_found" },
  ],
  async run({ context, request }, { label, out }) {
    const sources = await readArchive(context.store.db, label);
    const written = await writeBundle(resolve(request.cwd, out ?? label), sources, timestamp(context.clock));
    return { archive: label, ...written };
  },
  render: ({ archive, folder, written, unchanged }, paint) => [
    `Exported ${paint.bold(archive)} to ${folder}`,
    `  ${counted(written, "file")} written, ${unchanged} unchanged`,
  ],
});
