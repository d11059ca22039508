import { claimant } from "../agents/identity.js";
import { READY_TASK } from "../tasks/ready.js";
import { TASK } from "../tasks/task.js";
import { defineOperation, listOf } from "./define.js";
import { flag, limitField, workstreamField } from "./fields.js";
import { findWorkstream } from "./resolve.js";
import { taskTable } from "./task/card.js";
import { readyTasks } from "./task/next.js";
import { tasksOf } from "./task/owned-by.js";

export const me = defineOperation({
  name: "me",
  summary: "Show who you are to mu, how it knows, and your tasks",
  effect: "read",
  spans: true,
  input: () => ({ workstream: workstreamField("named") }),
  output: {
    name: "string",
    kind: ["agent", "person"],
    workstream: "string | null",
    role: "string | null",
    evidence: [{ source: "string", says: "string" }],
    refusal: "string | null",
    tasks: [TASK],
  },
  examples: [
    { command: "mu me", shows: "your name, and what decided it" },
    { command: "mu me --verbose", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run(app, { workstream: only }) {
    const { name, kind, role, evidence, refusal } = app.caller;
    const workstream = (await findWorkstream(app)) ?? null;
    const { items: tasks } = await tasksOf(app, { ownedBy: claimant(app.caller), workstream: only });
    return { name, kind, workstream, role, evidence, refusal: refusal?.message ?? null, tasks };
  },
  render: ({ name, kind, workstream, role, evidence, refusal, tasks }, paint) => [
    `${paint.bold(name)}, ${kind === "agent" ? "an agent" : "a person"}${role ? ` with the role ${role}` : ""}${workstream ? ` in ${workstream}` : ""}`,
    evidence.map(({ source, says }) => paint.dim(`  ${source}: ${says}`)),
    refusal,
    "",
    taskTable(tasks, paint, "You have no tasks."),
  ],
});

export const meNext = defineOperation({
  name: "me.next",
  summary: "Show the ready tasks that your role can claim, best first",
  effect: "read",
  input: () => ({ workstream: workstreamField(), limit: limitField(1) }),
  output: listOf(READY_TASK),
  examples: [
    { command: "mu me next", shows: "what you would get from `mu task claim --next`" },
    { command: "mu me next -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  run: (app, given) => readyTasks(app, { ...given, role: app.caller.role ?? undefined }),
  render: ({ items }, paint) => taskTable(items, paint, "Nothing is ready for you."),
});

export const meTasks = defineOperation({
  name: "me.tasks",
  summary: "List your tasks",
  effect: "read",
  spans: true,
  input: () => ({ workstream: workstreamField("named"), includeClosed: flag("Include finished tasks") }),
  output: listOf(TASK),
  examples: [
    { command: "mu me tasks", shows: "your open tasks" },
    { command: "mu me tasks --closed", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  run: (app, given) => tasksOf(app, { ...given, ownedBy: claimant(app.caller) }),
  render: ({ items }, paint) => taskTable(items, paint, "You have no tasks."),
});
