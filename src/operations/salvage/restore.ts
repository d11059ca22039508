import { Fault } from "../../errors.js";
import { type AgentRef, qualifiedName, quote, shellWord } from "../../names.js";
import { restoreSalvage } from "../../workspaces/restore.js";
import { getSalvage, LISTED_SALVAGE, type ListedSalvage } from "../../workspaces/salvage.js";
import { WORKSPACE } from "../../workspaces/workspace.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import type { App } from "../app.js";
import { agentField, workstreamField } from "../fields.js";
import { defineOperation, NEXT_STEPS, step } from "../operation.js";
import { whileBusyField, whileBusyOf } from "../workspace/fields.js";
import { savedLines, savedSteps } from "../workspace/saved.js";
import { salvageField } from "./fields.js";

export const salvageRestore = defineOperation({
  name: "salvage.restore",
  summary: "Restore saved commits and uncommitted files into a workspace",
  description:
    "The workspace must have no uncommitted changes; it is created if the agent has none. Its own commits are saved first. The save stays.",
  effect: "write",
  input: () => ({
    salvage: salvageField(),
    agent: agentField("Agent whose workspace receives it (default: the one it was saved from)").optional(),
    workstream: workstreamField("any"),
    evenIfBusy: whileBusyField(),
  }),
  output: {
    salvage: LISTED_SALVAGE,
    workspace: WORKSPACE,
    created: "boolean",
    saved: [LISTED_SALVAGE, null],
    nextSteps: NEXT_STEPS,
  },
  positional: ["salvage"],
  examples: [
    { command: "mu salvage restore helper/1 --agent second", shows: "restore into a new workspace" },
    { command: "mu salvage restore helper/99", shows: "no such save", fault: "salvage.not_found" },
    {
      command: "mu salvage restore helper/1 --agent dirty",
      shows: "a workspace with uncommitted changes",
      fault: "workspace.dirty",
    },
  ],
  async run(app, { salvage: name, agent, workstream, evenIfBusy }) {
    const crew = await app.crew();
    const salvage = await getSalvage(crew, name, workstream);
    const ref = agent ?? (await formerAgent(app, salvage));
    const restored = await restoreSalvage(crew, salvage, ref, whileBusyOf(evenIfBusy));
    const at = qualifiedName(ref);
    const nextSteps = [
      step("Show its changes", `mu workspace diff ${at} --stat`),
      step("Start an agent in it", `mu agent spawn ${at} --workspace`),
      ...savedSteps(restored.saved),
    ];
    return { salvage, ...restored, nextSteps };
  },
  render: ({ salvage, workspace, created, saved }, paint) =>
    [
      `Restored ${paint.bold(salvage.name)} into ${created ? "a new workspace" : "the workspace"} of ${paint.bold(workspace.agent)}: ${workspace.path}`,
      ...savedLines(saved),
    ].join("\n"),
});

/** The agent that it was saved from; its workstream may no longer exist. */
async function formerAgent(app: App, { name, workstream, agent, root }: ListedSalvage): Promise<AgentRef> {
  try {
    return { workstream: (await workstreamRow(app.context.store.db, workstream)).name, name: agent };
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "workstream.not_found") throw error;
    throw new Fault(
      error.kind,
      error.code,
      `${name} was saved in the workstream ${quote(workstream)}, which no longer exists.`,
      [
        step("Recreate the workstream", `mu workstream init ${workstream} --root ${shellWord(root)}`),
        step("Then restore the save", `mu salvage restore ${name}`),
      ],
    );
  }
}
