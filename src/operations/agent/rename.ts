import * as z from "zod";
import { AGENT } from "../../agents/agent.js";
import { renameAgent } from "../../crew/rename.js";
import { field } from "../fields.js";
import { NEXT_STEPS, step } from "../operation.js";
import { defineAgentVerb } from "../subject.js";

export const agentRename = defineAgentVerb({
  name: "agent.rename",
  summary: "Rename an agent",
  effect: "write",
  input: () => ({ to: field(z.string().min(1), "New name") }),
  output: { agent: AGENT, previousName: "string", changed: "boolean", nextSteps: NEXT_STEPS },
  positional: ["to"],
  examples: [
    { command: "mu agent rename helper assistant", shows: "rename helper to assistant" },
    { command: "mu agent rename nobody anybody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent rename ann Ann", shows: "an invalid name", fault: "agent.invalid_name" },
  ],
  async run(app, ref, { to }) {
    const renamed = await renameAgent(await app.crew(), ref, to);
    return { ...renamed, nextSteps: [step("List the agents", `mu agent list -w ${ref.workstream}`)] };
  },
  render: ({ agent, previousName, changed }, paint) =>
    changed
      ? `Renamed ${previousName} to ${paint.bold(agent.name)}`
      : `${paint.bold(agent.name)} already has that name`,
});
