import { workspaceRow } from "../../workspaces/workspace.js";
import { defineAgentVerb } from "../define.js";

export const workspacePathOperation = defineAgentVerb({
  name: "workspace.path",
  summary: "Print the path of a workspace",
  effect: "read",
  output: { path: "string" },
  examples: [
    { command: "mu workspace path helper", shows: 'for cd "$(mu workspace path helper)"' },
    { command: "mu workspace path nobody", shows: "an agent without a workspace", fault: "workspace.not_found" },
  ],
  run: async (app, ref) => ({ path: (await workspaceRow(app.context.store.db, ref)).path }),
  render: ({ path }) => path,
});
