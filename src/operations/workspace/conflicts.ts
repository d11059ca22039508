import { counted, enumerate } from "../../names.js";
import { suggestOrder, whoResolves } from "../../workspaces/radar/order.js";
import { DRIFT, driftOf, workInProgress } from "../../workspaces/radar/predict.js";
import { COLLISION, readRadar, refreshRadar } from "../../workspaces/radar/radar.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { defineOperation, type Paint, shape, type TypeOf } from "../define.js";
import { workstreamField } from "../fields.js";
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
  summary: "Predict which workspaces will conflict when they land",
  description:
    "Merges, in memory, each pair of workspaces that land on the same branch, and each workspace with the branch, including uncommitted and untracked files. Nothing is written to a work tree, an index or the repository. The output lists the conflicting files and since when they conflict, the landing order with the fewest conflicts to resolve, and agents that change files outside what their tasks declare with --touches. A conflict with work that has already landed counts as a conflict with the branch. Plain copies, jj and Sapling are not covered.",
  effect: "read",
  input: () => ({ workstream: workstreamField() }),
  output: CONFLICTS,
  examples: [
    { command: "mu workspace conflicts", shows: "the predicted collisions and the order to land in" },
    { command: "mu workspace conflicts -w nothing", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run(app, { workstream: scope }) {
    const { db } = app.context.store;
    const { id } = await workstreamRow(db, scope);
    const { changed, skipped } = await refreshRadar(await app.crew(), scope);
    const { collisions } = await readRadar(db, id);
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
  const headline =
    items.length === 0 ? `No conflicts ${among}` : `${counted(items.length, "conflict")} predicted ${among}`;
  const paragraphs = [
    compared.length === 0 && skipped.length === 0 ? "No workspaces." : paint.bold(headline),
    items.length > 0 && collisionTable(items, paint),
    items.length > 0 && `Land in this order: ${order.join(", ")}\n${paint.dim(toResolve(resolve))}`,
    drift.length > 0 && `${paint.bold("Changes outside the declared files")}\n${driftTable(drift, paint)}`,
    skipped.length > 0 && skipped.map(({ agent, reason }) => paint.dim(`Not compared: ${agent}. ${reason}`)).join("\n"),
  ];
  return paragraphs.filter((paragraph) => paragraph !== false).join("\n\n");
}

function toResolve(names: readonly string[]): string {
  if (names.length === 0) return "Nobody has conflicts to resolve then.";
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
