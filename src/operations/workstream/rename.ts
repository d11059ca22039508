import * as z from "zod";
import { renameCrew } from "../../crew/workstream.js";
import { WORKSTREAM } from "../../workstreams/workstream.js";
import { field } from "../fields.js";
import { defineOperation, NEXT_STEPS, step } from "../operation.js";

export const workstreamRename = defineOperation({
  name: "workstream.rename",
  summary: "Rename a workstream",
  description:
    "Its tmux session is renamed, too, and its agents keep their identity. Its events stay under the old name; the new name's chain starts with a reference to it.",
  effect: "write",
  input: () => ({
    name: field(z.string(), "Current name", { completes: "workstream" }),
    to: field(z.string(), "New name"),
  }),
  output: { workstream: WORKSTREAM, from: "string", nextSteps: NEXT_STEPS },
  positional: ["name", "to"],
  examples: [
    { command: "mu workstream rename other store", shows: "rename other to store" },
    { command: "mu workstream rename other demo", shows: "a name that is taken", fault: "workstream.exists" },
  ],
  async run(app, { name, to }) {
    const workstream = await renameCrew(await app.crew(), name, to);
    return { workstream, from: name, nextSteps: [step("Show the workstream", `mu state -w ${to}`)] };
  },
  render: ({ workstream, from }, paint) => `Renamed ${from} to ${paint.bold(workstream.name)}`,
});
