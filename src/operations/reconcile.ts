import * as z from "zod";
import { reconcile as reconcileCrew } from "../crew/reconcile.js";
import { counted } from "../names.js";
import { about, workstreamField } from "./fields.js";
import { defineOperation } from "./operation.js";
import { findWorkstream } from "./resolve.js";
import { NEXT_STEPS, schemaOf } from "./shapes.js";

export const reconcile = defineOperation({
  name: "reconcile",
  summary: "Make the database agree with tmux",
  description:
    "Agents whose pane is gone are closed and their tasks given back with a [reaper] note; statuses are read; waiting prompts are typed; workspaces that were half made or half freed are settled; panes that are nobody's are listed, never taken. Reads such as agent list do it by themselves.",
  effect: "write",
  input: () =>
    z.strictObject({
      workstream: workstreamField(),
      all: z.boolean().default(false).meta(about("All workstreams")),
      dryRun: z.boolean().default(false).meta(about("Only show what would be done")),
    }),
  output: () =>
    schemaOf({
      agents: "unknown[]",
      reaped: "unknown[]",
      orphans: "unknown[]",
      deliveries: "unknown[]",
      workspaces: "unknown[]",
      stale: "boolean",
      nextSteps: NEXT_STEPS,
    }),
  examples: [
    { command: "mu reconcile", shows: "look, and put right what is wrong" },
    { command: "mu reconcile --force", shows: "a flag it does not have", fault: "usage.unknown_option" },
  ],
  async run(app, { workstream, all, dryRun }) {
    const scope = all ? undefined : await findWorkstream(app, workstream);
    const found = await reconcileCrew(await app.crew(), scope, { report: dryRun });
    const nextSteps = found.orphans.slice(0, 3).map((orphan) => ({
      intent: "Make an agent of it",
      command: `mu agent adopt ${orphan.pane} --name <name>`,
    }));
    return { ...found, nextSteps };
  },
  render: ({ agents, reaped, orphans, deliveries, workspaces, stale }) =>
    `${counted(agents.length, "agent")}, ${reaped.length} reaped, ${counted(orphans.length, "orphan pane")}, ${counted(deliveries.length, "prompt")} settled${workspaces.length > 0 ? `, ${counted(workspaces.length, "half workspace")} settled` : ""}${stale ? " (the database was busy: as last known)" : ""}`,
});
