import * as z from "zod";
import { AGENT } from "../../agents/agent.js";
import { focusAgent } from "../../agents/pane.js";
import { workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";
import { schemaOf } from "../shapes.js";
import { agentField } from "./fields.js";

export const agentFocus = defineOperation({
  name: "agent.focus",
  summary: "Make an agent's pane the one that its session shows",
  effect: "read",
  input: () => z.strictObject({ agent: agentField(), workstream: workstreamField() }),
  output: () => schemaOf({ agent: AGENT }),
  positional: ["agent"],
  examples: [
    { command: "mu agent focus helper", shows: "its pane in front" },
    { command: "mu agent focus nobody", shows: "an agent that is none", fault: "agent.not_found" },
    { command: "mu agent focus ann", shows: "people have no pane", fault: "agent.is_person" },
  ],
  async run(app, { agent, workstream }) {
    return { agent: await focusAgent(await app.crew(), await resolveAgent(app, agent, workstream)) };
  },
  render: ({ agent }, paint) => `${paint.bold(agent.name)} is in front`,
});
