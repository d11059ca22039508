import { AGENT } from "../../agents/agent.js";
import { focusAgent } from "../../agents/pane.js";
import { agentField, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";

export const agentFocus = defineOperation({
  name: "agent.focus",
  summary: "Bring an agent's pane to the front of its session",
  effect: "read",
  input: () => ({ agent: agentField(), workstream: workstreamField() }),
  output: { agent: AGENT },
  positional: ["agent"],
  examples: [
    { command: "mu agent focus helper", shows: "bring its pane to the front" },
    { command: "mu agent focus nobody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent focus ann", shows: "a person, who has no pane", fault: "agent.is_person" },
  ],
  async run(app, { agent, workstream }) {
    return { agent: await focusAgent(await app.crew(), await resolveAgent(app, agent, workstream)) };
  },
  render: ({ agent }, paint) => `${paint.bold(agent.name)} is in the foreground`,
});
