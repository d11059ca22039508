import { timestamp } from "../../db/context.js";
import { listReady, READY_TASK } from "../../tasks/ready.js";
import { limitField, workstreamField } from "../fields.js";
import { defineOperation, listed, listOf } from "../operation.js";
import { taskTable } from "../task/card.js";

export const meNext = defineOperation({
  name: "me.next",
  summary: "Show the ready tasks that your role can claim, best first",
  effect: "read",
  input: () => ({ workstream: workstreamField(), limit: limitField(1) }),
  output: listOf(READY_TASK),
  examples: [
    { command: "mu me next", shows: "what you would get from `mu task claim --next`" },
    { command: "mu me next -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream: scope, limit }) {
    return listed(
      await listReady(app.context.store.db, scope, {
        now: timestamp(app.context.clock),
        limit,
        role: app.caller.role ?? undefined,
      }),
    );
  },
  render: ({ items }, paint) => taskTable(items, paint, "Nothing is ready for you."),
});
