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
import { BACKENDS, type BackendKey, type Saved, type VcsBackend } from "../vcs/vcs.js";
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
  const spec = aboutWorkspace("salvage.save", row);
  const archives = join(host.stateDir, "salvage");
  // The newest save may have this content. Another database may have used the same name in this repository.
  for (let n = backend.knowsItsSaves ? newest : next; ; n = Math.max(n + 1, next)) {
    const options = { name: salvageName({ ...row, n }), target, archives, ...caches };
    const saved = await backend.save(host, row, options).catch(ignoreFault("vcs.ref_taken"));
    if (saved === null) return null;
    if (saved !== undefined) return write(host.context, spec, (tx) => recordSalvageIn(tx, row, { n, reason, saved }));
  }
}

function salvageName({ workstream, agent, n }: { workstream: string; agent: string; n: number }): string {
  return `${workstream}/${agent}/${n}`;
}

/** The numbers of the newest save of this workspace, and of the next one, greater than any known one. */
async function numbersOf(
  host: Host,
  backend: VcsBackend,
  { workstream, agent, root }: Salvageable,
): Promise<{ newest: number; next: number }> {
  const rows = await host.context.store.db
    .selectFrom("salvages")
    .select(["n", "backend", "root", "place", "commit_id"])
    .where("workstream", "=", workstream)
    .where("agent", "=", agent)
    .execute();
  const isArchive = (row: (typeof rows)[number]) =>
    row.commit_id === null && row.root === root && row.backend === backend.key && existsSync(row.place);
  const prefix = `${workstream}/${agent}/`;
  const refs = (await backend.listSaved(host, root)).filter(({ name }) => name.startsWith(prefix));
  const numbers = refs.map(({ name }) => Number(name.slice(prefix.length))).filter(Number.isInteger);
  const here = Math.max(0, ...numbers, ...rows.filter(isArchive).map(({ n }) => n));
  const next = Math.max(here, ...rows.map(({ n }) => n)) + 1;
  return { newest: here || next, next };
}

/** A row names only this many. */
const MAX_LEFT_OUT = 50;

/** Inserts the row of a save, unless it has one. */
export async function recordSalvageIn(
  tx: Tx,
  { workstream, agent, backend, root }: Salvageable,
  { n, reason, saved }: { n: number; reason: string; saved: Saved },
): Promise<Salvage> {
  const { place, commit: commit_id, commits, files, nested = 0, ignored = 0, leftOut = [] } = saved;
  const salvages = tx.db.selectFrom("salvages").selectAll().where("root", "=", root).where("place", "=", place);
  const known = await salvages.executeTakeFirst();
  if (known !== undefined) return toSalvage(known);
  const others = {
    nested: nested || null,
    ignored: ignored || null,
    left_out: leftOut.length === 0 ? null : JSON.stringify(leftOut.slice(0, MAX_LEFT_OUT)),
  };
  const row = { workstream, agent, n, backend, root, place, commit_id, commits, files, ...others, reason };
  const salvage = toSalvage(await tx.insert("salvages", row));
  tx.about(salvage.name);
  return salvage;
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
