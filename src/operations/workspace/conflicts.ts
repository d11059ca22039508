import * as z from "zod";
import { counted, enumerate } from "../../names.js";
import { shape, type TypeOf } from "../../shape.js";
import { suggestOrder, whoResolves } from "../../workspaces/radar/order.js";
import { DRIFT, driftOf, workInProgress } from "../../workspaces/radar/predict.js";
import { COLLISION, lookAround, readSight } from "../../workspaces/radar/radar.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import type { Paint } from "../paint.js";
import { resolveWorkstream } from "../resolve.js";
import { schemaOf } from "../shapes.js";
import { collisionTable } from "./collisions.js";

const CONFLICTS = shape({
  items: [COLLISION],
  order: "string[]",
  resolve: "string[]",
  drift: [DRIFT],
  compared: "string[]",
  skipped: [{ agent: "string", reason: "string" }],
  count: "number",
});

type Conflicts = TypeOf<typeof CONFLICTS>;

export const workspaceConflicts = defineOperation({
  name: "workspace.conflicts",
  summary: "Predict which workspaces will collide when they land",
  description:
    "Every two workspaces that land on the same branch, and each against the branch itself, are merged in memory, uncommitted and untracked files included; nothing is written to a work tree, an index or the repository. It tells the files and since when, the order to land in that leaves the fewest conflicts to resolve, and who changes files outside of what its tasks declare with --touches. What collides only because of what has landed already is told as a collision with the branch. Copies without version control, jj and sapling are not predicted.",
  effect: "read",
  input: () => z.strictObject({ workstream: workstreamField() }),
  output: () => schemaOf(CONFLICTS),
  examples: [
    { command: "mu workspace conflicts", shows: "who collides with whom, and in which order to land" },
    { command: "mu workspace conflicts -w nothing", shows: "a workstream that is none", fault: "workstream.not_found" },
  ],
  async run(app, { workstream }) {
    const scope = await resolveWorkstream(app, workstream);
    const { db } = app.context.store;
    const { id } = await workstreamRow(db, scope);
    const { changed, skipped } = await lookAround(await app.crew(), scope);
    const { collisions } = await readSight(db, id);
    const landing = changed.filter(({ paths }) => paths.length > 0).map(({ agent }) => agent);
    const order = suggestOrder(landing, collisions);
    return {
      items: collisions,
      order,
      resolve: whoResolves(order, collisions),
      drift: driftOf(changed, await workInProgress(db, id)),
      compared: changed.map(({ agent }) => agent),
      skipped,
      count: collisions.length,
    };
  },
  render: (result, paint) => conflictsCard(result, paint),
});

function conflictsCard({ items, order, resolve, drift, compared, skipped }: Conflicts, paint: Paint): string {
  const among = `among ${counted(compared.length, "workspace")}`;
  const headline = items.length === 0 ? `No collisions ${among}` : `${counted(items.length, "collision")} ${among}`;
  const paragraphs = [
    compared.length === 0 && skipped.length === 0 ? "No workspaces." : paint.bold(headline),
    items.length > 0 && collisionTable(items, paint),
    items.length > 0 && `Land in this order: ${order.join(", ")}\n${paint.dim(toResolve(resolve))}`,
    drift.length > 0 && `${paint.bold("Outside of what their tasks declare")}\n${driftTable(drift, paint)}`,
    skipped.length > 0 && skipped.map(({ agent, reason }) => paint.dim(`Not compared: ${agent}. ${reason}`)).join("\n"),
  ];
  return paragraphs.filter((paragraph) => paragraph !== false).join("\n\n");
}

function toResolve(names: readonly string[]): string {
  if (names.length === 0) return "Nobody then has conflicts to resolve.";
  return `Then only ${names.join(", ")} ${names.length === 1 ? "has" : "have"} conflicts to resolve.`;
}

function driftTable(drift: Conflicts["drift"], paint: Paint): string {
  return paint.table(drift, [
    { head: "agent", text: ({ agent }) => agent },
    { head: "changes", text: ({ paths }) => enumerate(paths, 3), max: 70 },
    { head: "task", text: ({ tasks }) => tasks.join(", "), max: 30 },
    { head: "declares", text: ({ declared }) => enumerate(declared, 3), max: 40 },
  ]);
}
