import { resolve } from "node:path";
import * as z from "zod";
import { WRITTEN_FORMATS, writeForeign } from "../../bundles/formats/index.js";
import { EXPORTED, writeBundle } from "../../bundles/write.js";
import { timestamp } from "../../db/context.js";
import { counted, shellWord } from "../../names.js";
import { readKept } from "../../tasks/kept.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { defineOperation, step } from "../define.js";
import { field, namedWorkstreamField, optionalText, workstreamField } from "../fields.js";

export const workstreamExport = defineOperation({
  name: "workstream.export",
  summary: "Write a workstream's tasks to a folder of Markdown files",
  description:
    "One file for each task with its fields, description and notes, an index, and manifest.json with a SHA-256 for each file. Exporting again writes only what changed; several workstreams can share a folder; a deleted task keeps its file, with a banner. Agents, settings and events are not exported. mu workstream import reads the folder. With --format the files are another program's, written to a folder that has none of them yet, and what it cannot hold is listed.",
  effect: "write",
  journalled: false,
  repeatable: true,
  input: () => ({
    name: namedWorkstreamField(),
    workstream: workstreamField(),
    format: field(z.enum(["bundle", ...WRITTEN_FORMATS]).default("bundle"), "Whose files to write (default: bundle)"),
    out: optionalText("Folder to write to (default: one with the workstream's name, here)", { value: "folder" }),
  }),
  output: { workstream: "string", format: "string", ...EXPORTED, left: "string[]" },
  positional: ["name"],
  examples: [
    { command: "mu workstream export demo", shows: "into the folder demo" },
    { command: "mu workstream export demo --out bundle", shows: "beside another workstream in one folder" },
    { command: "mu workstream export demo --format beads --out beads", shows: "for another program" },
    { command: "mu workstream export nothing", shows: "an unknown name", fault: "workstream.not_found" },
  ],
  async run({ context, request }, { workstream, format, out }) {
    const { db } = context.store;
    const tasks = await readKept(db, (await workstreamRow(db, workstream)).id);
    const folder = resolve(request.cwd, out ?? workstream);
    if (format !== "bundle") return { workstream, format, ...(await writeForeign(folder, format, tasks)) };
    const written = await writeBundle(folder, [{ workstream, tasks }], timestamp(context.clock));
    return { workstream, format, ...written, left: [] };
  },
  next: ({ workstream, folder, format }) => {
    const only = format === "bundle" ? ` --source ${workstream}` : "";
    const line = `mu workstream import ${shellWord(folder)}${only} --as ${workstream.slice(0, 27)}-copy`;
    return [step("Import it as a copy", line)];
  },
  render: ({ workstream, folder, written, unchanged, deleted, left }, paint) => [
    `Exported ${paint.bold(workstream)} to ${folder}`,
    left.map((line) => `  ! ${line}`),
    `  ${counted(written, "file")} written, ${unchanged} unchanged${deleted > 0 ? `, ${deleted} deleted` : ""}`,
  ],
});
