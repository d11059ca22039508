import * as z from "zod";
import { workUntilGreen } from "../../crew/until-green.js";
import { dispatchLoop } from "../../dispatch/loop.js";
import { Fault } from "../../errors.js";
import { counted, qualifiedName } from "../../names.js";
import { RUN } from "../../runs/run.js";
import { getTask, TASK } from "../../tasks/task.js";
import { updateTask } from "../../tasks/update.js";
import { defineTaskVerb, step } from "../define.js";
import { dispatchWorld, sceneOf } from "../dispatch/world.js";
import { agentField, durationField, field, flag } from "../fields.js";
import { bookPanes } from "../runs/book.js";

export const taskWork = defineTaskVerb({
  name: "task.work",
  summary: "Have one task done, and wait for it",
  description:
    "With --agent an agent in a pane takes the task: after its turn the check runs, and a green one closes the task. Without it the task's role works on it, as in a dispatch of this task alone. With --until-green a red check is handed back to the same agent, --max-checks times (default: the task's, then the project's setting). Exits 1 if the task is not closed then.",
  effect: "write",
  acts: ["runs"],
  needs: ["terminal"],
  endsLate: true,
  input: () => ({
    agent: agentField("Agent in a pane that works on it").optional(),
    untilGreen: flag("Hand a red check back to the agent"),
    maxChecks: field(z.number().int().min(0).max(100).optional(), "How often a red check is handed back"),
    check: field(z.string().trim().min(1).max(4096).optional(), "Command that must pass, with --agent", {
      value: "command",
    }),
    timeout: durationField("How long one turn of an agent in a pane may take").prefault("1h"),
  }),
  output: { task: TASK, turns: "number", runs: [RUN], waiting: "string | null" },
  examples: [
    { command: "mu task work docs --agent helper --until-green --check true", shows: "an agent in a pane does it" },
    { command: "mu task work docs --until-green", shows: "a task that nobody would do", fault: "task.no_worker" },
    { command: "mu task work nothing", shows: "an unknown task", fault: "task.not_found" },
  ],
  async run(app, ref, { agent, untilGreen, maxChecks, check, timeout }) {
    const { db } = app.context.store;
    const before = await getTask(db, ref);
    const scene = await sceneOf(app, ref.workstream);
    const most = untilGreen ? (maxChecks ?? before.maxChecks ?? scene.settings.dispatch.maxChecks) : 0;
    const { signal, remark: say, cwd } = app.request;
    if (agent !== undefined) {
      const sender = app.caller.name;
      const options = { sender, check, maxChecks: most, timeoutMs: timeout, cwd, signal, say };
      const turns = await workUntilGreen(await app.crew(), ref, agent.name, options);
      await bookPanes(app, ref.workstream);
      return { task: await getTask(db, ref), turns, runs: [], waiting: null };
    }
    if (before.role === null || check !== undefined) throw noWorker(qualifiedName(ref));
    if (before.maxChecks !== most) await updateTask(app.context, ref, { maxChecks: most });
    const world = await dispatchWorld(app, { ...scene, only: ref.name });
    const { finished, wait } = await dispatchLoop(world, { once: true, signal, say });
    const task = await getTask(db, ref);
    return { task, turns: finished.length, runs: finished, waiting: wait[0]?.why ?? null };
  },
  next: ({ task }, at) => [
    task.status === "CLOSED"
      ? step("See what proves it", `mu task show ${at}`)
      : step("See its runs", `mu runs list --task ${at}`),
  ],
  render: ({ task, turns, waiting }, paint) => [
    `${paint.bold(task.name)} is ${paint.status(task.status)}${task.level === null ? "" : ` ${task.level}`} after ${counted(turns, "turn")}`,
    waiting !== null && `  it waits: ${waiting}`,
  ],
  exitCode: ({ task }) => (task.status === "CLOSED" ? 0 : 1),
});

function noWorker(name: string): Fault {
  const message = `${name} needs somebody: name an agent with --agent, or give the task a role; --check is for agents.`;
  return new Fault("usage", "task.no_worker", message, [
    step("List the agents", "mu agent list"),
    step("List the roles", "mu role list"),
  ]);
}
