import type { Orphan } from "../agents/agent.js";
import { reconcile as reconcileCrew } from "../crew/reconcile.js";
import { counted } from "../names.js";
import { defineOperation, step } from "./define.js";
import { allField, flag, workstreamField } from "./fields.js";

export const reconcile = defineOperation({
  name: "reconcile",
  summary: "Make the database agree with tmux",
  description:
    "Closes agents whose pane is gone and releases their tasks with a [reaper] note, reads statuses, types queued prompts, and finishes or undoes workspaces that were left half-made or half-freed. Panes without an agent are listed, never adopted. Reads such as agent list do this on their own.",
  effect: "write",
  unadopted: true,
  repeatable: true,
  acts: ["runs"],
  input: () => ({
    workstream: workstreamField("any"),
    all: allField("Cover all workstreams"),
    dryRun: flag("Only show what would be done"),
  }),
  output: {
    agents: "unknown[]",
    reaped: "unknown[]",
    orphans: "unknown[]",
    deliveries: "unknown[]",
    workspaces: "unknown[]",
    stale: "boolean",
  },
  examples: [
    { command: "mu reconcile", shows: "reconcile now" },
    { command: "mu reconcile --force", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  run: async (app, { workstream, dryRun }) => reconcileCrew(await app.crew(), workstream, { report: dryRun }),
  next: ({ orphans }) =>
    (orphans as Orphan[])
      .slice(0, 3)
      .map(({ pane, cli, workstream }) =>
        step("Adopt it", `mu agent adopt ${pane} --name ${cli}-${pane.slice(1)} -w ${workstream}`),
      ),
  render: ({ agents, reaped, orphans, deliveries, workspaces, stale }) =>
    `${counted(agents.length, "agent")}, ${reaped.length} reaped, ${counted(orphans.length, "orphan pane")}, ${counted(deliveries.length, "prompt")} settled${workspaces.length > 0 ? `, ${counted(workspaces.length, "half workspace")} settled` : ""}${stale ? " (the database was busy: as last known)" : ""}`,
});
