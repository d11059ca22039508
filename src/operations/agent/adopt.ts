import * as z from "zod";
import { ADOPTED, adoptAgent } from "../../crew/adopt.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveWorkstream } from "../resolve.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";
import { CLI_KEYS } from "./shapes.js";

export const agentAdopt = defineOperation({
  name: "agent.adopt",
  aliases: ["adopt"],
  summary: "Make an agent of a pane that mu did not open",
  effect: "write",
  input: () =>
    z.strictObject({
      pane: z.string().min(1).meta(about("The pane, as %7, or its title")),
      workstream: workstreamField(),
      name: z.string().optional().meta(about("Its name; else the pane's title")),
      cli: z.enum(CLI_KEYS).optional().meta(about("What runs in it")),
      role: z
        .string()
        .min(1)
        .max(64)
        .optional()
        .meta(about("What it is for", { completes: "role" })),
      access: z.enum(["full", "read-only"]).optional().meta(about("What it may do to files")),
    }),
  output: () => schemaOf({ ...ADOPTED, nextSteps: NEXT_STEPS }),
  positional: ["pane"],
  examples: [
    { command: "mu agent adopt stray", shows: "the pane with the title stray is an agent now" },
    { command: "mu agent adopt %4999 --name worker-1", shows: "a pane that is none", fault: "pane.not_found" },
    { command: "mu adopt %4999 -w nothing", shows: "a workstream that is none", fault: "workstream.not_found" },
  ],
  async run(app, { pane, workstream, ...options }) {
    const scope = await resolveWorkstream(app, workstream);
    const adopted = await adoptAgent(await app.crew(), scope, pane, options);
    return { ...adopted, nextSteps: [{ intent: "See the crew", command: `mu agent list -w ${scope}` }] };
  },
  render: ({ agent, alreadyAdopted }, paint) =>
    `${alreadyAdopted ? "Already an agent:" : "Adopted"} ${paint.bold(agent.name)} (${agent.cli}), pane ${agent.pane}`,
});
