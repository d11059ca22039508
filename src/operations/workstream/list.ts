import { listWorkstreams, WORKSTREAM_SUMMARY } from "../../workstreams/workstream.js";
import { defineOperation, listed, listOf } from "../operation.js";

export const workstreamList = defineOperation({
  name: "workstream.list",
  summary: "List workstreams",
  effect: "read",
  output: listOf(WORKSTREAM_SUMMARY),
  examples: [
    { command: "mu workstream list", shows: "every workstream" },
    { command: "mu workstream list --all", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run({ context }) {
    return listed(await listWorkstreams(context.store.db));
  },
  render: ({ items }, paint) =>
    paint.list(items, "No workstreams yet.", [
      { head: "name", text: (row) => row.name },
      { head: "open", text: (row) => String(row.open), align: "right" },
      { head: "tasks", text: (row) => String(row.tasks), align: "right" },
      { head: "edges", text: (row) => String(row.edges), align: "right" },
      { head: "notes", text: (row) => String(row.notes), align: "right" },
      { head: "agents", text: (row) => String(row.agents), align: "right" },
      { head: "root", text: (row) => row.root ?? "—", max: 40 },
    ]),
});
