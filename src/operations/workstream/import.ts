import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import * as z from "zod";
import { FORMATS, type FormatName, readForeign } from "../../bundles/formats/index.js";
import { IMPORTED, type Imported, importSources } from "../../bundles/import.js";
import { MANIFEST } from "../../bundles/manifest.js";
import { type Found, noSource, type ReadOptions, readBundle } from "../../bundles/read.js";
import { Fault } from "../../errors.js";
import { counted, enumerate } from "../../names.js";
import { defineOperation, listed, listOf, type Paint, type Request, readSource, step } from "../define.js";
import { field, flag, optionalText } from "../fields.js";

export const workstreamImport = defineOperation({
  name: "workstream.import",
  summary: "Import tasks that mu or another program wrote",
  description:
    "Reads what mu workstream export wrote (also that of mu 0.3), the issues.jsonl of Beads, the list that gh issue list --json prints, a folder of Backlog.md, and the tasks.json of Task Master. A project's folder will do. Each source becomes a new workstream with its tasks, edges and notes; one that is there already is refused. Owners come back as text: a task that was IN_PROGRESS is OPEN. What mu cannot hold is listed. In a bundle of mu's, a file that is not as its manifest says is refused.",
  effect: "write",
  input: () => ({
    path: field(z.string().min(1), "File or folder to read; with --format, - reads standard input", { value: "path" }),
    format: field(z.enum(["bundle", ...FORMATS]).optional(), "Whose files they are (default: by name and content)"),
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
    { command: "mu workstream import issues.jsonl --as beads", shows: "the issues of Beads" },
    { command: "mu workstream import bundle --as demo", shows: "a name that is taken", fault: "workstream.exists" },
    { command: "mu workstream import nothing", shows: "no such folder", fault: "bundle.not_found" },
  ],
  async run({ context, request }, { path, as, source, format, changed, dryRun }) {
    const found = await readSources(request, path, { format, as, only: source, changed: changed ? "take" : "refuse" });
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

type Wanted = ReadOptions & { format?: "bundle" | FormatName | undefined; as?: string | undefined };

/** What there is to import at `path`: of mu's own format, if nothing says otherwise. */
async function readSources(request: Request, path: string, { format, as, ...options }: Wanted): Promise<Found[]> {
  const whole = resolve(request.cwd, path);
  if (format === "bundle" || (format === undefined && existsSync(join(whole, MANIFEST)))) {
    return readBundle(whole, options);
  }
  const text = path === "-" && format !== undefined ? await readSource(request, path) : undefined;
  const found = await readForeign(whole, { format, as, text });
  if (found === undefined) return readBundle(whole, options);
  const { only } = options;
  const unknown = only?.find((name) => !found.some(({ workstream }) => workstream === name));
  if (unknown !== undefined) {
    throw noSource(
      path,
      unknown,
      found.map(({ workstream }) => workstream),
    );
  }
  return found.filter(({ workstream }) => only?.includes(workstream) ?? true);
}

/** What was imported, or would be, and what was left out. */
export const importedLines = (items: readonly Imported[], dryRun: boolean, paint: Paint) =>
  items.map(({ workstream, from, tasks, edges, notes, deleted, left }) => [
    `${dryRun ? "Would import" : "Imported"} ${from === workstream ? "" : `${from} as `}${paint.bold(workstream)}: ${counted(tasks, "task")}, ${counted(edges, "edge")}, ${counted(notes, "note")}`,
    deleted > 0 && `  ${counted(deleted, "deleted task")} left out`,
    left.map((line) => `  ! ${line}`),
  ]);

function severalSources(names: readonly string[]): Fault {
  const message = `--as names one workstream, and there are ${counted(names.length, "source")}: ${enumerate(names)}. Choose one with --source.`;
  return new Fault("usage", "usage.several_sources", message);
}
