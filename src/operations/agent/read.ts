import * as z from "zod";
import { AGENT } from "../../agents/agent.js";
import { readAgent } from "../../agents/files.js";
import { defineAgentVerb } from "../define.js";
import { field, flag } from "../fields.js";

export const agentRead = defineAgentVerb({
  name: "agent.read",
  summary: "Read an agent's last lines, even if its pane is gone",
  effect: "read",
  input: () => ({
    lines: field(z.number().int().min(1).max(100_000).default(50), "Number of lines", { short: "n" }),
    colours: flag("Keep the colours of a living pane, as escape sequences", { aliases: ["colors"] }),
  }),
  output: { agent: AGENT, lines: "string[]", source: ["pane", "screen", "transcript"] },
  examples: [
    { command: "mu agent read helper -n 5", shows: "its last five lines" },
    { command: "mu agent read nobody", shows: "an unknown agent", fault: "agent.not_found" },
  ],
  run: async (app, ref, wanted) => readAgent(await app.crew(), ref, wanted),
  render: ({ lines }) => lines,
});
