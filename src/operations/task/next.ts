import { timestamp } from "../../db/context.js";
import type { TaskRef } from "../../names.js";
import { listReady, READY_TASK } from "../../tasks/ready.js";
import { type App, defineOperation, listed, listOf } from "../define.js";
import { limitField, roleField, underField, workstreamField } from "../fields.js";
import { taskTable } from "./card.js";

export const taskNext = defineOperation({
  name: "task.next",
  summary: "Show the ready tasks, best first",
  description:
    "A task is ready if it is OPEN, due, not held and not blocked. Order: priority, impact per effort, tasks unblocked, age, name. `mu task claim --next` claims one.",
  effect: "read",
  input: () => ({
    workstream: workstreamField(),
    role: roleField("Only tasks that this role can claim"),
    under: underField(),
    limit: limitField(1, "Maximum number; 0 means all", { aliases: ["lines"] }),
  }),
  output: listOf(READY_TASK),
  examples: [
    { command: "mu task next -n 5", shows: "the five best ready tasks" },
    { command: "mu task next --under deploy", shows: "only what deploy is made of" },
    { command: "mu task next -n many", shows: "not a number", fault: "usage.invalid_input" },
  ],
  run: (app, given) => readyTasks(app, given),
  render: ({ items }, paint) => taskTable(items, paint, "Nothing is ready."),
});

interface Wanted {
  workstream: string;
  limit: number;
  role?: string | undefined;
  under?: TaskRef | undefined;
}

/** The tasks that can be claimed now, best first. */
export async function readyTasks({ context }: App, { workstream, ...wanted }: Wanted) {
  return listed(await listReady(context.store.db, workstream, { now: timestamp(context.clock), ...wanted }));
}
