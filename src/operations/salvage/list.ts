import * as z from "zod";
import { LISTED_SALVAGE, listSalvages, tellWork } from "../../workspaces/salvage.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveWorkstream } from "../resolve.js";
import { listOf } from "../shapes.js";

export const salvageList = defineOperation({
  name: "salvage.list",
  summary: "List the work that was saved before its workspace went, newest first",
  description: "Also what a crash saved and did not write down. Nothing is ever removed from here by mu.",
  effect: "read",
  input: () =>
    z.strictObject({
      workstream: workstreamField(),
      all: z.boolean().default(false).meta(about("Of all workstreams, those that are gone too")),
    }),
  output: () => listOf(LISTED_SALVAGE),
  examples: [
    { command: "mu salvage list", shows: "what can be brought back" },
    { command: "mu salvage list -w nothing", shows: "a workstream that is none", fault: "workstream.not_found" },
  ],
  async run(app, { workstream, all }) {
    const scope = all ? undefined : await resolveWorkstream(app, workstream);
    const items = await listSalvages(await app.crew(), scope);
    return { items, count: items.length };
  },
  render: ({ items }, paint) =>
    items.length === 0
      ? "Nothing was saved: nothing had to be."
      : paint.table(items, [
          { head: "salvage", text: (item) => item.name },
          {
            head: "holds",
            text: ({ commits, files }) => (commits === null || files === null ? "?" : tellWork({ commits, files })),
          },
          { head: "saved by", text: (item) => item.reason ?? "a run that was cut off" },
          { head: "", text: (item) => (item.createdAt === null ? "—" : `${paint.ago(item.createdAt)} ago`) },
        ]),
});
