import * as z from "zod";
import { LIVE_STATUSES, listTasks, TASK } from "../../tasks/task.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveWorkstream } from "../resolve.js";
import { listOf } from "../shapes.js";
import { taskTable } from "./card.js";

export const taskOwnedBy = defineOperation({
  name: "task.owned-by",
  summary: "List the tasks of an agent or a person",
  effect: "read",
  input: () =>
    z.strictObject({
      agent: z
        .string()
        .min(1)
        .meta(about("Agent or person", { completes: "agent" })),
      workstream: workstreamField(),
      includeClosed: z.boolean().default(false).meta(about("Include finished tasks")),
      all: z.boolean().default(false).meta(about("Include all workstreams")),
    }),
  output: () => listOf(TASK),
  positional: ["agent"],
  examples: [
    { command: "mu task owned-by worker-1", shows: "the open tasks of worker-1" },
    { command: "mu task owned-by", shows: "no agent given", fault: "usage.missing_argument" },
  ],
  async run(app, { agent, workstream, includeClosed, all }) {
    const scope = all ? {} : { workstream: await resolveWorkstream(app, workstream) };
    const items = await listTasks(app.context.store.db, {
      owner: [agent],
      ...scope,
      ...(includeClosed ? {} : { status: LIVE_STATUSES }),
    });
    return { items, count: items.length };
  },
  render: ({ items }, paint) => taskTable(items, paint, "No tasks."),
});
