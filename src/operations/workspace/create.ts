import { findOpenAgent } from "../../agents/agent.js";
import type { AgentRef } from "../../names.js";
import { createWorkspace } from "../../workspaces/create.js";
import { WORKSPACE } from "../../workspaces/workspace.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { type App, defineAgentVerb, step } from "../define.js";
import { optionalText } from "../fields.js";
import { backendField, projectRootField, wishesOf } from "./fields.js";

export const workspaceCreate = defineAgentVerb({
  name: "workspace.create",
  summary: "Create a checkout of the project for one agent",
  description:
    "The agent does not have to exist yet: spawned with --workspace, it gets the workspace of its name. A failure leaves nothing behind, and a workspace left half-made by a crash is recreated.",
  effect: "write",
  acts: ["runs"],
  about: "Agent to create it for, as name or workstream/name",
  input: () => ({
    backend: backendField(),
    from: optionalText("Ref to start from (default: the target branch)", { value: "ref" }),
    projectRoot: projectRootField({ aliases: ["workspace-project-root"] }),
  }),
  output: { workspace: WORKSPACE },
  examples: [
    { command: "mu workspace create worker-1", shows: "a checkout on the newest state of the branch" },
    { command: "mu workspace create helper", shows: "an agent that already has one", fault: "workspace.exists" },
    { command: "mu workspace create Worker", shows: "an invalid name", fault: "agent.invalid_name" },
  ],
  async run(app, ref, { ...wishes }) {
    const wanted = await wishesOf(app, ref.workstream, wishes);
    return { workspace: await createWorkspace(await app.crew(), ref, wanted) };
  },
  async next({ workspace: { agent: name, workstream } }, at, _, app) {
    const start = step("Start the agent in it", `mu agent spawn ${at} --workspace`);
    return [
      ...((await isThere(app, { workstream, name })) ? [] : [start]),
      step("Change to its folder", `cd "$(mu workspace path ${at})"`),
      step("List the workspaces", `mu workspace list -w ${workstream}`),
    ];
  },
  render: ({ workspace }, paint) => {
    const at = workspace.baseRef === null ? "" : ` at ${workspace.baseRef.slice(0, 12)}`;
    return `Created the workspace of ${paint.bold(workspace.agent)} (${workspace.backend}${at}): ${workspace.path}`;
  },
});

/** Whether a person or an open agent of that name is there already, so that none can be spawned. */
async function isThere({ caller, context }: App, ref: AgentRef): Promise<boolean> {
  if (caller.kind === "person" && caller.name === ref.name) return true;
  const { db } = context.store;
  const { id } = await workstreamRow(db, ref.workstream);
  return (await findOpenAgent(db, id, ref.name)) !== undefined;
}
