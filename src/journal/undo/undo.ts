import { sql } from "kysely";
import { type Context, newGroup } from "../../db/context.js";
import { type Change, type EventRow, MACHINE_SCOPE } from "../../db/events.js";
import { describeTable, JOURNALLED, speaks, TABLE_NAMES } from "../../db/relations.js";
import type { Reader } from "../../db/schema.js";
import { pages } from "../../db/statement.js";
import { write } from "../../db/write.js";
import { Fault, type NextStep } from "../../errors.js";
import { quote } from "../../names.js";
import { shape, type TypeOf } from "../../shape.js";
import { isPastWorkstream, workstreamRow } from "../../workstreams/workstream.js";
import { isAboutWorkstream, rowNames, workstreamsOf } from "../rows.js";
import {
  changesOf,
  checkTexts,
  currentRows,
  EVENTS_AT_ONCE,
  imageOf,
  isChanged,
  leaveOutUnchanged,
  mark,
  type Net,
  putBack,
} from "./net-changes.js";
import { findObstacles, NAME_TAKEN, OBSTACLE, type Obstacle, undoneGroups } from "./obstacles.js";

export type { Obstacle } from "./obstacles.js";

/** The events of one group, which one command wrote. */
export const UNDO_GROUP = shape({
  group: "string",
  /** When it began. */
  at: "string",
  actor: "string",
  /** Its operations, each once. */
  ops: "string[]",
  subject: "string",
  /** Rows that its events changed. */
  changes: "number",
  /** The group that undid it, when it is undone at present. */
  "undone?": "string",
});

export type UndoGroup = TypeOf<typeof UNDO_GROUP>;

/** One row as undo would change it. */
export const INVERSE_CHANGE = shape({
  table: JOURNALLED,
  /** What people call the row. */
  name: "string",
  act: ["remove", "restore", "patch"],
  /** Of a patch: the values now and after the undo. */
  columns: { "*": "unknown[]" },
});

export type InverseChange = TypeOf<typeof INVERSE_CHANGE>;

/** What an undo would do, and what is in its way. */
export const UNDO_PREVIEW = shape({
  ...UNDO_GROUP,
  /** How many rows it would change. */
  rows: "number",
  /** The first 1,000 of them. */
  inverse: [INVERSE_CHANGE],
  superseded: [OBSTACLE],
});

export type UndoPreview = TypeOf<typeof UNDO_PREVIEW>;

export interface UndoFilter {
  /** Only what changed the workstream that has this name now, or rows in it; if none has it, its chain. */
  workstream?: string | undefined;
  actor?: string | undefined;
  /** At most this many groups; 20 without it. */
  limit?: number | undefined;
}

/** The newest groups whose operations can be undone, newest first; with the undo of those that are undone. Faults `workstream.not_found`. */
export async function listUndoable(db: Reader, filter: UndoFilter = {}): Promise<UndoGroup[]> {
  const undone = await undoneGroups(db);
  const found: UndoGroup[] = [];
  for await (const group of newestGroups(db, filter)) {
    const { summary } = await summarize(db, group, undone);
    if (refusal(summary) === undefined) found.push(summary);
    if (found.length >= (filter.limit ?? 20)) break;
  }
  return found;
}

/** The commits of the newest landing that brought some; undefined if there is none in the workstream. */
export async function newestLanding(
  db: Reader,
  workstream: string,
): Promise<{ task: string; commit: string; commits: number } | undefined> {
  const events = await db
    .selectFrom("events")
    .select(["subject", "payload"])
    .where("scope", "=", workstream)
    .where("op", "=", "land")
    .orderBy("n", "desc")
    .limit(20)
    .execute();
  const landings = events.map(({ subject, payload }) => ({ task: subject, ...JSON.parse(payload) }));
  return landings.find(({ commits }) => commits > 0);
}

/**
 * The newest group that `mu undo` takes when none is named: not undone yet and no undo itself, so that one undo after
 * the other goes back step by step. Faults `undo.nothing`, `workstream.not_found`.
 */
export async function newestUndoable(db: Reader, filter: Omit<UndoFilter, "limit"> = {}): Promise<UndoGroup> {
  const undone = await undoneGroups(db);
  for await (const group of newestGroups(db, filter)) {
    if (undone.has(group)) continue;
    const { summary } = await summarize(db, group, undone);
    if (refusal(summary) === undefined && !summary.ops.includes("undo")) return summary;
  }
  const where = filter.workstream === undefined ? "" : ` of yours in ${filter.workstream}`;
  throw new Fault("missing", "undo.nothing", `There is nothing${where} to undo.`, [
    { intent: "See what happened", command: "mu log" },
  ]);
}

