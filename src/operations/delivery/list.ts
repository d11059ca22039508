import * as z from "zod";
import { DELIVERY, listDeliveries } from "../../agents/delivery/outbox.js";
import { field, limitField, personField, workstreamField } from "../fields.js";
import { defineOperation, excerpt, excerptOf, withTotal } from "../operation.js";

const STATES = ["queued", "pasted", "proved", "unproved", "refused", "cancelled"] as const;

export const deliveryList = defineOperation({
  name: "delivery.list",
  summary: "List sent prompts and their states",
  effect: "read",
  input: () => ({
    workstream: workstreamField(),
    agent: personField("Only deliveries to this agent").optional(),
    state: field(z.array(z.enum(STATES)).min(1).optional(), "Only deliveries in these states"),
    limit: limitField(50, "Only the newest; 0 means all"),
  }),
  output: excerptOf(DELIVERY),
  examples: [
    { command: "mu delivery list --state queued", shows: "prompts still in the queue" },
    { command: "mu delivery list --state lost", shows: "an unknown state", fault: "usage.invalid_input" },
  ],
  async run(app, { workstream, agent, state, limit }) {
    const filter = { workstream, agent: agent?.name, states: state };
    return excerpt(await listDeliveries(app.context.store.db, { ...filter, limit: 0 }), limit);
  },
  render: (found, paint) => {
    const table = paint.list(found.items, "No prompts.", [
      { head: "id", text: (item) => String(item.id), align: "right" },
      { head: "to", text: (item) => item.agent },
      { head: "by", text: (item) => item.sender },
      { head: "state", text: (item) => item.state },
      { head: "when", text: (item) => `${paint.ago(item.createdAt)} ago` },
      { head: "text", text: (item) => item.text, max: 40 },
      { head: "why", text: (item) => item.reason ?? "", max: 40 },
    ]);
    return withTotal(table, found, paint);
  },
});
