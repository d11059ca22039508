import * as z from "zod";
import { findAgent, findIncarnation } from "../agents/agent.js";
import type { Reader } from "../db/schema.js";
import { readable } from "../db/texts.js";
import { Fault } from "../errors.js";
import {
  describeObstacle,
  laterSteps,
  listUndoable,
  newestLanding,
  newestUndoable,
  previewUndo,
  UNDO_GROUP,
  UNDO_PREVIEW,
  type UndoGroup,
  type UndoPreview,
  undoGroup,
} from "../journal/undo/undo.js";
import { quote } from "../names.js";
import { type App, type Drawing, defineOperation, type NextSteps, type Paint, step } from "./define.js";
import { field, optionalText, workstreamField, yesField } from "./fields.js";

export const undo = defineOperation({
  name: "undo",
  summary: "Undo a change",
  description:
    "Without arguments it lists the groups that can be undone. With a group it shows what would change; with --yes it makes the change. `mu undo --yes` undoes your latest in the workstream. It refuses if a later event changed the same columns. An undo is itself an event and can be undone. Panes and files are not restored. A landing is not undone: revert its commits with git, then open the task again.",
  effect: "destroy",
  input: () => ({
    group: optionalText("Group id or a prefix of it", { completes: "group" }),
    workstream: workstreamField("any", { past: true }),
    limit: field(z.number().int().min(1).max(1000).default(20), "Maximum number to list", { short: "n" }),
    yes: yesField(),
  }),
  output: {
    groups: [UNDO_GROUP],
    target: [UNDO_PREVIEW, null],
    undone: "boolean",
    "undoGroup?": "string",
  },
  positional: ["group"],
  examples: [
    { command: "mu undo", shows: "the groups that can be undone" },
    { command: "mu undo --yes", shows: "undo your latest change" },
    { command: "mu undo ffffffffff", shows: "an unknown group", fault: "undo.no_such_group" },
  ],
  async run(app, { group, workstream: scope, limit, yes }) {
    const { db } = app.context.store;
    if (group === undefined && !yes) {
      return { groups: await listUndoable(db, { limit, workstream: scope }), target: null, undone: false };
    }
    const wanted = group ?? (await newestUndoable(db, { actor: await actorIn(app, scope), workstream: scope })).group;
    if (!yes) return { groups: [], target: await previewUndo(db, wanted), undone: false };
    const { undoGroup: made, ...target } = await undoGroup(app.context, wanted);
    return { groups: [], target, undone: true, undoGroup: made };
  },
  async next({ groups: [newest], target, undoGroup: made }, { workstream }, { context }) {
    if (made !== undefined) return [step("Undo the undo", `mu undo ${made} --yes`)];
    if (target?.superseded.length) return laterSteps(target.superseded);
    if (target !== null) return [step("Apply it", `mu undo ${target.group} --yes`)];
    const preview = newest && step("Preview undoing the latest", `mu undo ${newest.group}`);
    return [...(preview ? [preview] : []), ...(await landingSteps(context.store.db, workstream))];
  },
  render: ({ groups, target, undone }, paint) =>
    target === null ? groupTable(groups, paint) : targetLines(target, undone ? "Undid" : "Would undo", paint),
});

/** What to do about the newest landing, which the list does not have. */
async function landingSteps(db: Reader, workstream: string | undefined): Promise<NextSteps> {
  const landing = workstream === undefined ? undefined : await newestLanding(db, workstream);
  if (landing === undefined) return [];
  const { task, commit, commits } = landing;
  const tip = commit.slice(0, 12);
  return [
    step(`Landings are not undone. Revert ${task}`, `git revert --no-edit ${tip}~${commits}..${tip}`),
    step("Then open it again", `mu task open ${task}`),
  ];
}

/** The name by which events know the caller's changes, unless it is a namesake's there. */
async function actorIn({ context, caller }: App, workstream: string | undefined): Promise<string> {
  const { name, incarnation } = caller;
  if (incarnation === null || workstream === undefined) return name;
  const { db } = context.store;
  const [self, there] = [await findIncarnation(db, incarnation), await findAgent(db, { workstream, name })];
  if (there === undefined || there.workstream_id === self?.workstream_id) return name;
  throw new Fault("conflict", "undo.namesake", `${workstream} has an agent ${quote(name)} of its own. Name a group.`, [
    step("List the groups", `mu undo -w ${workstream}`),
  ]);
}

function groupTable(groups: readonly UndoGroup[], paint: Paint): string {
  return paint.list(groups, "Nothing to undo.", [
    { head: "group", text: (row) => row.group },
    { head: "when", text: (row) => `${paint.ago(row.at)} ago` },
    { head: "by", text: (row) => row.actor },
    { head: "what", text: (row) => row.ops.join(", ") },
    { head: "about", text: (row) => row.subject },
    { head: "rows", text: (row) => String(row.changes), align: "right" },
    { head: "", text: (row) => (row.undone ? "undone" : "") },
  ]);
}

/** More rows than this are counted, not listed. */
const MOST_SHOWN = 30;

function targetLines(target: UndoPreview, verb: string, paint: Paint): Drawing {
  const { group, ops, subject, rows, inverse, superseded } = target;
  const lines = inverse.slice(0, MOST_SHOWN).map(({ act, name, table, columns }) => {
    const changed = Object.entries(columns).map(([column, [now, then]]) => `${column} ${shown(now)} → ${shown(then)}`);
    return `  ${act} ${name} ${paint.dim(`(${changed.join(", ") || table})`)}`;
  });
  const more = rows - lines.length;
  return [
    `${verb} ${paint.bold(group)}: ${ops.join(", ")} ${subject}`,
    lines,
    more > 0 && paint.dim(`  … and ${more} more`),
    superseded.slice(0, MOST_SHOWN).map((one) => `Conflict: ${describeObstacle(one)}`),
  ];
}

const shown = (value: unknown) => JSON.stringify(readable(value))?.slice(0, 40) ?? "—";
