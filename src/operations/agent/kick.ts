import * as z from "zod";
import { KICK, kickAgent } from "../../agents/pane.js";
import { agentField, field, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";

export const agentKick = defineOperation({
  name: "agent.kick",
  summary: "Signal the program that an agent is stuck in, but not the agent",
  effect: "read",
  input: () => ({
    agent: agentField(),
    workstream: workstreamField(),
    signal: field(z.enum(["SIGINT", "SIGTERM", "SIGKILL", "SIGHUP"]).default("SIGINT"), "Signal to send"),
  }),
  output: KICK,
  positional: ["agent"],
  examples: [
    { command: "mu agent kick sleeper", shows: "interrupt the program it is stuck in" },
    { command: "mu agent kick nobody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent kick ann", shows: "a person, who has no pane", fault: "agent.is_person" },
  ],
  run: async (app, { agent, workstream, signal }) =>
    kickAgent(await app.crew(), await resolveAgent(app, agent, workstream), { signal }),
  render: ({ agent, signal, programs }, paint) =>
    `Sent ${signal} to ${programs.join(", ")} in ${paint.bold(agent.name)}`,
});
