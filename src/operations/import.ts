import { resolve } from "node:path";
import * as z from "zod";
import { IMPORTED, importSources } from "../bundles/import.js";
import { readPredecessor } from "../bundles/predecessor.js";
import { Fault } from "../errors.js";
import { didYouMean, enumerate, quote } from "../names.js";
import { defineOperation, listed, listOf, step } from "./define.js";
import { field, flag } from "./fields.js";
import { importedLines } from "./workstream/import.js";

export const importOperation = defineOperation({
  name: "import",
  summary: "Import the workstreams of a database of mu 0.x or 1.0",
  description:
    "Reads mu.db, which is never written, with the changes in its -wal: workstreams, tasks, edges and notes. Agents, logs, workspaces, snapshots and archives stay behind, and their number is shown. A workstream that is here already is left as it is, so that the import can be repeated. Files of other programs are for mu workstream import.",
  effect: "write",
  repeatable: true,
  input: () => ({
    file: field(z.string().min(1), "The database, such as ~/.local/state/mu/mu.db", { value: "file" }),
    source: field(z.array(z.string().min(1)).optional(), "Only these workstreams", { value: "name", commas: true }),
    dryRun: flag("Only check, and show what would be imported"),
  }),
  output: {
    ...listOf(IMPORTED),
    /** The workstreams that are here already. */
    there: "string[]",
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
    const { version, found, left } = await readPredecessor(resolve(request.cwd, file));
    const names = found.map(({ workstream }) => workstream);
    const unknown = source?.find((name) => !names.includes(name));
    if (unknown !== undefined) throw noWorkstream(file, unknown, names);
    const wanted = found.filter(({ workstream }) => source?.includes(workstream) ?? true);
    const rows = await context.store.db.selectFrom("workstreams").select("name").execute();
    const here = rows.map(({ name }) => name);
    const missing = wanted.filter(({ workstream }) => !here.includes(workstream));
    const there = wanted.filter((one) => !missing.includes(one)).map(({ workstream }) => workstream);
    return { ...listed(await importSources(context, missing, { dryRun })), there, schema: version, left, dryRun };
  },
  next: ({ items: [first], dryRun }) =>
    first === undefined || dryRun
      ? []
      : [
          step("Show it", `mu state -w ${first.workstream}`),
          step("Give it a folder", `mu workstream set root . -w ${first.workstream}`),
        ],
  render: ({ items, there, left, dryRun }, paint) => [
    importedLines(items, dryRun, paint),
    there.map((name) => `${paint.bold(name)} is here already, and stays as it is`),
    items.length + there.length === 0 && "It has no workstreams.",
    left.length > 0 && `Left behind: ${left.join(", ")}`,
  ],
});

function noWorkstream(file: string, name: string, names: readonly string[]): Fault {
  const message = `${quote(file)} has no workstream ${quote(name)}.${didYouMean(name, names)} It has ${enumerate(names)}.`;
  return new Fault("missing", "import.no_source", message);
}
