import * as z from "zod";
import { AGENT } from "../../agents/agent.js";
import { restartAgent } from "../../crew/restart.js";
import { READINESS } from "../../crew/start.js";
import { about, durationField, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent } from "../resolve.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";
import { agentField, perAgentHooks } from "./fields.js";

export const agentRestart = defineOperation({
  name: "agent.restart",
  summary: "End an agent and start it again as it was",
  description: "It goes on with its tasks and, where its CLI can, with its conversation; it says which.",
  effect: "write",
  input: () =>
    z.strictObject({
      agent: agentField(),
      workstream: workstreamField(),
      fresh: z.boolean().default(false).meta(about("Begin a new conversation")),
      ready: z.boolean().default(true).meta(about("Do not wait until the CLI takes a prompt")),
      timeout: durationField({ description: "How long to wait for that" }).prefault("30s"),
    }),
  output: () =>
    schemaOf({
      agent: AGENT,
      readiness: [READINESS, null],
      resumed: "boolean",
      beginning: "string",
      tasks: "string[]",
      nextSteps: NEXT_STEPS,
    }),
  positional: ["agent"],
  examples: [
    { command: "mu agent restart helper --no-ready", shows: "a new incarnation of it" },
    { command: "mu agent restart nobody", shows: "an agent that is none", fault: "agent.not_found" },
    { command: "mu agent restart ann", shows: "people have no pane", fault: "agent.is_person" },
  ],
  async run(app, { agent, workstream, fresh, ready, timeout }) {
    const ref = await resolveAgent(app, agent, workstream);
    const crew = await app.crew();
    const restarted = await restartAgent(crew, ref, {
      ...(fresh && { conversation: "fresh" as const }),
      ...(ready && { ready: { timeoutMs: timeout, signal: app.io.signal } }),
      eventsFile: perAgentHooks(crew),
    });
    return {
      ...restarted,
      nextSteps: [{ intent: "See its pane", command: `mu agent read ${ref.workstream}/${ref.name}` }],
    };
  },
  render: ({ agent, beginning, tasks }, paint) =>
    `Restarted ${paint.bold(agent.name)}: ${beginning}${tasks.length > 0 ? `; its tasks: ${tasks.join(", ")}` : ""}`,
});
