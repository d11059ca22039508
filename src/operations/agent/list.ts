import { type Agent, LISTED_AGENT, listAgents, ORPHAN, PERSON_CLI } from "../../agents/agent.js";
import { followAgents } from "../../agents/status/observe.js";
import type { Reader } from "../../db/schema.js";
import { counted } from "../../names.js";
import { INBOX_ITEM } from "../../notify/inbox-item.js";
import { type App, defineOperation, listed, listOf } from "../define.js";
import { allField, flag, reconcileField, workstreamField } from "../fields.js";
import { inboxFor, needsYouLine } from "../needs-you.js";
import { agentTable, orphanLines } from "./card.js";

export const agentList = defineOperation({
  name: "agent.list",
  summary: "List the agents and what they are doing",
  description:
    "Reads the panes first: agents whose pane is gone are closed and their tasks released. Shows since when each has its status and which tasks it has in progress; `!` marks an idle agent that has some. What waits for you comes first. --follow prints every change until Ctrl-C.",
  effect: "read",
  reconcile: "first",
  input: () => ({
    workstream: workstreamField("one or all"),
    all: allField(),
    closed: flag("Include closed agents"),
    people: flag("Include people"),
    follow: flag("Print changes as they happen"),
    reconcile: reconcileField(),
  }),
  output: { ...listOf(LISTED_AGENT), lost: "string[]", orphans: [ORPHAN], inbox: [INBOX_ITEM] },
  examples: [
    { command: "mu agent list", shows: "the crew of this workstream" },
    { command: "mu agent list -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream, closed, people, reconcile }) {
    const { db } = app.context.store;
    const list = listed(await listAgents(db, workstream ?? null, { all: closed, people }));
    const orphans = app.orphans.filter((one) => workstream === undefined || one.workstream === workstream);
    const inbox = await inboxFor(app, workstream, reconcile);
    return { ...list, inbox, orphans, lost: list.items.some(isRunning) ? [] : await lostIn(db, workstream) };
  },
  follow: (app, { follow, workstream }) => (follow ? following(app, workstream) : undefined),
  render: ({ items, lost, orphans, inbox }, paint) => [
    needsYouLine(inbox, paint),
    (items.length > 0 || lost.length === 0) && agentTable(items, paint),
    lost.length > 0 &&
      `${counted(lost.length, "agent")} lost ${lost.length === 1 ? "its pane" : "their panes"}: \`mu recover\``,
    ...orphanLines(orphans),
  ],
  renderFollowed: (change: { workstream: string; agent: string; status: string; reason: string | null }, paint) =>
    `${paint.bold(`${change.workstream}/${change.agent}`)}  ${paint.status(change.status)}  ${change.reason ?? ""}`,
});

const isRunning = ({ cli, closedAt }: Agent) => closedAt === null && cli !== PERSON_CLI;

async function lostIn(db: Reader, workstream: string | undefined): Promise<string[]> {
  const { lostAgents } = await import("../../crew/recovery.js");
  return lostAgents(db, workstream);
}

async function* following(app: App, workstream: string | undefined): AsyncIterable<unknown> {
  for await (const change of followAgents(await app.crew(), workstream, app.request.signal)) yield change;
}
