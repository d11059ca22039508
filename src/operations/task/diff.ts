import { Fault } from "../../errors.js";
import { counted } from "../../names.js";
import { taskRow } from "../../tasks/task.js";
import { BARE_COMMIT, CHANGED_FILE, type DiffForm } from "../../vcs/vcs.js";
import { CHANGE_STATES, changesOf, diffCommands, diffOf, filesOf } from "../../work/changes.js";
import { defineTaskVerb } from "../define.js";
import { flag } from "../fields.js";

export const taskDiff = defineTaskVerb({
  name: "task.diff",
  summary: "Show what a task has changed",
  description:
    "Of landed work what its landing brought to the branch, of other work what is in the workspace against its base, uncommitted files of a task in progress included. On a terminal git shows it, with your pager and colours.",
  effect: "read",
  input: () => ({ stat: flag("Show only a summary per file"), nameOnly: flag("Show only the names of the files") }),
  output: {
    task: "string",
    state: CHANGE_STATES,
    commits: [BARE_COMMIT],
    uncommitted: "number",
    files: [CHANGED_FILE],
    /** As git prints it; empty if a terminal has shown it. */
    text: "string",
  },
  examples: [
    { command: "mu task diff build", shows: "a task that has changed nothing yet" },
    { command: "mu task diff cart --stat", shows: "the files of a finished task" },
    { command: "mu task diff biuld", shows: "an unknown name, with a suggestion", fault: "task.not_found" },
    { command: "mu task diff cart --stat --name-only", shows: "two forms at once", fault: "usage.two_choices" },
  ],
  async run(app, ref, { stat, nameOnly }) {
    if (stat && nameOnly) throw new Fault("usage", "usage.two_choices", "Choose --stat or --name-only, not both.");
    const form: DiffForm = stat ? "stat" : nameOnly ? "names" : "patch";
    const { db } = app.context.store;
    const crew = await app.crew();
    const changes = await changesOf(crew, db, await taskRow(db, ref));
    const { state, commits, uncommitted } = changes;
    let shown = changes.spans.length > 0;
    for (const command of await diffCommands(changes, form)) {
      shown = shown && ((await app.request.terminal?.run({ ...command, env: crew.env })) ?? false);
    }
    const text = shown ? "" : await diffOf(crew, changes, form);
    return { task: ref.name, state, commits, uncommitted, files: await filesOf(crew, changes), text };
  },
  render: ({ task, state, text, uncommitted }, paint) => [
    state === "none" && `${paint.bold(task)} has changed nothing yet.`,
    text.trimEnd(),
    state === "in progress" && uncommitted > 0 && paint.dim(`${counted(uncommitted, "file")} not committed`),
  ],
});
