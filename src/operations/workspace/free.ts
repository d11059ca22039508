import { freeWorkspace } from "../../workspaces/free.js";
import { LISTED_SALVAGE } from "../../workspaces/salvage.js";
import { WORKSPACE } from "../../workspaces/workspace.js";
import { defineAgentVerb, step } from "../define.js";
import { whileBusyField, whileBusyOf } from "./fields.js";
import { savedLines, savedSteps } from "./saved.js";

export const workspaceFree = defineAgentVerb({
  name: "workspace.free",
  summary: "Free a workspace: save its work and delete it",
  description: "Everything that has not landed is saved first and can be restored.",
  effect: "write",
  several: { order: "at once" },
  acts: ["ends"],
  input: () => ({ evenIfBusy: whileBusyField("Delete its folder even if the agent is open") }),
  output: { workspace: WORKSPACE, salvage: [LISTED_SALVAGE, null], changed: "boolean" },
  examples: [
    { command: "mu workspace free dirty", shows: "delete it; its work is saved" },
    { command: "mu workspace free nobody", shows: "an agent without a workspace", fault: "workspace.not_found" },
  ],
  run: async (app, ref, { evenIfBusy }) => freeWorkspace(await app.crew(), ref, whileBusyOf(evenIfBusy)),
  next: ({ salvage }, at) => [...savedSteps(salvage), step("Create a new one", `mu workspace create ${at}`)],
  render: ({ workspace, salvage, changed }, paint) =>
    changed
      ? [`Freed the workspace of ${paint.bold(workspace.agent)}`, savedLines(salvage)]
      : `The workspace of ${paint.bold(workspace.agent)} is already freed`,
});
