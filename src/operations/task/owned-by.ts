import { LIVE_STATUSES, listTasks, TASK } from "../../tasks/task.js";
import { allField, flag, personField, workstreamField } from "../fields.js";
import { defineOperation, listed, listOf } from "../operation.js";
import { taskTable } from "./card.js";

export const taskOwnedBy = defineOperation({
  name: "task.owned-by",
  summary: "List the tasks of an agent or a person",
  effect: "read",
  input: () => ({
    agent: personField("Agent or person"),
    workstream: workstreamField("one or all"),
    includeClosed: flag("Include finished tasks"),
    all: allField(),
  }),
  output: listOf(TASK),
  positional: ["agent"],
  examples: [
    { command: "mu task owned-by worker-1", shows: "the open tasks of worker-1" },
    { command: "mu task owned-by", shows: "no agent given", fault: "usage.missing_argument" },
  ],
  async run(app, { agent, workstream, includeClosed }) {
    return listed(
      await listTasks(app.context.store.db, {
        owner: [agent.name],
        workstream,
        status: includeClosed ? undefined : LIVE_STATUSES,
      }),
    );
  },
  render: ({ items }, paint) => taskTable(items, paint, "No tasks."),
});
