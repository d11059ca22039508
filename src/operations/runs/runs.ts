import { open, stat } from "node:fs/promises";
import * as z from "zod";
import { pollUntil } from "../../clock.js";
import { wakingClock } from "../../db/context.js";
import { Fault } from "../../errors.js";
import { qualifiedName } from "../../names.js";
import { cancelRun } from "../../runs/cancel.js";
import { type Kept, outputPath, readStream } from "../../runs/files.js";
import { keptOf } from "../../runs/perform.js";
import { listRuns, RUN, RUN_STATES, type Run, type RunRow, runRow, toRun } from "../../runs/run.js";
import { type App, defineOperation, excerpt, excerptOf, type Paint, step, withTotal } from "../define.js";
import { dayField, field, flag, limitField, roleField, taskField, workstreamField } from "../fields.js";

const runField = () => field(z.number().int().min(1), "Number of the run", { value: "run" });

export const runsList = defineOperation({
  name: "runs.list",
  summary: "List runs, newest first",
  effect: "read",
  input: () => ({
    workstream: workstreamField(),
    task: taskField("Only runs of this task").optional(),
    role: roleField("Only runs of this role"),
    state: field(z.enum(["active", ...RUN_STATES]).optional(), "Only runs in this state"),
    day: dayField("Only runs booked on this UTC day"),
    limit: limitField(50),
  }),
  output: excerptOf(RUN),
  examples: [
    { command: "mu runs list", shows: "the newest runs" },
    { command: "mu runs list --state active", shows: "what runs now" },
    { command: "mu runs list --day yesterday", shows: "an unknown day", fault: "usage.invalid_input" },
  ],
  run: async ({ context }, { workstream, limit, task, ...filter }) =>
    excerpt(await listRuns(context.store.db, workstream, { ...filter, task: task?.name }), limit),
  render: (result, paint) =>
    withTotal(
      paint.list(result.items, "No runs.", [
        { head: "run", text: ({ id }) => String(id), align: "right" },
        { head: "state", text: stateOf, max: 18 },
        { head: "task", text: ({ task }) => paint.bold(task), max: 20 },
        { head: "slot", text: ({ agent }) => agent, max: 12 },
        { head: "cost", text: costOf, align: "right" },
        { head: "took", text: tookOf, align: "right" },
      ]),
      result,
      paint,
    ),
});

const stateOf = ({ state, failure }: Run) => (failure === null ? state : `${state}: ${failure}`);

/** What a run cost; `~` where that is reserved, computed or a part of a conversation, `?` where nothing is known. */
export function costOf({ costUsd, costBasis, reservedUsd, finishedAt, transport }: Run): string {
  const isSure = costBasis === "cli" && transport !== "interactive";
  if (costUsd !== null) return `${isSure ? "" : "~"}$${costUsd.toFixed(2)}`;
  return finishedAt === null ? `~$${reservedUsd.toFixed(2)}` : "?";
}

function tookOf({ startedAt, finishedAt }: Run): string {
  if (startedAt === null || finishedAt === null) return "—";
  const seconds = Math.round((Date.parse(finishedAt) - Date.parse(startedAt)) / 1000);
  return seconds < 120 ? `${seconds}s` : `${Math.round(seconds / 60)}m`;
}

export const runsShow = defineOperation({
  name: "runs.show",
  summary: "Show one run",
  effect: "read",
  input: () => ({ run: runField() }),
  output: { run: RUN },
  positional: ["run"],
  examples: [
    { command: "mu runs show 1", shows: "one run" },
    { command: "mu runs show 9999", shows: "an unknown run", fault: "run.not_found" },
    { command: "mu runs show first", shows: "not a number", fault: "usage.invalid_input" },
  ],
  run: async ({ context }, { run }) => ({ run: toRun(await runRow(context.store.db, run)) }),
  next: ({ run: { id, workstream, task, finishedAt } }) => [
    step("Read its output", `mu runs log ${id}`),
    step("See its task", `mu task show ${workstream}/${task}`),
    ...(finishedAt === null ? [step("Stop it", `mu runs cancel ${id}`)] : []),
  ],
  render: ({ run }, paint) => card(run, paint),
});

function card(run: Run, paint: Paint): string[] {
  const tokens = [run.tokensIn, run.tokensOut, run.tokensCacheRead, run.tokensCacheWrite];
  const facts: [string, string | null][] = [
    ["state", stateOf(run)],
    ["reason", run.reason],
    ["task", qualifiedName({ workstream: run.workstream, name: run.task })],
    ["slot", `${run.agent} (${run.role || "no role"}), attempt ${run.attempt}`],
    ["agent CLI", `${run.cli}${run.model === null ? "" : `, ${run.model}`}`],
    ["cost", `${costOf(run)}${run.costBasis === null ? "" : ` (${run.costBasis})`}, booked on ${run.day}`],
    [
      "tokens",
      tokens[0] === null ? null : `${tokens[0]} in, ${tokens[1]} out, ${tokens[2]} cached, ${tokens[3]} written`,
    ],
    ["verdict", run.verdict],
    ["took", tookOf(run)],
    ["conversation", run.sessionRef],
  ];
  const lines = facts.flatMap(([name, value]) => (value === null ? [] : [`  ${paint.dim(name.padEnd(13))}${value}`]));
  const last =
    run.answer
      ?.trim()
      .split("\n")
      .slice(-10)
      .map((line) => `  ${line}`) ?? [];
  return [paint.bold(`Run ${run.id}`), ...lines, ...(last.length > 0 ? ["", ...last] : [])];
}

