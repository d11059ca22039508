import * as z from "zod";
import { CLOSED, closeAgent } from "../../crew/close.js";
import { describeWork } from "../../journal/sentences.js";
import type { LeftWorkspace } from "../../workspaces/free.js";
import { type Drawing, defineAgentVerb, type NextSteps, step } from "../define.js";
import { field, flag } from "../fields.js";
import { savedLines, savedSteps } from "../workspace/saved.js";

export const agentClose = defineAgentVerb({
  name: "agent.close",
  summary: "Close an agent and all its processes",
  description:
    "Its transcript stays readable, and its tasks in progress go back to OPEN, each with a note. Unlanded work in its workspace is saved. The workspace is freed if everything in it is committed and landed, and kept otherwise.",
  effect: "write",
  acts: ["ends"],
  input: () => ({
    reason: field(z.string().max(2000).optional(), "Reason, for the log and the notes"),
    discardWorkspace: flag("Free its workspace even if it holds unlanded work (which is saved)"),
  }),
  output: { ...CLOSED, workspaceFreed: "boolean" },
  examples: [
    { command: "mu agent close ann", shows: "close a person; their task is released" },
    { command: "mu agent close nobody", shows: "an unknown agent", fault: "agent.not_found" },
  ],
  async run(app, ref, { reason, discardWorkspace }) {
    const { caller } = app;
    const own = caller.home === ref.workstream && caller.name === ref.name ? caller.incarnation : null;
    const closed = await closeAgent(await app.crew(), ref, {
      reason,
      incarnation: own ?? undefined,
      workspace: discardWorkspace ? "discard" : undefined,
    });
    return { ...closed, workspaceFreed: closed.workspace?.freed ?? false };
  },
  next: ({ workspace }, at) => [
    ...leftSteps(workspace as LeftWorkspace | null),
    step("Read its last output", `mu agent read ${at}`),
  ],
  render: ({ agent, changed, released, workspace }, paint) => [
    changed
      ? `Closed ${paint.bold(agent.name)}${released.length > 0 ? `; released ${released.join(", ")}` : ""}`
      : `${paint.bold(agent.name)} is already closed`,
    leftLines(workspace as LeftWorkspace | null),
  ],
});

function leftLines(left: LeftWorkspace | null): Drawing {
  if (left === null) return null;
  const { freed, salvage, problem, workspace } = left;
  if (freed && salvage === null) return "  workspace freed: everything in it has landed";
  if (freed) return ["  workspace freed", savedLines(salvage)];
  if (problem !== null) return [`  workspace kept, not saved: ${problem}`, `  ${workspace.path}`];
  return salvage && [`  workspace kept: ${describeWork(salvage)} not landed`, savedLines(salvage)];
}

function leftSteps(left: LeftWorkspace | null): NextSteps {
  if (left === null || left.freed) return savedSteps(left?.salvage ?? null);
  const { agent, workstream } = left.workspace;
  return [
    step("Show its work", `mu workspace diff ${workstream}/${agent} --stat`),
    step("Continue its work", `mu agent spawn ${workstream}/${agent} --workspace`),
    step(left.problem === null ? "Free it (its work is saved)" : "Retry", `mu workspace free ${workstream}/${agent}`),
  ];
}
