import * as z from "zod";
import { listTasks, TASK } from "../../tasks/task.js";
import { field, flag, limitField, workstreamField } from "../fields.js";
import { defineOperation, excerpt, excerptOf, withTotal } from "../operation.js";
import { resolveWorkstream } from "../resolve.js";
import { taskTable } from "./card.js";

export const taskSearch = defineOperation({
  name: "task.search",
  summary: "Search names, titles, descriptions and notes",
  effect: "read",
  input: () => ({
    text: field(z.string().min(1).max(1000), "Text to search for, ignoring case"),
    workstream: workstreamField(),
    all: flag("Search all workstreams"),
    limit: limitField(50),
  }),
  output: excerptOf(TASK),
  positional: ["text"],
  examples: [
    { command: "mu task search payment", shows: "every task that mentions payment" },
    { command: "mu task search", shows: "nothing to look for", fault: "usage.missing_argument" },
  ],
  async run(app, { text, workstream, all, limit }) {
    const scope = all ? {} : { workstream: await resolveWorkstream(app, workstream) };
    return excerpt(await listTasks(app.context.store.db, { text, sort: "recency", ...scope }), limit);
  },
  render: (found, paint) => withTotal(taskTable(found.items, paint, "No matching tasks."), found, paint),
});
