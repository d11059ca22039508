import * as z from "zod";
import { timestamp } from "../db/context.js";
import { oneForEachThing } from "../journal/sentences.js";
import { counted } from "../names.js";
import { readState, STATE, type State } from "../state.js";
import { listWorkstreams, WORKSTREAM_SUMMARY } from "../workstreams/workstream.js";
import { orphanLines, taskCell } from "./agent/card.js";
import { type App, type Drawing, defineOperation, type Paint, schemaOf } from "./define.js";
import { field, limitField, reconcileField, workstreamField } from "./fields.js";
import { taskTable } from "./task/card.js";
import { trackTable } from "./track/list.js";
import { collisionTable } from "./workspace/collisions.js";

export const state = defineOperation({
  name: "state",
  summary: "Show a workstream at a glance",
  description:
    "Shows tracks, ready tasks, tasks in progress, blocked tasks, recently closed tasks, landings that wait, predicted conflicts between workspaces, and recent events. Lists are cut at --limit; totals are complete. Outside a workstream it lists all workstreams. Plain `mu` does the same.",
  effect: "read",
  reconcile: "first",
  input: () => ({
    workstream: workstreamField("any"),
    limit: limitField(20, "Items per list; 0 means all"),
    reconcile: reconcileField(),
    events: field(z.number().int().min(0).max(10_000).default(20), "Number of recent events"),
  }),
  output: () => z.union([schemaOf(STATE), schemaOf({ workstreams: [WORKSTREAM_SUMMARY], count: "number" })]),
  examples: [
    { command: "mu state", shows: "this workstream at a glance" },
    { command: "mu state --json --limit 0", shows: "everything, for a program" },
    { command: "mu state -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream: scope, limit, events, reconcile }) {
    if (scope === undefined) return overview(app);
    if (reconcile) await (await import("./reality.js")).lookBeforeRead(app, scope);
    const now = timestamp(app.context.clock);
    const orphans = app.orphans.filter((one) => one.workstream === scope);
    return app.context.store.read((db) => readState(db, scope, { limit, events, now, orphans }));
  },
  render: (result, paint) =>
    "workstreams" in result ? overviewCard(result.workstreams, paint) : stateCard(result as State, paint),
});

async function overview({ context }: App) {
  const workstreams = await listWorkstreams(context.store.db);
  return { workstreams, count: workstreams.length };
}

function overviewCard(workstreams: readonly { name: string; open: number; tasks: number }[], paint: Paint): Drawing {
  if (workstreams.length === 0) return "No workstreams yet. Start one with: mu workstream init <name>";
  const lines = workstreams.map(
    ({ name, open, tasks }) => `  ${paint.bold(name)}  ${open} of ${counted(tasks, "task")} to do`,
  );
  return ["Workstreams", lines, "", paint.dim("One of them: mu state -w <name>")];
}

/** The card as a person sees it. */
export function stateCard(state: State, paint: Paint): Drawing {
  const { agents, tracks, ready, inProgress, blocked, recentlyClosed, waitingToLand, workspaces, collisions } = state;
  const counts = `${ready.total} ready, ${inProgress.total} in progress, ${blocked.total} blocked`;
  const seen = `seen ${paint.ago(collisions.seenAt)} ago`;
  const part = <T>(title: string, items: T[], draw: (items: T[], paint: Paint) => string): Drawing =>
    items.length > 0 && ["", paint.bold(title), indented(draw(items, paint))];
  return [
    `${paint.bold(state.workstream)}  ${counts}; work for ${counted(tracks.withReady, "agent")} in parallel`,
    part(`Agents (${agents.length})`, agents, agentTable),
    ...orphanLines(state.orphans),
    part(heading("Tracks", tracks), tracks.items, trackTable),
    part(heading("Ready", ready), ready.items, taskTable),
    part(heading("In progress", inProgress), inProgress.items, taskTable),
    part(heading("Blocked", blocked), blocked.items, blockedTable),
    part(heading("Recently closed", recentlyClosed), recentlyClosed.items, taskTable),
    part(`Waiting to land (${waitingToLand.length})`, waitingToLand, landingLines),
    part(`Workspaces (${workspaces.length})`, workspaces, workspaceTable),
    part(`${heading("Predicted conflicts", collisions)}, ${seen}`, collisions.items, collisionTable),
    part("Events", state.events, eventLines),
  ];
}

const indented = (text: string) => text.split("\n").map((line) => `  ${line}`);

function heading(title: string, { items, total }: { items: unknown[]; total: number }): string {
  return items.length < total ? `${title} (${items.length} of ${total})` : `${title} (${total})`;
}

function landingLines(tasks: State["waitingToLand"], paint: Paint): string {
  return tasks.map(({ task, reason }) => `${paint.bold(task)}  ${reason}`).join("\n");
}

function workspaceTable(workspaces: State["workspaces"], paint: Paint): string {
  const number = (value: number | null) => (value === null ? "—" : String(value));
  return paint.table(workspaces, [
    { head: "agent", text: (workspace) => workspace.agent },
    { head: "lands on", text: ({ branch, state }) => (state === "ready" ? (branch ?? "—") : state) },
    { head: "behind", text: ({ behind }) => number(behind), align: "right" },
    { head: "ahead", text: ({ ahead }) => number(ahead), align: "right" },
    { head: "dirty", text: ({ dirty }) => number(dirty), align: "right" },
  ]);
}

function agentTable(agents: State["agents"], paint: Paint): string {
  return paint.table(agents, [
    { head: "name", text: (agent) => agent.name, max: 20 },
    { head: "status", text: (agent) => paint.status(agent.status ?? "—") },
    { head: "for", text: (agent) => paint.ago(agent.statusSince), align: "right" },
    { head: "task", text: taskCell, max: 20 },
    { head: "cli", text: (agent) => agent.cli, max: 10 },
    { head: "role", text: (agent) => agent.role ?? "—", max: 10 },
  ]);
}

function blockedTable(tasks: State["blocked"]["items"], paint: Paint): string {
  return paint.table(tasks, [
    { head: "name", text: (task) => task.name, max: 40 },
    { head: "waits for", text: (task) => task.blockedBy.join(", "), max: 50 },
    { head: "title", text: (task) => task.title, max: 50 },
  ]);
}

function eventLines(events: State["events"], paint: Paint): string {
  return oneForEachThing(events)
    .map((event) => `${paint.dim(`${paint.ago(event.at)} ago`)}  ${event.actor}  ${event.text}`)
    .join("\n");
}
