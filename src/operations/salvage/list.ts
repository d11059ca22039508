import { describeWork } from "../../journal/sentences.js";
import { LISTED_SALVAGE, listSalvages } from "../../workspaces/salvage.js";
import { allField, workstreamField } from "../fields.js";
import { defineOperation, listed, listOf } from "../operation.js";

export const salvageList = defineOperation({
  name: "salvage.list",
  summary: "List saved work, newest first",
  description: "Includes saves that a crash left unrecorded. mu never deletes a save.",
  effect: "read",
  input: () => ({
    workstream: workstreamField("one or all", { past: true }),
    all: allField("Include all workstreams, even destroyed ones"),
  }),
  output: listOf(LISTED_SALVAGE),
  examples: [
    { command: "mu salvage list", shows: "every save" },
    { command: "mu salvage list -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream: scope }) {
    return listed(await listSalvages(await app.crew(), scope));
  },
  render: ({ items }, paint) =>
    paint.list(items, "No saved work.", [
      { head: "salvage", text: (item) => item.name },
      {
        head: "holds",
        text: ({ commits, files, ...others }) =>
          commits === null || files === null ? "?" : describeWork({ commits, files, ...others }),
      },
      { head: "saved by", text: (item) => item.reason ?? "an interrupted run" },
      { head: "", text: (item) => (item.createdAt === null ? "—" : `${paint.ago(item.createdAt)} ago`) },
    ]),
});
