import { planRecovery, recover as recoverCrew } from "../crew/recover.js";
import { RECOVERY_PLAN } from "../crew/recovery.js";
import { defineOperation, listOf, shape, step } from "./define.js";
import { allField, flag, workstreamField, yesField } from "./fields.js";
import { startDrain } from "./sent.js";

const ITEM = shape({ ...RECOVERY_PLAN, action: "string", "pane?": "string | null", "primed?": "string" });

export const recover = defineOperation({
  name: "recover",
  summary: "Recover agents after their tmux server or machine went down",
  description:
    "Without flags it compares database, tmux and processes and shows what it would do. With --yes it reopens the panes, resumes each CLI's conversation if possible, and sends each agent its task. A running agent whose workspace folder was deleted is started again in a new one. It exits 5 if an agent was not ready for its prompt in time: a process of its own types it then, for an hour.",
  effect: "destroy",
  acts: ["runs"],
  input: () => ({
    workstream: workstreamField("any"),
    all: allField("Cover all workstreams"),
    yes: yesField(),
    evenIfUnreachable: flag("Also recover agents that cannot be seen from here, because you know they are gone"),
  }),
  output: { ...listOf(ITEM), done: "boolean" },
  examples: [
    { command: "mu recover", shows: "the recovery plan" },
    { command: "mu recover --force", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run(app, { workstream: scope, yes, evenIfUnreachable }) {
    const crew = await app.crew();
    const options = evenIfUnreachable ? { whileUnreachable: "go on" as const } : {};
    const items = await (yes ? recoverCrew(crew, scope, options) : planRecovery(crew, scope, options));
    for (const item of items) if (isPending(item)) await startDrain(app, { ...item, name: item.agent });
    return { items, count: items.length, done: yes };
  },
  next({ items, done }) {
    const lost = items.some((item) => item.action === "resume" || item.action === "fresh");
    if (lost && !done) return [step("Apply it", "mu recover --yes")];
    return items.some(isPending) ? [step("See who still waits", "mu delivery list --state queued")] : [];
  },
  exitCode: ({ items }) => (items.some(isPending) ? 5 : 0),
  render: ({ items }, paint) =>
    paint.list(items, "No agents to recover.", [
      { head: "agent", text: (item) => `${item.workstream}/${item.agent}` },
      { head: "database", text: (item) => item.database },
      { head: "tmux", text: (item) => item.tmux, max: 30 },
      { head: "process", text: (item) => item.process },
      { head: "action", text: (item) => item.action },
      { head: "tasks", text: (item) => item.tasks.join(", ") || "—", max: 30 },
      { head: "told", text: (item) => item.primed ?? "" },
      { head: "why", text: (item) => item.why, max: 50 },
    ]),
});

const isPending = (item: { agent: string; primed?: string | undefined }) => item.primed === "pending";
