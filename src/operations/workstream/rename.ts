import * as z from "zod";
import { renameCrew } from "../../crew/workstream.js";
import { WORKSTREAM } from "../../workstreams/workstream.js";
import { about } from "../fields.js";
import { defineOperation } from "../operation.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";

export const workstreamRename = defineOperation({
  name: "workstream.rename",
  summary: "Give a workstream another name",
  description:
    "Its tmux session is renamed with it, and its agents stay who they are. Its events stay under the old name; the new name's chain begins with a mention of it.",
  effect: "write",
  input: () =>
    z.strictObject({
      name: z.string().meta(about("Its present name", { completes: "workstream" })),
      to: z.string().meta(about("Its new name")),
    }),
  output: () => schemaOf({ workstream: WORKSTREAM, from: "string", nextSteps: NEXT_STEPS }),
  positional: ["name", "to"],
  examples: [
    { command: "mu workstream rename other store", shows: "other is now called store" },
    { command: "mu workstream rename other demo", shows: "a name that is taken", fault: "workstream.exists" },
  ],
  async run(app, { name, to }) {
    const workstream = await renameCrew(await app.crew(), name, to);
    return { workstream, from: name, nextSteps: [{ intent: "See how it stands", command: `mu state -w ${to}` }] };
  },
  render: ({ workstream, from }, paint) => `Renamed ${from} to ${paint.bold(workstream.name)}`,
});
