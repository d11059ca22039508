import type { Reader } from "../../db/schema.js";
import { counted, duration, type TaskRef } from "../../names.js";
import { MICROS } from "../../runs/run.js";
import { spentOnTask } from "../../runs/spend.js";
import { CHECK, lastCheck } from "../../tasks/checks.js";
import { blockersOf, dependentsOf, NEIGHBOUR } from "../../tasks/graph.js";
import { listNotes, NOTE } from "../../tasks/notes.js";
import { getTask, TASK, taskRow } from "../../tasks/task.js";
import { BARE_COMMIT } from "../../vcs/vcs.js";
import { commitsOfTask, hasWork } from "../../work/changes.js";
import { type App, type Drawing, defineTaskVerb, type Paint, shape, type TypeOf } from "../define.js";
import { workstreamField } from "../fields.js";
import { AS_OF, asOfLine, atField, inPast, workstreamThen } from "../past.js";
import { taskLines } from "./card.js";
import { noteLines } from "./notes.js";

/** What the runs of a task come to, and what its budget leaves; null without a budget. */
const SPENT = shape({ usd: "number", runs: "number", leftUsd: "number | null" });

export const taskShow = defineTaskVerb({
  name: "task.show",
  summary: "Show a task with its edges and notes",
  effect: "read",
  input: () => ({ workstream: workstreamField("one", { past: true }), at: atField() }),
  output: {
    task: TASK,
    blockers: [NEIGHBOUR],
    dependents: [NEIGHBOUR],
    notes: [NOTE],
    check: [CHECK, null],
    spent: SPENT,
    /** Its work, oldest first; as they landed, if they have. */
    commits: [BARE_COMMIT],
    "asOf?": AS_OF,
  },
  examples: [
    { command: "mu task show build", shows: "everything about one task" },
    { command: "mu task show build --at 8", shows: "as it was after event #8" },
    { command: "mu task show build --at 99999", shows: "no such event", fault: "past.no_such_event" },
    { command: "mu task show biuld", shows: "an unknown name, with a suggestion", fault: "task.not_found" },
  ],
  async run(app, ref, { at }) {
    if (at !== undefined) return showThen(app, ref, at);
    const shown = await app.context.store.read((db) => readTask(db, ref));
    const { db } = app.context.store;
    const row = await taskRow(db, ref);
    return { ...shown, commits: hasWork(row) ? await commitsOfTask(await app.crew(), db, row) : [] };
  },
  render: ({ asOf, ...shown }, paint) => [
    asOfLine(asOf, ["commits"], paint),
    card(shown, asOf === undefined ? paint : paint.asOf(asOf.at)),
  ],
});

async function readTask(db: Reader, ref: TaskRef) {
  return {
    task: await getTask(db, ref),
    check: await lastCheck(db, (await taskRow(db, ref)).id),
    spent: await spentBy(db, ref),
    blockers: await blockersOf(db, ref),
    dependents: await dependentsOf(db, ref),
    notes: await listNotes(db, ref),
  };
}

/** As the log has it: what is in git is not a part of that. */
function showThen(app: App, { name, workstream }: TaskRef, text: string) {
  return inPast(app, text, async (past, { event, at }) => {
    const ref = { name, workstream: await workstreamThen(app, past, workstream) };
    return { ...(await readTask(past.db, ref)), commits: [], asOf: { event, at } };
  });
}

function card({ task, blockers, dependents, notes, check, spent, commits }: Shown, paint: Paint): Drawing {
  return [
    `${paint.bold(task.name)}  ${task.title}  ${paint.dim(`in ${task.workstream}`)}`,
    taskLines(task, paint),
    spentLine(spent, paint),
    check && checkLines(check, paint),
    commitLines(commits, paint),
    edgeLine("blocked by", blockers, paint),
    edgeLine("blocks", dependents, paint),
    task.description ? ["", task.description] : null,
    ...(notes.length > 0
      ? ["", paint.dim(`Notes (${notes.length})`), ...notes.flatMap((note) => noteLines(note, paint))]
      : []),
  ];
}

type Shown = Awaited<ReturnType<typeof readTask>> & { commits: TypeOf<typeof BARE_COMMIT>[] };

async function spentBy(db: Reader, ref: TaskRef): Promise<TypeOf<typeof SPENT>> {
  const { spent, runs, left } = await spentOnTask(db, (await taskRow(db, ref)).id);
  return { usd: spent / MICROS, runs, leftUsd: left === null ? null : left / MICROS };
}

function spentLine({ usd, runs, leftUsd }: TypeOf<typeof SPENT>, paint: Paint): Drawing {
  if (runs === 0 && leftUsd === null) return null;
  const left = leftUsd === null ? "" : `, $${leftUsd.toFixed(2)} left`;
  return `  ${paint.dim("spent".padEnd(11))} $${usd.toFixed(2)} in ${counted(runs, "run")}${left}`;
}

function edgeLine(head: string, edges: readonly TypeOf<typeof NEIGHBOUR>[], paint: Paint): Drawing {
  if (edges.length === 0) return null;
  const shown = edges.map((edge) =>
    edge.satisfied
      ? paint.dim(`${edge.name} ✓`)
      : `${edge.name} ${paint.status(edge.status)}${edge.until === "closed" ? "" : `, until ${edge.until}`}`,
  );
  return `  ${paint.dim(head.padEnd(11))} ${shown.join(", ")}`;
}

/** How many of a task's newest commits people see; the JSON has all of them. */
const LAST_COMMITS = 10;

function commitLines(commits: readonly TypeOf<typeof BARE_COMMIT>[], paint: Paint): string[] {
  const lines = commits.slice(-LAST_COMMITS).map(({ sha, subject }) => `${sha.slice(0, 10)} ${subject}`);
  const head = commits.length > LAST_COMMITS ? [`${commits.length} commits, the newest:`] : [];
  return [...head, ...lines].map((line, at) => `  ${paint.dim((at === 0 ? "commits" : "").padEnd(11))} ${line}`);
}

/** How many of the last lines of a failed check people see; the JSON has all of them. */
const LAST_LINES = 10;

function checkLines(check: TypeOf<typeof CHECK>, paint: Paint): string[] {
  const { green, exitCode, command, seconds, commit, createdAt, tail } = check;
  const verdict = green ? "passed" : exitCode === null ? "ended" : `exit ${exitCode}`;
  const at = commit === null ? "" : ` at ${commit.slice(0, 12)}`;
  const head = `  ${paint.dim("check".padEnd(11))} ${verdict} after ${duration(seconds * 1000)}${at}, ${paint.ago(createdAt)} ago: ${command}`;
  const lines = green || tail === "" ? [] : tail.split("\n").slice(-LAST_LINES);
  return [head, ...lines.map((line) => `              ${paint.dim(line)}`)];
}
