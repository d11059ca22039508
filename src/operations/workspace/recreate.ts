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
  summary: "Take a workspace away and make it anew",
  description: "Everything in it that is not landed is saved first, and can be brought back.",
  effect: "write",
  input: () =>
    z.strictObject({
      agent: ownerField(),
      workstream: workstreamField(),
      from: z
        .string()
        .min(1)
        .optional()
        .meta(about("Where it begins; else at the branch that work lands on", { value: "ref" })),
      evenIfBusy: whileBusyField("Take its folder away although the agent is open"),
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
    { command: "mu workspace recreate dirty", shows: "anew, and the old work is saved" },
    { command: "mu workspace recreate nobody", shows: "somebody without one", fault: "workspace.not_found" },
  ],
  async run(app, { agent, workstream, from, evenIfBusy }) {
    const ref = await resolveAgent(app, agent, workstream);
    const options = { ...(from !== undefined && { from }), ...whileBusyOf(evenIfBusy), signal: app.io.signal };
    const made = await recreateWorkspace(await app.crew(), ref, options);
    const list = { intent: "See how it stands", command: `mu workspace list -w ${ref.workstream}` };
    return { ...made, nextSteps: [...savedSteps(made.salvage), list] };
  },
  render: ({ workspace, salvage }, paint) =>
    [`Made the workspace of ${paint.bold(workspace.agent)} anew: ${workspace.path}`, ...savedLines(salvage)].join("\n"),
});
