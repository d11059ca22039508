import { attachCommand } from "../../agents/pane.js";
import { observeAgents } from "../../agents/status/observe.js";
import { asksPerson } from "../../dispatch/attend.js";
import { shellWord } from "../../names.js";
import { defineOperation } from "../define.js";
import { workstreamField } from "../fields.js";

export const agentNext = defineOperation({
  name: "agent.next",
  summary: "Go to the agent that has waited for a person longest",
  description:
    "Of all workstreams, unless one is named. In tmux the client moves to its pane; elsewhere the command that attaches is printed. `mu tmux install` binds it to a key.",
  effect: "read",
  reconcile: "by itself",
  acts: ["shows"],
  input: () => ({ workstream: workstreamField("named") }),
  output: {
    agent: "string | null",
    workstream: "string | null",
    command: "string[]",
    moved: "boolean",
    waiting: "number",
  },
  examples: [
    { command: "mu agent next", shows: "go to whoever waits" },
    { command: "mu agent next -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream }) {
    const crew = await app.crew();
    const asking = (await observeAgents(crew, { workstream })).filter((one) => asksPerson(one) && one.pane !== null);
    const [first] = asking.sort((a, b) => (a.since < b.since ? -1 : 1));
    if (first === undefined) return { agent: null, workstream: null, command: [], moved: false, waiting: 0 };
    const { command } = await attachCommand(crew, { workstream: first.workstream, name: first.agent });
    const { file, args, env } = command;
    const isInside = args.includes("switch-client");
    const moved = isInside && (await crew.exec(file, args, { env })).code === 0;
    const named = { agent: first.agent, workstream: first.workstream };
    return { ...named, command: [file, ...args], moved, waiting: asking.length };
  },
  render: ({ agent, command, moved, waiting }, paint) =>
    agent === null
      ? "Nobody waits for you."
      : [
          `${paint.bold(agent)} has waited longest${waiting > 1 ? `, of ${waiting}` : ""}.`,
          !moved && `Attach with: ${command.map(shellWord).join(" ")}`,
        ],
});
