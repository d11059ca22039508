import type { Context } from "./db/context.js";
import { removeRows } from "./db/destroy.js";
import { MACHINE_SCOPE } from "./db/events.js";
import type { Reader } from "./db/schema.js";
import { textsOf } from "./db/search/index-entries.js";
import { findRows, idList } from "./db/search/search.js";
import { matchIn } from "./db/search/words.js";
import { statement } from "./db/statement.js";
import type { Store } from "./db/store.js";
import { TASK_STATUSES } from "./db/task-columns.js";
import { type RowOf, type Tx, write } from "./db/write.js";
import { Fault } from "./errors.js";
import { didYouMean, enumerate, isTaskName, quote, slug } from "./names.js";
import { shape, type TypeOf } from "./shape.js";
import { type KeptTask, RESTORATION, readKept, restoreKeptIn } from "./tasks/kept.js";
import { ensureWorkstream, workstreamRow } from "./workstreams/workstream.js";

/** A machine-wide collection of tasks that outlive their workstreams. */
export const ARCHIVE = shape({
  label: "string",
  description: "string | null",
  createdAt: "string",
  tasks: "number",
  /** The workstreams that they come from, by name; `changedAt`: when one was last added or refreshed. */
  sources: [{ workstream: "string", tasks: "number", changedAt: "string" }],
});

export type Archive = TypeOf<typeof ARCHIVE>;

/** Creates an empty archive. Faults `archive.invalid_label`, `archive.exists`. */
export async function createArchive(
  context: Context,
  label: string,
  { description = null }: { description?: string | null } = {},
): Promise<Archive> {
  checkLabel(label);
  await write(context, spec("create", label), async (tx) => {
    await requireFreeLabel(tx.db, label);
    await tx.insert("archives", { label, description });
  });
  return getArchive(context.store.db, label);
}

async function requireFreeLabel(db: Reader, label: string): Promise<void> {
  const [taken] = await selectArchive(db, { label });
  if (taken === undefined) return;
  throw new Fault("conflict", "archive.exists", `There is an archive ${label} already.`, [look(label)]);
}

function checkLabel(label: string): void {
  if (isTaskName(label)) return;
  const rule = "use lowercase letters, digits, `_` or `-`, at most 64, starting with a letter";
  throw new Fault("usage", "archive.invalid_label", `${quote(label)} is not a valid label: ${rule}.`, [
    { intent: "Use a similar one", command: `mu archive create ${slug(label) || "done"}` },
  ]);
}

const spec = (verb: string, label: string) => ({ op: `archive.${verb}`, scope: MACHINE_SCOPE, subject: label });

const look = (label: string) => ({ intent: "Show it", command: `mu archive show ${label}` });

const selectArchive = statement((db, { label }: { label: string }) =>
  db.selectFrom("archives").selectAll().where("label", "=", label),
);

async function archiveRow(db: Reader, label: string): Promise<RowOf<"archives">> {
  const [row] = await selectArchive(db, { label });
  if (row !== undefined) return row;
  const labels = (await db.selectFrom("archives").select("label").execute()).map((known) => known.label);
  const why = `There is no archive ${quote(label)}.${didYouMean(label, labels)}`;
  throw new Fault("missing", "archive.not_found", why, [
    { intent: "List the archives", command: "mu archive list" },
    { intent: "Create it", command: `mu archive create ${slug(label) || "done"}` },
  ]);
}

/** All archives by label. */
export async function listArchives(db: Reader): Promise<Archive[]> {
  return withSources(db, await db.selectFrom("archives").selectAll().orderBy("label").execute());
}

/** The archive `label`; faults `archive.not_found`. */
export async function getArchive(db: Reader, label: string): Promise<Archive> {
  return (await withSources(db, [await archiveRow(db, label)]))[0] as Archive;
}

async function withSources(db: Reader, archives: readonly RowOf<"archives">[]): Promise<Archive[]> {
  const counts = await db
    .selectFrom("archived_tasks")
    .select((e) => ["archive_id", "workstream", e.fn.countAll().as("tasks"), e.fn.max("updated_at").as("changedAt")])
    .groupBy(["archive_id", "workstream"])
    .orderBy("workstream")
    .execute();
  return archives.map(({ id, label, description, created_at }) => {
    const sources = counts
      .filter(({ archive_id }) => archive_id === id)
      .map(({ workstream, tasks, changedAt }) => ({ workstream, tasks: Number(tasks), changedAt }));
    const tasks = sources.reduce((sum, source) => sum + source.tasks, 0);
    return { label, description, createdAt: created_at, tasks, sources };
  });
}

/** What adding a workstream has done, in tasks. */
export const ADDITION = shape({
  archive: "string",
  workstream: "string",
  added: "number",
  refreshed: "number",
  unchanged: "number",
});

export type Addition = TypeOf<typeof ADDITION>;

/**
 * Keeps the tasks of a workstream as they are now, with edges and notes: new ones are added, changed ones replace what
 * was kept. What the workstream no longer has stays in the archive. Faults `archive.not_found`, `workstream.not_found`.
 */
