import type { Claimant } from "../../agents/agent.js";
import { claimant } from "../../agents/identity.js";
import { Fault } from "../../errors.js";
import type { Exec } from "../../exec.js";
import { type AgentRef, enumerate, qualifiedName } from "../../names.js";
import { claimNext, claimTask } from "../../tasks/claim.js";
import { PASSED_OVER, type PassedOver } from "../../tasks/ready.js";
import { TASK, type Task } from "../../tasks/task.js";
import { describeLoose } from "../../work/loose.js";
import { type Beginning, workBeforeClaim } from "../../work/work.js";
import { type App, defineOperation, step, WARNINGS, warningLines } from "../define.js";
import { agentField, durationField, flag, type InputOf, roleField, taskField, workstreamField } from "../fields.js";

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
  output: { task: TASK, changed: "boolean", passedOver: [PASSED_OVER], warnings: WARNINGS },
  positional: ["task"],
  examples: [
    { command: "mu task claim build", shows: "take one task" },
    { command: "mu task claim --next --lease 30m", shows: "take the best ready task for half an hour" },
    { command: "mu task claim deploy", shows: "a task that still waits for another", fault: "task.blocked" },
    { command: "mu task claim", shows: "neither a task nor --next", fault: "usage.missing_argument" },
  ],
  async run(app, { for: agent, self, ...input }) {
    const { task, changed, passedOver, warnings } = await claimAs(app, whoClaims(app, agent, self), input);
    return { task, changed, passedOver, warnings };
  },
  next({ task }) {
    const at = qualifiedName(task);
    return [
      step("Show the task", `mu task show ${at}`),
      step("Write a note", `mu task note ${at} '…'`),
      step("Close it", `mu task close ${at}`),
      step("Release it", `mu task release ${at}`),
    ];
  },
  render({ task, changed, passedOver, warnings }, paint) {
    if (!changed) return `${paint.bold(task.name)} is already owned by ${task.owner}`;
    return [
      `Claimed ${paint.bold(task.name)} for ${task.owner}: ${task.title}`,
      passedOver.map((one) => paint.dim(`Passed over ${one.task}: ${whyPassedOver(one)}`)),
      warningLines(warnings),
    ];
  },
});

function whyPassedOver({ agent, by, paths }: PassedOver): string {
  const what = enumerate(paths, 3);
  return by === null ? `${agent} is changing ${what}` : `${agent} is working on ${by}, which touches ${what}`;
}

function checkClaim({ task, next, for: agent, self }: InputOf<typeof claimFields>): void {
  if (agent !== undefined && self) throw new Fault("usage", "usage.two_claimants", "Give --for or --self, not both.");
  if (next && task !== undefined) throw new Fault("usage", "usage.two_tasks", "Give a task or --next, not both.");
  if (next || task !== undefined) return;
  const message = "No task given. Name one, or pass --next for the best ready one.";
  throw new Fault("usage", "usage.missing_argument", message, [
    step("Take the best ready task", "mu task claim --next"),
  ]);
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
    const claim = await claimNext(app.context, scope, who, { ...options, work, role });
    return { ...claim, warnings: warningsOf(work, claim.task) };
  }
  const work = await workOf(app, who, ref.workstream, ref.name);
  const claim = await claimTask(app.context, ref, who, {
    ...options,
    work,
    ...(steal && { steal: "expired" as const }),
  });
  return { ...claim, passedOver: [], warnings: claim.changed ? warningsOf(work, claim.task) : [] };
}

/** Where the claimant works. */
async function workOf(app: App, who: Claimant, workstream: string, task?: string): Promise<Beginning | undefined> {
  const name = "agent" in who ? who.agent : who.person;
  const world = { env: app.request.env, exec: (async (...call) => (await app.crew()).exec(...call)) satisfies Exec };
  // The folder says where the caller works, but not where somebody else does.
  const cwd = name === app.caller.name ? app.request.cwd : undefined;
  return workBeforeClaim(world, app.context.store.db, { workstream, name }, task, cwd);
}

function warningsOf(begun: Beginning | undefined, { name }: Task): { code: string; message: string }[] {
  const loose = begun?.loose;
  if (loose === undefined || loose.commits.length + loose.stashes.length === 0) return [];
  const message = `Your workspace has ${describeLoose(loose)} of no task: ${name} begins after them. To take commits in, close it with --include.`;
  return [{ code: "loose_commits", message }];
}