/**
 * What undoing a group would do; a unique prefix names it. Faults `undo.no_such_group` (missing),
 * `undo.ambiguous_group`, `undo.not_possible`, `undo.already_undone` (conflict). Obstacles are returned, not thrown.
 */
export async function previewUndo(db: Reader, group: string): Promise<UndoPreview> {
  const { summary, net, firstId } = await plan(db, await resolveGroup(db, group));
  await checkTexts(db, net);
  const superseded = await findObstacles(db, net, summary.group, firstId);
  return { ...summary, rows: net.size, inverse: await describe(db, net), superseded };
}

/** A finished undo, and the group by which it can be undone itself. */
export interface Undone extends UndoPreview {
  undoGroup: string;
}

/**
 * Puts the rows that a group changed back as they were, in one write with an event `undo`. `updated_at` becomes the
 * moment of the undo, and a task's count of claims stays, since it must not repeat. Panes, files and processes are
 * not touched. Faults: those of `previewUndo`, and `undo.superseded` (conflict, with the list in `details`) when
 * something that came later would be lost.
 */
export async function undoGroup(context: Context, group: string): Promise<Undone> {
  const { db } = context.store;
  const name = await resolveGroup(db, group);
  const { summary, net, firstId } = await plan(db, name);
  const scopes = await scopesOf(db, name);
  const own = context.group ?? newGroup();
  const spec = {
    op: "undo",
    scope: scopes.length === 0 ? [MACHINE_SCOPE] : scopes,
    subject: summary.subject,
    payload: { group: name, ops: summary.ops },
    streams: true as const,
  };
  const inverse = await describe(db, net);
  await write({ ...context, group: own }, spec, async (tx) => {
    const by = (await undoneGroups(tx.db)).get(name);
    if (by !== undefined) throw alreadyUndone(summary, by);
    const superseded = await findObstacles(tx.db, net, name, firstId);
    if (superseded.length > 0) throw supersededFault(summary, superseded);
    await putBack(tx, net);
    tx.addPayload({});
  });
  return { ...summary, rows: net.size, inverse, superseded: [], undoGroup: own };
}

async function scopesOf(db: Reader, group: string): Promise<string[]> {
  const names = new Set<string>();
  const seen = new Set<string>();
  for await (const page of eventPages(db, group)) {
    for (const name of await workstreamsOf(db, changesIn(page), seen)) names.add(name);
  }
  return [...names].sort();
}

type UndoEvent = Pick<EventRow, "id" | "group_id" | "at" | "actor" | "op" | "subject" | "changes">;

async function* newestGroups(db: Reader, filter: UndoFilter): AsyncGenerator<string> {
  const seen = new Set<string>();
  let query = db.selectFrom("events").select(["id", "group_id"]);
  if (filter.actor !== undefined) query = query.where("actor", "=", filter.actor);
  const name = filter.workstream;
  const isPast = name !== undefined && (await isPastWorkstream(db, name));
  const own = name === undefined || isPast ? undefined : await workstreamRow(db, name);
  if (isPast) query = query.where("scope", "=", name);
  if (own !== undefined) query = query.where("scope", "in", await namesOf(db, own)).where("at", ">=", own.created_at);
  for await (const page of pages(query, "id", "desc")) {
    for (const { group_id } of page) {
      if (seen.has(group_id)) continue;
      seen.add(group_id);
      if (own === undefined) yield group_id;
      else if (await isGroupAbout(db, group_id, own.id)) yield group_id;
    }
  }
}

/** The names that a workstream has and had: its events stay in the chains of these. */
async function namesOf(db: Reader, { id, name }: { id: number; name: string }): Promise<string[]> {
  const renames = await db
    .selectFrom("events")
    .select("changes")
    .where("op", "in", ["workstream.rename", "undo", "sql.write"])
    .where(sql<boolean>`changes like ${`%"table":"workstreams","id":${id},"patch":%`}`)
    .execute();
  const patches = renames.flatMap(({ changes }) => JSON.parse(changes) as Change[]).filter((one) => one.id === id);
  const names = patches.flatMap((one) =>
    "patch" in one && one.table === "workstreams" ? (one.patch["name"] ?? []) : [],
  );
  return [...new Set([name, ...names.map(String)])];
}

