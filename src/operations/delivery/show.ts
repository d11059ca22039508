import * as z from "zod";
import { DELIVERY, showDelivery } from "../../agents/delivery/outbox.js";
import { localTime } from "../../clock.js";
import { field } from "../fields.js";
import { defineOperation } from "../operation.js";

export const idField = () => field(z.number().int().min(1), "Delivery number");

export const deliveryShow = defineOperation({
  name: "delivery.show",
  summary: "Show one prompt and its state",
  effect: "read",
  input: () => ({ id: idField() }),
  output: { delivery: DELIVERY },
  positional: ["id"],
  examples: [
    { command: "mu delivery show 1", shows: "one prompt and its state" },
    { command: "mu delivery show 999", shows: "no such delivery", fault: "delivery.not_found" },
    { command: "mu delivery show first", shows: "not a number", fault: "usage.invalid_input" },
  ],
  run: async ({ context }, { id }) => ({ delivery: await showDelivery(context.store.db, id) }),
  render: ({ delivery }, paint) =>
    [
      `Delivery ${delivery.id} to ${paint.bold(delivery.agent)} by ${delivery.sender}: ${delivery.state}${delivery.reason ? ` (${delivery.reason})` : ""}`,
      `  created ${localTime(delivery.createdAt)}, typed ${orNever(delivery.pastedAt)}, proved ${orNever(delivery.provedAt)}`,
      "",
      delivery.text,
    ].join("\n"),
});

const orNever = (moment: string | null) => (moment === null ? "never" : localTime(moment));
