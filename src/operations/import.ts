import { resolve } from "node:path";
import * as z from "zod";
import { importArchive, listArchives } from "../archives.js";
import { IMPORTED, importSources } from "../bundles/import.js";
import { readPredecessor } from "../bundles/predecessor.js";
import { Fault } from "../errors.js";
import { counted, didYouMean, enumerate, quote } from "../names.js";
import { defineOperation, listed, listOf, step } from "./define.js";
import { field, flag } from "./fields.js";
import { importedLines } from "./workstream/import.js";

export const importOperation = defineOperation({
  name: "import",
  summary: "Import the workstreams and archives of a database of mu 0.x or 1.0",
  description:
    "Reads mu.db, which is never written, with the changes in its -wal: workstreams and archives with their tasks, edges and notes. Agents, logs, workspaces and snapshots stay behind, and their number is shown. A workstream or an archive that is here already is left as it is, so that the import can be repeated. Files of other programs are for mu workstream import.",
  effect: "write",
  repeatable: true,
  input: () => ({
    file: field(z.string().min(1), "The database, such as ~/.local/state/mu/mu.db", { value: "file" }),
    source: field(z.array(z.string().min(1)).optional(), "Only these workstreams, and no archive", {
      value: "name",
      commas: true,
    }),
    dryRun: flag("Only check, and show what would be imported"),
  }),
  output: {
    ...listOf(IMPORTED),
    archives: [{ archive: "string", tasks: "number", left: "string[]" }],
    /** The workstreams, and the archives, that are here already. */
    there: "string[]",
    archivesThere: "string[]",
    schema: "number",
    left: "string[]",
    dryRun: "boolean",
  },
  positional: ["file"],
  examples: [
    { command: "mu import old.db", shows: "all that mu 0.3 knew" },
    { command: "mu import plan.yaml", shows: "a file that is no database", fault: "import.unreadable" },
    { command: "mu import nothing.db", shows: "no such file", fault: "import.not_found" },
  ],
  async run({ context, request }, { file, source, dryRun }) {
    const { version, found, archives, left } = await readPredecessor(resolve(request.cwd, file));
    const names = found.map(({ workstream }) => workstream);
    const unknown = source?.find((name) => !names.includes(name));
    if (unknown !== undefined) throw noWorkstream(file, unknown, names);
    const wanted = found.filter(({ workstream }) => source?.includes(workstream) ?? true);
    const rows = await context.store.db.selectFrom("workstreams").select("name").execute();
    const here = rows.map(({ name }) => name);
    const missing = wanted.filter(({ workstream }) => !here.includes(workstream));
    const there = wanted.filter((one) => !missing.includes(one)).map(({ workstream }) => workstream);
    const labels = new Set((await listArchives(context.store.db)).map(({ label }) => label));
    const kept = source === undefined ? archives : [];
    const newArchives = kept.filter(({ label }) => !labels.has(label));
    const imported = listed(await importSources(context, missing, { dryRun }));
    if (!dryRun) for (const archive of newArchives) await importArchive(context, archive);
    return {
      ...imported,
      archives: newArchives.map(({ label, sources, left }) => ({
        ...{ archive: label, tasks: sources.reduce((sum, { tasks }) => sum + tasks.length, 0), left },
      })),
      ...{ there, archivesThere: kept.filter((one) => !newArchives.includes(one)).map(({ label }) => label) },
      ...{ schema: version, left, dryRun },
    };
  },
  next: ({ items: [first], dryRun }) =>
    first === undefined || dryRun
      ? []
      : [
          step("Show it", `mu state -w ${first.workstream}`),
          step("Give it a folder", `mu workstream set root . -w ${first.workstream}`),
        ],
  render: ({ items, archives, there, archivesThere, left, dryRun }, paint) => [
    importedLines(items, dryRun, paint),
    archives.map(({ archive, tasks, left }) => [
      `${dryRun ? "Would import" : "Imported"} the archive ${paint.bold(archive)}: ${counted(tasks, "task")}`,
      left.map((line) => `  ! ${line}`),
    ]),
    there.map((name) => `${paint.bold(name)} is here already, and stays as it is`),
    archivesThere.map((label) => `The archive ${paint.bold(label)} is here already, and stays as it is`),
    items.length + there.length === 0 && "It has no workstreams.",
    left.length > 0 && `Left behind: ${left.join(", ")}`,
  ],
});

function noWorkstream(file: string, name: string, names: readonly string[]): Fault {
  const message = `${quote(file)} has no workstream ${quote(name)}.${didYouMean(name, names)} It has ${enumerate(names)}.`;
  return new Fault("missing", "import.no_source", message);
}
