import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { isAbsolute, relative } from "node:path";
import type { Context } from "../db/context.js";
import { fromRow } from "../db/from-row.js";
import type { Reader } from "../db/schema.js";
import { write } from "../db/write.js";
import { Fault, throwIfExhausted } from "../errors.js";
import { quote, type TaskRef } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { taskRow } from "../tasks/task.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { isInside } from "./place.js";

/** One version of a file that somebody made. */
export const ASSET = shape({
  /** From the project's folder, or from the checkout that it was made in; absolute for a file elsewhere. */
  path: "string",
  kind: "string",
  /** Counts from 1 for each path. */
  version: "number",
  /** Of its content, hexadecimal. */
  sha256: "string",
  bytes: "number",
  task: "string | null",
  /** Who registered it. */
  agent: "string",
  run: "number | null",
  createdAt: "string",
});

export type Asset = TypeOf<typeof ASSET>;

export interface NewAsset {
  /** Absolute. */
  file: string;
  /** What it is, in a word or two. */
  kind: string;
  /** The task that it belongs to; by default that of the run that acts. */
  task?: string | undefined;
  /** The run that made it; by default the one that acts. */
  run?: number | undefined;
}

/**
 * Registers a file as it is now. A file whose content is that of its newest version is no new one: `changed` is then
 * false and nothing is written. Faults `asset.not_a_file`, `task.not_found`, `workstream.not_found`.
 */
export async function addAsset(
  context: Context,
  workstream: string,
  { file, kind, task, run: made_by }: NewAsset,
): Promise<{ asset: Asset; changed: boolean }> {
  const { db } = context.store;
  const path = await pathInProject(db, workstream, file);
  const content = await digest(file);
  const spec = { op: "asset.add", scope: workstream, subject: `${workstream}/${path}` };
  return write(context, spec, async (tx) => {
    const { id: workstream_id } = await workstreamRow(tx.db, workstream);
    const newest = await selectAssets(tx.db, workstream_id)
      .where("path", "=", path)
      .orderBy("version", "desc")
      .limit(1)
      .executeTakeFirst();
    if (newest?.sha256 === content.sha256 && newest.kind === kind) {
      return { asset: fromRow(ASSET, newest), changed: false };
    }
    const { run } = tx;
    const ofTask =
      task === undefined ? await taskOfRun(tx.db, run?.id) : (await taskRow(tx.db, { workstream, name: task })).name;
    const version = (newest?.version ?? 0) + 1;
    const made = {
      workstream_id,
      path,
      kind,
      version,
      ...content,
      task: ofTask,
      agent: tx.actor,
      run: made_by ?? run?.id ?? null,
    };
    return { asset: fromRow(ASSET, await tx.insert("assets", made)), changed: true };
  });
}

export interface AssetFilter {
  task?: TaskRef | undefined;
  kind?: string | undefined;
  path?: string | undefined;
}

/** The versions of a workstream's assets, newest first. Faults `workstream.not_found`. */
export async function listAssets(db: Reader, workstream: string, filter: AssetFilter = {}): Promise<Asset[]> {
  let query = selectAssets(db, (await workstreamRow(db, workstream)).id);
  if (filter.task !== undefined) query = query.where("task", "=", filter.task.name);
  if (filter.kind !== undefined) query = query.where("kind", "=", filter.kind);
  if (filter.path !== undefined) query = query.where("path", "=", filter.path);
  return (await query.orderBy("id", "desc").execute()).map((row) => fromRow(ASSET, row));
}

const selectAssets = (db: Reader, workstreamId: number) =>
  db.selectFrom("assets").selectAll().where("workstream_id", "=", workstreamId);

async function taskOfRun(db: Reader, run: number | undefined): Promise<string | null> {
  if (run === undefined) return null;
  const row = await db.selectFrom("runs").select("task").where("id", "=", run).executeTakeFirst();
  return row?.task ?? null;
}

/** The file's path from the innermost checkout or project folder around it. */
async function pathInProject(db: Reader, workstream: string, file: string): Promise<string> {
  const { id, root } = await workstreamRow(db, workstream);
  const spaces = await db
    .selectFrom("workspaces")
    .select("path")
    .where("workstream_id", "=", id)
    .where("freed_at", "is", null)
    .execute();
  const known = [...spaces.map(({ path }) => path), ...(root === null ? [] : [root])];
  const [real, ...folders] = await Promise.all([file, ...known].map((path) => realpath(path).catch(() => path)));
  const around = folders.filter((folder) => isInside(folder, real ?? file));
  const innermost = around.sort((a, b) => b.length - a.length)[0];
  return innermost === undefined ? (real ?? file) : relative(innermost, real ?? file);
}

/** Reads the file once, whatever its size. */
async function digest(file: string): Promise<{ sha256: string; bytes: number }> {
  const refuse = (why: string) =>
    new Fault("missing", "asset.not_a_file", `${quote(file)} ${why}.`, [
      { intent: "Register a file", command: "mu asset add <path> --kind <kind>" },
    ]);
  if (!isAbsolute(file)) throw refuse("is not an absolute path");
  try {
    if (!(await stat(file)).isFile()) throw refuse("is not a file");
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of createReadStream(file)) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    return { sha256: hash.digest("hex"), bytes };
  } catch (error) {
    if (error instanceof Fault) throw error;
    throwIfExhausted(error);
    throw refuse(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}
