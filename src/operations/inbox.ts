import * as z from "zod";
import { Fault } from "../errors.js";
import { answerInbox, INBOX_ITEM, type InboxItem, listInbox } from "../inbox.js";
import { duration } from "../names.js";
import { listWorkstreams } from "../workstreams/workstream.js";
import { defineOperation, listed, listOf, type Paint, step } from "./define.js";
import { sceneOf } from "./dispatch/world.js";
import { agentField, allField, field, workstreamField } from "./fields.js";

export const inbox = defineOperation({
  name: "inbox",
  summary: "List what waits for you, with the question itself",
  description:
    "Agents that ask for permission or an answer, the brake, held tasks, red checks and budgets that refuse. An id stays the same as long as its question does.",
  effect: "read",
  reconcile: "by itself",
  input: () => ({ workstream: workstreamField("one or all"), all: allField() }),
  output: { ...listOf(INBOX_ITEM), now: "string" },
  examples: [
    { command: "mu inbox", shows: "what waits for you" },
    { command: "mu inbox -w nowhere", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream }) {
    const { db } = app.context.store;
    const names = workstream === undefined ? (await listWorkstreams(db)).map(({ name }) => name) : [workstream];
    const items: InboxItem[] = [];
    for (const name of names) items.push(...(await listInbox(await app.crew(), await sceneOf(app, name))));
    return { ...listed(items), now: app.context.clock.now().toISOString() };
  },
  next: ({ items }) => items.slice(0, 1).map(({ command }) => step("Answer the first", command)),
  render: ({ items, now }, paint) =>
    items.length === 0 ? "Nothing waits for you." : items.map((item) => drawItem(item, now, paint)).join("\n\n"),
});

function drawItem({ id, kind, workstream, subject, since, question, command }: InboxItem, now: string, paint: Paint) {
  const age = since === null ? "" : ` for ${duration(Math.max(0, Date.parse(now) - Date.parse(since)))}`;
  const lines = question.split("\n").map((line) => `  ${line}`);
  return [`${paint.bold(id)}  ${kind} of ${workstream}/${subject}${age}`, ...lines, paint.dim(`  ${command}`)].join(
    "\n",
  );
}

export const inboxAnswer = defineOperation({
  name: "inbox.answer",
  summary: "Answer a question of the inbox",
  description:
    "Looks again first: a question that has changed is refused, and nothing is typed. A dialog takes a number, a key such as y, Enter or Escape, several keys, or the first words of a choice. An agent that waits for a prompt gets the text as mu agent send does. A held task gets it as a note and is requeued. For people.",
  effect: "write",
  acts: ["runs"],
  input: () => ({
    id: agentField("Id of the item, as mu inbox shows it"),
    workstream: workstreamField(),
    answer: field(z.array(z.string().min(1).max(10_000)).min(1), "Text, choice or keys"),
  }),
  output: { item: INBOX_ITEM, how: ["keys", "sent", "requeued"], gone: "boolean | null" },
  positional: ["id", "answer"],
  examples: [
    { command: "mu inbox answer region-8afb 'eu-west-1'", shows: "answer a held task, which is requeued" },
    { command: "mu inbox answer helper-1a2b yes", shows: "a question that is answered", fault: "inbox.not_found" },
  ],
  async run(app, { id, answer }) {
    const { caller, request } = app;
    if (caller.kind !== "person") {
      const message = `${caller.name} is an agent. Only people answer for people.`;
      throw new Fault("conflict", "inbox.needs_person", message, [step("Ask a person to see", "mu inbox")]);
    }
    const scene = await sceneOf(app, id.workstream);
    const options = { words: answer, by: { person: caller.name }, signal: request.signal };
    return answerInbox(await app.crew(), scene, id.name, options);
  },
  next: (_, { workstream }) => [step("See what else waits", `mu inbox -w ${workstream}`)],
  exitCode: ({ gone }) => (gone === false ? 8 : 0),
  render: ({ item, how, gone }, paint) => {
    const done = { keys: "Answered", sent: "Sent your answer to", requeued: "Noted your answer, and requeued" }[how];
    return [`${done} ${paint.bold(item.subject)}.`, gone === false && "It still asks the same."];
  },
});
