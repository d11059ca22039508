import { claimant } from "../../agents/identity.js";
import { LIVE_STATUSES, listTasks, TASK } from "../../tasks/task.js";
import { workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { findWorkstream } from "../resolve.js";
import { taskTable } from "../task/card.js";

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
    const tasks = await listTasks(app.context.store.db, {
      ownedBy: claimant(app.caller),
      workstream: only,
      status: LIVE_STATUSES,
    });
    return { name, kind, workstream, role, evidence, refusal: refusal?.message ?? null, tasks };
  },
  render: ({ name, kind, workstream, role, evidence, refusal, tasks }, paint) =>
    [
      `${paint.bold(name)}, ${kind === "agent" ? "an agent" : "a person"}${role ? ` with the role ${role}` : ""}${workstream ? ` in ${workstream}` : ""}`,
      ...evidence.map(({ source, says }) => paint.dim(`  ${source}: ${says}`)),
      ...(refusal ? [refusal] : []),
      "",
      taskTable(tasks, paint, "You have no tasks."),
    ].join("\n"),
});
