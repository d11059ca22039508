import { AGENT, AGENT_STATUSES } from "../../agents/agent.js";
import { freeAgent } from "../../agents/status/record.js";
import { defineAgentVerb, step } from "../define.js";

export const agentFree = defineAgentVerb({
  name: "agent.free",
  summary: "Mark an agent as available until it is busy again",
  effect: "write",
  several: { order: "at once" },
  repeatable: true,
  output: { agent: AGENT, previousStatus: [AGENT_STATUSES, null], changed: "boolean" },
  examples: [
    { command: "mu agent free helper", shows: "mark it available, whatever its screen says" },
    { command: "mu agent free nobody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent free ann", shows: "people have no status", fault: "agent.is_person" },
  ],
  run: (app, ref) => freeAgent(app.context, ref),
  next: (_, at) => [step("Send it a prompt", `mu agent send ${at} '…'`)],
  render: ({ agent, changed }, paint) => `${paint.bold(agent.name)} is ${changed ? "" : "already "}free`,
});
