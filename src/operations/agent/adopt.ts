import * as z from "zod";
import { ADOPTED, adoptAgent } from "../../crew/adopt.js";
import { field, workstreamField } from "../fields.js";
import { defineOperation, NEXT_STEPS } from "../operation.js";
import { resolveWorkstream } from "../resolve.js";
import { CLI_KEYS } from "./shapes.js";

export const agentAdopt = defineOperation({
  name: "agent.adopt",
  aliases: ["adopt"],
  summary: "Adopt a pane that mu did not open as an agent",
  effect: "write",
  input: () => ({
    pane: field(z.string().min(1), "Pane, as %7, or its title"),
    workstream: workstreamField(),
    name: field(z.string().optional(), "Agent name (default: the pane's title)"),
    cli: field(z.enum(CLI_KEYS).optional(), "CLI that runs in the pane"),
    role: field(z.string().min(1).max(64).optional(), "Role: what the agent is for", { completes: "role" }),
    access: field(z.enum(["full", "read-only"]).optional(), "File access"),
  }),
  output: { ...ADOPTED, nextSteps: NEXT_STEPS },
  positional: ["pane"],
  examples: [
    { command: "mu agent adopt stray", shows: "adopt the pane titled stray" },
    { command: "mu agent adopt %4999 --name worker-1", shows: "an unknown pane", fault: "pane.not_found" },
    { command: "mu adopt %4999 -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { pane, workstream, ...options }) {
    const scope = await resolveWorkstream(app, workstream);
    const adopted = await adoptAgent(await app.crew(), scope, pane, options);
    return { ...adopted, nextSteps: [{ intent: "List the agents", command: `mu agent list -w ${scope}` }] };
  },
  render: ({ agent, alreadyAdopted }, paint) =>
    `${alreadyAdopted ? "Already adopted:" : "Adopted"} ${paint.bold(agent.name)} (${agent.cli}), pane ${agent.pane}`,
});
