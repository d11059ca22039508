import { NODE_KINDS, type NodeKind } from "../flow/steps.js";
import type { Note } from "../tasks/notes.js";
import type { Task } from "../tasks/task.js";
import { legalVerdicts, mustSayHow } from "./verdict.js";

/** How many of the task's newest notes the agent is given. */
const MOST_NOTES = 10;

/** What an agent is told at the start of a run: its task, what was noted on it, and how to end. */
export function promptFor(task: Task, notes: readonly Note[], { project }: { project: string }): string {
  const name = `${task.workstream}/${task.name}`;
  const kept = notes.slice(-MOST_NOTES);
  const sections = [
    `You work on one task of ${project || task.workstream}. Nobody watches: do not ask questions, decide.`,
    `# Task ${name}\n\n${task.title}`,
    task.description && `# Description\n\n${task.description}`,
    task.payload !== null && `# Payload\n\n${JSON.stringify(task.payload, null, 2)}`,
    kept.length > 0 && `# Notes so far\n\n${kept.map(({ author, text }) => `- ${author}: ${text}`).join("\n")}`,
    `# What you may run\n\n${VERBS.map(([verb, what]) => `- \`${verb.replace("TASK", name)}\`: ${what}`).join("\n")}`,
    `# How to end\n\n${endingFor(task.kind)}`,
  ];
  return `${sections.filter(Boolean).join("\n\n")}\n`;
}

const VERBS = [
  ["mu task show TASK", "the task with all its notes"],
  ["mu task note TASK '…'", "keep what the next one must know"],
  ["mu task note TASK '…' --kind decision --rationale '…'", "record a decision and why"],
  ["mu asset add <path> --kind <kind>", "register a file that you made for others"],
  ["mu task add '…' --role <role>", "file work that follows from this; do not do it yourself"],
] as const;

/** How an agent says how a task of that kind ended. */
export function endingFor(kind: string): string {
  const words = legalVerdicts(kind).map((word) => `\`### ${word.toUpperCase()}\``);
  const blocked = "If you cannot go on without a person, say why and end with the line `### BLOCKED`.";
  if (NODE_KINDS.includes(kind as NodeKind) && !mustSayHow(kind)) return blocked;
  if (!mustSayHow(kind)) return `Commit your work. Stop when the task is done. ${blocked}`;
  return `End your answer with one of these lines, alone and last: ${words.join(", ")}. ${blocked}`;
}

/** The question to an agent that did not say how its task ended. */
export function askForVerdict(kind: string): string {
  return `You did not say how it ended. Answer with one line only: ${legalVerdicts(kind)
    .map((word) => `### ${word.toUpperCase()}`)
    .join(" or ")}.`;
}

/** What an agent whose work was refused is told. */
export function feedBack(message: string, tail: string): string {
  return `Your work was not accepted: ${message}\n${tail === "" ? "" : `\nThe last lines of the check:\n\n${tail}\n`}\nMend it, commit, and stop.`;
}
