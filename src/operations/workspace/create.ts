import * as z from "zod";
import { findOpenAgent } from "../../agents/agent.js";
import { type AgentRef, qualifiedName } from "../../names.js";
import { createWorkspace } from "../../workspaces/create.js";
import { WORKSPACE } from "../../workspaces/workspace.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import type { App } from "../app.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";
import { backendField, ownerField, projectRootField, wishesOf } from "./fields.js";

export const workspaceCreate = defineOperation({
  name: "workspace.create",
  summary: "Make a checkout of the project for one agent",
  description:
    "The agent need not be there yet: when it is spawned with --workspace, it gets the one of its name. Whatever fails leaves nothing behind, and what a crash left half made is made anew.",
  effect: "write",
  input: () =>
    z.strictObject({
      agent: ownerField("For whom, as name or workstream/name"),
      workstream: workstreamField(),
      backend: backendField(),
      from: z
        .string()
        .min(1)
        .optional()
        .meta(about("Where it begins; else at the branch that work lands on", { value: "ref" })),
      projectRoot: projectRootField({ aliases: ["workspace-project-root"] }),
    }),
  output: () => schemaOf({ workspace: WORKSPACE, nextSteps: NEXT_STEPS }),
  positional: ["agent"],
  examples: [
    { command: "mu workspace create worker-1", shows: "a checkout on the newest state of the branch" },
    { command: "mu workspace create helper", shows: "one that has a workspace", fault: "workspace.exists" },
    { command: "mu workspace create Worker", shows: "a name that cannot be", fault: "agent.invalid_name" },
  ],
  async run(app, { agent, workstream, ...wishes }) {
    const ref = await resolveAgent(app, agent, workstream);
    const workspace = await createWorkspace(await app.crew(), ref, await wishesOf(app, ref.workstream, wishes));
    const at = qualifiedName(ref);
    const canStart = !(await isThere(app, ref));
    return {
      workspace,
      nextSteps: [
        ...(canStart ? [{ intent: "Start the agent in it", command: `mu agent spawn ${at} --workspace` }] : []),
        { intent: "Go there", command: `cd "$(mu workspace path ${at})"` },
        { intent: "See all of them", command: `mu workspace list -w ${ref.workstream}` },
      ],
    };
  },
  render: ({ workspace }, paint) => {
    const at = workspace.baseRef === null ? "" : ` at ${workspace.baseRef.slice(0, 12)}`;
    return `Made the workspace of ${paint.bold(workspace.agent)} (${workspace.backend}${at}): ${workspace.path}`;
  },
});

/** Whether a person or an open agent of that name is there already, so that none can be spawned. */
async function isThere({ caller, context }: App, ref: AgentRef): Promise<boolean> {
  if (caller.kind === "person" && caller.name === ref.name) return true;
  const { db } = context.store;
  const { id } = await workstreamRow(db, ref.workstream);
  return (await findOpenAgent(db, id, ref.name)) !== undefined;
}
