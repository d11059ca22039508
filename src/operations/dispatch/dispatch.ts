import * as z from "zod";
import { localTime, parsePast } from "../../clock.js";
import type { Start, Wait } from "../../dispatch/decide.js";
import { explain, requireRoles } from "../../dispatch/dispatch.js";
import type { Scene } from "../../dispatch/facts.js";
import { askToStop } from "../../dispatch/lease.js";
import { dispatchLoop } from "../../dispatch/loop.js";
import { ACCOUNT, type Account, explainPast } from "../../dispatch/why.js";
import { Fault } from "../../errors.js";
import { counted, quote } from "../../names.js";
import { activeRuns, RUN, toRun } from "../../runs/run.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { type App, defineOperation, type Paint, step } from "../define.js";
import { field, flag, type InputOf, optionalText, workstreamField } from "../fields.js";
import { dispatchWorld, sceneOf, startApart } from "./world.js";

const dispatchFields = () => ({
  workstream: workstreamField(),
  once: flag("Run what is ready, and end when nothing is left to run"),
  explain: flag("Show what would start and why the rest waits; start nothing"),
  why: flag("Say why so much, or nothing, happened; start nothing"),
  since: optionalText("With --why: from when on, as 22:00 or a date (default: 12 hours ago)", { value: "time" }),
  crew: flag("Also hand tasks to idle agents in panes, which come first"),
  detach: flag("Run in a window of its own, or without tmux in the background"),
  poll: field(z.number().min(0.05).max(3600).optional(), "Seconds between two looks", { value: "seconds" }),
  max: field(z.number().int().min(1).max(1000).optional(), "Most runs at a time"),
  role: field(z.array(z.string().min(1)).default([]), "Only tasks of these roles", {
    ...{ short: "r", completes: "role", commas: true },
  }),
});

type Input = InputOf<typeof dispatchFields>;

const WAITING = { task: "string", role: "string", code: "string", why: "string" } as const;

export const dispatch = defineOperation({
  name: "dispatch",
  summary: "Start ready tasks by role, within their budgets",
  description:
    "Runs until Ctrl-C: the first one stops starting and waits for what runs, the second leaves the runs to themselves; they settle their own tasks. One dispatcher a workstream; --once may run beside others, and exits 1 if a task ended held. Settings are read again when their file changes.",
  effect: "write",
  acts: ["runs"],
  needs: ["terminal"],
  endsLate: true,
  input: dispatchFields,
  output: {
    started: [RUN],
    finished: [RUN],
    /** With --explain: what would start. */
    starting: [{ task: "string", role: "string", agent: "string" }],
    waiting: [WAITING],
    /** Tasks that wait for a person. */
    held: "string[]",
    detached: "boolean",
    /** With --why. */
    account: [ACCOUNT, null],
  },
  examples: [
    { command: "mu dispatch --once", shows: "run everything that is ready" },
    { command: "mu dispatch --explain", shows: "why a task does not start" },
    { command: "mu dispatch --why --since 22:00", shows: "why nothing happened last night" },
    { command: "mu dispatch --max 0", shows: "a number that is too small", fault: "usage.invalid_input" },
  ],
  async run(app, input) {
    const scene = await sceneOf(app, input.workstream, { max: input.max, roles: input.role });
    if (!input.crew) await requireRoles(app.context.store.db, scene);
    const nothing = { started: [], finished: [], starting: [], waiting: [], held: [], detached: false, account: null };
    if (input.why) {
      const { wait, ...account } = await explainPast(await app.crew(), scene, sinceOf(app, input.since));
      return { ...nothing, waiting: wait, account };
    }
    if (input.explain) {
      const { start, wait } = await explain(await dispatchWorld(app, scene));
      return { ...nothing, starting: start.map(({ task, role, agent }) => ({ task, role, agent })), waiting: wait };
    }
    if (input.detach) return { ...nothing, detached: await detach(app, scene, input) };
    const { once, crew, poll } = input;
    const { signal, remark: say } = app.request;
    const pollMs = poll === undefined ? undefined : poll * 1000;
    const { wait, ...done } = await dispatchLoop(await dispatchWorld(app, scene), { once, crew, pollMs, signal, say });
    return { ...nothing, ...done, waiting: wait };
  },
  next: ({ held, waiting }, { workstream }) => [
    ...(held.length > 0 ? [step("See what waits for you", `mu escalations -w ${workstream}`)] : []),
    ...(waiting.some(({ code }) => code === "killed")
      ? [step("Take the brake off", `mu resume -w ${workstream}`)]
      : []),
    step("See the runs", `mu runs list -w ${workstream}`),
  ],
  render({ started, finished, starting, waiting, held, detached, account }, paint) {
    if (account) return [account.headline, ...drawTimeline(account, paint), drawDecision([], waiting, paint)];
    if (detached) return "The dispatcher runs in the background.";
    if (started.length + finished.length === 0) return drawDecision(starting, waiting, paint);
    const failed = finished.filter(({ state }) => state !== "done").length;
    return [
      `${counted(started.length, "run")} started, ${finished.length - failed} done, ${failed} failed`,
      held.length > 0 && `Waiting for a person: ${held.join(", ")}`,
      drawDecision([], waiting, paint),
    ];
  },
  exitCode: ({ held, started }) => (held.length > 0 && started.length > 0 ? 1 : 0),
});

