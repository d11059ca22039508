import * as z from "zod";
import { ENSURED, ensureAgent } from "../../crew/ensure.js";
import { getWorkstream } from "../../workstreams/workstream.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";
import { spawnFields, spawnOptions } from "./fields.js";

export const agentEnsure = defineOperation({
  name: "agent.ensure",
  summary: "Start an agent unless it is already running",
  effect: "write",
  input: () =>
    z.strictObject({
      name: z.string().min(1).meta(about("Agent name")),
      workstream: workstreamField(),
      ...spawnFields(),
      idleOnly: z.boolean().default(false).meta(about("Fail if the agent is busy")),
    }),
  output: () => schemaOf({ ...ENSURED, nextSteps: NEXT_STEPS }),
  positional: ["name"],
  examples: [
    { command: "mu agent ensure helper --cli shell --no-ready", shows: "start it if it is not running" },
    { command: "mu agent ensure Helper", shows: "an invalid name", fault: "agent.invalid_name" },
  ],
  async run(app, { name, workstream, idleOnly, ...wishes }) {
    const ref = await resolveAgent(app, name, workstream);
    const { root } = await getWorkstream(app.context.store.db, ref.workstream);
    const options = await spawnOptions(app, ref.workstream, wishes, root);
    const ensured = await ensureAgent(await app.crew(), ref, {
      ...options,
      ...(idleOnly && { require: "idle" as const }),
    });
    const nextSteps = [{ intent: "Send it a prompt", command: `mu agent send ${ref.workstream}/${ref.name} '…'` }];
    return { ...ensured, nextSteps };
  },
  render: ({ agent, created, busy }, paint) =>
    created
      ? `Spawned ${paint.bold(agent.name)}`
      : `${paint.bold(agent.name)} is already running${busy ? " (busy)" : ""}`,
});
