import * as z from "zod";
import { KICK, kickAgent } from "../../agents/pane.js";
import { defineAgentVerb } from "../define.js";
import { field } from "../fields.js";

export const agentKick = defineAgentVerb({
  name: "agent.kick",
  summary: "Signal the program that an agent is stuck in, or continue the agent after Ctrl-Z",
  description:
    "For an agent that waits for a program which does not end: the program is signalled, and the agent's turn goes on. To end the turn itself, use mu agent interrupt.",
  effect: "write",
  several: { order: "at once" },
  journalled: false,
  acts: ["ends"],
  input: () => ({
    signal: field(z.enum(["SIGINT", "SIGTERM", "SIGKILL", "SIGHUP"]).default("SIGINT"), "Signal to send"),
  }),
  output: KICK,
  examples: [
    { command: "mu agent kick sleeper", shows: "interrupt the program it is stuck in" },
    { command: "mu agent kick nobody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent kick ann", shows: "a person, who has no pane", fault: "agent.is_person" },
  ],
  run: async (app, ref, { signal }) => kickAgent(await app.crew(), ref, { signal }),
  render: ({ agent, signal, programs }, paint) =>
    `Sent ${signal} to ${programs.join(", ")} in ${paint.bold(agent.name)}`,
});
