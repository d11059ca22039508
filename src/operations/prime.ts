import * as z from "zod";
import { listNotes } from "../tasks/notes.js";
import { LIVE_STATUSES, listTasks } from "../tasks/task.js";
import { defineOperation } from "./operation.js";
import { findWorkstream } from "./resolve.js";
import { noteShape, taskShape } from "./shapes.js";

/** The newest notes say where the work stands; older ones are a command away. */
const NOTES = 5;

const briefingShape = () =>
  z.strictObject({
    name: z.string(),
    workstream: z.string(),
    role: z.union([z.string(), z.null()]),
    tasks: z.array(z.strictObject({ task: taskShape(), notes: z.array(noteShape()) })),
    commands: z.array(z.string()),
  });

export const prime = defineOperation({
  name: "prime",
  summary: "Tell an agent who it is, what it is at, and what to do next",
  description:
    "Hooks call it at the start of a conversation and after compaction. Outside a workstream it prints nothing and succeeds.",
  effect: "read",
  input: () => z.strictObject({}),
  output: () => z.union([briefingShape(), z.null()]),
  examples: [
    { command: "mu prime", shows: "what a new conversation has to know" },
    { command: "mu prime --all", shows: "a flag it does not have", fault: "usage.unknown_option" },
  ],
  async run(app) {
    const { name, role } = app.caller;
    const { db } = app.context.store;
    const workstream = await findWorkstream(app);
    if (workstream === undefined) return null;
    const known = await db.selectFrom("workstreams").select("id").where("name", "=", workstream).executeTakeFirst();
    if (known === undefined) return null;
    const tasks = [];
    for (const task of await listTasks(db, { workstream, owner: [name], status: LIVE_STATUSES })) {
      tasks.push({ task, notes: await listNotes(db, { workstream, name: task.name }, { last: NOTES }) });
    }
    return { name, workstream, role, tasks, commands: commandsFor(tasks.map(({ task }) => task.name)) };
  },
  render: (result) => (result === null ? "" : briefing(result)),
});

function commandsFor(tasks: readonly string[]): string[] {
  if (tasks.length === 0) return ["mu task claim --next"];
  return tasks.flatMap((task) => [
    `mu task show ${task}`,
    `mu task note ${task} '…'`,
    `mu task close ${task} --evidence '…'`,
  ]);
}

function briefing({ name, workstream, role, tasks, commands }: z.output<ReturnType<typeof briefingShape>>): string {
  const work = tasks.flatMap(({ task, notes }) => [
    `Your task is ${task.name}: ${task.title}`,
    ...(task.description ? [task.description] : []),
    ...notes.map((note) => `- note by ${note.author}: ${note.text}`),
  ]);
  return [
    `You are ${name}${role ? `, the ${role},` : ""} in the mu workstream ${workstream}.`,
    ...(work.length > 0 ? work : ["You have no task yet."]),
    "Commands that make sense now:",
    ...commands.map((command) => `  ${command}`),
  ].join("\n");
}
