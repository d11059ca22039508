import * as z from "zod";
import { searchTasks } from "../../tasks/search.js";
import { TASK } from "../../tasks/task.js";
import { defineOperation, excerptOf, listed, withTotal } from "../define.js";
import { allField, field, limitField, workstreamField } from "../fields.js";
import { taskTable } from "./card.js";

export const taskSearch = defineOperation({
  name: "task.search",
  summary: "Search names, titles, descriptions and notes",
  description:
    "Finds tasks that have every word, the last changed first. A word matches the beginning of a word, without case, so that STRASSE finds Straße; in quotes it matches the whole word. Words that stand together, such as build_the or a quoted phrase, must follow each other.",
  effect: "read",
  input: () => ({
    text: field(z.string().min(1).max(1000), "Words to search for"),
    workstream: workstreamField("one or all"),
    all: allField("Search all workstreams"),
    limit: limitField(50),
  }),
  output: excerptOf(TASK),
  positional: ["text"],
  examples: [
    { command: "mu task search payment", shows: "every task that mentions payment" },
    { command: "mu task search '\"the docs\"' --all", shows: "a phrase, in all workstreams" },
    { command: "mu task search", shows: "nothing to look for", fault: "usage.missing_argument" },
  ],
  async run(app, { text, workstream, limit }) {
    const { items, total } = await searchTasks(app.context.store, text, { workstream, limit });
    return { ...listed(items), total };
  },
  render: (found, paint) => withTotal(taskTable(found.items, paint, "No matching tasks."), found, paint),
});
