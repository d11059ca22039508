import { qualifiedName } from "../../names.js";
import { freeWorkspace } from "../../workspaces/free.js";
import { LISTED_SALVAGE } from "../../workspaces/salvage.js";
import { WORKSPACE } from "../../workspaces/workspace.js";
import { NEXT_STEPS, step } from "../operation.js";
import { defineAgentVerb } from "../subject.js";
import { whileBusyField, whileBusyOf } from "./fields.js";
import { savedLines, savedSteps } from "./saved.js";

export const workspaceFree = defineAgentVerb({
  name: "workspace.free",
  summary: "Free a workspace: save its work and delete it",
  description: "Everything that has not landed is saved first and can be restored.",
  effect: "write",
  acts: ["ends"],
  input: () => ({ evenIfBusy: whileBusyField("Delete its folder even if the agent is open") }),
  output: { workspace: WORKSPACE, salvage: [LISTED_SALVAGE, null], changed: "boolean", nextSteps: NEXT_STEPS },
  examples: [
    { command: "mu workspace free dirty", shows: "delete it; its work is saved" },
    { command: "mu workspace free nobody", shows: "an agent without a workspace", fault: "workspace.not_found" },
  ],
  async run(app, ref, { evenIfBusy }) {
    const freed = await freeWorkspace(await app.crew(), ref, whileBusyOf(evenIfBusy));
    const again = step("Create a new one", `mu workspace create ${qualifiedName(ref)}`);
    return { ...freed, nextSteps: [...savedSteps(freed.salvage), again] };
  },
  render: ({ workspace, salvage, changed }, paint) =>
    changed
      ? [`Freed the workspace of ${paint.bold(workspace.agent)}`, ...savedLines(salvage)].join("\n")
      : `The workspace of ${paint.bold(workspace.agent)} is already freed`,
});
