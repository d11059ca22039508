import * as z from "zod";
import { AGENT } from "../../agents/agent.js";
import { restartAgent } from "../../crew/restart.js";
import { READINESS } from "../../crew/start.js";
import { qualifiedName } from "../../names.js";
import { agentField, durationField, field, flag, workstreamField } from "../fields.js";
import { defineOperation, NEXT_STEPS, step } from "../operation.js";
import { resolveAgent } from "../resolve.js";

export const agentRestart = defineOperation({
  name: "agent.restart",
  summary: "Restart an agent",
  description: "It keeps its tasks and, if its CLI supports it, its conversation; the output says which.",
  effect: "write",
  input: () => ({
    agent: agentField(),
    workstream: workstreamField(),
    fresh: flag("Start a new conversation"),
    ready: field(z.boolean().default(true), "Do not wait until the CLI is ready for a prompt"),
    timeout: durationField("How long to wait for it").prefault("30s"),
  }),
  output: {
    agent: AGENT,
    readiness: [READINESS, null],
    resumed: "boolean",
    beginning: "string",
    tasks: "string[]",
    nextSteps: NEXT_STEPS,
  },
  positional: ["agent"],
  examples: [
    { command: "mu agent restart helper --no-ready", shows: "restart it" },
    { command: "mu agent restart nobody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent restart ann", shows: "a person, who has no pane", fault: "agent.is_person" },
  ],
  async run(app, { agent, workstream, fresh, ready, timeout }) {
    const ref = await resolveAgent(app, agent, workstream);
    const crew = await app.crew();
    const restarted = await restartAgent(crew, ref, {
      ...(fresh && { conversation: "fresh" as const }),
      ...(ready && { ready: { timeoutMs: timeout, signal: app.request.signal } }),
    });
    return { ...restarted, nextSteps: [step("Read its screen", `mu agent read ${qualifiedName(ref)}`)] };
  },
  render: ({ agent, beginning, tasks }, paint) =>
    `Restarted ${paint.bold(agent.name)}: ${beginning}${tasks.length > 0 ? `; its tasks: ${tasks.join(", ")}` : ""}`,
});
