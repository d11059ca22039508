import * as z from "zod";
import { AGENT_POLL, pollAgents } from "../../agents/status/record.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveWorkstream } from "../resolve.js";
import { listOf } from "../shapes.js";

export const agentPoll = defineOperation({
  name: "agent.poll",
  summary: "Show the last known status of agents without reading their panes",
  effect: "read",
  input: () =>
    z.strictObject({
      workstream: workstreamField(),
      all: z.boolean().default(false).meta(about("Include all workstreams")),
    }),
  output: () => listOf(AGENT_POLL),
  examples: [
    { command: "mu agent poll", shows: "the crew as last seen" },
    { command: "mu agent poll -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream, all }) {
    const items = await pollAgents(app.context, all ? null : await resolveWorkstream(app, workstream));
    return { items, count: items.length };
  },
  render: ({ items }, paint) =>
    items.length === 0
      ? "No agents."
      : paint.table(items, [
          { head: "name", text: (item) => item.name },
          { head: "status", text: (item) => paint.status(item.status ?? "—") },
          { head: "idle", text: (item) => `${Math.round(item.idleMs / 1000)}s`, align: "right" },
          { head: "seen", text: (item) => `${paint.ago(item.seenAt)} ago`, align: "right" },
          { head: "tasks", text: (item) => item.tasks.join(", ") || "—", max: 40 },
        ]),
});
