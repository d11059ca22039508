import { appendFile } from "node:fs/promises";
import { observeAgents } from "../../agents/status/observe.js";
import { asksPerson, tellQuestion } from "../../dispatch/attend.js";
import { createNotifier } from "../../notify/notify.js";
import { type App, defineOperation } from "../define.js";
import { sceneOf } from "../dispatch/world.js";
import { workstreamField } from "../fields.js";

export const agentRefresh = defineOperation({
  name: "agent.refresh",
  summary: "Show in tmux what the agents do now, and tell people of new questions",
  description:
    "Brings borders, window names and the session's status line up to date. Hooks call it when they know more than the border shows. A new question goes out once as a notice, where the settings have a topic, desktop or bell; the bell rings in the agent's own pane, so tmux marks its window.",
  effect: "write",
  acts: ["shows"],
  journalled: false,
  unadopted: true,
  input: () => ({ workstream: workstreamField() }),
  output: { agents: [{ agent: "string", status: "string" }], notices: "number" },
  examples: [
    { command: "mu agent refresh", shows: "what the panes of this workstream say" },
    { command: "mu agent refresh -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream }) {
    const crew = await app.crew();
    const seen = await observeAgents(crew, { workstream, living: true });
    const asking = seen.filter(asksPerson);
    const notices = asking.length === 0 ? 0 : await tell(app, workstream, asking);
    return { agents: seen.map(({ agent, status }) => ({ agent, status })), notices };
  },
  render: ({ agents }, paint) =>
    paint.list(agents, "No agents.", [
      { head: "agent", text: ({ agent }) => agent },
      { head: "status", text: ({ status }) => paint.status(status) },
    ]),
});

async function tell(app: App, workstream: string, asking: Awaited<ReturnType<typeof observeAgents>>): Promise<number> {
  const scene = await sceneOf(app, workstream);
  const { ntfyTopic, desktop, bell } = scene.settings.notifications;
  if (ntfyTopic === "" && !desktop && !bell) return 0;
  const crew = await app.crew();
  const told = asking.map(async (one) => {
    const tty = one.pane?.tty;
    // What a program prints, tmux takes for its pane's: a bell marks the window and reaches who is attached.
    const ring = tty ? (text: string) => void appendFile(tty, text).catch(() => {}) : undefined;
    const notifier = createNotifier(crew, ring);
    const isNew = await tellQuestion(notifier, scene, one);
    await notifier.settled();
    return isNew;
  });
  return (await Promise.all(told)).filter(Boolean).length;
}
