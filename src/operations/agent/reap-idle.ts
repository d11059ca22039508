import { REAPED_IDLE, reapIdle } from "../../crew/close.js";
import { duration } from "../../names.js";
import { defineOperation, step } from "../define.js";
import { durationField, flag, workstreamField } from "../fields.js";

export const agentReapIdle = defineOperation({
  name: "agent.reap-idle",
  summary: "Close agents that have been idle and have no task",
  effect: "write",
  acts: ["ends"],
  input: () => ({
    workstream: workstreamField(),
    idleFor: durationField("How long an agent must have been idle").prefault("30m"),
    dryRun: flag("Only show which agents would be closed"),
  }),
  output: { items: [REAPED_IDLE], count: "number" },
  examples: [
    { command: "mu agent reap-idle --dry-run", shows: "which agents would be closed" },
    { command: "mu agent reap-idle --idle-for ever", shows: "an invalid duration", fault: "usage.invalid_input" },
  ],
  async run(app, { workstream: scope, idleFor, dryRun }) {
    const items = await reapIdle(await app.crew(), scope, { idleForMs: idleFor, mode: dryRun ? "preview" : "close" });
    return { items, count: items.filter((item) => item.action === "closed").length };
  },
  next(_, { workstream, idleFor, dryRun }) {
    const again = `mu agent reap-idle --idle-for ${Math.round(idleFor / 1000)}s -w ${workstream}`;
    return dryRun ? [step("Apply it", again)] : [];
  },
  render: ({ items }, paint) =>
    paint.list(items, "No agents.", [
      { head: "name", text: (item) => item.name },
      { head: "status", text: (item) => paint.status(item.status ?? "—") },
      { head: "idle", text: (item) => duration(item.idleMs), align: "right" },
      { head: "", text: (item) => item.action.replace("_", " ") },
      { head: "why", text: (item) => item.reason ?? "" },
    ]),
});
