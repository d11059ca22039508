import * as z from "zod";
import { describeWork, LISTED_SALVAGE, listSalvages } from "../../workspaces/salvage.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveWorkstream } from "../resolve.js";
import { listOf } from "../shapes.js";

export const salvageList = defineOperation({
  name: "salvage.list",
  summary: "List saved work, newest first",
  description: "Includes saves that a crash left unrecorded. mu never deletes a save.",
  effect: "read",
  input: () =>
    z.strictObject({
      workstream: workstreamField(),
      all: z.boolean().default(false).meta(about("Include all workstreams, even destroyed ones")),
    }),
  output: () => listOf(LISTED_SALVAGE),
  examples: [
    { command: "mu salvage list", shows: "every save" },
    { command: "mu salvage list -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream, all }) {
    const scope = all ? undefined : await resolveWorkstream(app, workstream);
    const items = await listSalvages(await app.crew(), scope);
    return { items, count: items.length };
  },
  render: ({ items }, paint) =>
    items.length === 0
      ? "No saved work."
      : paint.table(items, [
          { head: "salvage", text: (item) => item.name },
          {
            head: "holds",
            text: ({ commits, files }) => (commits === null || files === null ? "?" : describeWork({ commits, files })),
          },
          { head: "saved by", text: (item) => item.reason ?? "an interrupted run" },
          { head: "", text: (item) => (item.createdAt === null ? "—" : `${paint.ago(item.createdAt)} ago`) },
        ]),
});
