import * as z from "zod";
import { Fault } from "../../errors.js";
import { EDGE_LEVELS, parseAwaited } from "../../tasks/edge.js";
import { TASK_STATUSES } from "../../tasks/task.js";
import { WAIT_RESULT, waitForTasks } from "../../tasks/wait.js";
import type { App } from "../app.js";
import { about, durationField, tasksField, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { reconcileBeforeRead } from "../reality.js";
import { resolveTask } from "../resolve.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";

const EXIT_CODES = { reached: 0, timeout: 5, reaped: 6, stalled: 7 };

export const taskWait = defineOperation({
  name: "task.wait",
  summary: "Wait until tasks are finished",
  description:
    "Exit 0 when they are, 5 after --timeout, 6 when a watched task went back to OPEN because its owner died, 7 with --on-stall exit when one has not moved for --stuck-after.",
  effect: "read",
  input: () =>
    z.strictObject({
      tasks: tasksField("The tasks to watch; build@landed until it has landed").min(1),
      workstream: workstreamField(),
      status: z.enum(TASK_STATUSES).default("CLOSED").meta(about("Wait for this status")),
      for: z
        .enum(EDGE_LEVELS)
        .optional()
        .meta(about("How far they must be: closed, verified by a check, or landed on the target branch")),
      any: z.boolean().default(false).meta(about("One of them is enough")),
      first: z.boolean().default(false).meta(about("Like --any, and print its name on the first line")),
      timeout: durationField({ description: "Give up after this; 0 never" }).prefault("10m"),
      stuckAfter: durationField({
        description: "A task in progress that has not changed for this is stuck; 0 never",
      }).prefault("5m"),
      onStall: z.enum(["warn", "exit"]).default("warn").meta(about("What to do about a stuck task")),
    }),
  output: () => schemaOf({ ...WAIT_RESULT, nextSteps: NEXT_STEPS }),
  positional: ["tasks"],
  examples: [
    { command: "mu task wait done --timeout 1s", shows: "a task that is finished already" },
    { command: "mu task wait done build --any", shows: "one of two is enough" },
    { command: "mu task wait done --for landed --timeout 1s", shows: "until its work is on the target branch" },
    { command: "mu task wait nothing", shows: "a task that is none", fault: "task.not_found" },
  ],
  async run(app, { tasks, workstream, any, first, timeout, stuckAfter, onStall, status, for: level }) {
    const refs = await Promise.all(
      tasks.map(async (text) => {
        const { task, until } = parseAwaited(text, level);
        return { ...(await resolveTask(app, task, workstream)), until };
      }),
    );
    if (status !== "CLOSED" && refs.some((ref) => ref.until !== undefined)) throw onlyClosed(status);
    const result = await waitForTasks(app.context, refs, {
      status,
      mode: any || first ? "any" : "all",
      timeoutMs: timeout,
      stuckAfterMs: stuckAfter,
      onStall,
      signal: app.io.signal,
      beforeLook: lookingAtPanes(app),
    });
    const open = result.all.filter((task) => !task.reached);
    const nextSteps = open
      .slice(0, 3)
      .map((task) => ({ intent: `Look at ${task.name}`, command: `mu task show ${task.qualifiedName}` }));
    return { ...result, nextSteps };
  },
  render: ({ outcome, firing, all, elapsedMs }, paint) => {
    const lines = all.map(
      (task) =>
        `  ${task.reached ? "✓" : "•"} ${task.qualifiedName} ${paint.status(task.status)}${task.level === null ? "" : ` ${task.level}`}${task.stuck ? " (stuck)" : ""}`,
    );
    const head = { reached: "Reached", timeout: "Timed out", reaped: "An owner died", stalled: "Stalled" }[outcome];
    return [...(firing ? [firing.qualifiedName] : []), `${head} after ${elapsedMs} ms`, ...lines].join("\n");
  },
  exitCode: ({ outcome }) => EXIT_CODES[outcome],
});

function onlyClosed(status: string): Fault {
  return new Fault(
    "usage",
    "usage.two_goals",
    `Only CLOSED tasks are verified or landed: wait for ${status} or for a level.`,
  );
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
