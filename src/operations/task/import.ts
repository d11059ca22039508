import * as z from "zod";
import { counted, enumerate } from "../../names.js";
import { requireRoles } from "../../project/roles.js";
import { importTasks, readSeedTasks } from "../../tasks/import.js";
import { defineOperation, readSource, step } from "../define.js";
import { field, workstreamField } from "../fields.js";
import { addingContext, projectOf } from "../project.js";

export const taskImport = defineOperation({
  name: "task.import",
  summary: "Add a list of tasks from a JSON file",
  description:
    "The file is a list of {role, title, description, payload, priority}, also under the key tasks; agent and agent_owner are other names for role. Every task is new, also when the file is imported again. All of it happens or, with the place of the mistake, nothing. Roles that the project does not have are refused.",
  effect: "write",
  input: () => ({
    file: field(z.string().min(1), "JSON file; - reads standard input"),
    workstream: workstreamField(),
  }),
  output: { workstream: "string", tasks: "string[]" },
  positional: ["file"],
  examples: [
    { command: "mu task import tasks.json", shows: "add the tasks of a file" },
    { command: "mu task import plan.yaml", shows: "a file that is not JSON", fault: "plan.unreadable" },
  ],
  async run(app, { file, workstream }) {
    const tasks = readSeedTasks(await readSource(app.request, file));
    const roles = tasks.map(({ role }) => role);
    requireRoles(await projectOf(app, workstream), roles);
    return { workstream, tasks: await importTasks(await addingContext(app, workstream, roles), workstream, tasks) };
  },
  next: ({ workstream }) => [
    step("List the tasks", `mu task list -w ${workstream}`),
    step("Undo it", `mu undo --yes -w ${workstream}`),
  ],
  render: ({ workstream, tasks }, paint) => [
    `Added ${counted(tasks.length, "task")} to ${paint.bold(workstream)}`,
    tasks.length > 0 && `  ${enumerate(tasks)}`,
  ],
});