function sinceOf(app: App, text: string | undefined): string {
  const now = app.context.clock.now();
  const found = text === undefined ? new Date(now.getTime() - HALF_DAY_MS).toISOString() : parsePast(text, now);
  if (found !== undefined) return found;
  throw new Fault(
    "usage",
    "usage.invalid_input",
    `--since: ${quote(text ?? "")} is no time such as 22:00, and no date.`,
  );
}

const HALF_DAY_MS = 43_200_000;
/** More lines are in the log. */
const MOST_LINES = 30;

function drawTimeline({ timeline }: Account, paint: Paint): string[] {
  const more = timeline.length - MOST_LINES;
  return [
    ...(more > 0 ? [paint.dim(`… ${counted(more, "line")} before, see mu log`)] : []),
    ...timeline.slice(-MOST_LINES).map(({ at, text }) => `  ${paint.dim(localTime(at).slice(5, 16))}  ${text}`),
  ];
}

function drawDecision(
  starting: readonly Omit<Start, "writes">[],
  waiting: readonly Omit<Wait, "code">[],
  paint: Paint,
) {
  const starts = starting.map(({ task, role, agent }) => ({ task, role, why: `starts as ${agent}` }));
  return paint.list([...starts, ...waiting], "Nothing waits.", [
    { head: "task", text: ({ task }) => paint.bold(task), max: 24 },
    { head: "role", text: ({ role }) => role, max: 12 },
    { head: "why", text: ({ why }) => why, max: 60 },
  ]);
}

/** Starts the loop apart from this terminal. */
async function detach(app: App, { workstream }: Scene, { poll, max, role, crew }: Input): Promise<boolean> {
  const flags = [
    ...(crew ? ["--crew"] : []),
    ...(poll === undefined ? [] : ["--poll", String(poll)]),
    ...(max === undefined ? [] : ["--max", String(max)]),
    ...role.flatMap((name) => ["--role", name]),
  ];
  await startApart(app, workstream, { words: ["dispatch", "-w", workstream.name, ...flags], window: "dispatch" });
  return true;
}

export const dispatchStop = defineOperation({
  name: "dispatch.stop",
  summary: "Stop the dispatcher",
  description: "Runs that are under way go on and settle their tasks. With --drain the dispatcher ends after them.",
  effect: "write",
  journalled: false,
  repeatable: true,
  input: () => ({ workstream: workstreamField(), drain: flag("Start nothing more, and end when all runs have") }),
  output: { stopped: "boolean", running: [RUN] },
  examples: [
    { command: "mu dispatch stop", shows: "stop it now" },
    { command: "mu dispatch stop --drain", shows: "let it finish what runs" },
    { command: "mu dispatch stop -w nowhere", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream, drain }) {
    const { db } = app.context.store;
    const { id, name } = await workstreamRow(db, workstream);
    const stopped = await askToStop(await app.crew(), { id, name }, drain ? "drain" : "now");
    return { stopped, running: (await activeRuns(db, id)).map(toRun) };
  },
  render: ({ stopped, running }) => [
    stopped ? "The dispatcher was asked to stop." : "No dispatcher runs.",
    running.length > 0 && `${counted(running.length, "run")} still under way.`,
  ],
});
