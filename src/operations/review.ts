import * as z from "zod";
import { claimant } from "../agents/identity.js";
import type { Reader } from "../db/schema.js";
import { Fault } from "../errors.js";
import { standOf, unlandedTasks } from "../landing/rows.js";
import { counted, qualifiedName } from "../names.js";
import { COMMENT, type Comment, handleComments, listComments, parseComments } from "../review/comments.js";
import { listReviews, REVIEW, type Review } from "../review/queue.js";
import { approveTask, RETURNED_REVIEW, returnForReview } from "../review/verdict.js";
import { listNotes, NOTE } from "../tasks/notes.js";
import { TASK, taskRow } from "../tasks/task.js";
import { changesOf, diffOf } from "../work/changes.js";
import { workstreamRow } from "../workstreams/workstream.js";
import {
  type Drawing,
  defineOperation,
  defineTaskVerb,
  listed,
  listOf,
  type Paint,
  readSource,
  step,
} from "./define.js";
import { field, flag, optionalText, taskField, workstreamField } from "./fields.js";
import { startDrain } from "./sent.js";
import { noteLines } from "./task/notes.js";

export const review = defineOperation({
  name: "review",
  summary: "List finished work that has not landed, the riskiest first, or show one task's",
  description:
    "The risk adds up the size of the change, files outside the task's touches, code without tests, tests taken away, the check, the cost, and its author's red checks, reverts and calls for a person. Each is named as a reason. Approved work comes last.",
  effect: "read",
  input: () => ({ task: taskField("Task to show (default: all)").optional(), workstream: workstreamField() }),
  output: {
    ...listOf(REVIEW),
    /** How the landings of these stand: what is checked now, with whom, or what each waits for. */
    landings: [{ task: "string", state: "string", batch: "string | null" }],
    /** What one task's review also shows. */
    shown: [{ stat: "string", comments: [COMMENT], notes: [NOTE] }, null],
  },
  positional: ["task"],
  examples: [
    { command: "mu review", shows: "what to look at, the riskiest first" },
    { command: "mu review cart", shows: "one task: reasons, files, comments, notes" },
    { command: "mu review build", shows: "a task that is not finished", fault: "review.not_waiting" },
    { command: "mu review biuld", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, { task, workstream }) {
    const crew = await app.crew();
    const { db } = app.context.store;
    if (task === undefined) {
      const items = await listReviews(crew, workstream);
      return { ...listed(items), landings: await landingsOf(db, workstream, items), shown: null };
    }
    const row = await taskRow(db, task);
    const items = await listReviews(crew, task.workstream, task.name);
    if (items.length === 0) throw notWaiting(row);
    const stat = await diffOf(crew, await changesOf(crew, db, row), "stat");
    return {
      ...listed(items),
      landings: await landingsOf(db, task.workstream, items),
      shown: { stat, comments: await listComments(db, task), notes: await listNotes(db, task) },
    };
  },
  next({ items, shown }) {
    const [first] = items;
    if (first === undefined) return [];
    const at = qualifiedName({ workstream: first.workstream, name: first.task });
    if (shown === null) return [step("Look at the first", `mu review ${at}`)];
    return [
      step("See the change", `mu task diff ${at}`),
      ...(first.approvedBy === null ? [step("Approve it", `mu review approve ${at}`)] : []),
      step("Return it", `mu review return ${at} --comment 'file:line what to change'`),
    ];
  },
  render({ items, landings, shown }, paint) {
    if (items.length === 0) return "Nothing waits for a review.";
    const stand = ({ task }: Review) => landings.find((one) => one.task === task && one.batch !== null)?.state;
    if (shown === null) return items.map((item) => itemLines(item, paint, stand(item)).join("\n")).join("\n\n");
    const notes = shown.notes.filter(({ kind }) => kind !== "review");
    return [
      ...items.map((item) => itemLines(item, paint, stand(item))),
      shown.stat === "" ? null : ["", shown.stat.trimEnd()],
      shown.comments.length === 0 ? null : ["", paint.dim("Comments"), ...shown.comments.map(commentLine)],
      notes.length === 0
        ? null
        : ["", paint.dim(`Notes (${notes.length})`), ...notes.flatMap((note) => noteLines(note, paint))],
    ];
  },
});

async function landingsOf(db: Reader, workstream: string, items: readonly Review[]) {
  const unlanded = await unlandedTasks(db, (await workstreamRow(db, workstream)).id);
  const asked = unlanded.filter(({ task }) => items.some((item) => item.task === task));
  return asked.map(({ task, landing }) => ({ task, ...standOf({ landing }) }));
}

/** `cart  Build the cart`, what it is, and why it is risky. */
function itemLines(item: Review, paint: Paint, landing: string | undefined): string[] {
  const { task, title, agent, added, removed, files, approvedBy, rounds, openComments, pullRequest } = item;
  const facts = [
    `risk ${item.risk}`,
    agent !== null && `by ${agent}`,
    `+${added} −${removed} in ${counted(files, "file")}`,
    rounds > 0 && `round ${rounds + 1}`,
    openComments > 0 && counted(openComments, "open comment"),
    approvedBy !== null && `approved by ${approvedBy}`,
    landing,
  ].filter((fact) => fact !== false && fact !== undefined);
  return [
    `${paint.bold(task)}  ${title}`,
    `  ${facts.join(", ")}`,
    ...item.reasons.map((reason) => `  • ${reason}`),
    ...(pullRequest === null ? [] : [paint.dim(`  ${pullRequest}`)]),
  ];
}

function commentLine({ n, round, file, line, text, handledAt }: Comment): string {
  const where = file === null ? "" : `${file}:${line} `;
  return `  ${handledAt === null ? "○" : "✓"} ${n}. ${where}${text.replaceAll("\n", "\n       ")}${round > 1 ? ` (round ${round})` : ""}`;
}

function notWaiting({ workstream, name, status, level }: Awaited<ReturnType<typeof taskRow>>): Fault {
  const why = status !== "CLOSED" ? `it is ${status}` : level === "landed" ? "it has landed" : "it has no commits";
  return new Fault("conflict", "review.not_waiting", `${name} does not wait for a review: ${why}.`, [
    step("See what it has changed", `mu task diff ${workstream}/${name}`),
  ]);
}

export const reviewApprove = defineTaskVerb({
  name: "review.approve",
  summary: "Approve a finished task's commits",
  description:
    "An approval is of the commits that the task has now: new ones need another, a clean rebase does not. An agent cannot approve work that it had a part in. Where .mu/settings.json says landRequires: review, only approved work lands.",
  effect: "write",
  input: () => ({
    commit: field(
      z
        .string()
        .regex(/^[0-9a-f]{4,64}$/, "must be a commit id")
        .optional(),
      "Approve only if its last commit is this one",
      { value: "commit" },
    ),
    force: flag("Also while comments are open"),
  }),
  output: { task: TASK },
  examples: [
    { command: "mu review approve cart", shows: "let it land" },
    { command: "mu review approve build", shows: "a task that is not finished", fault: "review.not_closed" },
    { command: "mu review approve done", shows: "a task without commits", fault: "review.no_work" },
    { command: "mu review approve cart --commit abcd", shows: "other commits", fault: "review.other_commit" },
  ],
  run: async (app, ref, options) => ({ task: await approveTask(app.context, ref, claimant(app.caller), options) }),
  next: (_, at) => [step("Land it", `mu land ${at}`)],
  render: ({ task }, paint) => `Approved ${paint.bold(task.name)} at ${(task.approvedCommit ?? "").slice(0, 10)}`,
});

export const reviewReturn = defineTaskVerb({
  name: "review.return",
  summary: "Return a finished task with comments",
  description:
    "Each comment becomes a note with its file and line. The task is OPEN again, and its agent gets a prompt that lists the comments by number. In a file, or on standard input, a comment begins on each line that begins with file:line.",
  effect: "write",
  acts: ["runs"],
  input: () => ({
    comment: field(z.array(z.string().max(65_536)).max(200).default([]), "What to change, as 'file:line text'", {
      value: "comment",
    }),
    file: optionalText("Read comments from a file; - reads standard input", { value: "path" }),
  }),
  output: { task: TASK, ...RETURNED_REVIEW },
  examples: [
    { command: "mu review return cart --comment 'cart.txt:1 Say what is in it'", shows: "a comment on a line" },
    { command: "mu review return cart", shows: "nothing to say", fault: "review.no_comments" },
    {
      command: "mu review return build --comment no",
      shows: "a task that is not finished",
      fault: "review.not_closed",
    },
  ],
  async run(app, ref, { comment, file }) {
    const texts = [...comment, ...(file === undefined ? [] : [await readSource(app.request, file)])];
    const returned = await returnForReview(await app.crew(), ref, texts.flatMap(parseComments));
    const { agent, delivery } = returned;
    if (agent !== null && delivery !== null) await startDrain(app, { workstream: ref.workstream, name: agent });
    return returned;
  },
  next: (_, at) => [step("See what is handled", `mu review comments ${at}`)],
  render: ({ task, comments, agent, delivery, round }, paint) => [
    `Returned ${paint.bold(task.name)} with ${counted(comments, "comment")}, round ${round}`,
    delivery === null
      ? `  ${agent === null ? "Nobody" : agent} gets no prompt: the comments are on the task.`
      : `  ${agent} gets them as a prompt (mu delivery show ${delivery})`,
  ],
});

export const reviewComments = defineTaskVerb({
  name: "review.comments",
  summary: "List the comments of a task's reviews, open or handled",
  effect: "read",
  output: listOf(COMMENT),
  examples: [
    { command: "mu review comments cart", shows: "all comments" },
    { command: "mu review comments biuld", shows: "an unknown task", fault: "task.not_found" },
  ],
  run: async (app, ref) => listed(await listComments(app.context.store.db, ref)),
  render: ({ items }): Drawing => (items.length === 0 ? "No comments." : items.map(commentLine)),
});

/** On a command line numbers in a list are texts. */
const NUMBER = z
  .string()
  .regex(/^[1-9]\d{0,5}$/, "must be the number of a comment")
  .transform(Number);

export const reviewHandled = defineTaskVerb({
  name: "review.handled",
  summary: "Mark comments of a review as handled",
  effect: "write",
  input: () => ({ numbers: field(z.array(NUMBER).min(1), "Numbers of the comments", { value: "n" }) }),
  output: listOf(COMMENT),
  positional: ["numbers"],
  examples: [
    { command: "mu review handled docs 1", shows: "the first comment" },
    { command: "mu review handled build 7", shows: "no such comment", fault: "review.comment_not_found" },
  ],
  run: async (app, ref, { numbers }) => listed(await handleComments(app.context, ref, numbers)),
  render: ({ items }): Drawing => items.map(commentLine),
});
