import * as z from "zod";
import { AGENT, AGENT_STATUSES } from "../../agents/agent.js";
import { freeAgent } from "../../agents/status/record.js";
import { workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";
import { agentField } from "./fields.js";

export const agentFree = defineOperation({
  name: "agent.free",
  summary: "Mark an agent as available until it is busy again",
  effect: "write",
  input: () => z.strictObject({ agent: agentField(), workstream: workstreamField() }),
  output: () =>
    schemaOf({ agent: AGENT, previousStatus: [AGENT_STATUSES, null], changed: "boolean", nextSteps: NEXT_STEPS }),
  positional: ["agent"],
  examples: [
    { command: "mu agent free helper", shows: "mark it available, whatever its screen says" },
    { command: "mu agent free nobody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent free ann", shows: "people have no status", fault: "agent.is_person" },
  ],
  async run(app, { agent, workstream }) {
    const ref = await resolveAgent(app, agent, workstream);
    const freed = await freeAgent(app.context, ref);
    return {
      ...freed,
      nextSteps: [{ intent: "Send it a prompt", command: `mu agent send ${ref.workstream}/${ref.name} '…'` }],
    };
  },
  render: ({ agent, changed }, paint) => `${paint.bold(agent.name)} is ${changed ? "" : "already "}free`,
});
