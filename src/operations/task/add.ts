import * as z from "zod";
import { Fault } from "../../errors.js";
import { counted } from "../../names.js";
import { addTask } from "../../tasks/add.js";
import { awaitedText } from "../../tasks/edge.js";
import { deadEndWarnings } from "../../tasks/graph.js";
import { TASK } from "../../tasks/task.js";
import { defineOperation, readMeant, step, WARNINGS, warningLines } from "../define.js";
import { blockersField, field, optionalText, textField, untilField, workstreamField } from "../fields.js";
import { addingContext } from "../project.js";
import { labels, settableFields } from "./fields.js";
import { firstStep } from "./status.js";

export const taskAdd = defineOperation({
  name: "task.add",
  summary: "Add a task to the graph",
  description:
    "Without a name, mu derives one from the title. A first argument that is not a valid name is taken as the title.",
  effect: "write",
  input: () => ({
    name: optionalText("Task name: a letter, then letters, digits, _ or -"),
    workstream: workstreamField(),
    ...settableFields(),
    tags: labels("Tags", { aliases: ["tag"] }).optional(),
    blockedBy: blockersField("Tasks that must be closed first; build@landed: it must have landed", {
      short: "b",
      aliases: ["depends-on"],
    }).optional(),
    until: untilField(),
    note: field(z.array(textField()).optional(), "A first note (repeatable)", { lines: true }),
  }),
  validate({ until, blockedBy }) {
    if (until === undefined || blockedBy !== undefined) return;
    const message = `--until ${until} needs --blocked-by: name the tasks to wait for.`;
    throw new Fault("usage", "usage.until_of_nothing", message, [step("See the usage", "mu task add --help")]);
  },
  output: { task: TASK, blockers: "string[]", "truncated?": "string", warnings: WARNINGS },
  positional: ["name"],
  examples: [
    {
      command: "mu task add launch --title 'Open the shop' --blocked-by build",
      shows: "a task that waits for another",
    },
    {
      command: "mu task add publish --title 'Publish it' --blocked-by build,docs --until landed",
      shows: "a task that waits until both have landed",
    },
    { command: "mu task add 'Write the docs' --impact 30 --effort-days 0.5", shows: "a task named write_the_docs" },
    { command: "mu task add build --title Again", shows: "a name that is taken", fault: "task.exists" },
    {
      command: "mu task add release --until landed",
      shows: "--until without a blocker",
      fault: "usage.until_of_nothing",
    },
  ],
  async run(app, { workstream: scope, name, note, blockedBy, root, ...fields }) {
    const named = fields.title === undefined && name !== undefined && !/^[a-z][a-z0-9_-]*$/.test(name);
    const title = fields.title ?? name ?? "";
    const context = await addingContext(app, scope, [fields.role]);
    const description = fields.description && (await readMeant(app.request, fields.description));
    const { twin, ...made } = await addTask(context, scope, {
      ...fields,
      root: root?.name,
      blockedBy: blockedBy?.map(awaitedText),
      description,
      title,
      ...(named || name === undefined ? {} : { name }),
      ...(note && { notes: note.map((text) => ({ text })) }),
    });
    const warnings = await deadEndWarnings(app.context.store.db, scope, [made.task.name]);
    const again = `This run has added a task of that title before: ${twin}.`;
    return { ...made, warnings: [...warnings, ...(twin ? [{ code: "same_title", message: again }] : [])] };
  },
  next: async ({ task }, { workstream }, app) => [
    await firstStep(app, task),
    step("See the tracks", `mu track list -w ${workstream}`),
  ],
  render: ({ task, blockers, truncated, warnings }, paint) => [
    `Added ${paint.bold(task.name)} to ${task.workstream} (impact ${task.impact}, effort ${counted(task.effortDays, "day")})`,
    blockers.length > 0 && `  blocked by ${blockers.join(", ")}`,
    truncated && paint.dim(`  the title was too long for a name: ${truncated}`),
    warningLines(warnings),
  ],
});
