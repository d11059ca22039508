import * as z from "zod";
import { timestamp } from "../db/context.js";
import { oneForEachThing } from "../journal/sentences.js";
import { counted } from "../names.js";
import { readState, STATE, type State } from "../state.js";
import { listWorkstreams, WORKSTREAM_SUMMARY } from "../workstreams/workstream.js";
import type { App } from "./app.js";
import { field, limitField, reconcileField, workstreamField } from "./fields.js";
import { defineOperation } from "./operation.js";
import type { Paint } from "./paint.js";
import { schemaOf } from "./schema-of.js";
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
    return app.context.store.read((db) => readState(db, scope, { limit, events, now }));
  },
  render: (result, paint) =>
    "workstreams" in result ? overviewCard(result.workstreams, paint) : stateCard(result as State, paint),
});

async function overview({ context }: App) {
  const workstreams = await listWorkstreams(context.store.db);
  return { workstreams, count: workstreams.length };
}

function overviewCard(workstreams: readonly { name: string; open: number; tasks: number }[], paint: Paint): string {
  if (workstreams.length === 0) return "No workstreams yet. Start one with: mu workstream init <name>";
  const lines = workstreams.map(
    ({ name, open, tasks }) => `  ${paint.bold(name)}  ${open} of ${counted(tasks, "task")} to do`,
  );
  return ["Workstreams", ...lines, "", paint.dim("One of them: mu state -w <name>")].join("\n");
}

/** The card as a person sees it. */
export function stateCard(state: State, paint: Paint): string {
  const { tracks, ready, inProgress, blocked, recentlyClosed, collisions } = state;
  const counts = `${ready.total} ready, ${inProgress.total} in progress, ${blocked.total} blocked`;
  return [
    `${paint.bold(state.workstream)}  ${counts}; work for ${counted(tracks.withReady, "agent")} in parallel`,
    ...part(`Agents (${state.agents.length})`, state.agents.length, paint, () => agentTable(state, paint)),
    ...part(heading("Tracks", tracks), tracks.total, paint, () => trackTable(tracks.items, paint)),
    ...part(heading("Ready", ready), ready.total, paint, () => taskTable(ready.items, paint, "")),
    ...part(heading("In progress", inProgress), inProgress.total, paint, () => taskTable(inProgress.items, paint, "")),
    ...part(heading("Blocked", blocked), blocked.total, paint, () => blockedTable(blocked.items, paint)),
    ...part(heading("Recently closed", recentlyClosed), recentlyClosed.total, paint, () =>
      taskTable(recentlyClosed.items, paint, ""),
    ),
    ...part(`Waiting to land (${state.waitingToLand.length})`, state.waitingToLand.length, paint, () =>
      state.waitingToLand.map(({ task, reason }) => `${paint.bold(task)}  ${reason}`).join("\n"),
    ),
    ...part(`Workspaces (${state.workspaces.length})`, state.workspaces.length, paint, () =>
      workspaceTable(state, paint),
    ),
    ...part(collisionHeading(state, paint), collisions.total, paint, () => collisionTable(collisions.items, paint)),
    ...part("Events", state.events.length, paint, () => eventLines(state, paint)),
  ].join("\n");
}

function part(title: string, size: number, paint: Paint, draw: () => string): string[] {
  if (size === 0) return [];
  return [
    "",
    paint.bold(title),
    ...draw()
      .split("\n")
      .map((line) => `  ${line}`),
  ];
}

function heading(title: string, { items, total }: { items: unknown[]; total: number }): string {
  return items.length < total ? `${title} (${items.length} of ${total})` : `${title} (${total})`;
}

function workspaceTable({ workspaces }: State, paint: Paint): string {
  const number = (value: number | null) => (value === null ? "—" : String(value));
  return paint.table(workspaces, [
    { head: "agent", text: (workspace) => workspace.agent },
    { head: "lands on", text: ({ branch, state }) => (state === "ready" ? (branch ?? "—") : state) },
    { head: "behind", text: ({ behind }) => number(behind), align: "right" },
    { head: "ahead", text: ({ ahead }) => number(ahead), align: "right" },
    { head: "dirty", text: ({ dirty }) => number(dirty), align: "right" },
  ]);
}

function collisionHeading({ collisions }: State, paint: Paint): string {
  return `${heading("Predicted conflicts", collisions)}, seen ${paint.ago(collisions.seenAt)} ago`;
}

function agentTable({ agents }: State, paint: Paint): string {
  return paint.table(agents, [
    { head: "name", text: (agent) => agent.name },
    { head: "cli", text: (agent) => agent.cli },
    { head: "role", text: (agent) => agent.role ?? "—" },
    { head: "status", text: (agent) => paint.status(agent.status ?? "—") },
  ]);
}

function blockedTable(tasks: State["blocked"]["items"], paint: Paint): string {
  return paint.table(tasks, [
    { head: "name", text: (task) => task.name, max: 40 },
    { head: "waits for", text: (task) => task.blockedBy.join(", "), max: 50 },
    { head: "title", text: (task) => task.title, max: 50 },
  ]);
}

function eventLines({ events }: State, paint: Paint): string {
  return oneForEachThing(events)
    .map((event) => `${paint.dim(`${paint.ago(event.at)} ago`)}  ${event.actor}  ${event.text}`)
    .join("\n");
}
