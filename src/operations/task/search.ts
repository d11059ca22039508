import * as z from "zod";
import { listTasks, TASK } from "../../tasks/task.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveWorkstream } from "../resolve.js";
import { listOf } from "../shapes.js";
import { taskTable } from "./card.js";

export const taskSearch = defineOperation({
  name: "task.search",
  summary: "Find tasks by text in their name, title, description or notes",
  effect: "read",
  input: () =>
    z.strictObject({
      text: z.string().min(1).max(1000).meta(about("What to look for, without regard to case")),
      workstream: workstreamField(),
      all: z.boolean().default(false).meta(about("In all workstreams")),
      limit: z
        .number()
        .int()
        .min(0)
        .default(50)
        .meta(about("At most this many; 0 means all", { short: "n" })),
    }),
  output: () => listOf(TASK),
  positional: ["text"],
  examples: [
    { command: "mu task search payment", shows: "every task that speaks of payment" },
    { command: "mu task search", shows: "nothing to look for", fault: "usage.missing_argument" },
  ],
  async run(app, { text, workstream, all, limit }) {
    const scope = all ? {} : { workstream: await resolveWorkstream(app, workstream) };
    const items = await listTasks(app.context.store.db, { text, limit, sort: "recency", ...scope });
    return { items, count: items.length };
  },
  render: ({ items }, paint) => taskTable(items, paint, "No task says that."),
});
