import * as z from "zod";
import { cancelDelivery, DELIVERY } from "../../agents/delivery/outbox.js";
import { defineOperation } from "../operation.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";
import { idField } from "./show.js";

export const deliveryCancel = defineOperation({
  name: "delivery.cancel",
  summary: "Take back a prompt that still waits",
  effect: "write",
  journalled: false,
  input: () => z.strictObject({ id: idField() }),
  output: () => schemaOf({ delivery: DELIVERY, nextSteps: NEXT_STEPS }),
  positional: ["id"],
  examples: [
    { command: "mu delivery cancel 2", shows: "take one back that still waits" },
    { command: "mu delivery cancel 999", shows: "a number that is none", fault: "delivery.not_found" },
    { command: "mu delivery cancel", shows: "which one?", fault: "usage.missing_argument" },
  ],
  async run({ context }, { id }) {
    const delivery = await cancelDelivery(context, id);
    return { delivery, nextSteps: [{ intent: "Send it after all", command: `mu delivery retry ${id}` }] };
  },
  render: ({ delivery }) => `Delivery ${delivery.id} is ${delivery.state}`,
});
