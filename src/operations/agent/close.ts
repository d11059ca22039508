import * as z from "zod";
import { CLOSED, type Closed, closeAgents } from "../../crew/close.js";
import { describeWork } from "../../journal/sentences.js";
import type { LeftWorkspace } from "../../workspaces/free.js";
import { type Drawing, defineAgentVerb, type NextSteps, step } from "../define.js";
import { agentsField, field, flag } from "../fields.js";
import { savedLines, savedSteps } from "../workspace/saved.js";

export const agentClose = defineAgentVerb({
  name: "agent.close",
  summary: "Close agents and all their processes",
  description:
    "Its transcript stays readable, and its tasks in progress go back to OPEN, each with a note. Unlanded work in its workspace is saved. The workspace is freed if everything in it is committed and landed, and kept otherwise. Several agents are ended at once.",
  effect: "write",
  acts: ["ends"],
  input: () => ({
    others: agentsField("More agents to close").default([]),
    reason: field(z.string().max(2000).optional(), "Reason, for the log and the notes"),
    discardWorkspace: flag("Free its workspace even if it holds unlanded work (which is saved)"),
    evenIfUnreachable: flag("Close it even if it cannot be seen from here, where its processes may live on"),
  }),
  positional: ["others"],
  output: { ...CLOSED, workspaceFreed: "boolean", others: [CLOSED] },
  examples: [
    { command: "mu agent close ann", shows: "close a person; their task is released" },
    { command: "mu agent close nobody", shows: "an unknown agent", fault: "agent.not_found" },
  ],
  async run(app, ref, { others: more, reason, discardWorkspace, evenIfUnreachable }) {
    const { caller } = app;
    const own = caller.home === ref.workstream && caller.name === ref.name ? caller.incarnation : null;
    const [closed, ...others] = (await closeAgents(await app.crew(), [ref, ...more], {
      reason,
      incarnation: own ?? undefined,
      workspace: discardWorkspace ? "discard" : undefined,
      whileUnreachable: evenIfUnreachable ? "go on" : undefined,
    })) as [Closed, ...Closed[]];
    return { ...closed, workspaceFreed: closed.workspace?.freed ?? false, others };
  },
  next: ({ workspace }, at) => [
    ...leftSteps(workspace as LeftWorkspace | null),
    step("Read its last output", `mu agent read ${at}`),
  ],
  render: ({ others, ...first }, paint) =>
    [first, ...others].map(({ agent, changed, released, outlived, workspace }) => [
      changed
        ? `Closed ${paint.bold(agent.name)}${released.length > 0 ? `; released ${released.join(", ")}` : ""}`
        : `${paint.bold(agent.name)} is already closed`,
      outlived.length > 0 && `  ended what had left its pane: ${outlived.join(", ")}`,
      leftLines(workspace as LeftWorkspace | null),
    ]),
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
