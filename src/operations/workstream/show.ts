import { localTime } from "../../clock.js";
import { counted } from "../../names.js";
import { changedSettings } from "../../workstreams/settings.js";
import { showWorkstream, WORKSTREAM_SUMMARY } from "../../workstreams/workstream.js";
import { defineOperation } from "../define.js";
import { namedWorkstreamField, workstreamField } from "../fields.js";

export const workstreamShow = defineOperation({
  name: "workstream.show",
  summary: "Show a workstream",
  effect: "read",
  input: () => ({ name: namedWorkstreamField(), workstream: workstreamField() }),
  output: { workstream: WORKSTREAM_SUMMARY },
  positional: ["name"],
  examples: [
    { command: "mu workstream show demo", shows: "one workstream" },
    { command: "mu workstream show dmeo", shows: "an unknown name, with a suggestion", fault: "workstream.not_found" },
  ],
  async run(app, { workstream }) {
    return { workstream: await showWorkstream(app.context.store.db, workstream) };
  },
  render: ({ workstream: found }, paint) => [
    paint.bold(found.name),
    `  root    ${found.root ?? "—"}`,
    `  tasks   ${found.tasks} (${found.open} open), ${counted(found.edges, "edge")}, ${counted(found.notes, "note")}`,
    `  agents  ${found.agents}`,
    `  created ${localTime(found.createdAt)}`,
    changedSettings(found.settings).map(([key, value]) => `  ${key} = ${value}`),
  ],
});
