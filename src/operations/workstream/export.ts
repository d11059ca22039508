import { resolve } from "node:path";
import { EXPORTED, writeBundle } from "../../bundles/write.js";
import { timestamp } from "../../db/context.js";
import { counted, shellWord } from "../../names.js";
import { readKept } from "../../tasks/kept.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { defineOperation, step } from "../define.js";
import { namedWorkstreamField, optionalText, workstreamField } from "../fields.js";

export const workstreamExport = defineOperation({
  name: "workstream.export",
  summary: "Write a workstream's tasks to a folder of Markdown files",
  description:
    "One file for each task with its fields, description and notes, an index, and manifest.json with a SHA-256 for each file. Exporting again writes only what changed; several workstreams can share a folder; a deleted task keeps its file, with a banner. Agents, settings and events are not exported. mu workstream import reads the folder.",
  effect: "write",
  journalled: false,
  repeatable: true,
  input: () => ({
    name: namedWorkstreamField(),
    workstream: workstreamField(),
    out: optionalText("Folder to write to (default: one with the workstream's name, here)", { value: "folder" }),
  }),
  output: { workstream: "string", ...EXPORTED },
  positional: ["name"],
  examples: [
    { command: "mu workstream export demo", shows: "into the folder demo" },
    { command: "mu workstream export demo --out bundle", shows: "beside another workstream in one folder" },
    { command: "mu workstream export nothing", shows: "an unknown name", fault: "workstream.not_found" },
  ],
  async run({ context, request }, { workstream, out }) {
    const { db } = context.store;
    const tasks = await readKept(db, (await workstreamRow(db, workstream)).id);
    const folder = resolve(request.cwd, out ?? workstream);
    return { workstream, ...(await writeBundle(folder, [{ workstream, tasks }], timestamp(context.clock))) };
  },
  next: ({ workstream, folder }) => [
    step(
      "Import it as a copy",
      `mu workstream import ${shellWord(folder)} --source ${workstream} --as ${workstream.slice(0, 27)}-copy`,
    ),
  ],
  render: ({ workstream, folder, written, unchanged, deleted }, paint) => [
    `Exported ${paint.bold(workstream)} to ${folder}`,
    `  ${counted(written, "task")} written, ${unchanged} unchanged${deleted > 0 ? `, ${deleted} deleted` : ""}`,
  ],
});
