import * as z from "zod";
import { reapIdle } from "../../crew/close.js";
import { about, durationField, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveWorkstream } from "../resolve.js";
import { nextStepsShape } from "../shapes.js";
import { agentStatusShape } from "./shapes.js";

export const agentReapIdle = defineOperation({
  name: "agent.reap-idle",
  summary: "Close agents that have been idle for long and have no task",
  effect: "write",
  input: () =>
    z.strictObject({
      workstream: workstreamField(),
      idleFor: durationField({ description: "How long is long" }).prefault("30m"),
      dryRun: z.boolean().default(false).meta(about("Only show who would be closed")),
    }),
  output: () =>
    z.strictObject({
      items: z.array(
        z.strictObject({
          name: z.string(),
          status: z.union([agentStatusShape(), z.null()]),
          idleMs: z.number(),
          action: z.enum(["closed", "would_close", "skipped"]),
          reason: z.union([z.string(), z.null()]),
          workspaceFreed: z.boolean(),
        }),
      ),
      count: z.number(),
      nextSteps: nextStepsShape(),
    }),
  examples: [
    { command: "mu agent reap-idle --dry-run", shows: "who would go" },
    { command: "mu agent reap-idle --idle-for ever", shows: "not a length of time", fault: "usage.invalid_input" },
  ],
  async run(app, { workstream, idleFor, dryRun }) {
    const scope = await resolveWorkstream(app, workstream);
    const items = await reapIdle(await app.crew(), scope, { idleForMs: idleFor, mode: dryRun ? "preview" : "close" });
    const nextSteps = dryRun
      ? [{ intent: "Do it", command: `mu agent reap-idle --idle-for ${Math.round(idleFor / 1000)}s -w ${scope}` }]
      : [];
    return { items, count: items.filter((item) => item.action === "closed").length, nextSteps };
  },
  render: ({ items }, paint) =>
    items.length === 0
      ? "No agents."
      : paint.table(items, [
          { head: "name", text: (item) => item.name },
          { head: "status", text: (item) => paint.status(item.status ?? "—") },
          { head: "idle", text: (item) => `${Math.round(item.idleMs / 1000)}s`, align: "right" },
          { head: "", text: (item) => item.action.replace("_", " ") },
          { head: "why", text: (item) => item.reason ?? "" },
        ]),
});
