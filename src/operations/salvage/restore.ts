import * as z from "zod";
import { getSalvage } from "../../salvage/list.js";
import { restoreSalvage } from "../../salvage/restore.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { findWorkstream, resolveAgent } from "../resolve.js";
import { nextStepsShape } from "../shapes.js";
import { whileBusyField, whileBusyOf } from "../workspace/fields.js";
import { workspaceShape } from "../workspace/shapes.js";
import { salvageField } from "./fields.js";
import { salvageShape, savedShape } from "./shapes.js";
import { savedLines, savedSteps } from "./text.js";

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
    z.strictObject({
      salvage: salvageShape(),
      workspace: workspaceShape(),
      created: z.boolean(),
      saved: savedShape(),
      nextSteps: nextStepsShape(),
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
    const ref = await resolveAgent(
      app,
      agent ?? `${salvage.workstream}/${salvage.agent}`,
      agent ? workstream : undefined,
    );
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
