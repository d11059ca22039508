import { observeAgents } from "../../agents/status/observe.js";
import { WAITED_AGENTS, waitForAgents } from "../../agents/status/wait.js";
import { duration, qualifiedName } from "../../names.js";
import { defineOperation, step } from "../define.js";
import { agentsField, durationField, flag, workstreamField } from "../fields.js";

const EXIT_CODES = { reached: 0, timeout: 5, interrupted: 130, died: 6 };

const HEADS = { reached: "Done waiting", timeout: "Timed out", interrupted: "Interrupted", died: "An agent died" };

export const agentWait = defineOperation({
  name: "agent.wait",
  summary: "Wait until agents are idle",
  description: "Exits 0 once they are, 5 after --timeout, 6 if one of them died.",
  effect: "read",
  input: () => ({
    agents: agentsField("Agents to wait for").refine((refs) => refs.length > 0, "must name an agent"),
    workstream: workstreamField(),
    any: flag("Return as soon as one of them is done"),
    timeout: durationField("How long to wait; 0 means forever").prefault("10m"),
  }),
  output: { ...WAITED_AGENTS },
  spans: true,
  positional: ["agents"],
  examples: [
    { command: "mu agent wait helper --timeout 30s", shows: "wait until it takes the next prompt" },
    { command: "mu agent wait nobody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent wait ann", shows: "a person, who has no pane", fault: "agent.is_person" },
  ],
  async run(app, { agents: refs, any, timeout }) {
    const crew = await app.crew();
    return waitForAgents(app.context, refs, () => observeAgents(crew), {
      mode: any ? "any" : "all",
      timeoutMs: timeout,
      signal: app.request.signal,
    });
  },
  next: (_, { agents }) => agents.map((ref) => step("Read its screen", `mu agent read ${qualifiedName(ref)}`)),
  render: ({ outcome, all, elapsedMs }, paint) => [
    `${HEADS[outcome]} after ${duration(elapsedMs)}`,
    all.map((agent) => `  ${agent.name} ${paint.status(agent.status ?? "—")}`),
  ],
  exitCode: ({ outcome }) => EXIT_CODES[outcome],
});