export function addToArchive(context: Context, label: string, workstream: string): Promise<Addition> {
  const scope = [MACHINE_SCOPE, workstream];
  return write(context, { ...spec("add", label), scope }, (tx) => addToArchiveIn(tx, label, workstream));
}

export async function addToArchiveIn(tx: Tx, label: string, workstream: string): Promise<Addition> {
  const { id: archive_id } = await archiveRow(tx.db, label);
  const tasks = await readKept(tx.db, (await workstreamRow(tx.db, workstream)).id);
  const known = new Map((await keptRows(tx.db, archive_id, workstream)).map((row) => [row.name, row]));
  const documents = tasks.map(documentOf);
  const fresh = documents.filter(({ name }) => !known.has(name));
  const changed = documents.filter(({ name, document }) => known.has(name) && known.get(name)?.document !== document);
  for (const { name, document } of changed) {
    const row = known.get(name) as RowOf<"archived_tasks">;
    await tx.patch("archived_tasks", row.id, { document, updated_at: tx.now }, row);
  }
  await keepNewIn(tx, { archive_id, workstream }, fresh);
  const counts = { added: fresh.length, refreshed: changed.length };
  if (fresh.length + changed.length > 0) tx.addPayload({ workstream, ...counts });
  return { archive: label, workstream, ...counts, unchanged: tasks.length - fresh.length - changed.length };
}

const documentOf = (task: KeptTask) => ({ name: task.name, document: JSON.stringify(task) });

type Place = Pick<RowOf<"archived_tasks">, "archive_id" | "workstream">;

async function keepNewIn(tx: Tx, place: Place, tasks: readonly { name: string; document: string }[]): Promise<void> {
  await tx.insertAll(
    "archived_tasks",
    tasks.map((task) => ({ ...place, ...task, updated_at: tx.now })),
  );
}

/** An archive of another mu. */
export interface KeptArchive {
  label: string;
  description: string | null;
  createdAt: string;
  sources: readonly KeptSource[];
}

/** Keeps an archive of another mu as it is. Faults `archive.invalid_label`, `archive.exists`. */
export function importArchive(
  context: Context,
  { label, description, createdAt, sources }: KeptArchive,
): Promise<void> {
  checkLabel(label);
  return write(context, spec("import", label), async (tx) => {
    await requireFreeLabel(tx.db, label);
    const ids = await tx.insertAll("archives", [{ label, description, created_at: createdAt }]);
    const archive_id = ids[0] as number;
    for (const { workstream, tasks } of sources) await keepNewIn(tx, { archive_id, workstream }, tasks.map(documentOf));
    tx.addPayload({ tasks: sources.reduce((sum, { tasks }) => sum + tasks.length, 0) });
  });
}

function keptRows(db: Reader, archiveId: number, workstream: string): Promise<RowOf<"archived_tasks">[]> {
  const rows = db.selectFrom("archived_tasks").selectAll().where("archive_id", "=", archiveId);
  return rows.where("workstream", "=", workstream).orderBy("id").execute();
}

/** A workstream in an archive, with its tasks. */
export interface KeptSource {
  workstream: string;
  tasks: readonly KeptTask[];
}

/** What an archive holds, by workstream; only `from`, if it is given. Faults `archive.not_found`, `archive.no_such_source`. */
export async function readArchive(db: Reader, label: string, from?: string): Promise<KeptSource[]> {
  const { sources } = await getArchive(db, label);
  const names = from === undefined ? sources.map(({ workstream }) => workstream) : [from];
  return Promise.all(
    names.map(async (workstream) => {
      const rows = await sourceRows(db, label, workstream);
      return { workstream, tasks: rows.map(({ document }) => JSON.parse(document) as KeptTask) };
    }),
  );
}

async function sourceRows(db: Reader, label: string, workstream: string): Promise<RowOf<"archived_tasks">[]> {
  const rows = await keptRows(db, (await archiveRow(db, label)).id, workstream);
  if (rows.length > 0) return rows;
  const names = (await getArchive(db, label)).sources.map((source) => source.workstream);
  const why = `The archive ${label} has no tasks of ${quote(workstream)}.${didYouMean(workstream, names)}`;
  throw new Fault("missing", "archive.no_such_source", why, [look(label)]);
}

/** What came back, and into which workstream. */
export const ARCHIVE_RESTORATION = shape({ archive: "string", from: "string", workstream: "string", ...RESTORATION });

export type ArchiveRestoration = TypeOf<typeof ARCHIVE_RESTORATION>;

/**
 * Adds the tasks that an archive has of one workstream to the workstream `as`, which is created if necessary; `from`
 * says which of several. The archive keeps them. Faults `archive.not_found`, `archive.no_such_source`,
 * `archive.empty`, `archive.several_sources`, `task.exists`, `workstream.invalid_name`.
 */
