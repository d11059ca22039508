import { HISTORY_ENTRY, taskHistory } from "../../tasks/history.js";
import { limitField, taskField, workstreamField } from "../fields.js";
import { entryTable } from "../log.js";
import { defineOperation, listOf } from "../operation.js";
import { resolveTask } from "../resolve.js";

export const taskHistoryOperation = defineOperation({
  name: "task.history",
  summary: "Show the history of a task",
  effect: "read",
  input: () => ({
    task: taskField(),
    workstream: workstreamField(),
    limit: limitField(0, "Only the newest; 0 means all"),
  }),
  output: listOf(HISTORY_ENTRY),
  positional: ["task"],
  examples: [
    { command: "mu task history build", shows: "who did what to build, and when" },
    { command: "mu task history nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, { task, workstream, limit }) {
    const items = await taskHistory(app.context.store.db, await resolveTask(app, task, workstream));
    const shown = limit > 0 ? items.slice(-limit) : items;
    return { items: shown, count: shown.length };
  },
  render: ({ items }, paint) => entryTable(items, paint),
});
