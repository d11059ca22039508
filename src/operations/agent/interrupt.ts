import { INTERRUPT, interruptAgent } from "../../agents/pane.js";
import { defineAgentVerb } from "../define.js";
import { allInPanes } from "./all.js";

export const agentInterrupt = defineAgentVerb({
  name: "agent.interrupt",
  summary: "End the turn that an agent is busy with, as Esc does",
  description:
    "Presses the keys by which its CLI ends a turn; the conversation is kept, and the next prompt goes on with it. For an agent that does the wrong thing. One that waits for a program which does not end needs mu agent kick: it ends that program, and the turn goes on.",
  effect: "write",
  several: { order: "at once", all: allInPanes("All agents of the workstream that are in a turn") },
  journalled: false,
  acts: ["ends"],
  input: () => ({}),
  output: INTERRUPT,
  examples: [
    { command: "mu agent interrupt sleeper", shows: "end what it does" },
    { command: "mu agent interrupt --all", shows: "end every turn; who is in none is listed" },
    { command: "mu agent interrupt nobody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent interrupt ann", shows: "a person, who has no pane", fault: "agent.is_person" },
  ],
  run: async (app, ref) => interruptAgent(await app.crew(), ref),
  render: ({ agent, keys }, paint) => `Pressed ${keys.join(" ")} in ${paint.bold(agent.name)}`,
});
