import { claimant } from "../../agents/identity.js";
import { LIVE_STATUSES, listTasks, TASK } from "../../tasks/task.js";
import { flag, workstreamField } from "../fields.js";
import { defineOperation, listed, listOf } from "../operation.js";
import { taskTable } from "../task/card.js";

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
  async run({ context, caller }, { workstream, includeClosed }) {
    return listed(
      await listTasks(context.store.db, {
        ownedBy: claimant(caller),
        workstream,
        status: includeClosed ? undefined : LIVE_STATUSES,
      }),
    );
  },
  render: ({ items }, paint) => taskTable(items, paint, "You have no tasks."),
});
