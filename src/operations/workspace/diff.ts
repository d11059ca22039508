import * as z from "zod";
import { workspaceDiff } from "../../workspaces/inspect.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";
import { schemaOf } from "../shapes.js";
import { ownerField } from "./fields.js";

export const workspaceDiffOperation = defineOperation({
  name: "workspace.diff",
  summary: "Show all changes of a workspace as a patch, uncommitted ones and new files included",
  effect: "read",
  input: () =>
    z.strictObject({
      agent: ownerField(),
      workstream: workstreamField(),
      since: z
        .string()
        .min(1)
        .optional()
        .meta(about("Compared with this; else with where its own work began", { value: "ref" })),
      stat: z.boolean().default(false).meta(about("Only which files, and how much of each")),
    }),
  output: () => schemaOf({ agent: "string", since: "string", text: "string" }),
  positional: ["agent"],
  examples: [
    { command: "mu workspace diff helper --stat", shows: "which files it changes" },
    { command: "mu workspace diff nobody", shows: "somebody without one", fault: "workspace.not_found" },
  ],
  async run(app, { agent, workstream, since, stat }) {
    const ref = await resolveAgent(app, agent, workstream);
    const found = await workspaceDiff(await app.crew(), ref, { since, stat });
    return { agent: ref.name, since: found.since, text: found.text };
  },
  render: ({ text, since }) => (text.trim() === "" ? `No changes since ${since.slice(0, 12)}.` : text.trimEnd()),
});
