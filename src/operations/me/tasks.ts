import * as z from "zod";
import { LIVE_STATUSES, listTasks, TASK } from "../../tasks/task.js";
import { about } from "../fields.js";
import { defineOperation } from "../operation.js";
import { listOf } from "../shapes.js";
import { taskTable } from "../task/card.js";

export const meTasks = defineOperation({
  name: "me.tasks",
  summary: "List your tasks",
  effect: "read",
  input: () => z.strictObject({ includeClosed: z.boolean().default(false).meta(about("Include finished tasks")) }),
  output: () => listOf(TASK),
  examples: [
    { command: "mu me tasks", shows: "your open tasks" },
    { command: "mu me tasks --closed", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run({ context, caller }, { includeClosed }) {
    const items = await listTasks(context.store.db, {
      owner: [caller.name],
      ...(includeClosed ? {} : { status: LIVE_STATUSES }),
    });
    return { items, count: items.length };
  },
  render: ({ items }, paint) => taskTable(items, paint, "You have no tasks."),
});
