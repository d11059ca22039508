import * as z from "zod";
import { DELIVERY } from "../../agents/delivery/outbox.js";
import { drainDeliveries, pullDelivery } from "../../agents/delivery/send.js";
import { counted } from "../../names.js";
import type { App } from "../app.js";
import { flag, workstreamField } from "../fields.js";
import { defineOperation, NEXT_STEPS, step } from "../operation.js";
import { schemaOf } from "../schema-of.js";

export const deliveryDrain = defineOperation({
  name: "delivery.drain",
  summary: "Deliver queued prompts",
  description:
    "Types queued prompts into the agents that are ready. With --hook, an agent's stop hook asks for its next prompt, which is printed as the hook's answer; nothing is printed if the queue is empty.",
  effect: "write",
  acts: ["runs"],
  journalled: false,
  unadopted: true,
  input: () => ({ workstream: workstreamField("any"), hook: flag("Answer an agent's stop hook") }),
  output: () =>
    z.union([
      schemaOf({ items: [DELIVERY], count: "number", nextSteps: NEXT_STEPS }),
      schemaOf({ decision: ["block"], reason: "string" }),
      z.null(),
    ]),
  examples: [
    { command: "mu delivery drain", shows: "type the queued prompts" },
    { command: "mu delivery drain --now", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run(app, { workstream, hook }) {
    if (hook) return answerHook(app);
    const scope = { workstream };
    const items = await drainDeliveries(await app.crew(), scope);
    return { items, count: items.length, nextSteps: [step("List the deliveries", "mu delivery list")] };
  },
  render: (result) => {
    if (result === null) return "";
    return "items" in result
      ? `${counted(result.items.length, "prompt")} delivered or settled`
      : JSON.stringify(result);
  },
});

/** A hook that caused this turn must not ask again, or the agent would never stop. */
async function answerHook(app: App): Promise<{ decision: "block"; reason: string } | null> {
  const { caller, request } = app;
  const asked = (await request.stdin?.().catch(() => "")) ?? "";
  if (caller.incarnation === null || /"stop_hook_active"\s*:\s*true/.test(asked)) return null;
  const delivery = await pullDelivery(await app.crew(), caller.incarnation);
  return delivery === undefined ? null : { decision: "block", reason: delivery.text };
}
