import { existsSync } from "node:fs";
import { join } from "node:path";
import { fromRow } from "../db/from-row.js";
import type { Reader } from "../db/schema.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { Fault, ignoreFault } from "../errors.js";
import type { Host } from "../host.js";
import { describeWork } from "../journal/sentences.js";
import { didYouMean, quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { getBackend } from "../vcs/backends.js";
import { BACKENDS, type BackendKey, type Saved, type Target, type VcsBackend } from "../vcs/vcs.js";
import { readSettings } from "../workstreams/settings.js";
import { getSettings } from "../workstreams/workstream.js";
import { targetOf } from "./target.js";
import { aboutWorkspace, type WorkspaceRow } from "./workspace.js";

/** Work that was saved before its place was taken away. */
export const SALVAGE = shape({
  /** `<workstream>/<agent>/<n>`. */
  name: "string",
  workstream: "string",
  agent: "string",
  n: "number",
  backend: BACKENDS,
  root: "string",
  /** The ref, or the archive's path. */
  place: "string",
  commit: "string | null",
  /** Commits that were not landed. */
  commits: "number",
  /** Files that were not committed. */
  files: "number",
  /** Repositories inside with work of their own. */
  nested: "number",
  /** Ignored files. */
  ignored: "number",
  /** Ignored files that were too large to save. */
  leftOut: "string[]",
  /** The verb that took the place away. */
  reason: "string",
  createdAt: "string",
});

export type Salvage = TypeOf<typeof SALVAGE>;

/** A workspace or a folder that once was one. */
type Salvageable = Pick<WorkspaceRow, "workstream" | "agent" | "backend" | "root" | "path" | "branch">;

/**
 * Saves what a workspace has and its target lacks: commits and everything uncommitted; if its folder goes, also ignored
 * files of its own. Null if there is nothing to save.
 * Does not save the same content twice. Must succeed before work is removed. Faults as the backend.
 */
export async function salvageWorkspace(
  host: Host,
  row: Salvageable,
  reason: string,
  folder: "stays" | "goes",
): Promise<Salvage | null> {
  const backend = getBackend(row.backend);
  const { db } = host.context.store;
  const target = await targetOf(host, db, row);
  const settings = await getSettings(db, row.workstream).catch(ignoreFault("workstream.not_found"));
  const caches = folder === "stays" ? {} : { caches: (settings ?? readSettings("")).caches };
  const { newest, next } = await numbersOf(host, backend, row);
  const mayOffer = newest !== undefined && backend.knowsItsSaves === true;
  const again = !mayOffer ? undefined : await saveAs(host, backend, row, { n: newest.n, target, ...caches });
  if (again === null) return null;
  if (newest !== undefined && again !== undefined)
    return recordSalvage(host, row, { n: newest.n, reason, saved: { ...again, commit: newest.commit } });
  // Another database may have used the same name in this repository.
  for (let n = next; ; n++) {
    const saved = await saveAs(host, backend, row, { n, target, ...caches });
    if (saved === null) return null;
    if (saved !== undefined) return recordSalvage(host, row, { n, reason, saved });
  }
}

/** Null if there is nothing to save; undefined if that number is taken. */
function saveAs(
  host: Host,
  backend: VcsBackend,
  row: Salvageable,
  { n, ...what }: { n: number; target: Target | null; caches?: readonly string[] },
): Promise<Saved | null | undefined> {
  const name = salvageName({ workstream: row.workstream, agent: row.agent, n });
  const options = { name, ...what, archives: archivesFolder(host.stateDir) };
  return backend.save(host, row, options).catch(ignoreFault("vcs.ref_taken"));
}

function salvageName({ workstream, agent, n }: { workstream: string; agent: string; n: number }): string {
  return `${workstream}/${agent}/${n}`;
}

/** The folder of archives, for workspaces without version control. */
function archivesFolder(stateDir: string): string {
  return join(stateDir, "salvage");
}

/**
 * The newest save of this workspace, which may have the content to be saved now; and the next number, greater than any
 * known one.
 */
async function numbersOf(
  host: Host,
  backend: VcsBackend,
  row: Salvageable,
): Promise<{ newest: { n: number; commit: string | null } | undefined; next: number }> {
  const { db } = host.context.store;
  const prefix = `${row.workstream}/${row.agent}/`;
  const refs = (await backend.listSaved(host, row.root)).filter(({ name }) => name.startsWith(prefix));
  const { last } = await db
    .selectFrom("salvages")
    .select((e) => e.fn.max("n").as("last"))
    .where("workstream", "=", row.workstream)
    .where("agent", "=", row.agent)
    .executeTakeFirstOrThrow();
  const taken = refs
    .map(({ name, commit }) => ({ n: Number(name.slice(prefix.length)), commit }))
    .filter(({ n }) => Number.isInteger(n))
    .sort((a, b) => b.n - a.n);
  return {
    newest: taken[0] ?? (await newestArchive(db, row)),
    next: Math.max(0, Number(last ?? 0), taken[0]?.n ?? 0) + 1,
  };
}

async function newestArchive(db: Reader, row: Salvageable): Promise<{ n: number; commit: null } | undefined> {
  const known = await db
    .selectFrom("salvages")
    .select(["n", "place"])
    .where("workstream", "=", row.workstream)
    .where("agent", "=", row.agent)
    .where("root", "=", row.root)
    .where("backend", "=", row.backend)
    .where("commit_id", "is", null)
    .orderBy("n", "desc")
    .executeTakeFirst();
  return known !== undefined && existsSync(known.place) ? { n: known.n, commit: null } : undefined;
}

interface NumberedSave {
  n: number;
  reason: string;
  saved: Saved;
}

async function recordSalvage(host: Host, row: Salvageable, save: NumberedSave): Promise<Salvage> {
  return write(host.context, aboutWorkspace("salvage.save", row), async (tx) => {
    const { isNew, salvage } = await recordSalvageIn(tx, row, save);
    if (isNew) tx.about(salvage.name);
    return salvage;
  });
}

/** A row names only this many. */
const MAX_LEFT_OUT = 50;

/** Inserts the row of a save, unless it has one. */
export async function recordSalvageIn(
  tx: Tx,
  { workstream, agent, backend, root }: Salvageable,
  { n, reason, saved }: NumberedSave,
): Promise<{ isNew: boolean; salvage: Salvage }> {
  const known = await findByPlace(tx.db, root, saved.place);
  if (known !== undefined) return { isNew: false, salvage: toSalvage(known) };
  const { place, commit: commit_id, commits, files, nested = 0, ignored = 0, leftOut = [] } = saved;
  const others = {
    nested: nested || null,
    ignored: ignored || null,
    left_out: leftOut.length === 0 ? null : JSON.stringify(leftOut.slice(0, MAX_LEFT_OUT)),
  };
  const row = { workstream, agent, n, backend, root, place, commit_id, commits, files, ...others, reason };
  return { isNew: true, salvage: toSalvage(await tx.insert("salvages", row)) };
}

async function findByPlace(db: Reader, root: string, place: string): Promise<RowOf<"salvages"> | undefined> {
  return db.selectFrom("salvages").selectAll().where("root", "=", root).where("place", "=", place).executeTakeFirst();
}

function toSalvage(row: RowOf<"salvages">): Salvage {
  const { nested, ignored, left_out } = row;
  const others = {
    nested: nested ?? 0,
    ignored: ignored ?? 0,
    left_out: left_out === null ? [] : JSON.parse(left_out),
  };
  return fromRow(SALVAGE, { ...row, ...others, name: salvageName(row), commit: row.commit_id });
}

/** `2 commits and 3 files, as demo/w1/4`. */
export function describeSaved(salvage: Salvage): string {
  return `${describeWork(salvage)}, as ${salvage.name}`;
}

/** A listed salvage. Numbers are null if it was not recorded because of a crash. */
export const LISTED_SALVAGE = shape({
  ...SALVAGE,
  commits: "number | null",
  files: "number | null",
  reason: "string | null",
  createdAt: "string | null",
});

export type ListedSalvage = TypeOf<typeof LISTED_SALVAGE>;

/** All salvages, newest first, of one workstream or all. */
export async function listSalvages(host: Host, workstream?: string): Promise<ListedSalvage[]> {
  const { db } = host.context.store;
  let query = db.selectFrom("salvages").selectAll().orderBy("id", "desc");
  if (workstream !== undefined) query = query.where("workstream", "=", workstream);
  const known = (await query.execute()).map(toSalvage);
  const unknown = (await unrecorded(host)).filter((one) => workstream === undefined || one.workstream === workstream);
  return [...unknown, ...known];
}

/** Saves in known repositories that have no row. */
async function unrecorded(host: Host): Promise<ListedSalvage[]> {
  const { db } = host.context.store;
  const found: ListedSalvage[] = [];
  for (const { backend, root } of await knownRoots(db)) {
    const rows = await db.selectFrom("salvages").select("place").where("root", "=", root).execute();
    const saved = await getBackend(backend)
      .listSaved(host, root)
      .catch(() => []);
    for (const { name, place, commit } of saved) {
      if (rows.some((row) => row.place === place)) continue;
      const [workstream = "", agent = "", n = "0"] = name.split("/");
      const is = { workstream, agent, n: Number(n) };
      found.push({ name: salvageName(is), ...is, backend, root, place, commit, ...UNRECORDED });
    }
  }
  return found;
}

const UNRECORDED = { commits: null, files: null, nested: 0, ignored: 0, leftOut: [], reason: null, createdAt: null };

async function knownRoots(db: Reader): Promise<{ backend: BackendKey; root: string }[]> {
  const roots = [
    ...(await db.selectFrom("workspaces").select(["backend", "root"]).distinct().execute()),
    ...(await db.selectFrom("salvages").select(["backend", "root"]).distinct().execute()),
  ];
  const distinct = new Map(roots.map((one) => [`${one.backend} ${one.root}`, one]));
  return [...distinct.values()].map(({ backend, root }) => ({ backend: backend as BackendKey, root }));
}

/** The salvage `<workstream>/<agent>/<n>`, or `<agent>/<n>` in `workstream`. Faults `salvage.not_found` with near names. */
export async function getSalvage(host: Host, name: string, workstream?: string): Promise<ListedSalvage> {
  const whole = name.split("/").length === 2 && workstream !== undefined ? `${workstream}/${name}` : name;
  const all = await listSalvages(host);
  const found = all.find((one) => one.name === whole);
  if (found !== undefined) return found;
  const names = all.map((one) => one.name);
  throw new Fault("missing", "salvage.not_found", `There is no save ${quote(name)}.${didYouMean(whole, names)}`, [
    { intent: "List saved work", command: "mu salvage list" },
  ]);
}
