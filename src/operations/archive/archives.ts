import * as z from "zod";
import {
  ARCHIVE,
  ARCHIVED_TASK,
  type Archive,
  createArchive,
  deleteArchive,
  getArchive,
  listArchives,
  searchArchives,
} from "../../archives.js";
import { counted } from "../../names.js";
import { defineOperation, excerptOf, listed, listOf, type Paint, step, withTotal } from "../define.js";
import { field, limitField, optionalText, yesField } from "../fields.js";

export const labelField = () => field(z.string().min(1), "Archive, by its label");

export const archiveCreate = defineOperation({
  name: "archive.create",
  summary: "Create an archive, which keeps tasks beyond their workstream",
  description: "Archives belong to the machine, not to a workstream. They hold copies; the tasks stay where they are.",
  effect: "write",
  input: () => ({
    label: field(z.string().min(1), "Label: lowercase letters, digits, `_` or `-`"),
    description: optionalText("What it is for"),
  }),
  output: ARCHIVE,
  positional: ["label"],
  examples: [
    { command: "mu archive create releases --description 'What we shipped'", shows: "an empty archive" },
    { command: "mu archive create Releases", shows: "an invalid label", fault: "archive.invalid_label" },
    { command: "mu archive create old", shows: "a label that is taken", fault: "archive.exists" },
  ],
  run: ({ context }, { label, description = null }) => createArchive(context, label, { description }),
  next: ({ label }) => [step("Keep the tasks of this workstream in it", `mu archive add ${label}`)],
  render: ({ label }, paint) => `Created the archive ${paint.bold(label)}.`,
});

export const archiveList = defineOperation({
  name: "archive.list",
  summary: "List the archives",
  effect: "read",
  output: listOf(ARCHIVE),
  examples: [
    { command: "mu archive list", shows: "every archive of this machine" },
    { command: "mu archive list --all", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  run: async ({ context }) => listed(await listArchives(context.store.db)),
  render: ({ items }, paint) =>
    paint.list(items, "No archives.", [
      { head: "archive", text: ({ label }) => paint.bold(label), max: 24 },
      { head: "tasks", text: ({ tasks }) => String(tasks), align: "right" },
      { head: "from", text: ({ sources }) => sources.map(({ workstream }) => workstream).join(", "), max: 24 },
      { head: "description", text: ({ description }) => description ?? "—", max: 24 },
    ]),
});

export const archiveShow = defineOperation({
  name: "archive.show",
  summary: "Show an archive and the workstreams that it has tasks of",
  effect: "read",
  input: () => ({ label: labelField() }),
  output: ARCHIVE,
  positional: ["label"],
  examples: [
    { command: "mu archive show old", shows: "what it holds" },
    { command: "mu archive show olt", shows: "an unknown label", fault: "archive.not_found" },
  ],
  run: ({ context }, { label }) => getArchive(context.store.db, label),
  next: ({ label, sources }) =>
    sources.slice(0, 1).map(({ workstream }) => {
      const from = sources.length > 1 ? ` --from ${workstream}` : "";
      return step("Bring its tasks back", `mu archive restore ${label}${from} --as ${workstream.slice(0, 30)}-2`);
    }),
  render: (archive, paint) => [
    `${paint.bold(archive.label)}: ${counted(archive.tasks, "task")}`,
    archive.description !== null && archive.description,
    sourceLines(archive, paint),
  ],
});

const sourceLines = ({ sources }: Archive, paint: Paint) =>
  sources.map(
    ({ workstream, tasks, changedAt }) =>
      `  ${workstream}: ${counted(tasks, "task")}, last changed ${paint.ago(changedAt)} ago`,
  );

export const archiveDelete = defineOperation({
  name: "archive.delete",
  summary: "Delete an archive with all that it holds",
  effect: "destroy",
  input: () => ({ label: labelField(), yes: yesField() }),
  output: { ...ARCHIVE, deleted: "boolean", dryRun: "boolean" },
  positional: ["label"],
  examples: [
    { command: "mu archive delete old", shows: "what would be deleted" },
    { command: "mu archive delete old --yes", shows: "delete it" },
    { command: "mu archive delete olt --yes", shows: "an unknown label", fault: "archive.not_found" },
  ],
  run: async ({ context }, { label, yes }) => {
    const archive = yes ? await deleteArchive(context, label) : await getArchive(context.store.db, label);
    return { ...archive, deleted: yes, dryRun: !yes };
  },
  next: ({ deleted, label }, _, { context }) => [
    deleted
      ? step("Bring it back", `mu undo ${context.group ?? ""} --yes`)
      : step("Apply it", `mu archive delete ${label} --yes`),
  ],
  render: ({ deleted, ...archive }, paint) => [
    `${deleted ? "Deleted" : "Would delete"} ${paint.bold(archive.label)} with ${counted(archive.tasks, "task")}.`,
    sourceLines(archive, paint),
  ],
});

export const archiveSearch = defineOperation({
  name: "archive.search",
  summary: "Search names, titles, descriptions and notes of archived tasks",
  description: "Words match as in `mu task search`.",
  effect: "read",
  input: () => ({
    text: field(z.string().min(1).max(1000), "Words to search for"),
    label: optionalText("Only this archive"),
    limit: limitField(50),
  }),
  output: excerptOf(ARCHIVED_TASK),
  positional: ["text"],
  examples: [
    { command: "mu archive search docs", shows: "archived tasks that mention docs" },
    { command: "mu archive search docs --label olt", shows: "an unknown label", fault: "archive.not_found" },
    { command: "mu archive search '%'", shows: "nothing to look for", fault: "search.no_words" },
  ],
  async run({ context }, { text, label, limit }) {
    const { items, total } = await searchArchives(context.store, text, { label, limit });
    return { ...listed(items), total };
  },
  render: (found, paint) =>
    withTotal(
      paint.list(found.items, "No matching tasks.", [
        { head: "archive", text: ({ archive }) => archive, max: 16 },
        { head: "task", text: ({ workstream, name }) => `${workstream}/${name}`, max: 28 },
        { head: "status", text: ({ status }) => paint.status(status) },
        { head: "match", text: ({ matchKind, match }) => `${matchKind}: ${match}`, max: 36 },
      ]),
      found,
      paint,
    ),
});
