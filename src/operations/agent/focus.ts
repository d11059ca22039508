import { AGENT } from "../../agents/agent.js";
import { focusAgent } from "../../agents/pane.js";
import { defineAgentVerb } from "../define.js";

export const agentFocus = defineAgentVerb({
  name: "agent.focus",
  summary: "Bring an agent's pane to the front of its session",
  effect: "read",
  acts: ["shows"],
  output: { agent: AGENT },
  examples: [
    { command: "mu agent focus helper", shows: "bring its pane to the front" },
    { command: "mu agent focus nobody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent focus ann", shows: "a person, who has no pane", fault: "agent.is_person" },
  ],
  run: async (app, ref) => ({ agent: await focusAgent(await app.crew(), ref) }),
  render: ({ agent }, paint) => `${paint.bold(agent.name)} is in the foreground`,
});
