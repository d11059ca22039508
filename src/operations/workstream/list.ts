import * as z from "zod";
import { listWorkstreams, WORKSTREAM_SUMMARY } from "../../workstreams/workstream.js";
import { defineOperation } from "../operation.js";
import { listOf } from "../shapes.js";

export const workstreamList = defineOperation({
  name: "workstream.list",
  summary: "List workstreams",
  effect: "read",
  input: () => z.strictObject({}),
  output: () => listOf(WORKSTREAM_SUMMARY),
  examples: [
    { command: "mu workstream list", shows: "every workstream" },
    { command: "mu workstream list --all", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run({ context }) {
    const items = await listWorkstreams(context.store.db);
    return { items, count: items.length };
  },
  render: ({ items }, paint) =>
    items.length === 0
      ? "No workstreams yet."
      : paint.table(items, [
          { head: "name", text: (row) => row.name },
          { head: "open", text: (row) => String(row.open), align: "right" },
          { head: "tasks", text: (row) => String(row.tasks), align: "right" },
          { head: "edges", text: (row) => String(row.edges), align: "right" },
          { head: "notes", text: (row) => String(row.notes), align: "right" },
          { head: "agents", text: (row) => String(row.agents), align: "right" },
          { head: "root", text: (row) => row.root ?? "—", max: 40 },
        ]),
});
