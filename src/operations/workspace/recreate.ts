import { recreateWorkspace } from "../../workspaces/recreate.js";
import { LISTED_SALVAGE } from "../../workspaces/salvage.js";
import { WORKSPACE } from "../../workspaces/workspace.js";
import { defineAgentVerb, step } from "../define.js";
import { optionalText } from "../fields.js";
import { whileBusyField, whileBusyOf } from "./fields.js";
import { savedLines, savedSteps } from "./saved.js";

export const workspaceRecreate = defineAgentVerb({
  name: "workspace.recreate",
  summary: "Delete and recreate a workspace",
  description: "Everything that has not landed is saved first and can be restored.",
  effect: "write",
  acts: ["ends", "runs"],
  input: () => ({
    from: optionalText("Ref to start from (default: the target branch)", { value: "ref" }),
    evenIfBusy: whileBusyField("Delete its folder even if the agent is open"),
  }),
  output: { workspace: WORKSPACE, previousBaseRef: "string | null", salvage: [LISTED_SALVAGE, null] },
  examples: [
    { command: "mu workspace recreate dirty", shows: "recreate it; the old work is saved" },
    { command: "mu workspace recreate nobody", shows: "an agent without a workspace", fault: "workspace.not_found" },
  ],
  async run(app, ref, { from, evenIfBusy }) {
    const options = { from, ...whileBusyOf(evenIfBusy), signal: app.request.signal };
    return recreateWorkspace(await app.crew(), ref, options);
  },
  next: ({ salvage }, _, { workstream }) => [
    ...savedSteps(salvage),
    step("Show the workstream", `mu workspace list -w ${workstream}`),
  ],
  render: ({ workspace, salvage }, paint) => [
    `Recreated the workspace of ${paint.bold(workspace.agent)}: ${workspace.path}`,
    savedLines(salvage),
  ],
});
