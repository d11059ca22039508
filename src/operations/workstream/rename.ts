import * as z from "zod";
import { renameCrew } from "../../crew/workstream.js";
import { WORKSTREAM } from "../../workstreams/workstream.js";
import { defineOperation, step } from "../define.js";
import { field } from "../fields.js";

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
  output: { workstream: WORKSTREAM, from: "string" },
  positional: ["name", "to"],
  examples: [
    { command: "mu workstream rename other store", shows: "rename other to store" },
    { command: "mu workstream rename other demo", shows: "a name that is taken", fault: "workstream.exists" },
  ],
  async run(app, { name, to }) {
    return { workstream: await renameCrew(await app.crew(), name, to), from: name };
  },
  next: (_, { to }) => [step("Show the workstream", `mu state -w ${to}`)],
  render: ({ workstream, from }, paint) => `Renamed ${from} to ${paint.bold(workstream.name)}`,
});
