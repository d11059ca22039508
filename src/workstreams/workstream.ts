import { sql } from "kysely";
import type { Context } from "../db/context.js";
import { removeRows } from "../db/destroy.js";
import { findHead, MACHINE_SCOPE } from "../db/events.js";
import { fromRow } from "../db/from-row.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import { checkWorkstreamName, didYouMean, isAgentName, quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import {
  readSettings,
  SETTING_VALUES,
  type Settings,
  type SettingValue,
  settingSources,
  settingValue,
  valueAt,
  withSetting,
} from "./settings.js";

/** The scope of tasks and agents; its tmux session is `mu-<name>`. */
export const WORKSTREAM = shape({
  name: "string",
  /** The project's folder. */
  root: "string | null",
  host: "string | null",
  settings: SETTING_VALUES,
  createdAt: "string",
});

export type Workstream = TypeOf<typeof WORKSTREAM>;

export const WORKSTREAM_SUMMARY = shape({
  ...WORKSTREAM,
  tasks: "number",
  open: "number",
  edges: "number",
  notes: "number",
  agents: "number",
});

export type WorkstreamSummary = TypeOf<typeof WORKSTREAM_SUMMARY>;

const selectWorkstream = statement((db, { name }: { name: string }) =>
  db.selectFrom("workstreams").selectAll().where("name", "=", name),
);

/** Row of the workstream; faults `workstream.not_found` with near names. */
export async function workstreamRow(db: Reader, name: string): Promise<RowOf<"workstreams">> {
  const [row] = await selectWorkstream(db, { name });
  if (row !== undefined) return row;
  const names = await db.selectFrom("workstreams").select("name").execute();
  const isPast = await isPastWorkstream(db, name);
  const similar = didYouMean(
    name,
    names.map((known) => known.name),
  );
  throw new Fault(
    "missing",
    "workstream.not_found",
    isPast
      ? `The workstream ${quote(name)} was destroyed or renamed.`
      : `There is no workstream ${quote(name)}.${similar}`,
    [
      ...(isPast ? [{ intent: "See what can be undone", command: `mu undo -w ${name}` }] : []),
      { intent: "List the workstreams", command: "mu workstream list" },
      { intent: "Create it", command: `mu workstream init ${isAgentName(name) ? name : "work"}` },
    ],
  );
}

/** True if no workstream has this name, but one had it: its chain is still there. */
export async function isPastWorkstream(db: Reader, name: string): Promise<boolean> {
  const [row] = await selectWorkstream(db, { name });
  return row === undefined && name !== MACHINE_SCOPE && ((await findHead(db, name))?.n ?? 0) > 0;
}

/** The workstream `name`; faults `workstream.not_found`. */
export async function getWorkstream(db: Reader, name: string): Promise<Workstream> {
  return toWorkstream(await workstreamRow(db, name));
}

function toWorkstream(row: RowOf<"workstreams">): Workstream {
  return fromRow(WORKSTREAM, { ...row, settings: readSettings(row.settings) });
}

export async function listWorkstreams(db: Reader): Promise<WorkstreamSummary[]> {
  const rows = await db.selectFrom("workstreams").selectAll().orderBy("name").execute();
  return Promise.all(rows.map(async (row) => ({ ...toWorkstream(row), ...(await sizes(db, row.id)) })));
}

/** One workstream with its sizes; faults `workstream.not_found`. */
export async function showWorkstream(db: Reader, name: string): Promise<WorkstreamSummary> {
  const row = await workstreamRow(db, name);
  return { ...toWorkstream(row), ...(await sizes(db, row.id)) };
}

type Sizes = Pick<WorkstreamSummary, "tasks" | "open" | "edges" | "notes" | "agents">;

async function sizes(db: Reader, id: number): Promise<Sizes> {
  const ofIt = sql`from tasks where workstream_id = ${id}`;
  const { rows } = await sql<Record<keyof Sizes, string | number>>`select
    (select count(*) ${ofIt}) as tasks,
    (select count(*) ${ofIt} and status in ('OPEN', 'IN_PROGRESS')) as open,
    (select count(*) from task_edges where blocked_id in (select id ${ofIt})) as edges,
    (select count(*) from task_notes where task_id in (select id ${ofIt})) as notes,
    (select count(*) from agents where workstream_id = ${id} and closed_at is null and cli <> 'human') as agents
  `.execute(db);
  return Object.fromEntries(Object.entries(rows[0] ?? {}).map(([name, n]) => [name, Number(n)])) as Sizes;
}

export interface InitOptions {
  /** The project's folder. */
  root?: string | undefined;
}

/** Creates the workstream, or sets `root` on an existing one. Faults `workstream.invalid_name`. */
export async function initWorkstream(
  context: Context,
  name: string,
  options: InitOptions = {},
): Promise<{ workstream: Workstream; created: boolean }> {
  return write(context, { op: "workstream.init", scope: name, subject: name }, (tx) =>
    initWorkstreamIn(tx, name, options),
  );
}

export async function initWorkstreamIn(
  tx: Tx,
  name: string,
  options: InitOptions = {},
): Promise<{ workstream: Workstream; created: boolean }> {
  checkWorkstreamName(name);
  const [row] = await selectWorkstream(tx.db, { name });
  if (row === undefined) return { workstream: toWorkstream(await newWorkstream(tx, name, options)), created: true };
  const patched = await tx.patch("workstreams", row.id, options.root === undefined ? {} : { root: options.root });
  return { workstream: toWorkstream(patched), created: false };
}

