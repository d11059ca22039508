import * as z from "zod";
import { listTasks, TASK } from "../../tasks/task.js";
import { defineOperation, excerpt, excerptOf, withTotal } from "../define.js";
import { allField, field, limitField, workstreamField } from "../fields.js";
import { taskTable } from "./card.js";

export const taskSearch = defineOperation({
  name: "task.search",
  summary: "Search names, titles, descriptions and notes",
  effect: "read",
  input: () => ({
    text: field(z.string().min(1).max(1000), "Text to search for, ignoring case"),
    workstream: workstreamField("one or all"),
    all: allField("Search all workstreams"),
    limit: limitField(50),
  }),
  output: excerptOf(TASK),
  positional: ["text"],
  examples: [
    { command: "mu task search payment", shows: "every task that mentions payment" },
    { command: "mu task search", shows: "nothing to look for", fault: "usage.missing_argument" },
  ],
  async run(app, { text, workstream, limit }) {
    return excerpt(await listTasks(app.context.store.db, { text, sort: "recency", workstream }), limit);
  },
  render: (found, paint) => withTotal(taskTable(found.items, paint, "No matching tasks."), found, paint),
});
