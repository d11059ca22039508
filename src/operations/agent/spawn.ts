import * as z from "zod";
import { Fault } from "../../errors.js";
import { defineOperation, NEXT_STEPS, schemaOf, textOrFile } from "../define.js";
import { agentField, field, taskField, workstreamField } from "../fields.js";
import { type Outcomes, outcomesOf, refusalLines, worstExitCode } from "../several.js";
import { spawnFields, spawnOptions } from "./fields.js";
import { STARTED, startedExitCode, startedLines, startOne, startSeveral, stepsFor } from "./start.js";

const ONE = { ...STARTED, nextSteps: NEXT_STEPS } as const;
type One = z.infer<ReturnType<typeof schemaOf<typeof ONE>>>;

export const agentSpawn = defineOperation({
  name: "agent.spawn",
  summary: "Start an agent in its own pane, with a task and a first prompt",
  description:
    "The pane runs the agent's command and carries its identity. In a repository the agent works in a checkout of its own, on the branch mu/<workstream>/<agent>, unless --here, --cwd, read-only access, its role or the setting workspaces say otherwise. With --task the task is claimed for it as it starts and told to it, so nothing starts if it cannot be claimed; --prompt adds to that, or is the first prompt by itself. What the role's settings say of CLI, model, access and workspace is the default. If the command dies at once, mu exits 5, prints its last lines and leaves nothing behind. An agent that is not ready for its prompt stays, and mu exits as agent send does. MU_<CLI>_COMMAND overrides a CLI's command.",
  effect: "write",
  acts: ["runs"],
  input: () => ({
    name: agentField("Agent name, such as worker-1"),
    workstream: workstreamField(),
    task: taskField("Task to claim for it and to tell it").optional(),
    prompt: field(z.string().min(1).max(1_048_576).optional(), "Its first prompt; - reads standard input", {
      lines: true,
    }),
    count: field(z.number().int().min(1).max(50).optional(), "Start so many, as name-1, name-2 …"),
    ...spawnFields(),
  }),
  validate({ task, count = 1 }) {
    if (task === undefined || count === 1) return;
    throw new Fault("usage", "usage.one_task", "A task is claimed for one agent: leave --count or --task out.");
  },
  output: () => z.union([schemaOf(ONE), outcomesOf(schemaOf(ONE))]),
  positional: ["name"],
  examples: [
    { command: "mu agent spawn worker-1 --cli shell --no-ready", shows: "a shell as an agent" },
    { command: "mu agent spawn worker-1 --cli shell --task docs", shows: "one that starts on a task" },
    { command: "mu agent spawn worker --cli shell --count 2 --no-ready", shows: "worker-1 and worker-2" },
    { command: "mu agent spawn worker-1 --cli shell --here --no-ready", shows: "in the folder itself" },
    {
      command: "mu agent spawn worker-9 --cli shell --task deploy",
      shows: "a task that waits for another",
      fault: "task.blocked",
    },
    {
      command: "mu agent spawn worker-9 --command no-such-program-here",
      shows: "a program that is not installed",
      fault: "agent.command_not_found",
    },
    {
      command: "mu agent spawn worker-9 --role read-only",
      shows: "a role that is really an access level",
      fault: "usage.role_is_access",
    },
  ],
  async run(app, { name: ref, workstream: _, task, prompt, count = 1, ...wishes }): Promise<One | Outcomes<One>> {
    const text = prompt && (await textOrFile(app.request, prompt, undefined));
    const first = task || text ? { task, text, sender: app.caller.name } : undefined;
    const options = { ...(await spawnOptions(app, ref.workstream, wishes)), first };
    const told = (one: Awaited<ReturnType<typeof startOne>>) => ({ ...one, nextSteps: [...stepsFor(one)] });
    if (count === 1) return told(await startOne(app, ref, options));
    const { items, ...others } = await startSeveral(app, ref, count, options);
    return { ...others, items: items.map(told) };
  },
  exitCode: (result) => ("items" in result ? worstExitCode(result, startedExitCode) : startedExitCode(result)),
  render: (result, paint) =>
    "items" in result
      ? [result.items.map((one) => startedLines(one, paint)), refusalLines(result)]
      : startedLines(result, paint),
});
