import { findWorkspaceOrphans, removeWorkspaceOrphans, WORKSPACE_ORPHAN } from "../../workspaces/orphans.js";
import { defineOperation, listed, listOf, step } from "../define.js";
import { allField, workstreamField, yesField } from "../fields.js";
import { savedSteps } from "./saved.js";

export const workspaceOrphans = defineOperation({
  name: "workspace.orphans",
  summary: "Find folders without a workspace and workspaces without a folder",
  description:
    "With --yes each is saved and removed; what cannot be saved stays. Two databases that share a state folder see each other's workspaces here.",
  effect: "destroy",
  input: () => ({
    workstream: workstreamField("any"),
    all: allField("Include all workstreams, even destroyed ones"),
    yes: yesField(),
  }),
  output: listOf(WORKSPACE_ORPHAN),
  examples: [
    { command: "mu workspace orphans", shows: "orphaned folders and workspaces" },
    { command: "mu workspace orphans --force", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run(app, { workstream: scope, yes }) {
    const crew = await app.crew();
    const items = await (yes ? removeWorkspaceOrphans(crew, scope) : findWorkspaceOrphans(crew, scope));
    return listed(items);
  },
  next({ items }, { workstream, yes }) {
    if (yes) return items.flatMap((item) => savedSteps(item.salvage)).slice(0, 4);
    const flags = workstream === undefined ? "--all" : `-w ${workstream}`;
    return items.length === 0 ? [] : [step("Save and remove them", `mu workspace orphans ${flags} --yes`)];
  },
  render: ({ items }, paint) =>
    paint.list(items, "No orphans.", [
      { head: "workspace", text: (item) => `${item.workstream}/${item.agent}` },
      { head: "what", text: (item) => (item.kind === "folder" ? "no workspace" : "its folder is gone") },
      { head: "", text: (item) => (item.action === "found" ? "" : item.action) },
      { head: "saved as", text: (item) => item.salvage?.name ?? "—" },
      { head: "path", text: (item) => item.path, cut: "front" },
      { head: "why", text: (item) => item.problem ?? "", max: 60 },
    ]),
});
