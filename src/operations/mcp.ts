import * as z from "zod";
import { defineOperation } from "./define.js";
import { field } from "./fields.js";
import { TOOL_SETS } from "./verb.js";

export const mcp = defineOperation({
  name: "mcp",
  summary: "Serve mu's verbs as tools over the Model Context Protocol",
  description:
    "Speaks MCP on standard input and output until they close, and serves many requests at a time. A tool is named after its command, with underscores, such as task_claim, and returns what --json prints, with tools for the commands of its next steps. Verbs that need a terminal are not offered; - and @file in a text are plain text. The set worker has what one who works on tasks needs, orchestrator what one needs who leads a crew.",
  effect: "read",
  standalone: true,
  needs: ["stdin"],
  input: () => ({
    tools: field(z.enum(TOOL_SETS).optional(), "Set of tools (default: worker in an agent's pane, else all)"),
  }),
  output: {},
  examples: [
    { command: "mu mcp", shows: "serve; for example: claude mcp add mu -- mu mcp" },
    { command: "mu mcp --tools orchestrator", shows: "serve the tools of one who leads a crew" },
    { command: "mu mcp --port 80", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run({ program, request }, { tools }) {
    await program.serveMcp(request, tools ?? (request.env["MU_AGENT_ID"] ? "worker" : "all"));
    return {};
  },
  render: () => "",
});
