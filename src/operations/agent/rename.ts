import * as z from "zod";
import { AGENT } from "../../agents/agent.js";
import { renameAgent } from "../../crew/rename.js";
import { defineAgentVerb, step } from "../define.js";
import { field } from "../fields.js";

export const agentRename = defineAgentVerb({
  name: "agent.rename",
  summary: "Rename an agent",
  effect: "write",
  input: () => ({ to: field(z.string().min(1), "New name") }),
  output: { agent: AGENT, previousName: "string", changed: "boolean" },
  positional: ["to"],
  examples: [
    { command: "mu agent rename helper assistant", shows: "rename helper to assistant" },
    { command: "mu agent rename nobody anybody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent rename ann Ann", shows: "an invalid name", fault: "agent.invalid_name" },
  ],
  run: async (app, ref, { to }) => renameAgent(await app.crew(), ref, to),
  next: ({ agent }) => [step("List the agents", `mu agent list -w ${agent.workstream}`)],
  render: ({ agent, previousName, changed }, paint) =>
    changed
      ? `Renamed ${previousName} to ${paint.bold(agent.name)}`
      : `${paint.bold(agent.name)} already has that name`,
});
