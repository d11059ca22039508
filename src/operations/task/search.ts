import * as z from "zod";
import { listTasks, TASK } from "../../tasks/task.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveWorkstream } from "../resolve.js";
import { listOf } from "../shapes.js";
import { taskTable } from "./card.js";

export const taskSearch = defineOperation({
  name: "task.search",
  summary: "Search names, titles, descriptions and notes",
  effect: "read",
  input: () =>
    z.strictObject({
      text: z.string().min(1).max(1000).meta(about("Text to search for, ignoring case")),
      workstream: workstreamField(),
      all: z.boolean().default(false).meta(about("Search all workstreams")),
      limit: z
        .number()
        .int()
        .min(0)
        .default(50)
        .meta(about("Maximum number; 0 means all", { short: "n" })),
    }),
  output: () => listOf(TASK),
  positional: ["text"],
  examples: [
    { command: "mu task search payment", shows: "every task that mentions payment" },
    { command: "mu task search", shows: "nothing to look for", fault: "usage.missing_argument" },
  ],
  async run(app, { text, workstream, all, limit }) {
    const scope = all ? {} : { workstream: await resolveWorkstream(app, workstream) };
    const items = await listTasks(app.context.store.db, { text, limit, sort: "recency", ...scope });
    return { items, count: items.length };
  },
  render: ({ items }, paint) => taskTable(items, paint, "No matching tasks."),
});
