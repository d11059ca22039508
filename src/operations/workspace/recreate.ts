import * as z from "zod";
import { recreateWorkspace } from "../../workspaces/recreate.js";
import { LISTED_SALVAGE } from "../../workspaces/salvage.js";
import { WORKSPACE } from "../../workspaces/workspace.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";
import { ownerField, whileBusyField, whileBusyOf } from "./fields.js";
import { savedLines, savedSteps } from "./saved.js";

export const workspaceRecreate = defineOperation({
  name: "workspace.recreate",
  summary: "Delete and recreate a workspace",
  description: "Everything that has not landed is saved first and can be restored.",
  effect: "write",
  input: () =>
    z.strictObject({
      agent: ownerField(),
      workstream: workstreamField(),
      from: z
        .string()
        .min(1)
        .optional()
        .meta(about("Ref to start from (default: the target branch)", { value: "ref" })),
      evenIfBusy: whileBusyField("Delete its folder even if the agent is open"),
    }),
  output: () =>
    schemaOf({
      workspace: WORKSPACE,
      previousBaseRef: "string | null",
      salvage: [LISTED_SALVAGE, null],
      nextSteps: NEXT_STEPS,
    }),
  positional: ["agent"],
  examples: [
    { command: "mu workspace recreate dirty", shows: "recreate it; the old work is saved" },
    { command: "mu workspace recreate nobody", shows: "an agent without a workspace", fault: "workspace.not_found" },
  ],
  async run(app, { agent, workstream, from, evenIfBusy }) {
    const ref = await resolveAgent(app, agent, workstream);
    const options = { ...(from !== undefined && { from }), ...whileBusyOf(evenIfBusy), signal: app.request.signal };
    const made = await recreateWorkspace(await app.crew(), ref, options);
    const list = { intent: "Show the workstream", command: `mu workspace list -w ${ref.workstream}` };
    return { ...made, nextSteps: [...savedSteps(made.salvage), list] };
  },
  render: ({ workspace, salvage }, paint) =>
    [`Recreated the workspace of ${paint.bold(workspace.agent)}: ${workspace.path}`, ...savedLines(salvage)].join("\n"),
});
