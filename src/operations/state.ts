import * as z from "zod";
import { timestamp } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { oneForEachThing } from "../journal/sentences.js";
import { counted, enumerate } from "../names.js";
import { INBOX_ITEM, type InboxItem } from "../notify/inbox-item.js";
import { readState, STATE, type State } from "../state.js";
import type { Task } from "../tasks/task.js";
import { listWorkstreams, WORKSTREAM_SUMMARY } from "../workstreams/workstream.js";
import { orphanLines, taskCell } from "./agent/card.js";
import { type App, type Drawing, defineOperation, type Paint, schemaOf } from "./define.js";
import { field, limitField, reconcileField, underField, workstreamField } from "./fields.js";
import { inboxFor, needsYouLine } from "./needs-you.js";
import type { Column } from "./paint.js";
import { AS_OF, type AsOf, asOfLine, atField, inPast, type StateThenOptions, stateThen } from "./past.js";
import { trackTable } from "./track/list.js";
import { collisionTable } from "./workspace/collisions.js";

export const state = defineOperation({
  name: "state",
  summary: "Show a workstream at a glance",
  description:
    "Shows what waits for you, how many tasks are where, agents, tasks in progress, ready and blocked ones, recently closed ones, tracks, landings that wait, predicted conflicts between workspaces, and recent events. Lists are cut at --limit; totals are complete. --under leaves only the tasks of one goal. Outside a workstream it lists all workstreams. Plain `mu` does the same.",
  effect: "read",
  reconcile: "first",
  input: () => ({
    workstream: workstreamField("any", { past: true }),
    limit: limitField(20, "Items per list; 0 means all"),
    reconcile: reconcileField(),
    events: field(z.number().int().min(0).max(10_000).default(4), "Number of recent events"),
    under: underField(),
    at: atField(),
  }),
  output: () =>
    z.union([
      schemaOf({ ...STATE, inbox: [INBOX_ITEM], "asOf?": AS_OF, "notKept?": "string[]" }),
      schemaOf({ workstreams: [WORKSTREAM_SUMMARY], count: "number" }),
    ]),
  examples: [
    { command: "mu state", shows: "this workstream at a glance" },
    { command: "mu state --under deploy", shows: "only what deploy is made of" },
    { command: "mu state --json --limit 0", shows: "everything, for a program" },
    { command: "mu state --at 5", shows: "as it was after event #5" },
    { command: "mu state --at 1999-12-31", shows: "a day before everything", fault: "past.before_first" },
    { command: "mu state -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream, limit, events, reconcile, under, at }) {
    const scope = under?.workstream ?? workstream;
    if (at !== undefined) return stateAt(app, at, scope, { limit, events, under });
    if (scope === undefined) return overview(app.context.store.db);
    if (reconcile) await (await import("./reality.js")).lookBeforeRead(app, scope);
    const inbox = await inboxFor(app, scope, reconcile);
    const now = timestamp(app.context.clock);
    const orphans = app.orphans.filter((one) => one.workstream === scope);
    const state = await app.context.store.read((db) => readState(db, scope, { limit, events, now, orphans, under }));
    return { ...state, inbox };
  },
  render: (result, paint) =>
    "workstreams" in result ? overviewCard(result.workstreams, paint) : stateCard(result as State, paint),
});

function stateAt(app: App, text: string, scope: string | undefined, options: StateThenOptions) {
  return inPast(app, text, async (past, moment) => {
    if (scope === undefined) return overview(past.db);
    return { ...(await stateThen(app, past, moment, scope, options)), inbox: [] };
  });
}

/** All workstreams, for whoever is in none. */
export async function overview(db: Reader) {
  const workstreams = await listWorkstreams(db);
  return { workstreams, count: workstreams.length };
}

export function overviewCard(
  workstreams: readonly { name: string; open: number; tasks: number }[],
  paint: Paint,
): Drawing {
  if (workstreams.length === 0) return "No workstreams yet. Start one with: mu workstream init <name>";
  const lines = workstreams.map(
    ({ name, open, tasks }) => `  ${paint.bold(name)}  ${open} of ${counted(tasks, "task")} to do`,
  );
  return ["Workstreams", lines, "", paint.dim("One of them: mu state -w <name>")];
}

/** Tracks that the card shows, so that it fits one screen; one of a single task says nothing that the task does not. */
const MOST_TRACKS = 4;

/** The card as a person sees it: what needs them, how the work stands, who is at it, and what is next. */
export function stateCard(
  state: State & { inbox?: readonly InboxItem[]; asOf?: AsOf | undefined; notKept?: string[] | undefined },
  present: Paint,
): Drawing {
  const paint = state.asOf === undefined ? present : present.asOf(state.asOf.at);
  const { agents, tracks, ready, recentlyClosed, waitingToLand, collisions } = state;
  const spaces = state.workspaces.filter(({ agent }) => !agents.some(({ name }) => name === agent));
  const seen = `seen ${paint.ago(collisions.seenAt)} ago`;
  const part = <T>(title: string, items: T[], draw: (items: T[], paint: Paint) => string): Drawing =>
    items.length > 0 && ["", paint.bold(title), indented(draw(items, paint))];
  const chains = tracks.items.filter(({ size }) => size > 1).slice(0, MOST_TRACKS);
  return [
    asOfLine(state.asOf, state.notKept ?? [], paint),
    needsYouLine(state.inbox ?? [], paint),
    headLine(state, paint),
    ready.total > 0 &&
      `Work for ${counted(ready.total, "more agent")} now${tracks.withReady > 1 ? `, on ${tracks.withReady} separate tracks` : ""}`,
    missingLine(state),
    agents.length > 0 && ["", agentTable(state, paint)],
    ...orphanLines(state.orphans),
    workTable(state, paint),
    recentlyClosed.total > 0 && ["", closedLine(recentlyClosed, paint)],
    chains.length > 0 && ["", trackTable(chains, paint, heading("Tracks", { ...tracks, items: chains }))],
    part(`Waiting to land (${waitingToLand.length})`, waitingToLand, landingLines),
    part(`Workspaces (${spaces.length})`, spaces, workspaceTable),
    part(`${heading("Predicted conflicts", collisions)}, ${seen}`, collisions.items, collisionTable),
    state.events.length > 0 && ["", eventLines(state.events, paint)],
  ];
}

/** The parts of `counts` in the order in which the card names them, each with its word if that is another. */
const PLACES = {
  ...{ ready: "", inProgress: "in progress", blocked: "", held: "", notDue: "not due", containers: "holding others" },
  ...{ closed: "", rejected: "", deferred: "" },
};

function headLine({ workstream, under, counts }: State, paint: Paint): string {
  const goal = under === null ? "" : ` under ${under}`;
  return `${paint.bold(workstream)}${goal}  ${paint.fit(countsText(counts), workstream.length + goal.length + 2)}`;
}

/** Every task of the card in one of its parts. */
function countsText({ total, ...counts }: State["counts"]): string {
  const parts = Object.entries(PLACES).map(([place, word]) => ({ word: word || place, tasks: counts[place as never] }));
  const some = parts.filter(({ tasks }) => tasks > 0).map(({ word, tasks }) => `${tasks} ${word}`);
  return total === 0 ? "no tasks" : `${counted(total, "task")}: ${some.join(", ")}`;
}

function missingLine({ missingRoles, workstream }: State): Drawing {
  const [first] = missingRoles;
  if (first === undefined) return false;
  const roles = missingRoles.map(({ role, ready }) => `${role} (${counted(ready, "ready task")})`);
  return `No agent has the role ${enumerate(roles, 3)}: mu agent spawn ${workstream}/<name> --role ${first.role}`;
}

const indented = (text: string) => text.split("\n").map((line) => `  ${line}`);

function heading(title: string, { items, total }: { items: unknown[]; total: number }): string {
  return items.length < total ? `${title} (${items.length} of ${total})` : `${title} (${total})`;
}

function landingLines(tasks: State["waitingToLand"], paint: Paint): string {
  return tasks.map(({ task, reason }) => `${paint.bold(task)}  ${reason}`).join("\n");
}

type SeenWorkspace = State["workspaces"][number];

/** How far a workspace is from where it lands, if there is one. */
function spaceColumns<T>(spaceOf: (row: T) => SeenWorkspace | undefined): Column<T>[] {
  return (["behind", "ahead", "dirty"] as const).map((head) => {
    return { head, text: (row) => String(spaceOf(row)?.[head] ?? "—"), align: "right" };
  });
}

function workspaceTable(workspaces: State["workspaces"], paint: Paint): string {
  return paint.table(workspaces, [
    { head: "agent", text: ({ agent }) => agent },
    { head: "lands on", text: ({ branch, state }) => (state === "ready" ? (branch ?? "—") : state) },
    ...spaceColumns<SeenWorkspace>((own) => own),
  ]);
}

function agentTable({ agents, workspaces }: State, paint: Paint): string {
  const spaces = new Map(workspaces.map((space) => [space.agent, space]));
  return paint.table(agents, [
    { head: `Agents (${agents.length})`, text: (agent) => agent.name, max: 20 },
    { head: "status", text: (agent) => paint.status(agent.status ?? "—") },
    { head: "for", text: (agent) => paint.ago(agent.statusSince), align: "right" },
    { head: "task", text: taskCell, max: 32 },
    { head: "cli", text: (agent) => agent.cli, max: 10 },
    { head: "role", text: (agent) => agent.role ?? "—", max: 10 },
    ...spaceColumns<State["agents"][number]>(({ name }) => spaces.get(name)),
  ]);
}

/** What is worked on, what can be, and what waits. */
function workTable({ ready, inProgress, blocked }: State, paint: Paint): Drawing {
  const rows: (Task & { place: string; blockedBy?: string[] })[] = [
    ...inProgress.items.map((task) => ({ ...task, place: paint.status(task.status) })),
    ...ready.items.map((task) => ({ ...task, place: "ready" })),
    ...blocked.items.map((task) => ({ ...task, place: paint.dim("blocked") })),
  ];
  const total = ready.total + inProgress.total + blocked.total;
  if (rows.length === 0) return false;
  const table = paint.table(rows, [
    { head: heading("Tasks", { items: rows, total }), text: (task) => task.name, max: 24 },
    { head: "status", text: (task) => task.place },
    { head: "role", text: (task) => task.role ?? "—", max: 10 },
    { head: "owner", text: (task) => task.owner ?? "—", max: 12 },
    { head: "waits for", text: (task) => task.blockedBy?.join(", ") ?? "—", max: 16 },
    { head: "title", text: (task) => task.title, max: 16 },
  ]);
  return ["", table];
}

function closedLine(closed: State["recentlyClosed"], paint: Paint): string {
  const title = `Closed (${closed.total})`;
  return `${paint.bold(title)}  ${paint.fit(closed.items.map(({ name }) => name).join(", "), title.length + 2)}`;
}

function eventLines(events: State["events"], paint: Paint): string {
  return paint.table(oneForEachThing(events), [
    { head: "", text: (event) => paint.dim(`${paint.ago(event.at)} ago`) },
    { head: "", text: (event) => event.actor, max: 12 },
    { head: "", text: (event) => event.text, max: 40 },
  ]);
}
