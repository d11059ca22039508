import type { AgentCli } from "../agents/clis/cli.js";
import { getAgentCli } from "../agents/clis/table.js";
import type { Crew } from "../agents/crew.js";
import { checkVerbatim, enqueueIn, toldTo } from "../agents/delivery/outbox.js";
import { timestamp } from "../db/context.js";
import type { RowOf, Tx } from "../db/write.js";
import { qualifiedName, type TaskRef } from "../names.js";
import { taskToChange } from "../tasks/change.js";
import { claimTaskIn, requireClaimable, type WorkBegun } from "../tasks/claim.js";
import { type Task, taskRow } from "../tasks/task.js";

/** What an agent is given when it starts: a task, words, or both. */
export interface FirstPrompt {
  /** Claimed for it; the prompt says what to do. */
  task?: TaskRef | undefined;
  /** Its prompt, or what is added to that of the task. */
  text?: string | undefined;
  sender: string;
}

/** What it was given. */
export interface Given {
  task: Task | null;
  /** The number of the delivery, which is queued. */
  delivery: number;
}

/** Refuses what could not be given, before anything is made. Faults as `claimTask`, and `delivery.not_verbatim`. */
export async function requireGivable({ context }: Crew, { task, text }: FirstPrompt, cli: AgentCli): Promise<void> {
  const { db } = context.store;
  if (task !== undefined) await requireClaimable({ db, now: timestamp(context.clock) }, await taskToChange(db, task));
  else checkVerbatim(cli, text ?? "");
}

/** Inside the write in which the agent gets its pane: claims the task for it and queues its prompt. Faults as `claimTask`. */
export async function giveIn(
  tx: Tx,
  agent: RowOf<"agents">,
  { task: ref, text, sender }: FirstPrompt,
  work: WorkBegun | undefined,
): Promise<Given> {
  if (ref === undefined) {
    const { id } = await enqueueIn(tx, agent, { text: text ?? "", sender });
    return { task: null, delivery: id };
  }
  const { task } = await claimTaskIn(tx, ref, { agent: agent.name, incarnation: agent.id }, { work });
  tx.addPayload({ task: task.name });
  return { task, delivery: await queueTaskIn(tx, agent, task, { sender, more: text }) };
}

/** Inside the write that claims a task: queues the prompt that gives it to its owner. Gives the delivery's number. */
export async function queueTaskIn(
  tx: Tx,
  agent: RowOf<"agents">,
  task: Task,
  { sender, more }: { sender: string; more?: string | undefined },
): Promise<number> {
  const text = agent.cli === "shell" ? shellPromptOf(task, more) : promptOf(task, more);
  checkVerbatim(getAgentCli(agent.cli), text);
  const { id: taskId } = await taskRow(tx.db, task);
  return (await enqueueIn(tx, agent, { text, sender, taskId })).id;
}

/** For a shell; `more` is what a person wants it to run. */
function shellPromptOf(task: Task, more: string | undefined): string {
  const name = qualifiedName(task);
  const told = `Your next task is ${name}: ${task.title}. See mu task show ${name}; when it is done, mu task close ${name}.`;
  return [toldTo("shell", told), more].filter(Boolean).join("\n");
}

function promptOf(task: Task, more: string | undefined): string {
  const name = qualifiedName(task);
  return [
    `Your next task is ${name}: ${task.title}`,
    task.description,
    more,
    `See it with \`mu task show ${name}\`. When it is done and committed, close it with \`mu task close ${name}\`. If you cannot go on without a person: \`mu task escalate ${name} 'why'\`.`,
  ]
    .filter(Boolean)
    .join("\n\n");
}
