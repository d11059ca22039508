import { LIVE_STATUSES, listTasks, TASK, type TaskFilter } from "../../tasks/task.js";
import { type App, defineOperation, listed, listOf } from "../define.js";
import { allField, flag, personField, workstreamField } from "../fields.js";
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
  run: (app, { agent, all: _, ...given }) => tasksOf(app, { ...given, owner: [agent.name] }),
  render: ({ items }, paint) => taskTable(items, paint),
});

/** Somebody's tasks; without `includeClosed` those that are not finished. */
export async function tasksOf(app: App, { includeClosed, ...filter }: TaskFilter & { includeClosed?: boolean }) {
  const status = includeClosed ? undefined : LIVE_STATUSES;
  return listed(await listTasks(app.context.store.db, { ...filter, status }));
}
