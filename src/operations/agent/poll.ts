import { AGENT_POLL, pollAgents } from "../../agents/status/record.js";
import { duration } from "../../names.js";
import { defineOperation, listed, listOf } from "../define.js";
import { allField, workstreamField } from "../fields.js";

export const agentPoll = defineOperation({
  name: "agent.poll",
  summary: "Show the last known status of agents without reading their panes",
  effect: "read",
  input: () => ({ workstream: workstreamField("one or all"), all: allField() }),
  output: listOf(AGENT_POLL),
  examples: [
    { command: "mu agent poll", shows: "the crew as last seen" },
    { command: "mu agent poll -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  run: async (app, { workstream }) => listed(await pollAgents(app.context, workstream ?? null)),
  render: ({ items }, paint) =>
    paint.list(items, "No agents.", [
      { head: "name", text: (item) => item.name },
      { head: "status", text: (item) => paint.status(item.status ?? "—") },
      { head: "idle", text: (item) => duration(item.idleMs), align: "right" },
      { head: "seen", text: (item) => `${paint.ago(item.seenAt)} ago`, align: "right" },
      { head: "tasks", text: (item) => item.tasks.join(", ") || "—", max: 40 },
    ]),
});
