import { defineOperation } from "./operation.js";

export const mcp = defineOperation({
  name: "mcp",
  summary: "Serve mu's verbs as tools over the Model Context Protocol",
  description:
    "Speaks MCP on standard input and output until they close, and serves many requests at a time. A tool is named after its command, with underscores, such as task_claim, and returns what --json prints. Verbs that need a terminal are not offered; - and @file in a text are plain text.",
  effect: "read",
  standalone: true,
  needs: ["stdin"],
  output: {},
  examples: [
    { command: "mu mcp", shows: "serve; for example: claude mcp add mu -- mu mcp" },
    { command: "mu mcp --port 80", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run({ program, request }) {
    await program.serveMcp(request);
    return {};
  },
  render: () => "",
});
