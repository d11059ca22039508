import { cancelDelivery, DELIVERY } from "../../agents/delivery/outbox.js";
import { defineOperation, NEXT_STEPS, step } from "../operation.js";
import { idField } from "./show.js";

export const deliveryCancel = defineOperation({
  name: "delivery.cancel",
  summary: "Cancel a queued prompt",
  effect: "write",
  journalled: false,
  input: () => ({ id: idField() }),
  output: { delivery: DELIVERY, nextSteps: NEXT_STEPS },
  positional: ["id"],
  examples: [
    { command: "mu delivery cancel 2", shows: "cancel a queued prompt" },
    { command: "mu delivery cancel 999", shows: "no such delivery", fault: "delivery.not_found" },
    { command: "mu delivery cancel", shows: "no delivery given", fault: "usage.missing_argument" },
  ],
  async run({ context }, { id }) {
    const delivery = await cancelDelivery(context, id);
    return { delivery, nextSteps: [step("Send it anyway", `mu delivery retry ${id}`)] };
  },
  render: ({ delivery }) => `Delivery ${delivery.id} is ${delivery.state}`,
});
