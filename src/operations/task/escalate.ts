import * as z from "zod";
import { claimant } from "../../agents/identity.js";
import {
  ESCALATION,
  escalateTask,
  listEscalations,
  putAwayEscalations,
  type Requeue,
  requeueTask,
} from "../../dispatch/escalation.js";
import { asFault } from "../../errors.js";
import type { TaskRef } from "../../names.js";
import { requireRoles } from "../../project/roles.js";
import { TASK } from "../../tasks/task.js";
import { type App, defineOperation, defineTaskVerb, listed, listOf, step } from "../define.js";
import { sceneOf } from "../dispatch/world.js";
import { field, workstreamField } from "../fields.js";
import { projectOf } from "../project.js";

const ranNext = (at: string, workstream: string) => [
  step("Run what is ready", `mu dispatch --once -w ${workstream}`),
  step("Show the task", `mu task show ${at}`),
];

async function requeue(app: App, ref: TaskRef, to: Requeue) {
  const done = await requeueTask(app.context, ref, claimant(app.caller), to);
  // Broken settings do not undo it; then the next dispatcher puts the file away.
  const tidy = async () => putAwayEscalations(await app.crew(), await sceneOf(app, ref.workstream));
  await tidy().catch((error) => app.request.remark(asFault(error).message));
  return done;
}

export const taskRequeue = defineTaskVerb({
  name: "task.requeue",
  summary: "Make a held task ready again, with all its attempts",
  effect: "write",
  repeatable: true,
  output: { task: TASK, changed: "boolean" },
  examples: [
    { command: "mu task requeue build", shows: "let it be tried again" },
    { command: "mu task requeue done", shows: "a task that is CLOSED", fault: "task.not_open" },
    { command: "mu task requeue nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  run: (app, ref) => requeue(app, ref, {}),
  next: ({ task }, at) => ranNext(at, task.workstream),
  render: ({ task, changed }, paint) =>
    changed
      ? `Requeued ${paint.bold(task.name)} for ${task.role ?? "anybody"}`
      : `${paint.bold(task.name)} is ready for another attempt already`,
});

export const taskRoute = defineTaskVerb({
  name: "task.route",
  summary: "Give a task to another role, with all its attempts",
  effect: "write",
  input: () => ({ role: field(z.string().min(1), "The role", { short: "r", completes: "role" }) }),
  output: { task: TASK, changed: "boolean" },
  examples: [
    { command: "mu task route deploy --role qa", shows: "let another role do it" },
    { command: "mu task route deploy --role nobody", shows: "a role that the project lacks", fault: "role.unknown" },
    { command: "mu task route nothing --role code", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, ref, { role }) {
    requireRoles(await projectOf(app, ref.workstream), [role]);
    return requeue(app, ref, { role });
  },
  next: ({ task }, at) => ranNext(at, task.workstream),
  render: ({ task }, paint) => `${paint.bold(task.name)} is for ${task.role} now`,
});

export const taskEscalate = defineTaskVerb({
  name: "task.escalate",
  summary: "Hold a task for a person, and say why",
  effect: "write",
  input: () => ({ reason: field(z.string().trim().min(1).max(2000), "What a person must decide or do") }),
  positional: ["reason"],
  output: { task: TASK },
  examples: [
    { command: "mu task escalate deploy 'which region?'", shows: "ask a person" },
    { command: "mu task escalate nothing 'why'", shows: "an unknown task", fault: "task.not_found" },
  ],
  run: (app, ref, { reason }) => escalateTask(app.context, ref, claimant(app.caller), { reason }),
  next: (_, at) => [step("Make it ready again", `mu task requeue ${at}`)],
  render: ({ task }, paint) => `${paint.bold(task.name)} waits for a person: ${task.holdReason}`,
});

export const escalations = defineOperation({
  name: "escalations",
  summary: "List the tasks that wait for a person",
  effect: "read",
  input: () => ({ workstream: workstreamField() }),
  output: listOf(ESCALATION),
  examples: [
    { command: "mu escalations", shows: "what needs you" },
    { command: "mu escalations -w nowhere", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  run: async (app, { workstream }) =>
    listed(await listEscalations(app.context.store.db, await sceneOf(app, workstream))),
  next: ({ items: [first] }) =>
    first === undefined
      ? []
      : [
          step("Show the task", `mu task show ${first.workstream}/${first.task}`),
          step("Make it ready again", `mu task requeue ${first.workstream}/${first.task}`),
        ],
  render: ({ items }, paint) =>
    paint.list(items, "Nothing waits for a person.", [
      { head: "task", text: ({ task }) => paint.bold(task), max: 24 },
      { head: "hold", text: ({ hold }) => hold, max: 10 },
      { head: "role", text: ({ role }) => role ?? "—", max: 12 },
      { head: "why", text: ({ reason }) => reason ?? "—", max: 40 },
    ]),
});
