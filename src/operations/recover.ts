import * as z from "zod";
import { planRecovery, recover as recoverCrew } from "../crew/recover.js";
import { perAgentHooks } from "./agent/fields.js";
import { about, workstreamField, yesField } from "./fields.js";
import { defineOperation } from "./operation.js";
import { findWorkstream } from "./resolve.js";
import { nextStepsShape } from "./shapes.js";

const itemShape = () =>
  z.object({
    workstream: z.string(),
    agent: z.string(),
    cli: z.string(),
    database: z.string(),
    tmux: z.string(),
    process: z.string(),
    session: z.union([z.string(), z.null()]),
    tasks: z.array(z.string()),
    action: z.string(),
    why: z.string(),
    pane: z.union([z.string(), z.null()]).optional(),
    primed: z.string().optional(),
  });

export const recover = defineOperation({
  name: "recover",
  summary: "Bring a crew back after its tmux server or its machine went down",
  description:
    "Bare, it shows database, tmux and processes side by side and what it would do. With --yes it opens the panes again, resumes each CLI's own conversation where it can, and tells each agent its task.",
  effect: "destroy",
  input: () =>
    z.strictObject({
      workstream: workstreamField(),
      all: z.boolean().default(false).meta(about("All workstreams")),
      yes: yesField(),
    }),
  output: () =>
    z.strictObject({ items: z.array(itemShape()), count: z.number(), done: z.boolean(), nextSteps: nextStepsShape() }),
  examples: [
    { command: "mu recover", shows: "what is lost, and what would be done" },
    { command: "mu recover --force", shows: "a flag it does not have", fault: "usage.unknown_option" },
  ],
  async run(app, { workstream, all, yes }) {
    const scope = all ? undefined : await findWorkstream(app, workstream);
    const crew = await app.crew();
    const items = yes
      ? await recoverCrew(crew, scope, { eventsFile: perAgentHooks(crew) })
      : await planRecovery(crew, scope);
    const lost = items.some((item) => item.action === "resume" || item.action === "fresh");
    const nextSteps = !yes && lost ? [{ intent: "Do it", command: "mu recover --yes" }] : [];
    return { items, count: items.length, done: yes, nextSteps };
  },
  render: ({ items }, paint) =>
    items.length === 0
      ? "No agents to recover."
      : paint.table(items, [
          { head: "agent", text: (item) => `${item.workstream}/${item.agent}` },
          { head: "database", text: (item) => item.database },
          { head: "tmux", text: (item) => item.tmux, max: 30 },
          { head: "process", text: (item) => item.process },
          { head: "action", text: (item) => item.action },
          { head: "tasks", text: (item) => item.tasks.join(", ") || "—", max: 30 },
          { head: "why", text: (item) => item.why, max: 50 },
        ]),
});
