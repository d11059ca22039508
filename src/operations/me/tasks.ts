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
  input: () => z.strictObject({ includeClosed: z.boolean().default(false).meta(about("Finished ones too")) }),
  output: () => listOf(TASK),
  examples: [
    { command: "mu me tasks", shows: "what you are at" },
    { command: "mu me tasks --closed", shows: "a flag it does not have", fault: "usage.unknown_option" },
  ],
  async run({ context, caller }, { includeClosed }) {
    const items = await listTasks(context.store.db, {
      owner: [caller.name],
      ...(includeClosed ? {} : { status: LIVE_STATUSES }),
    });
    return { items, count: items.length };
  },
  render: ({ items }, paint) => taskTable(items, paint, "You have no task."),
});
