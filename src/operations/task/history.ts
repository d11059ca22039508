import { HISTORY_ENTRY, taskHistory } from "../../tasks/history.js";
import { defineTaskVerb, excerpt, excerptOf, withTotal } from "../define.js";
import { limitField } from "../fields.js";
import { entryTable } from "../log.js";

export const taskHistoryOperation = defineTaskVerb({
  name: "task.history",
  summary: "Show the history of a task",
  effect: "read",
  input: () => ({ limit: limitField(0, "Only the newest; 0 means all") }),
  output: excerptOf(HISTORY_ENTRY),
  examples: [
    { command: "mu task history build", shows: "who did what to build, and when" },
    { command: "mu task history nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, ref, { limit }) {
    const items = await taskHistory(app.context.store.db, ref);
    const newest = excerpt(items.reverse(), limit);
    return { ...newest, items: newest.items.reverse() };
  },
  render: (found, paint) => withTotal(entryTable(found.items, paint), found, paint),
});
