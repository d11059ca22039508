import * as z from "zod";
import { closeAgent } from "../../agents/close.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";
import { nextStepsShape } from "../shapes.js";
import { agentField } from "./fields.js";
import { agentShape } from "./shapes.js";

export const agentClose = defineOperation({
  name: "agent.close",
  summary: "End an agent and all its processes",
  description: "Its transcript stays readable; its tasks in progress are OPEN again, each with a note.",
  effect: "write",
  input: () =>
    z.strictObject({
      agent: agentField(),
      workstream: workstreamField(),
      reason: z.string().max(2000).optional().meta(about("Why, for the log and the notes")),
    }),
  output: () =>
    z.strictObject({
      agent: agentShape(),
      changed: z.boolean(),
      killedPane: z.boolean(),
      released: z.array(z.string()),
      nextSteps: nextStepsShape(),
    }),
  positional: ["agent"],
  examples: [
    { command: "mu agent close ann", shows: "a person leaves, and their task is open again" },
    { command: "mu agent close nobody", shows: "an agent that is none", fault: "agent.not_found" },
  ],
  async run(app, { agent, workstream, reason }) {
    const ref = await resolveAgent(app, agent, workstream);
    const { caller } = app;
    const own = caller.kind === "agent" && caller.name === ref.name && caller.incarnation !== null;
    const closed = await closeAgent(await app.crew(), ref, {
      ...(reason !== undefined && { reason }),
      ...(own && { incarnation: caller.incarnation }),
    } as Parameters<typeof closeAgent>[2]);
    return {
      ...closed,
      nextSteps: [{ intent: "Read what it left", command: `mu agent read ${ref.workstream}/${ref.name}` }],
    };
  },
  render: ({ agent, changed, released }, paint) =>
    changed
      ? `Closed ${paint.bold(agent.name)}${released.length > 0 ? `; open again: ${released.join(", ")}` : ""}`
      : `${paint.bold(agent.name)} is closed already`,
});
