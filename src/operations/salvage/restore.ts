import * as z from "zod";
import { Fault } from "../../errors.js";
import { type AgentRef, quote, shellWord } from "../../names.js";
import { restoreSalvage } from "../../workspaces/restore.js";
import { getSalvage, LISTED_SALVAGE, type ListedSalvage } from "../../workspaces/salvage.js";
import { WORKSPACE } from "../../workspaces/workspace.js";
import type { App } from "../app.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { findWorkstream, resolveAgent } from "../resolve.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";
import { whileBusyField, whileBusyOf } from "../workspace/fields.js";
import { savedLines, savedSteps } from "../workspace/saved.js";
import { salvageField } from "./fields.js";

export const salvageRestore = defineOperation({
  name: "salvage.restore",
  summary: "Bring saved commits and uncommitted files back into a workspace",
  description:
    "The workspace must have nothing uncommitted in it; it is made when the agent has none. Its own commits are saved first. The salvage stays.",
  effect: "write",
  input: () =>
    z.strictObject({
      salvage: salvageField(),
      agent: z
        .string()
        .min(1)
        .optional()
        .meta(about("Into whose workspace; else the one it was saved from", { completes: "agent" })),
      workstream: workstreamField(),
      evenIfBusy: whileBusyField(),
    }),
  output: () =>
    schemaOf({
      salvage: LISTED_SALVAGE,
      workspace: WORKSPACE,
      created: "boolean",
      saved: [LISTED_SALVAGE, null],
      nextSteps: NEXT_STEPS,
    }),
  positional: ["salvage"],
  examples: [
    { command: "mu salvage restore helper/1 --agent second", shows: "into a workspace that is made for it" },
    { command: "mu salvage restore helper/99", shows: "a save that is none", fault: "salvage.not_found" },
    { command: "mu salvage restore helper/1 --agent dirty", shows: "not over other work", fault: "workspace.dirty" },
  ],
  async run(app, { salvage: name, agent, workstream, evenIfBusy }) {
    const crew = await app.crew();
    const salvage = await getSalvage(crew, name, await findWorkstream(app, workstream));
    const ref = agent === undefined ? await formerAgent(app, salvage) : await resolveAgent(app, agent, workstream);
    const restored = await restoreSalvage(crew, salvage, ref, whileBusyOf(evenIfBusy));
    const at = `${ref.workstream}/${ref.name}`;
    const nextSteps = [
      { intent: "See it", command: `mu workspace diff ${at} --stat` },
      { intent: "Let somebody go on with it", command: `mu agent spawn ${at} --workspace` },
      ...savedSteps(restored.saved),
    ];
    return { salvage, ...restored, nextSteps };
  },
  render: ({ salvage, workspace, created, saved }, paint) =>
    [
      `Brought ${paint.bold(salvage.name)} back into ${created ? "a new workspace" : "the workspace"} of ${paint.bold(workspace.agent)}: ${workspace.path}`,
      ...savedLines(saved),
    ].join("\n"),
});

/** The agent that it was saved from; its workstream may be gone by now. */
async function formerAgent(app: App, { name, workstream, agent, root }: ListedSalvage): Promise<AgentRef> {
  try {
    return await resolveAgent(app, `${workstream}/${agent}`);
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "workstream.not_found") throw error;
    throw new Fault(error.kind, error.code, `${name} is of the workstream ${quote(workstream)}, which is gone.`, [
      { intent: "Start it again", command: `mu workstream init ${workstream} --root ${shellWord(root)}` },
      { intent: "Bring it back then", command: `mu salvage restore ${name}` },
    ]);
  }
}
