import { hash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../errors.js";
import { readInside } from "../inside.js";
import { didYouMean, enumerate, quote, shellWord } from "../names.js";
import type { KeptTask } from "../tasks/kept.js";
import { readBucketFile } from "./bucket.js";
import {
  BUNDLE_VERSION,
  type Entry,
  invalidBundle,
  MANIFEST,
  readManifest,
  type Source,
  taskPath,
} from "./manifest.js";
import { readTaskFile } from "./task-file.js";

/** What is there to import: a source, how many of its tasks were deleted, and what mu cannot hold, a line each. */
export interface Found extends Source {
  deleted: number;
  left: string[];
}

export interface ReadOptions {
  /** Only these sources. */
  only?: readonly string[] | undefined;
  /** `take`: also files that are not as the manifest says. */
  changed?: "refuse" | "take";
}

/**
 * The sources of the bundle at `folder`, or of a bucket of mu 0.3. Faults `bundle.not_found`, `bundle.changed`, which names
 * each file that is not as its manifest says, `bundle.no_source`, `bundle.file_missing`, `bundle.invalid`, `bundle.newer`,
 * `file.outside`, `file.not_readable`.
 */
export async function readBundle(folder: string, { only, changed = "refuse" }: ReadOptions = {}): Promise<Found[]> {
  const found = await readManifest(folder);
  if (found === undefined) throw noBundle(folder);
  const { sources, bundleVersion } = found.manifest;
  const names = only ?? Object.keys(sources);
  const unknown = names.find((name) => !Object.hasOwn(sources, name));
  if (unknown !== undefined) throw noSource(folder, unknown, Object.keys(sources));
  const parse = bundleVersion < BUNDLE_VERSION ? readBucketFile : readTaskFile;
  const reader = { root: await realpath(folder), changed: [] as string[], parse };
  const read: Found[] = [];
  for (const workstream of names) {
    const entries = sources[workstream]?.tasks ?? [];
    const live = entries.filter(({ deletedAt }) => deletedAt === undefined);
    const tasks: KeptTask[] = [];
    for (const entry of live) tasks.push(await readTask(reader, workstream, entry));
    read.push({ workstream, tasks, deleted: entries.length - live.length, left: [] });
  }
  if (reader.changed.length > 0 && changed === "refuse") throw changedFiles(folder, reader.changed);
  return read;
}

interface Reader {
  root: string;
  /** The files that are not as the manifest says. */
  changed: string[];
  parse(text: string): Promise<KeptTask | undefined>;
}

async function readTask(reader: Reader, workstream: string, { name, sha256 }: Entry): Promise<KeptTask> {
  const path = taskPath(workstream, name);
  const bytes = await readInside(reader.root, path);
  if (bytes === undefined) {
    const message = `${quote(join(reader.root, path))} is missing, and the manifest lists it. Export again.`;
    throw new Fault("usage", "bundle.file_missing", message);
  }
  if (hash("sha256", bytes) !== sha256) reader.changed.push(path);
  const task = await reader.parse(bytes.toString("utf8"));
  if (task === undefined || task.name !== name) {
    throw invalidBundle(join(reader.root, path), `it is not the file of a task ${quote(name)}`);
  }
  return task;
}

function noBundle(folder: string): Fault {
  const message = `${quote(folder)} is no bundle, nor anything else to import: it has no ${MANIFEST}.`;
  return new Fault("usage", "bundle.not_found", message, [
    { intent: "See what can be imported", command: "mu workstream import --help" },
  ]);
}

/** The fault of a source that a bundle or another file does not have. */
export function noSource(folder: string, name: string, names: readonly string[]): Fault {
  const message = `${quote(folder)} has no source ${quote(name)}.${didYouMean(name, names)} It has ${enumerate(names)}.`;
  return new Fault("missing", "bundle.no_source", message);
}

function changedFiles(folder: string, paths: readonly string[]): Fault {
  const message = `In ${quote(folder)}, not as the manifest has it: ${enumerate(paths, 3)}. Nothing was imported.`;
  const command = `mu workstream import ${shellWord(folder)} --changed`;
  return new Fault("conflict", "bundle.changed", message, [{ intent: "Import them as they are now", command }], {
    changed: paths,
  });
}
