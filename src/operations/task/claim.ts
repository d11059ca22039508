import type { Claimant } from "../../agents/agent.js";
import { claimant } from "../../agents/identity.js";
import { Fault } from "../../errors.js";
import type { Exec } from "../../exec.js";
import { type AgentRef, enumerate } from "../../names.js";
import { claimNext, claimTask, type WorkBegun } from "../../tasks/claim.js";
import { PASSED_OVER, type PassedOver } from "../../tasks/ready.js";
import { TASK } from "../../tasks/task.js";
import { workBeforeClaim } from "../../work/work.js";
import type { App } from "../app.js";
import { agentField, durationField, flag, type InputOf, roleField, taskField, workstreamField } from "../fields.js";
import { defineOperation, NEXT_STEPS, step } from "../operation.js";

const claimFields = () => ({
  task: taskField("Task (omit with --next)").optional(),
  workstream: workstreamField(),
  next: flag("Claim the best ready task"),
  role: roleField("With --next: choose tasks for this role"),
  for: agentField("Claim for this agent", { short: "f", value: "agent" }).optional(),
  self: flag("Claim as yourself, not as this pane's agent"),
  lease: durationField("How long the claim lasts without activity").optional(),
  steal: flag("Take it from its owner if that claim's lease has expired"),
});

type ClaimInput = Omit<InputOf<typeof claimFields>, "for" | "self">;

export const taskClaim = defineOperation({
  name: "task.claim",
  summary: "Claim a task, or the best ready one",
  description:
    "However many try, exactly one gets the task; the others exit 4. A task that is blocked, held, finished or owned by another cannot be claimed. Claiming your own task changes nothing. With --lease, the claim expires without activity: every note renews it, and once it has expired, others can take the task with --steal. If another agent is changing the files that a task declares (`--touches`), --next prefers an equally good task without such a conflict, and reports the tasks that it skipped.",
  effect: "write",
  input: claimFields,
  validate: checkClaim,
  output: { task: TASK, changed: "boolean", passedOver: [PASSED_OVER], nextSteps: NEXT_STEPS },
  positional: ["task"],
  examples: [
    { command: "mu task claim build", shows: "take one task" },
    { command: "mu task claim --next --lease 30m", shows: "take the best ready task for half an hour" },
    { command: "mu task claim deploy", shows: "a task that still waits for another", fault: "task.blocked" },
    { command: "mu task claim", shows: "neither a task nor --next", fault: "usage.missing_argument" },
  ],
  async run(app, { for: agent, self, ...input }) {
    const { task, changed, passedOver } = await claimAs(app, whoClaims(app, agent, self), input);
    const ref = `${task.workstream}/${task.name}`;
    return {
      task,
      changed,
      passedOver,
      nextSteps: [
        step("Show the task", `mu task show ${ref}`),
        step("Write a note", `mu task note ${ref} '…'`),
        step("Close it", `mu task close ${ref}`),
        step("Release it", `mu task release ${ref}`),
      ],
    };
  },
  render: ({ task, changed, passedOver }, paint) =>
    changed
      ? [
          `Claimed ${paint.bold(task.name)} for ${task.owner}: ${task.title}`,
          ...passedOver.map((one) => paint.dim(`Passed over ${one.task}: ${whyPassedOver(one)}`)),
        ].join("\n")
      : `${paint.bold(task.name)} is already owned by ${task.owner}`,
});

function whyPassedOver({ agent, by, paths }: PassedOver): string {
  const what = enumerate(paths, 3);
  return by === null ? `${agent} is changing ${what}` : `${agent} is working on ${by}, which touches ${what}`;
}

function checkClaim({ task, next, for: agent, self }: InputOf<typeof claimFields>): void {
  if (agent !== undefined && self) throw new Fault("usage", "usage.two_claimants", "Give --for or --self, not both.");
  if (next && task !== undefined) throw new Fault("usage", "usage.two_tasks", "Give a task or --next, not both.");
  if (next || task !== undefined) return;
  throw new Fault(
    "usage",
    "usage.missing_argument",
    "No task given. Name one, or pass --next for the best ready one.",
    [step("Take the best ready task", "mu task claim --next")],
  );
}

function whoClaims({ caller }: App, agent: AgentRef | undefined, self: boolean): Claimant {
  if (agent !== undefined) return { agent: agent.name };
  return self ? { person: caller.name } : claimant(caller);
}

async function claimAs(app: App, who: Claimant, { task: ref, workstream: scope, role, lease, steal }: ClaimInput) {
  const options = { ...(lease !== undefined && { leaseSeconds: Math.max(1, Math.round(lease / 1000)) }) };
  if (ref === undefined) {
    const { lookBeforeClaim } = await import("../reality.js");
    await lookBeforeClaim(app, scope, "agent" in who ? who.agent : who.person);
    const work = await workOf(app, who, scope);
    return claimNext(app.context, scope, who, { ...options, work, role });
  }
  const claim = await claimTask(app.context, ref, who, {
    ...options,
    work: await workOf(app, who, ref.workstream, ref.name),
    ...(steal && { steal: "expired" as const }),
  });
  return { ...claim, passedOver: [] };
}

/** Where the agent works that claims; a person has no workspace. */
async function workOf(app: App, who: Claimant, workstream: string, task?: string): Promise<WorkBegun | undefined> {
  if (!("agent" in who)) return undefined;
  const world = { env: app.request.env, exec: (async (...call) => (await app.crew()).exec(...call)) satisfies Exec };
  return workBeforeClaim(world, app.context.store.db, { workstream, name: who.agent }, task);
}
