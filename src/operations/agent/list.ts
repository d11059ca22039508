import * as z from "zod";
import { AGENT, listAgents } from "../../agents/agent.js";
import { followAgents } from "../../agents/status/observe.js";
import type { App } from "../app.js";
import { about, reconcileField, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { findWorkstream, resolveWorkstream } from "../resolve.js";
import { listOf } from "../shapes.js";
import { agentTable } from "./card.js";

export const agentList = defineOperation({
  name: "agent.list",
  summary: "List the agents and what they are doing",
  description:
    "Reads the panes first: agents whose pane is gone are closed and their tasks released. --follow prints every change until Ctrl-C.",
  effect: "read",
  reconcile: true,
  input: () =>
    z.strictObject({
      workstream: workstreamField(),
      all: z.boolean().default(false).meta(about("Include all workstreams")),
      closed: z.boolean().default(false).meta(about("Include closed agents")),
      people: z.boolean().default(false).meta(about("Include people")),
      follow: z.boolean().default(false).meta(about("Print changes as they happen")),
      reconcile: reconcileField(),
    }),
  output: () => listOf(AGENT),
  examples: [
    { command: "mu agent list", shows: "the crew of this workstream" },
    { command: "mu agent list -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream, all, closed, people }) {
    const scope = all ? null : await resolveWorkstream(app, workstream);
    const items = await listAgents(app.context.store.db, scope, { all: closed, people });
    return { items, count: items.length };
  },
  follow: (app, { follow, all, workstream }) => (follow ? following(app, all, workstream) : undefined),
  render: ({ items }, paint) => agentTable(items, paint),
  renderFollowed: (change: { agent: string; status: string; reason: string | null }, paint) =>
    `${paint.bold(change.agent)}  ${paint.status(change.status)}  ${change.reason ?? ""}`,
});

async function* following(app: App, all: boolean, workstream: string | undefined): AsyncIterable<unknown> {
  const scope = all ? undefined : await findWorkstream(app, workstream);
  for await (const change of followAgents(await app.crew(), scope, app.request.signal)) yield change;
}
