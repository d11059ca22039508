import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault, throwIfExhausted } from "../errors.js";
import { isTaskName, quote } from "../names.js";
import { isObject } from "../shape.js";
import type { KeptTask } from "../tasks/kept.js";
import { readJson } from "./task-file.js";

/** The tasks of one workstream, outside of it. */
export interface Source {
  workstream: string;
  tasks: readonly KeptTask[];
}

export const MANIFEST = "manifest.json";

/** The version of the layout that mu writes. Version 2 is the one of mu 0.3. */
export const BUNDLE_VERSION = 3;

/** A task in a manifest: the hash of its file, and since when it is deleted, if it is. */
export interface Entry {
  name: string;
  sha256: string;
  deletedAt?: string;
}

/** What stands in a bundle. Moments are those of the last change, not of the last export. */
export interface Manifest {
  bundleVersion: number;
  createdAt: string;
  updatedAt: string;
  sources: Record<string, { updatedAt: string; tasks: Entry[] }>;
}

/** Where the file of a task is in a bundle. */
export const taskPath = (workstream: string, task: string) => join(workstream, "tasks", `${task}.md`);

/**
 * The manifest in `folder` and its text; undefined if there is none. One of version 2 comes back as the present one, with its
 * own version. Faults `bundle.invalid`, `bundle.newer`, `file.not_readable`.
 */
export async function readManifest(folder: string): Promise<{ manifest: Manifest; text: string } | undefined> {
  const path = join(folder, MANIFEST);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throwIfExhausted(error);
    throw new Fault("usage", "file.not_readable", `${quote(path)} cannot be read (${error.code}).`);
  });
  return text === undefined ? undefined : { manifest: toManifest(readJson(text), path), text };
}

function toManifest(found: unknown, path: string): Manifest {
  if (!isObject(found) || !isObject(found["sources"])) throw invalidBundle(path, "it names no sources");
  const version = found["bundleVersion"] ?? found["bucketVersion"];
  if (typeof version !== "number" || version < 2) throw invalidBundle(path, "it has no version that mu knows");
  if (version > BUNDLE_VERSION) {
    const message = `${quote(path)} is of version ${version}, and this mu reads up to ${BUNDLE_VERSION}. Use a newer mu.`;
    throw new Fault("unavailable", "bundle.newer", message);
  }
  const textAt = (key: string) => String(found[key] ?? "");
  const sources = Object.entries(found["sources"]).map(([name, source]) => {
    if (!isObject(source) || !Array.isArray(source["tasks"])) throw invalidBundle(path, `${quote(name)} has no tasks`);
    const tasks = source["tasks"].map((task) => toEntry(task, name, path));
    return [name, { updatedAt: String(source["updatedAt"] ?? source["lastReExportedAt"] ?? ""), tasks }];
  });
  return {
    bundleVersion: version,
    createdAt: textAt(version === 2 ? "bucketCreatedAt" : "createdAt"),
    updatedAt: textAt(version === 2 ? "bucketLastUpdatedAt" : "updatedAt"),
    sources: Object.fromEntries(sources),
  };
}

/** No path is taken from a manifest: it follows from the names, and a name that cannot be one leads nowhere. */
function toEntry(task: unknown, source: string, path: string): Entry {
  const { name: own, id, sha256, deletedAt, path: at } = isObject(task) ? task : ({} as Record<string, unknown>);
  const name = own ?? id;
  if (typeof name !== "string" || typeof sha256 !== "string") {
    throw invalidBundle(path, `a task of ${quote(source)} has no name or no hash`);
  }
  const isName = [source, name].every(isTaskName);
  if (!isName || (at !== undefined && at !== taskPath(source, name))) {
    throw invalidBundle(path, `${quote(String(at ?? taskPath(source, name)))} is no place of a task`);
  }
  return { name, sha256, ...(typeof deletedAt === "string" && { deletedAt }) };
}

/** The fault of a file that is no part of a bundle. */
export function invalidBundle(path: string, why: string): Fault {
  return new Fault("usage", "bundle.invalid", `${quote(path)} cannot be imported: ${why}.`, [
    { intent: "See what can be imported", command: "mu workstream import --help" },
  ]);
}
