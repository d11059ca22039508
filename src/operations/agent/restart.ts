import * as z from "zod";
import { AGENT } from "../../agents/agent.js";
import { restartAgent } from "../../crew/restart.js";
import { READINESS } from "../../crew/start.js";
import { defineAgentVerb, step } from "../define.js";
import { durationField, field, flag } from "../fields.js";

export const agentRestart = defineAgentVerb({
  name: "agent.restart",
  summary: "Restart an agent",
  description: "It keeps its tasks and, if its CLI supports it, its conversation; the output says which.",
  effect: "write",
  acts: ["ends", "runs"],
  input: () => ({
    fresh: flag("Start a new conversation"),
    ready: field(z.boolean().default(true), "Do not wait until the CLI is ready for a prompt"),
    timeout: durationField("How long to wait for it").prefault("30s"),
  }),
  output: { agent: AGENT, readiness: [READINESS, null], resumed: "boolean", beginning: "string", tasks: "string[]" },
  examples: [
    { command: "mu agent restart helper --no-ready", shows: "restart it" },
    { command: "mu agent restart nobody", shows: "an unknown agent", fault: "agent.not_found" },
    { command: "mu agent restart ann", shows: "a person, who has no pane", fault: "agent.is_person" },
  ],
  async run(app, ref, { fresh, ready, timeout }) {
    return restartAgent(await app.crew(), ref, {
      ...(fresh && { conversation: "fresh" as const }),
      ...(ready && { ready: { timeoutMs: timeout, signal: app.request.signal } }),
    });
  },
  next: (_, at) => [step("Read its screen", `mu agent read ${at}`)],
  render: ({ agent, beginning, tasks }, paint) =>
    `Restarted ${paint.bold(agent.name)}: ${beginning}${tasks.length > 0 ? `; its tasks: ${tasks.join(", ")}` : ""}`,
});
