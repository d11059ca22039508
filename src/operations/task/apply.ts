import * as z from "zod";
import { counted } from "../../names.js";
import { PLANNED_FIELDS } from "../../tasks/fields.js";
import { deadEndWarnings } from "../../tasks/graph.js";
import { APPLICATION, applyPlan } from "../../tasks/plan.js";
import { type Plan, parsePlan, rolesIn } from "../../tasks/planned-tasks.js";
import { defineOperation, readSource, step, WARNINGS, warningLines } from "../define.js";
import { field, flag, workstreamField } from "../fields.js";
import { addingContext } from "../project.js";

/** More tasks than this are counted, not listed, for a person. */
const MOST_SHOWN = 20;

export const taskApply = defineOperation({
  name: "task.apply",
  summary: "Add a whole plan to the graph",
  description: `The plan is YAML or JSON: {tasks: [{name, ${PLANNED_FIELDS.join(", ")}, blockedBy: [name, name@landed…], notes: […]}]}, and every field but title may be left out. Applying it again changes nothing: fields that are given are set, the status never, edges and notes are only added. All of it happens or, with the place of the mistake, nothing.`,
  effect: "write",
  repeatable: true,
  input: () => ({
    file: field(z.string().min(1), "Plan file; - reads standard input"),
    workstream: workstreamField("one", { unlessGiven: "init" }),
    init: flag("Create the workstream if it does not exist"),
  }),
  output: { workstream: "string", ...APPLICATION, warnings: WARNINGS },
  positional: ["file"],
  examples: [
    { command: "mu task apply plan.yaml", shows: "apply a plan from a file" },
    { command: "mu task apply - --init -w shop", shows: "apply one from standard input, starting its workstream" },
    { command: "mu task apply circle.yaml", shows: "a plan with a cycle", fault: "task.cycle" },
  ],
  async run(app, { file, workstream: scope, init }) {
    const text = await readSource(app.request, file);
    const { plan, place } = await parsePlan(text, { signal: app.request.signal });
    const context = await addingContext(app, scope, rolesIn(plan));
    const result = await applyPlan(context, scope, plan as Plan, {
      place,
      ...(init && { init: { root: app.request.cwd } }),
    });
    const changed = result.tasks.flatMap(({ name, change }) => (change === "unchanged" ? [] : [name]));
    return { workstream: scope, ...result, warnings: await deadEndWarnings(app.context.store.db, scope, changed) };
  },
  next: ({ workstream }) => [
    step("List the tracks", `mu track list -w ${workstream}`),
    step("Take the best ready task", `mu task claim --next -w ${workstream}`),
    step("Undo it", `mu undo --yes -w ${workstream}`),
  ],
  render: (result, paint) => {
    const { created, updated, unchanged, edgesAdded, notesAdded } = result;
    const head = `${paint.bold(result.workstream)}: ${created} created, ${updated} updated, ${unchanged} unchanged; ${counted(edgesAdded, "edge")} and ${counted(notesAdded, "note")} added`;
    const changed = result.tasks.filter((task) => task.change !== "unchanged");
    const lines = changed.slice(0, MOST_SHOWN).map((task) => `  ${task.change === "created" ? "+" : "~"} ${task.name}`);
    const more = changed.length - lines.length;
    return [head, lines, more > 0 && paint.dim(`  … and ${more} more`), warningLines(result.warnings)];
  },
});
