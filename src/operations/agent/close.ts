import * as z from "zod";
import { CLOSED, closeAgent } from "../../crew/close.js";
import type { NextStep } from "../../errors.js";
import { describeWork } from "../../journal/sentences.js";
import { qualifiedName } from "../../names.js";
import type { LeftWorkspace } from "../../workspaces/free.js";
import { field, flag } from "../fields.js";
import { NEXT_STEPS, step } from "../operation.js";
import { defineAgentVerb } from "../subject.js";
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
  output: { ...CLOSED, workspaceFreed: "boolean", nextSteps: NEXT_STEPS },
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
    return {
      ...closed,
      workspaceFreed: closed.workspace?.freed ?? false,
      nextSteps: [...leftSteps(closed.workspace), step("Read its last output", `mu agent read ${qualifiedName(ref)}`)],
    };
  },
  render: ({ agent, changed, released, workspace }, paint) =>
    [
      changed
        ? `Closed ${paint.bold(agent.name)}${released.length > 0 ? `; released ${released.join(", ")}` : ""}`
        : `${paint.bold(agent.name)} is already closed`,
      ...leftLines(workspace as LeftWorkspace | null),
    ].join("\n"),
});

function leftLines(left: LeftWorkspace | null): string[] {
  if (left === null) return [];
  const { freed, salvage, problem, workspace } = left;
  if (freed && salvage === null) return ["  workspace freed: everything in it has landed"];
  if (freed) return ["  workspace freed", ...savedLines(salvage)];
  if (problem !== null) return [`  workspace kept, not saved: ${problem}`, `  ${workspace.path}`];
  const work = salvage === null ? [] : [`  workspace kept: ${describeWork(salvage)} not landed`];
  return [...work, ...savedLines(salvage)];
}

function leftSteps(left: LeftWorkspace | null): NextStep[] {
  if (left === null || left.freed) return savedSteps(left?.salvage ?? null);
  const { agent, workstream } = left.workspace;
  return [
    step("Show its work", `mu workspace diff ${workstream}/${agent} --stat`),
    step("Continue its work", `mu agent spawn ${workstream}/${agent} --workspace`),
    step(left.problem === null ? "Free it (its work is saved)" : "Retry", `mu workspace free ${workstream}/${agent}`),
  ];
}
