import * as z from "zod";
import { CLOSED, closeAgent } from "../../crew/close.js";
import type { NextStep } from "../../errors.js";
import { counted } from "../../names.js";
import type { LeftWorkspace } from "../../workspaces/free.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";
import { savedLines, savedSteps } from "../workspace/saved.js";
import { agentField } from "./fields.js";

export const agentClose = defineOperation({
  name: "agent.close",
  summary: "End an agent and all its processes",
  description:
    "Its transcript stays readable; its tasks in progress are OPEN again, each with a note. What is in its workspace is saved; the workspace is freed when all of it is committed and landed, and else kept.",
  effect: "write",
  input: () =>
    z.strictObject({
      agent: agentField(),
      workstream: workstreamField(),
      reason: z.string().max(2000).optional().meta(about("Why, for the log and the notes")),
      discardWorkspace: z
        .boolean()
        .default(false)
        .meta(about("Free its workspace also when there is work in it; all of it is saved")),
    }),
  output: () => schemaOf({ ...CLOSED, workspaceFreed: "boolean", nextSteps: NEXT_STEPS }),
  positional: ["agent"],
  examples: [
    { command: "mu agent close ann", shows: "a person leaves, and their task is open again" },
    { command: "mu agent close nobody", shows: "an agent that is none", fault: "agent.not_found" },
  ],
  async run(app, { agent, workstream, reason, discardWorkspace }) {
    const ref = await resolveAgent(app, agent, workstream);
    const { caller } = app;
    const own = caller.kind === "agent" && caller.name === ref.name && caller.incarnation !== null;
    const closed = await closeAgent(await app.crew(), ref, {
      ...(reason !== undefined && { reason }),
      ...(own && { incarnation: caller.incarnation }),
      ...(discardWorkspace && { workspace: "discard" as const }),
    } as Parameters<typeof closeAgent>[2]);
    return {
      ...closed,
      workspaceFreed: closed.workspace?.freed ?? false,
      nextSteps: [
        ...leftSteps(closed.workspace),
        { intent: "Read what it left", command: `mu agent read ${ref.workstream}/${ref.name}` },
      ],
    };
  },
  render: ({ agent, changed, released, workspace }, paint) =>
    [
      changed
        ? `Closed ${paint.bold(agent.name)}${released.length > 0 ? `; open again: ${released.join(", ")}` : ""}`
        : `${paint.bold(agent.name)} is closed already`,
      ...leftLines(workspace as LeftWorkspace | null),
    ].join("\n"),
});

function leftLines(left: LeftWorkspace | null): string[] {
  if (left === null) return [];
  const { freed, salvage, problem, workspace } = left;
  if (freed && salvage === null) return ["  workspace freed: everything in it is landed"];
  if (freed) return ["  workspace freed", ...savedLines(salvage)];
  if (problem !== null) return [`  workspace kept, and not saved: ${problem}`, `  ${workspace.path}`];
  const work = salvage === null ? [] : [`  workspace kept: ${tellLeft(salvage)}`];
  return [...work, ...savedLines(salvage)];
}

/** `2 commits not landed, 3 files not committed`. */
function tellLeft({ commits, files }: { commits: number; files: number }): string {
  const parts = [
    ...(commits > 0 ? [`${counted(commits, "commit")} not landed`] : []),
    ...(files > 0 ? [`${counted(files, "file")} not committed`] : []),
  ];
  return parts.join(", ");
}

function leftSteps(left: LeftWorkspace | null): NextStep[] {
  if (left === null || left.freed) return savedSteps(left?.salvage ?? null);
  const { agent, workstream } = left.workspace;
  return [
    { intent: "See its work", command: `mu workspace diff ${workstream}/${agent} --stat` },
    { intent: "Go on with it", command: `mu agent spawn ${workstream}/${agent} --workspace` },
    { intent: "Free it; its work is saved", command: `mu workspace free ${workstream}/${agent}` },
  ];
}
