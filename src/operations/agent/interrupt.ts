import { INTERRUPT, interruptAgent } from "../../agents/pane.js";
import { defineAgentVerb } from "../define.js";

export const agentInterrupt = defineAgentVerb({
  name: "agent.interrupt",
  summary: "End the turn that an agent is busy with, as Esc does",
  description:
    "Presses the keys by which its CLI ends a turn; the conversation is kept, and the next prompt goes on with it. mu agent kick signals the program that an agent is stuck in instead.",
  effect: "write",
  journalled: false,
  acts: ["ends"],
  input: () => ({}),
  output: INTERRUPT,
  examples: [
    { command: "mu agent interrupt sleeper", shows: "end what it does" },
    { command: "mu agent interrupt nobody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent interrupt ann", shows: "a person, who has no pane", fault: "agent.is_person" },
  ],
  run: async (app, ref) => interruptAgent(await app.crew(), ref),
  render: ({ agent, keys }, paint) => `Pressed ${keys.join(" ")} in ${paint.bold(agent.name)}`,
});
