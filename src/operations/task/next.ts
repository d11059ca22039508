import { timestamp } from "../../db/context.js";
import { listReady, READY_TASK } from "../../tasks/ready.js";
import { type App, defineOperation, listed, listOf } from "../define.js";
import { limitField, roleField, workstreamField } from "../fields.js";
import { taskTable } from "./card.js";

export const taskNext = defineOperation({
  name: "task.next",
  summary: "Show the ready tasks, best first",
  description:
    "A task is ready if it is OPEN, due, not held, and no blocker is left. The order is priority, impact per effort, number of tasks unblocked, age, name. To claim one, run `mu task claim --next`.",
  effect: "read",
  input: () => ({
    workstream: workstreamField(),
    role: roleField("Only tasks that this role can claim"),
    limit: limitField(1, "Maximum number; 0 means all", { aliases: ["lines"] }),
  }),
  output: listOf(READY_TASK),
  examples: [
    { command: "mu task next -n 5", shows: "the five best ready tasks" },
    { command: "mu task next -n many", shows: "not a number", fault: "usage.invalid_input" },
  ],
  run: (app, given) => readyTasks(app, given),
  render: ({ items }, paint) => taskTable(items, paint, "Nothing is ready."),
});

interface Wanted {
  workstream: string;
  limit: number;
  role?: string | undefined;
}

/** The tasks that can be claimed now, best first. */
export async function readyTasks({ context }: App, { workstream, ...wanted }: Wanted) {
  return listed(await listReady(context.store.db, workstream, { now: timestamp(context.clock), ...wanted }));
}
