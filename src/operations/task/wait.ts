import * as z from "zod";
import { Fault } from "../../errors.js";
import { duration } from "../../names.js";
import { TASK_STATUSES } from "../../tasks/task.js";
import { WAIT_RESULT, type WaitedTask, waitForTasks } from "../../tasks/wait.js";
import { type App, defineOperation, step } from "../define.js";
import { blockersField, durationField, field, flag, untilField, workstreamField } from "../fields.js";
import { reconcileBeforeRead } from "../reality.js";

/** How a wait can end: the exit code, and what a person reads. */
const OUTCOMES = {
  reached: { code: 0, head: "Done waiting" },
  timeout: { code: 5, head: "Timed out" },
  interrupted: { code: 130, head: "Interrupted" },
  reaped: { code: 6, head: "An owner died" },
  stalled: { code: 7, head: "Stalled" },
  rejected: { code: 8, head: "Rejected" },
  deferred: { code: 8, head: "Deferred" },
  deleted: { code: 8, head: "Deleted" },
};

export const taskWait = defineOperation({
  name: "task.wait",
  summary: "Wait until tasks are finished",
  description:
    "Exits 0 once they are, 5 after --timeout, 6 if a watched task went back to OPEN because its owner died, 7 if --on-stall is exit and a task is stuck, 8 if one was rejected, deferred or deleted, 130 or 143 if a signal ended the wait.",
  effect: "read",
  reconcile: "by itself",
  input: () => ({
    tasks: blockersField("Tasks to watch; build@landed waits until build has landed").refine(
      (refs) => refs.length > 0,
      "must name a task",
    ),
    workstream: workstreamField(),
    status: field(z.enum(TASK_STATUSES).default("CLOSED"), "Status to wait for"),
    for: untilField(),
    any: flag("Return as soon as one of them is done"),
    first: flag("Like --any; prints its name on the first line"),
    timeout: durationField("How long to wait; 0 means forever").prefault("10m"),
    stuckAfter: durationField(
      "A task in progress is stuck if its owner is idle, waits for input or is gone for this long; 0 means never",
    ).prefault("5m"),
    onStall: field(z.enum(["warn", "exit"]).default("warn"), "What to do when a task is stuck"),
  }),
  output: { ...WAIT_RESULT },
  spans: true,
  positional: ["tasks"],
  examples: [
    { command: "mu task wait done --timeout 1s", shows: "a task that is already closed" },
    { command: "mu task wait done build --any", shows: "wait for either" },
    { command: "mu task wait done --for landed --timeout 1s", shows: "wait until it has landed" },
    { command: "mu task wait nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, { tasks, any, first, timeout, stuckAfter, onStall, status, for: level }) {
    const refs = tasks.map((task) => ({ ...task, until: task.until ?? level }));
    if (status !== "CLOSED" && refs.some((ref) => ref.until !== undefined)) throw onlyClosed(status);
    return waitForTasks(app.context, refs, {
      status,
      mode: any || first ? "any" : "all",
      timeoutMs: timeout,
      stuckAfterMs: stuckAfter,
      onStall,
      signal: app.request.signal,
      beforeLook: lookingAtPanes(app),
      onStuck: onStall === "warn" ? (task) => app.request.remark(stuckText(task)) : undefined,
    });
  },
  next({ all, outcome, firing }) {
    const open = all.filter((task) => !task.reached && !(outcome === "deleted" && task === firing));
    return open.slice(0, 3).map((task) => step(`Show ${task.name}`, `mu task show ${task.qualifiedName}`));
  },
  render: ({ outcome, firing, all, elapsedMs }, paint) => [
    firing?.qualifiedName,
    `${OUTCOMES[outcome].head} after ${duration(elapsedMs)}`,
    all.map(({ reached, qualifiedName, status, level, stuck }) => {
      const shown = `${reached ? "✓" : "•"} ${qualifiedName} ${paint.status(status)}`;
      return `  ${shown}${level === null ? "" : ` ${level}`}${stuck ? " (stuck)" : ""}`;
    }),
  ],
  exitCode: ({ outcome }) => OUTCOMES[outcome].code,
});

function stuckText({ qualifiedName, owner, ownerStatus }: WaitedTask): string {
  const why = ownerStatus === null ? "nothing happens to it" : `its owner ${owner} is ${ownerStatus.replace("_", " ")}`;
  return `${qualifiedName} is stuck: ${why}.`;
}

function onlyClosed(status: string): Fault {
  const message = `Only CLOSED tasks can be verified or landed. Wait for ${status} or for a level, not both.`;
  return new Fault("usage", "usage.two_goals", message);
}

/** The wait wakes at every change of the database; panes are looked at this often at most, in ms. */
const PANES_MS = 1_000;

/** An owner that dies while nobody else looks is found by the wait itself; where tmux is out of reach, others do. */
function lookingAtPanes(app: App): () => Promise<void> {
  let looked = Number.NEGATIVE_INFINITY;
  return async () => {
    const now = app.context.clock.now().getTime();
    if (now - looked < PANES_MS) return;
    looked = now;
    await reconcileBeforeRead(app).catch((error) => {
      if (!(error instanceof Fault && error.kind === "unavailable")) throw error;
    });
  };
}
