import { AGENT } from "../../agents/agent.js";
import { attachCommand } from "../../agents/pane.js";
import { shellWord } from "../../names.js";
import { defineAgentVerb, required } from "../define.js";

export const agentAttach = defineAgentVerb({
  name: "agent.attach",
  summary: "Attach to an agent's pane",
  description:
    "Attaches this terminal, or switches the client if it is in the same tmux. Without a terminal it prints the command.",
  effect: "read",
  needs: ["terminal"],
  output: { agent: AGENT, command: "string[]", attached: "boolean" },
  examples: [
    { command: "mu agent attach helper", shows: "its pane in this terminal" },
    { command: "mu agent attach nobody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent attach ann", shows: "a person, who has no pane", fault: "agent.is_person" },
  ],
  async run(app, ref) {
    const { agent, command } = await attachCommand(await app.crew(), ref);
    const attached = await required(app.request, "terminal").run(command);
    return { agent, command: [command.file, ...command.args], attached };
  },
  render: ({ command, attached }) => (attached ? "" : `Attach with: ${command.map(shellWord).join(" ")}`),
});
