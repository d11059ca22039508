import { workspaceRow } from "../../workspaces/workspace.js";
import { agentField, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";

export const workspacePathOperation = defineOperation({
  name: "workspace.path",
  summary: "Print the path of a workspace",
  effect: "read",
  input: () => ({ agent: agentField(), workstream: workstreamField() }),
  output: { path: "string" },
  positional: ["agent"],
  examples: [
    { command: "mu workspace path helper", shows: 'for cd "$(mu workspace path helper)"' },
    { command: "mu workspace path nobody", shows: "an agent without a workspace", fault: "workspace.not_found" },
  ],
  async run(app, { agent, workstream }) {
    const { path } = await workspaceRow(app.context.store.db, await resolveAgent(app, agent, workstream));
    return { path };
  },
  render: ({ path }) => path,
});