export const runsLog = defineOperation({
  name: "runs.log",
  summary: "Print the output of a run",
  description:
    "The start and the end of very long output are kept. --follow prints it as it comes, until the run ends.",
  effect: "read",
  input: () => ({
    run: runField(),
    stderr: flag("Print what it wrote to standard error"),
    follow: flag("Print output as it comes", { aliases: ["tail"] }),
  }),
  output: { text: "string" },
  positional: ["run"],
  examples: [
    { command: "mu runs log 1", shows: "its output" },
    { command: "mu runs log 9999", shows: "an unknown run", fault: "run.not_found" },
    { command: "mu runs log first", shows: "not a number", fault: "usage.invalid_input" },
  ],
  run: async (app, { run, stderr }) => {
    const { stream, turns } = await outputOf(app, run, stderr);
    const texts = await Promise.all(turns().map((turn) => readStream(stream(turn))));
    return { text: texts.join("") };
  },
  follow: (app, { run, stderr, follow }) => (follow ? followOutput(app, run, stderr) : undefined),
  render: ({ text }) => text.trimEnd() || "It has printed nothing.",
  renderFollowed: ({ text }: { text: string }) => text.trimEnd(),
});

async function outputOf(app: App, id: number, stderr: boolean) {
  const row = await runRow(app.context.store.db, id);
  const kept: Kept = keptOf((await app.crew()).stateDir, row);
  const stream = (turn: number) => outputPath({ ...kept, turn }, stderr ? "stderr" : "stdout");
  const { existsSync } = await import("node:fs");
  const turns = () => {
    const found: number[] = [];
    for (let turn = 1; existsSync(stream(turn)); turn++) found.push(turn);
    return found;
  };
  return { row, stream, turns };
}

/** The output of a run from its start, as it grows. */
async function* followOutput(app: App, id: number, stderr: boolean): AsyncIterable<{ text: string }> {
  const { stream, turns } = await outputOf(app, id, stderr);
  const read = new Map<number, number>();
  const clock = wakingClock(app.context);
  try {
    for (let row: RunRow | undefined; row?.finished_at == null; ) {
      row = await runRow(app.context.store.db, id);
      let text = "";
      for (const turn of turns()) {
        const from = read.get(turn) ?? 0;
        const { size } = await stat(stream(turn));
        const file = await open(stream(turn));
        const { buffer, bytesRead } = await file
          .read(Buffer.alloc(size - from), 0, size - from, from)
          .finally(() => file.close());
        text += buffer.toString("utf8", 0, bytesRead);
        read.set(turn, from + bytesRead);
      }
      if (text !== "") yield { text };
      else if (row.finished_at === null) await clock.sleep(200, app.request.signal);
      if (app.request.signal.aborted) return;
    }
  } finally {
    clock.end();
  }
}

export const runsCancel = defineOperation({
  name: "runs.cancel",
  summary: "Stop a run and give its task back",
  description:
    "Its agent is ended, what it cost by then is booked, and the task is ready again; no attempt is counted.",
  effect: "write",
  acts: ["ends"],
  repeatable: true,
  input: () => ({ run: runField() }),
  output: { run: RUN, changed: "boolean" },
  positional: ["run"],
  examples: [
    { command: "mu runs cancel 1", shows: "a run that has ended stays as it is" },
    { command: "mu runs cancel 9999", shows: "an unknown run", fault: "run.not_found" },
    { command: "mu runs cancel first", shows: "not a number", fault: "usage.invalid_input" },
  ],
  async run(app, { run }) {
    const row = await runRow(app.context.store.db, run);
    if (row.finished_at !== null) return { run: toRun(row), changed: false };
    await cancelRun(await app.crew(), row);
    const look = async () => {
      const now = await runRow(app.context.store.db, run);
      return now.finished_at === null ? undefined : now;
    };
    const wait = { everyMs: 100, timeoutMs: 10_000, signal: app.request.signal };
    const after = await pollUntil(app.context.clock, look, wait);
    if (after === undefined) {
      throw new Fault("unavailable", "run.still_active", `Run ${run} was told to stop and has not ended yet.`, [
        step("Look again", `mu runs show ${run}`),
      ]);
    }
    return { run: toRun(after), changed: true };
  },
  next: ({ run: { workstream, task } }) => [step("See its task", `mu task show ${workstream}/${task}`)],
  render: ({ run, changed }) =>
    changed ? `Run ${run.id} is ${run.state}; ${run.task} is free.` : `Run ${run.id} is ${run.state} already.`,
});