export async function restoreArchive(
  context: Context,
  label: string,
  { as, from }: { as: string; from?: string | undefined },
): Promise<ArchiveRestoration> {
  const opened = { ...spec("restore", label), scope: as, subject: as, payload: { archive: label } };
  return write(context, opened, async (tx) => {
    const [source, ...others] = await readArchive(tx.db, label, from);
    if (source === undefined) {
      throw new Fault("conflict", "archive.empty", `The archive ${label} is empty.`, [look(label)]);
    }
    if (others.length > 0) throw severalSources(label, as, [source, ...others]);
    const { id } = await ensureWorkstream(tx, as);
    await requireFree(tx.db, id, as, source);
    return { archive: label, from: source.workstream, workstream: as, ...(await restoreKeptIn(tx, id, source.tasks)) };
  });
}

function severalSources(label: string, as: string, sources: readonly KeptSource[]): Fault {
  const names = sources.map(({ workstream }) => workstream);
  const why = `The archive ${label} has tasks of ${enumerate(names)}. Name one with --from.`;
  return new Fault("usage", "archive.several_sources", why, [
    { intent: "Restore those of the first", command: `mu archive restore ${label} --from ${names[0]} --as ${as}` },
  ]);
}

async function requireFree(db: Reader, workstreamId: number, workstream: string, { tasks }: KeptSource): Promise<void> {
  const rows = await db.selectFrom("tasks").select("name").where("workstream_id", "=", workstreamId).execute();
  const names = new Set(tasks.map(({ name }) => name));
  const taken = rows.map(({ name }) => name).filter((name) => names.has(name));
  if (taken.length === 0) return;
  const why = `${workstream} already has ${enumerate(taken, 5)}. Restore into another workstream.`;
  throw new Fault("conflict", "task.exists", why, [
    { intent: "See its tasks", command: `mu task list -w ${workstream}` },
  ]);
}

/**
 * Takes the tasks of a workstream out of an archive; gives what is left of it, and how many they were. Faults
 * `archive.not_found`, `archive.no_such_source`.
 */
export function removeFromArchive(
  context: Context,
  label: string,
  workstream: string,
): Promise<{ archive: Archive; removed: number }> {
  return write(context, { ...spec("remove", label), payload: { workstream } }, async (tx) => {
    const ids = (await sourceRows(tx.db, label, workstream)).map(({ id }) => id);
    await removeRows(tx, "archived_tasks", ids);
    return { archive: await getArchive(tx.db, label), removed: ids.length };
  });
}

/** Deletes an archive with all that it holds; gives it as it was. Faults `archive.not_found`. */
export function deleteArchive(context: Context, label: string): Promise<Archive> {
  return write(context, spec("delete", label), async (tx) => {
    const gone = await getArchive(tx.db, label);
    await removeRows(tx, "archives", [(await archiveRow(tx.db, label)).id]);
    return gone;
  });
}

/** A task in an archive, and the first of its texts that a search has found. */
export const ARCHIVED_TASK = shape({
  archive: "string",
  workstream: "string",
  name: "string",
  title: "string",
  status: TASK_STATUSES,
  /** Which text it is. */
  matchKind: ["name", "title", "description", "note"],
  /** The line that has the word. */
  match: "string",
});

export type ArchivedTask = TypeOf<typeof ARCHIVED_TASK>;

/**
 * The archived tasks with every word of `text`, the last kept first, at most `limit` (0 for all), and how many there
 * are; see `findRows`. Faults `search.no_words`, `archive.not_found`.
 */
export async function searchArchives(
  store: Store,
  text: string,
  { label, limit }: { label?: string | undefined; limit: number },
): Promise<{ items: ArchivedTask[]; total: number }> {
  const found = await findRows(store, "archived_tasks", text);
  return store.read(async (db) => {
    let hits = db.selectFrom("archived_tasks as t").select("t.id").where("t.id", "in", found);
    if (label !== undefined) hits = hits.where("t.archive_id", "=", (await archiveRow(db, label)).id);
    const ids = (await hits.orderBy("t.updated_at", "desc").orderBy("t.id").execute()).map(({ id }) => id);
    const rows = await db
      .selectFrom("archived_tasks as t")
      .innerJoin("archives as a", "a.id", "t.archive_id")
      .select(["a.label as archive", "t.workstream", "t.document"])
      .where("t.id", "in", idList(store.dialect, JSON.stringify(limit > 0 ? ids.slice(0, limit) : ids)))
      .orderBy("t.updated_at", "desc")
      .orderBy("t.id")
      .execute();
    const items = rows.map(({ document, ...at }) => {
      const task = JSON.parse(document) as KeptTask;
      return { ...at, name: task.name, title: task.title, status: task.status, ...matchOf(task, text) };
    });
    return { items, total: ids.length };
  });
}

const MATCH_KINDS = ARCHIVED_TASK.matchKind;

function matchOf(task: KeptTask, text: string): Pick<ArchivedTask, "matchKind" | "match"> {
  const { index, line } = matchIn(textsOf(task), text) ?? { index: 1, line: task.title };
  return { matchKind: MATCH_KINDS[index] ?? "note", match: line };
}