async function isGroupAbout(db: Reader, group: string, id: number): Promise<boolean> {
  for await (const page of eventPages(db, group)) {
    if (await isAboutWorkstream(db, changesIn(page), id)) return true;
  }
  return false;
}

/** The events of a group, some at a time; of a destroyed workstream's only the removal of its rows: closed panes do not come back. */
async function* eventPages(db: Reader, group: string): AsyncGenerator<UndoEvent[]> {
  const events = db
    .selectFrom("events")
    .select(["id", "group_id", "at", "actor", "op", "subject", "changes"])
    .where("group_id", "=", group);
  const removal = events.where("op", "=", "workstream.destroy");
  const isRemoval = (await removal.limit(1).execute()).length > 0;
  yield* pages(isRemoval ? removal : events, "id", "asc", EVENTS_AT_ONCE);
}

const changesIn = (events: readonly UndoEvent[]) => events.flatMap(({ changes }) => JSON.parse(changes) as Change[]);

/** Reads a group, and hands what it changed to `visit` on the way. */
async function summarize(
  db: Reader,
  group: string,
  undone: ReadonlyMap<string, string>,
  visit: (event: number, changes: Change[]) => void = () => {},
): Promise<{ summary: UndoGroup; firstId: number }> {
  let first: UndoEvent | undefined;
  let changes = 0;
  const ops = new Set<string>();
  for await (const page of eventPages(db, group)) {
    first ??= page[0];
    for (const event of page) {
      ops.add(event.op);
      const own = changesIn([event]);
      changes += own.length;
      visit(event.id, own);
    }
  }
  if (first === undefined) throw noSuchGroup(group);
  const { id, at, actor, subject } = first;
  const by = undone.get(group);
  const summary = { group, at, actor, ops: [...ops], subject, changes, ...(by !== undefined && { undone: by }) };
  return { summary, firstId: id };
}

/** Longer texts are never groups, and SQLite refuses such patterns. */
const LONGEST_GROUP = 64;

async function resolveGroup(db: Reader, prefix: string): Promise<string> {
  if (prefix.length > LONGEST_GROUP) throw noSuchGroup(prefix);
  const whole = db.selectFrom("events").select("id").where("group_id", "=", prefix).limit(1);
  if ((await whole.execute()).length > 0) return prefix;
  const pattern = `${prefix.replace(/[\\%_]/g, "\\$&")}%`;
  const found = await db
    .selectFrom("events")
    .select("group_id")
    .distinct()
    .where(sql<boolean>`group_id like ${pattern} escape '\\'`)
    .orderBy("group_id")
    .limit(6)
    .execute();
  const groups = found.map(({ group_id }) => group_id);
  const [only] = groups;
  if (prefix === "" || only === undefined) throw noSuchGroup(prefix);
  if (groups.length === 1) return only;
  throw new Fault(
    "conflict",
    "undo.ambiguous_group",
    `Several groups begin with ${quote(prefix)}: ${groups.slice(0, 5).join(", ")}${groups.length > 5 ? " …" : ""}.`,
    groups.slice(0, 5).map((group) => ({ intent: "See what it would undo", command: `mu undo ${group}` })),
    { candidates: groups.slice(0, 5) },
  );
}

function noSuchGroup(group: string): Fault {
  return new Fault("missing", "undo.no_such_group", `There is no group of events ${quote(group)}.`, [
    { intent: "See what can be undone", command: "mu undo" },
  ]);
}

interface Plan {
  summary: UndoGroup;
  net: Net;
  /** Of the group's first event: what came later has a higher one. */
  firstId: number;
}

/** What a group did. Faults where it cannot be undone, or is undone already. */
async function plan(db: Reader, group: string): Promise<Plan> {
  const net: Net = new Map();
  const { summary, firstId } = await summarize(db, group, await undoneGroups(db), (id, own) => mark(net, id, own));
  const why = refusal(summary);
  if (why !== undefined) {
    throw new Fault("conflict", "undo.not_possible", `${group} (${summary.ops.join(", ")}) cannot be undone: ${why}.`, [
      { intent: "See what can be undone", command: "mu undo" },
    ]);
  }
  if (summary.undone !== undefined) throw alreadyUndone(summary, summary.undone);
  await leaveOutUnchanged(db, net);
  return { summary, net, firstId };
}

