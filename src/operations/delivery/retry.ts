import { DELIVERY } from "../../agents/delivery/outbox.js";
import { retryDelivery } from "../../agents/delivery/send.js";
import { durationField } from "../fields.js";
import { defineOperation, NEXT_STEPS, step } from "../operation.js";
import { idField } from "./show.js";

export const deliveryRetry = defineOperation({
  name: "delivery.retry",
  summary: "Resend a refused, unproved or cancelled prompt",
  effect: "write",
  acts: ["runs"],
  journalled: false,
  input: () => ({ id: idField(), timeout: durationField("How long to wait").prefault("60s") }),
  output: { delivery: DELIVERY, nextSteps: NEXT_STEPS },
  positional: ["id"],
  examples: [
    { command: "mu delivery retry 3", shows: "send a cancelled prompt" },
    { command: "mu delivery retry 999", shows: "no such delivery", fault: "delivery.not_found" },
    { command: "mu delivery retry", shows: "no delivery given", fault: "usage.missing_argument" },
  ],
  async run(app, { id, timeout }) {
    const delivery = await retryDelivery(await app.crew(), id, { timeoutMs: timeout, signal: app.request.signal });
    const at = `${delivery.workstream}/${delivery.agent}`;
    return { delivery, nextSteps: [step("Read its screen", `mu agent read ${at}`)] };
  },
  render: ({ delivery }, paint) => `Delivery ${delivery.id} to ${paint.bold(delivery.agent)}: ${delivery.state}`,
});