/** The row of `name`, created if it does not exist. */
export async function ensureWorkstream(tx: Tx, name: string, options: InitOptions = {}): Promise<RowOf<"workstreams">> {
  checkWorkstreamName(name);
  const [row] = await selectWorkstream(tx.db, { name });
  return row ?? newWorkstream(tx, name, options);
}

function newWorkstream(tx: Tx, name: string, options: InitOptions): Promise<RowOf<"workstreams">> {
  return tx.insert("workstreams", { name, root: options.root ?? null, host: null, settings: "{}" });
}

/** Renames the workstream. Its event chain keeps the old name, which the new chain mentions. */
export async function renameWorkstream(context: Context, name: string, to: string): Promise<Workstream> {
  const spec = { op: "workstream.rename", scope: [name, to], subject: name, payload: { from: name, to } };
  return write(context, spec, (tx) => renameWorkstreamIn(tx, name, to));
}

export async function renameWorkstreamIn(tx: Tx, name: string, to: string): Promise<Workstream> {
  checkWorkstreamName(to);
  const row = await workstreamRow(tx.db, name);
  if (name === to) return toWorkstream(row);
  await requireFreeName(tx.db, to);
  return toWorkstream(await tx.patch("workstreams", row.id, { name: to }));
}

/** Faults `workstream.exists`, `workstream.invalid_name`. */
export async function requireFreeName(db: Reader, name: string): Promise<void> {
  checkWorkstreamName(name);
  const [taken] = await selectWorkstream(db, { name });
  if (taken === undefined) return;
  throw new Fault("conflict", "workstream.exists", `The workstream ${quote(name)} already exists.`, [
    { intent: "Show it", command: `mu workstream show -w ${name}` },
  ]);
}

export const DESTRUCTION = shape({
  workstream: "string",
  tasks: "number",
  edges: "number",
  notes: "number",
  agents: "number",
});

type Destruction = TypeOf<typeof DESTRUCTION>;

/** What `destroyWorkstream` would delete; faults `workstream.not_found`. */
export async function previewDestroy(db: Reader, name: string): Promise<Destruction> {
  const row = await workstreamRow(db, name);
  const { tasks, edges, notes } = await sizes(db, row.id);
  const agents = await db.selectFrom("agents").select("id").where("workstream_id", "=", row.id).execute();
  return { workstream: name, tasks, edges, notes, agents: agents.length };
}

/** Removes the workstream with all its rows. Its events stay; a new workstream of that name continues their chain. */
export async function destroyWorkstream(context: Context, name: string): Promise<Destruction> {
  return write(context, { op: "workstream.destroy", scope: name, subject: name }, (tx) =>
    destroyWorkstreamIn(tx, name),
  );
}

export async function destroyWorkstreamIn(tx: Tx, name: string): Promise<Destruction> {
  const row = await workstreamRow(tx.db, name);
  const gone = await previewDestroy(tx.db, name);
  await removeRows(tx, "workstreams", [row.id]);
  return gone;
}

/** The settings of a workstream; faults `workstream.not_found`. */
export async function getSettings(db: Reader, workstream: string): Promise<Settings> {
  return readSettings((await workstreamRow(db, workstream)).settings);
}

/** Every setting of the workstream with its source; faults `workstream.not_found`. */
export async function listSettings(db: Reader, workstream: string): Promise<SettingValue[]> {
  return settingSources((await workstreamRow(db, workstream)).settings);
}

export interface SettingChange {
  settings: Settings;
  /** The new value. */
  value: unknown;
  changed: boolean;
}

/**
 * Sets `key` to the value in `text`, or resets it. Faults `setting.unknown` with near keys, `setting.invalid`,
 * `workstream.not_found`.
 */
export async function changeSetting(
  context: Context,
  workstream: string,
  key: string,
  text: string | undefined,
): Promise<SettingChange> {
  const value = text === undefined ? undefined : settingValue(key, text);
  const payload = value === undefined ? { key } : { key, value };
  const spec = { op: "workstream.set", scope: workstream, subject: workstream, payload };
  return write(context, spec, (tx) => changeSettingIn(tx, workstream, key, value));
}

/** Sets `key` to a checked value; undefined resets it. */
export async function changeSettingIn(tx: Tx, workstream: string, key: string, value: unknown): Promise<SettingChange> {
  const row = await workstreamRow(tx.db, workstream);
  const stored = withSetting(row.settings, key, value);
  await tx.patch("workstreams", row.id, { settings: stored }, row);
  const settings = readSettings(stored);
  return { settings, value: valueAt(settings, key), changed: stored !== row.settings };
}

/** Runs `look` for the branch in the workstream's settings, and makes `vcs.unknown_ref` say where the name comes from. */
export async function namingBranchSetting<T>(workstream: string, branch: string, look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "vcs.unknown_ref") throw error;
    throw new Fault(
      error.kind,
      error.code,
      `${error.message} The branch setting of ${workstream} is ${quote(branch)}.`,
      [
        ...error.nextSteps,
        { intent: "Use the repository's default branch", command: `mu workstream set branch --unset -w ${workstream}` },
      ],
      error.details,
    );
  }
}

export function sessionOf(workstream: string): string {
  return `mu-${workstream}`;
}

/** The workstream of a session; undefined for sessions that are not mu's. */
export function workstreamOf(session: string): string | undefined {
  return /^mu-(.+)$/.exec(session)?.[1];
}
