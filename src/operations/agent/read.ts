import * as z from "zod";
import { AGENT } from "../../agents/agent.js";
import { readAgent } from "../../agents/files.js";
import { agentField, field, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";

export const agentRead = defineOperation({
  name: "agent.read",
  summary: "Read an agent's last lines, even if its pane is gone",
  effect: "read",
  input: () => ({
    agent: agentField(),
    workstream: workstreamField(),
    lines: field(z.number().int().min(1).max(100_000).default(50), "Number of lines", { short: "n" }),
  }),
  output: { agent: AGENT, lines: "string[]", source: ["pane", "screen", "transcript"] },
  positional: ["agent"],
  examples: [
    { command: "mu agent read helper -n 5", shows: "its last five lines" },
    { command: "mu agent read nobody", shows: "an unknown agent", fault: "agent.not_found" },
  ],
  async run(app, { agent, workstream, lines }) {
    return readAgent(await app.crew(), await resolveAgent(app, agent, workstream), { lines });
  },
  render: ({ lines }) => lines.join("\n"),
});
