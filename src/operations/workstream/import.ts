import { resolve } from "node:path";
import * as z from "zod";
import { IMPORTED, type Imported, importSources } from "../../bundles/import.js";
import { readBundle } from "../../bundles/read.js";
import { Fault } from "../../errors.js";
import { counted, enumerate } from "../../names.js";
import { defineOperation, listed, listOf, type Paint, step } from "../define.js";
import { field, flag, optionalText } from "../fields.js";

export const workstreamImport = defineOperation({
  name: "workstream.import",
  summary: "Import tasks from a folder that mu workstream export wrote",
  description:
    "Each source becomes a new workstream with its tasks, edges and notes; one that is there already is refused. Owners come back as text: a task that was IN_PROGRESS is OPEN. Folders of mu 0.3 are read, too. A file that is not as the manifest says is refused.",
  effect: "write",
  input: () => ({
    path: field(z.string().min(1), "Folder to read", { value: "path" }),
    as: optionalText("Name of the new workstream (default: that of the source)", { value: "name" }),
    source: field(z.array(z.string().min(1)).optional(), "Only these sources", { value: "name", commas: true }),
    changed: flag("Also take files that were changed since the export"),
    dryRun: flag("Only check, and show what would be imported"),
  }),
  output: { ...listOf(IMPORTED), dryRun: "boolean" },
  positional: ["path"],
  examples: [
    { command: "mu workstream import bundle", shows: "each source as a workstream" },
    { command: "mu workstream import bundle --source shop --as store --dry-run", shows: "what would be imported" },
    { command: "mu workstream import bundle --as demo", shows: "a name that is taken", fault: "workstream.exists" },
    { command: "mu workstream import nothing", shows: "no such folder", fault: "bundle.not_found" },
  ],
  async run({ context, request }, { path, as, source, changed, dryRun }) {
    const found = await readBundle(resolve(request.cwd, path), { only: source, changed: changed ? "take" : "refuse" });
    if (as !== undefined && found.length !== 1) throw severalSources(found.map(({ workstream }) => workstream));
    return { ...listed(await importSources(context, found, { as, dryRun })), dryRun };
  },
  next: ({ items: [first], dryRun }) =>
    first === undefined || dryRun
      ? []
      : [
          step("Show it", `mu state -w ${first.workstream}`),
          step("Give it a folder", `mu workstream set root . -w ${first.workstream}`),
        ],
  render: ({ items, dryRun }, paint) => importedLines(items, dryRun, paint),
});

/** What was imported, or would be, and what was left out. */
export const importedLines = (items: readonly Imported[], dryRun: boolean, paint: Paint) =>
  items.map(({ workstream, from, tasks, edges, notes, deleted, left }) => [
    `${dryRun ? "Would import" : "Imported"} ${from === workstream ? "" : `${from} as `}${paint.bold(workstream)}: ${counted(tasks, "task")}, ${counted(edges, "edge")}, ${counted(notes, "note")}`,
    deleted > 0 && `  ${counted(deleted, "deleted task")} left out`,
    left.map((line) => `  ! ${line}`),
  ]);

function severalSources(names: readonly string[]): Fault {
  const message = `--as names one workstream, and there are ${names.length} sources: ${enumerate(names)}. Choose one with --source.`;
  return new Fault("usage", "usage.several_sources", message);
}
