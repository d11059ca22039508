import * as z from "zod";
import { destroyWorkstream, previewDestroy } from "../../workstreams.js";
import { workstreamField, yesField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveWorkstream } from "../resolve.js";
import { nextStepsShape } from "../shapes.js";

export const workstreamDestroy = defineOperation({
  name: "workstream.destroy",
  summary: "Remove a workstream with its tasks, edges, notes and agents",
  description: "Its events stay: the log, the audit and a later namesake go on with their chain.",
  effect: "destroy",
  input: () =>
    z.strictObject({
      name: z.string().optional().meta({ completes: "workstream" }),
      workstream: workstreamField(),
      yes: yesField(),
    }),
  output: () =>
    z.strictObject({
      workstream: z.string(),
      destroyed: z.boolean(),
      dryRun: z.boolean(),
      tasks: z.number(),
      edges: z.number(),
      notes: z.number(),
      agents: z.number(),
      nextSteps: nextStepsShape(),
    }),
  positional: ["name"],
  examples: [
    { command: "mu workstream destroy other", shows: "what would go" },
    { command: "mu workstream destroy other --yes", shows: "remove it" },
    { command: "mu workstream destroy nothing --yes", shows: "a name that is none", fault: "workstream.not_found" },
  ],
  async run(app, { name, workstream, yes }) {
    const scope = await resolveWorkstream(app, name ?? workstream);
    const gone = yes ? await destroyWorkstream(app.context, scope) : await previewDestroy(app.context.store.db, scope);
    const next = yes
      ? { intent: "See what is left", command: "mu workstream list" }
      : { intent: "Do it", command: `mu workstream destroy ${scope} --yes` };
    return { ...gone, destroyed: yes, dryRun: !yes, nextSteps: [next] };
  },
  render: ({ workstream, destroyed, tasks, edges, notes, agents }, paint) =>
    `${destroyed ? "Destroyed" : "Would destroy"} ${paint.bold(workstream)}: ${tasks} tasks, ${edges} edges, ${notes} notes, ${agents} agents`,
});
