import * as z from "zod";
import { Fault } from "../../errors.js";
import { TASK } from "../../tasks/task.js";
import { updateTask } from "../../tasks/update.js";
import { defineTaskVerb, readMeant, step } from "../define.js";
import { field, flag } from "../fields.js";
import { CLEARABLE, labels, settableFields } from "./fields.js";

export const taskUpdate = defineTaskVerb({
  name: "task.update",
  summary: "Change a task's fields",
  description: "To change the status, use claim, release, close, open, reject or defer.",
  effect: "write",
  repeatable: true,
  input: () => ({
    ...settableFields(),
    tags: labels("Replace all tags; an empty value means none").optional(),
    tag: labels("Tags to add").optional(),
    untag: labels("Tags to remove").optional(),
    unhold: flag("Remove the hold"),
    clear: field(z.array(z.enum(CLEARABLE)).optional(), "Fields to clear"),
  }),
  output: { task: TASK, changedFields: "string[]" },
  examples: [
    { command: "mu task update build --impact 90 --tag urgent", shows: "two fields at once" },
    { command: "mu task update build --hold review --hold-reason 'Ask Ann first'", shows: "hold the task" },
    { command: "mu task update build", shows: "nothing to change", fault: "usage.nothing_to_change" },
  ],
  async run(app, ref, { tags, tag, untag, unhold, clear, root, ...fields }) {
    const given = Object.entries({ ...fields, root: root?.name }).filter(([, value]) => value !== undefined);
    const emptied = [...(clear ?? []), ...(unhold ? ["hold", "holdReason"] : [])];
    const wanted: Record<string, unknown> = Object.fromEntries([...given, ...emptied.map((name) => [name, null])]);
    if (typeof wanted["description"] === "string")
      wanted["description"] = await readMeant(app.request, wanted["description"]);
    if (Object.keys(wanted).length === 0 && !tags && !tag && !untag) throw nothingToChange(ref.name);
    const labelsWanted = { tags, addTags: tag, removeTags: untag };
    return updateTask(app.context, ref, { ...wanted, ...labelsWanted });
  },
  next: (_, at) => [step("Show it", `mu task show ${at}`)],
  render: ({ task, changedFields }, paint) =>
    changedFields.length === 0
      ? `${paint.bold(task.name)} is unchanged`
      : `Changed ${changedFields.join(", ")} of ${paint.bold(task.name)}`,
});

function nothingToChange(name: string): Fault {
  return new Fault("usage", "usage.nothing_to_change", `No fields to change on ${name}. Pass at least one.`, [
    step("List the fields", "mu task update --help"),
  ]);
}
