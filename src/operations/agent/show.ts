import * as z from "zod";
import { AGENT, getAgent } from "../../agents/agent.js";
import { readAgent } from "../../agents/files.js";
import { LIVE_STATUSES, listTasks, TASK } from "../../tasks/task.js";
import { defineAgentVerb } from "../define.js";
import { field, reconcileField } from "../fields.js";

export const agentShow = defineAgentVerb({
  name: "agent.show",
  summary: "Show an agent, its tasks and its last lines",
  effect: "read",
  reconcile: "first",
  input: () => ({
    lines: field(z.number().int().min(0).max(10_000).default(20), "Lines of its screen to show", { short: "n" }),
    reconcile: reconcileField(),
  }),
  output: { agent: AGENT, tasks: [TASK], lines: "string[]" },
  examples: [
    { command: "mu agent show ann", shows: "a person, who has no screen" },
    { command: "mu agent show nobody", shows: "an unknown agent", fault: "agent.not_found" },
  ],
  async run(app, ref, { lines }) {
    const { db } = app.context.store;
    const agent = await getAgent(db, ref);
    const tasks = await listTasks(db, { workstream: ref.workstream, owner: [ref.name], status: LIVE_STATUSES });
    const screen =
      agent.cli === "human" || lines === 0 ? [] : (await readAgent(await app.crew(), ref, { lines })).lines;
    return { agent, tasks, lines: screen };
  },
  render: ({ agent, tasks, lines }, paint) => [
    `${paint.bold(agent.name)}  ${agent.cli}  ${paint.status(agent.closedAt === null ? (agent.status ?? "—") : "closed")}  ${agent.statusReason ?? ""}`.trimEnd(),
    `  workstream ${agent.workstream}, role ${agent.role ?? "—"}, access ${agent.access}, pane ${agent.pane ?? "—"}, window ${agent.window ?? "—"}`,
    agent.command && `  command    ${agent.command}`,
    tasks.map((task) => `  task       ${task.name}: ${task.title}`),
    lines.length > 0 && ["", lines.map((line) => paint.dim(`  │ ${line}`))],
  ],
});
