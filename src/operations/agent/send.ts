import * as z from "zod";
import { AGENT_STATUSES } from "../../agents/agent.js";
import { DELIVERY } from "../../agents/delivery/outbox.js";
import { sendToAgent } from "../../agents/delivery/send.js";
import { taskRow } from "../../tasks/task.js";
import { defineAgentVerb, step, textOrFile } from "../define.js";
import { durationField, field, flag, optionalText, taskField } from "../fields.js";
import { drainLater, sentExitCode, sentLine } from "../sent.js";
import { allInPanes } from "./all.js";

export const agentSend = defineAgentVerb({
  name: "agent.send",
  summary: "Send a prompt to an agent and wait for proof that it arrived",
  description:
    "Exits 0 if the agent itself shows that it has the prompt, and 8 if it was only typed (a shell or a plain program: its terminal echoed it) or handed to the agent's stop hook. Never types into a dialog, a draft, a pane that is not the agent's or a shell that the CLI fell back to: mu exits 4 with the reason. A busy agent gets the prompt at its next turn; after --timeout mu exits 5, and a process of its own types the prompt when the agent is ready, for an hour.",
  effect: "write",
  several: { order: "at once", names: false, all: allInPanes("Send it to all agents of the workstream but yourself") },
  acts: ["runs"],
  journalled: false,
  input: () => ({
    text: field(z.string().max(1_048_576).optional(), "Prompt; - reads standard input"),
    file: optionalText("Read the prompt from a file", { value: "path" }),
    task: taskField("Task that the prompt is about").optional(),
    timeout: durationField("How long to wait for a busy agent").prefault("60s"),
    wait: flag("Also wait until the agent is idle again"),
  }),
  output: { delivery: DELIVERY, after: [AGENT_STATUSES, null] },
  positional: ["text"],
  examples: [
    { command: "mu agent send helper 'echo hello'", shows: "send a prompt and wait for proof of delivery" },
    { command: "mu agent send --all 'echo hello'", shows: "send it to every agent" },
    { command: "mu agent send ann hello", shows: "a person, who has no pane", fault: "delivery.to_person" },
    { command: "mu agent send nobody hello", shows: "an unknown agent", fault: "agent.not_found" },
  ],
  async run(app, ref, { text, file, task, timeout, wait }) {
    const prompt = await textOrFile(app.request, text, file);
    const sending = sendToAgent(await app.crew(), ref, prompt, {
      sender: app.caller.name,
      timeoutMs: timeout,
      wait,
      signal: app.request.signal,
      ...(task !== undefined && { taskId: (await taskRow(app.context.store.db, task)).id }),
    });
    const { delivery, after } = await sending.catch(drainLater(app, ref));
    return { delivery, after: after?.status ?? null };
  },
  next: (_, at) => [
    step("Read its screen", `mu agent read ${at}`),
    step("Wait until it is idle", `mu agent wait ${at}`),
  ],
  exitCode: ({ delivery }) => sentExitCode(delivery),
  render: ({ delivery, after }, paint) => `${sentLine(delivery, paint)}${after ? `; it is ${after} now` : ""}`,
});