function alreadyUndone({ group }: UndoGroup, by: string): Fault {
  return new Fault("conflict", "undo.already_undone", `${group} is already undone, by ${by}.`, [
    { intent: "Redo it", command: `mu undo ${by} --yes` },
  ]);
}

function supersededFault({ group, ops }: UndoGroup, superseded: readonly Obstacle[]): Fault {
  const shown = superseded.slice(0, 5).map(describeObstacle).join("; ");
  const more = superseded.length > 5 ? `; and ${superseded.length - 5} more` : "";
  return new Fault(
    "conflict",
    "undo.superseded",
    `${group} (${ops.join(", ")}) cannot be undone without losing later changes: ${shown}${more}.`,
    laterSteps(superseded),
    { superseded },
  );
}

/** The commands for what is in the way of an undo: the later groups first, where they can be undone themselves. */
export function laterSteps(superseded: readonly Obstacle[]): NextStep[] {
  const taken = superseded.find(({ table, problem }) => table === "workstreams" && problem === NAME_TAKEN);
  if (taken !== undefined)
    return [
      { intent: "Rename the one that has the name now", command: `mu workstream rename ${taken.name} <new-name>` },
    ];
  const later = superseded.flatMap(({ by }) => (by === undefined || whyNot([by.op]) !== undefined ? [] : [by.group]));
  const steps = [...new Set(later)]
    .slice(-3)
    .map((group) => ({ intent: "See what undoing the later one would do", command: `mu undo ${group}` }));
  return steps.length > 0 ? steps : [{ intent: "See what happened", command: "mu log" }];
}

/** `task build: title was changed again by ann (task.update, 3f…)`. */
export function describeObstacle({ table, name, column, problem, by }: Obstacle): string {
  const { noun, preposition } = describeTable(table);
  const what = `${[noun, preposition, name].filter(Boolean).join(" ")}${column === undefined ? "" : `: ${column}`}`;
  return `${what} ${problem}${by === undefined ? " outside mu" : ` by ${by.actor} (${by.op}, ${by.group})`}`;
}

/** Operations that undo refuses, by name or by noun, each with the reason. */
export const NOT_UNDOABLE: readonly (readonly [op: string, why: string])[] = [
  ["log.write", "messages cannot be unsent"],
  ["run", "what a run did and cost cannot be taken back"],
  ["land", "its commits stay on the branch: revert them with `git revert`, then `mu task open` the task"],
  ["job.rename", "its files were moved: rename it back with `mu job rename`"],
  ["job.archive", "its files were moved: `mu job delete` it, move its folder back to .mu/jobs and `mu job adopt` it"],
  ["job.delete", "its files were moved: move its folder back from .mu/jobs/.deleted and `mu job adopt` it"],
  ...TABLE_NAMES.map(describeTable).flatMap(({ noun, notUndoable }): [string, string][] =>
    notUndoable === undefined ? [] : [[noun, notUndoable]],
  ),
];

function refusal({ ops, changes }: UndoGroup): string | undefined {
  return whyNot(ops) ?? (changes === 0 ? "it changed no rows" : undefined);
}

/** Why none of these operations is undone. */
function whyNot(ops: readonly string[]): string | undefined {
  return NOT_UNDOABLE.find(([op]) => ops.some((own) => own === op || own.startsWith(`${op}.`)))?.[1];
}

/** More rows than this are counted, not described. */
const MOST_DESCRIBED = 1_000;

async function describe(db: Reader, all: Net): Promise<InverseChange[]> {
  const net = await changesOf(db, [...all.values()].slice(0, MOST_DESCRIBED));
  const now = await currentRows(db, net);
  const rows = [...net].map(([key, change]) => ({
    change,
    table: change.table,
    row: { ...now.get(key), ...imageOf(change), id: change.id },
  }));
  const nameOf = await rowNames(db, rows);
  return rows.map(({ change, table, row }) => ({
    table,
    name: nameOf(table, row),
    act: isChanged(change) ? "patch" : change.before === null ? "remove" : "restore",
    columns: Object.fromEntries(
      Object.entries(isChanged(change) ? change.after : {})
        .filter(([column]) => speaks(table, column))
        .map(([column, after]) => [column, [after, change.before?.[column]]]),
    ),
  }));
}
