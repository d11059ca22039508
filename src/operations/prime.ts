import { claimant } from "../agents/identity.js";
import { listNotes, NOTE } from "../tasks/notes.js";
import { LIVE_STATUSES, listTasks, TASK } from "../tasks/task.js";
import { findWorkspaceRow } from "../workspaces/workspace.js";
import { readSettings } from "../workstreams/settings.js";
import { type Drawing, defineOperation, shape, type TypeOf } from "./define.js";
import { findWorkstream } from "./resolve.js";

/** Older notes are one command away. */
const NOTES = 5;

const BRIEFING = shape({
  name: "string",
  workstream: "string",
  role: "string | null",
  workspace: "string | null",
  tasks: [{ task: TASK, notes: [NOTE] }],
  commands: "string[]",
});

export const prime = defineOperation({
  name: "prime",
  summary: "Print an agent's briefing: who it is, its tasks, and what to do next",
  description:
    "Called by hooks at the start of a conversation and after compaction. Outside a workstream it prints nothing and exits 0.",
  effect: "read",
  output: [BRIEFING, null],
  examples: [
    { command: "mu prime", shows: "the briefing for a new conversation" },
    { command: "mu prime --all", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run(app) {
    const { name, role } = app.caller;
    const { db } = app.context.store;
    const workstream = await findWorkstream(app);
    if (workstream === undefined) return null;
    const named = db.selectFrom("workstreams").select("settings").where("name", "=", workstream);
    const known = await named.executeTakeFirst();
    if (known === undefined) return null;
    const space = await findWorkspaceRow(db, { workstream, name });
    const tasks = [];
    for (const task of await listTasks(db, { workstream, ownedBy: claimant(app.caller), status: LIVE_STATUSES })) {
      tasks.push({ task, notes: await listNotes(db, { workstream, name: task.name }, { last: NOTES }) });
    }
    const { check } = readSettings(known.settings);
    const commands =
      tasks.length === 0 ? ["mu task claim --next"] : tasks.flatMap(({ task }) => commandsFor(task.name, check));
    return { name, workstream, role, workspace: space?.state === "ready" ? space.path : null, tasks, commands };
  },
  render: (result) => (result === null ? "" : briefing(result)),
});

/** Where the workstream has a check, a close runs it by itself. */
function commandsFor(task: string, check: string | null): string[] {
  return [
    `mu task show ${task}`,
    `mu task note ${task} '…'`,
    `mu task close ${task} --evidence '…'${check === null ? " --check '…'" : ""}`,
  ];
}

function briefing({ name, workstream, role, workspace, tasks, commands }: TypeOf<typeof BRIEFING>): Drawing {
  return [
    `You are ${name}${role ? `, the ${role},` : ""} in the mu workstream ${workstream}.`,
    tasks.length === 0 && "You have no task yet.",
    tasks.map(({ task, notes }) => [
      `Your task is ${task.name}: ${task.title}`,
      task.description || null,
      notes.map((note) => `- note by ${note.author}: ${note.text}`),
    ]),
    workspace !== null && `Work in ${workspace} and commit there: only commits land.`,
    "Next:",
    commands.map((command) => `  ${command}`),
  ];
}
