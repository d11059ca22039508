import { ENSURED, ensureAgent } from "../../crew/ensure.js";
import { qualifiedName } from "../../names.js";
import { defineOperation, step } from "../define.js";
import { agentField, flag, workstreamField } from "../fields.js";
import { spawnFields, spawnOptions } from "./fields.js";

export const agentEnsure = defineOperation({
  name: "agent.ensure",
  summary: "Start an agent unless it is already running",
  effect: "write",
  acts: ["runs"],
  input: () => ({
    name: agentField("Agent name"),
    workstream: workstreamField(),
    ...spawnFields(),
    idleOnly: flag("Fail if the agent is busy"),
  }),
  output: { ...ENSURED },
  positional: ["name"],
  examples: [
    { command: "mu agent ensure helper --cli shell --no-ready", shows: "start it if it is not running" },
    { command: "mu agent ensure Helper", shows: "an invalid name", fault: "agent.invalid_name" },
  ],
  async run(app, { name: ref, workstream: _, idleOnly, ...wishes }) {
    const options = await spawnOptions(app, ref.workstream, wishes);
    return ensureAgent(await app.crew(), ref, { ...options, require: idleOnly ? "idle" : undefined });
  },
  next: (_, { name: ref }) => [step("Send it a prompt", `mu agent send ${qualifiedName(ref)} '…'`)],
  render: ({ agent, created, busy }, paint) =>
    created
      ? `Spawned ${paint.bold(agent.name)}`
      : `${paint.bold(agent.name)} is already running${busy ? " (busy)" : ""}`,
});
