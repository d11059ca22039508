import { LISTED_WORKSPACE, type ListedWorkspace, listWorkspaces } from "../../workspaces/inspect.js";
import { defineOperation, listed, listOf } from "../define.js";
import { allField, workstreamField } from "../fields.js";

export const workspaceList = defineOperation({
  name: "workspace.list",
  summary: "List workspaces and how far each is from the target branch",
  effect: "read",
  input: () => ({ workstream: workstreamField("one or all"), all: allField() }),
  output: listOf(LISTED_WORKSPACE),
  examples: [
    { command: "mu workspace list", shows: "all of this workstream" },
    { command: "mu workspace list -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  run: async (app, { workstream }) => listed(await listWorkspaces(await app.crew(), workstream)),
  render: ({ items }, paint) =>
    paint.list(items as ListedWorkspace[], "No workspaces.", [
      { head: "agent", text: (item) => item.agent },
      { head: "status", text: (item) => (item.agentStatus === null ? "—" : paint.status(item.agentStatus)) },
      { head: "behind", text: (item) => shown(item.behind), align: "right" },
      { head: "ahead", text: (item) => shown(item.ahead), align: "right" },
      { head: "dirty", text: (item) => shown(item.dirty), align: "right" },
      { head: "branch", text: (item) => item.branch ?? "—" },
      { head: "", text: conditionOf, max: 24 },
      { head: "path", text: (item) => item.path, max: 20, cut: "front" },
    ]),
});

const shown = (value: number | null) => (value === null ? "—" : String(value));

function conditionOf({ state, present, underway, problem }: ListedWorkspace): string {
  if (problem !== null) return problem;
  if (state !== "ready") return `${state} (interrupted)`;
  if (!present) return "its folder is gone";
  return underway === null ? "" : `${underway} in progress`;
}
