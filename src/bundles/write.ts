import { hash } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";
import { Fault, throwIfExhausted } from "../errors.js";
import { quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import type { KeptTask } from "../tasks/kept.js";
import { writeWhole } from "../whole-file.js";
import {
  BUNDLE_VERSION,
  type Entry,
  MANIFEST,
  type Manifest,
  readManifest,
  type Source,
  taskPath,
} from "./manifest.js";
import { writeTaskFile } from "./task-file.js";

/** What an export did: files of tasks that were written, that were so already, and those of deleted tasks that it kept. */
export const EXPORTED = shape({ folder: "string", written: "number", unchanged: "number", deleted: "number" });

export type Exported = TypeOf<typeof EXPORTED>;

/** So many files are written before others in this process have a turn. */
const FILES_PER_TURN = 100;

/**
 * Writes `sources` into the bundle at `folder`, which is created if it is not there: a file for each task, indexes, and last
 * the manifest with their hashes. Other sources stay, deleted tasks keep their file with a banner, and what is unchanged is
 * not written. Cut off, it can be repeated. Faults `bundle.not_a_bundle`, `bundle.older`, `bundle.in_use`, `bundle.invalid`,
 * `bundle.newer`, `file.not_writable`.
 */
export async function writeBundle(folder: string, sources: readonly Source[], now: string): Promise<Exported> {
  const before = await readManifest(folder);
  if (before !== undefined && before.manifest.bundleVersion < BUNDLE_VERSION) throw olderBundle(folder);
  if (before === undefined) {
    await requireUnused(folder, sources);
    return beginBundle(folder, sources, now);
  }
  const bundle = new Bundle(folder, changedMs(folder, MANIFEST));
  const known = before.manifest;
  const manifest: Manifest = { ...known, sources: { ...known.sources } };
  for (const { workstream, tasks } of sources) {
    const old = known.sources[workstream];
    const entries = await writeSource(bundle, workstream, tasks, old?.tasks ?? [], now);
    const isChanged = JSON.stringify(entries) !== JSON.stringify(old?.tasks);
    manifest.sources[workstream] = isChanged || old === undefined ? { updatedAt: now, tasks: entries } : old;
  }
  const names = Object.keys(manifest.sources).sort();
  manifest.sources = Object.fromEntries(names.map((name) => [name, manifest.sources[name] as Manifest["sources"][""]]));
  bundle.write("README.md", README);
  bundle.write("INDEX.md", index(manifest));
  if (textOf(manifest) !== before.text) {
    await replaceManifest(folder, before.text, textOf({ ...manifest, updatedAt: now }));
  }
  return { folder, ...bundle.counts };
}

const textOf = (manifest: Manifest) => `${JSON.stringify(manifest, null, 1)}\n`;

/** An empty manifest says whose folder it is, so that an export that was cut off can be repeated. */
async function beginBundle(folder: string, sources: readonly Source[], now: string): Promise<Exported> {
  const empty = { bundleVersion: BUNDLE_VERSION, createdAt: now, updatedAt: now, sources: {} };
  await replaceManifest(folder, undefined, textOf(empty));
  return writeBundle(folder, sources, now);
}

/** A lock is held while two texts are compared and a file is renamed; one that stays this long was left by a killed process. */
const LOCK_MS = 2_000;
const LOOKS = 40;

/** Takes a lock file as soon as it is free; false if others keep taking it. Faults `file.not_writable`. */
async function takeLock(lock: string): Promise<boolean> {
  const take = () =>
    writeFile(lock, "", { flag: "wx" }).then(
      () => true,
      (error: NodeJS.ErrnoException) => (error.code === "EEXIST" ? false : notWritable(lock)(error)),
    );
  const madeAt = () => statSync(lock, { throwIfNoEntry: false })?.mtimeMs;
  const first = madeAt();
  for (let look = 0; look < LOOKS; look++) {
    if (await take()) return true;
    await pause(LOCK_MS / LOOKS);
  }
  if (madeAt() === first) await rm(lock, { force: true });
  return take();
}

/** Replaces the manifest unless another export has done so since it was read. */
async function replaceManifest(folder: string, before: string | undefined, text: string): Promise<void> {
  const [path, lock] = [join(folder, MANIFEST), join(folder, `.${MANIFEST}.lock`)];
  let held = false;
  const last = async () => {
    held = await takeLock(lock);
    if (!held || (await readManifest(folder))?.text !== before) throw inUse(folder);
  };
  try {
    await writeWhole(path, text, 0o644, last).catch(notWritable(path));
  } finally {
    if (held) await rm(lock, { force: true });
  }
}

/** The files of a bundle. Those that its manifest knows and that nobody has changed since are neither read nor written. */
class Bundle {
  readonly counts = { written: 0, unchanged: 0, deleted: 0 };
  readonly #folders = new Set<string>();

  constructor(
    readonly folder: string,
    /** When the manifest was written: files that are older are as it says. */
    readonly writtenMs: number,
  ) {}

  read(path: string): string | undefined {
    try {
      return readFileSync(join(this.folder, path), "utf8");
    } catch (error) {
      throwIfExhausted(error);
      return undefined;
    }
  }

  isKnown(path: string, text: string): boolean {
    const found = lstatSync(join(this.folder, path), { throwIfNoEntry: false });
    if (found?.size !== Buffer.byteLength(text)) return false;
    return found.mtimeMs < this.writtenMs || this.read(path) === text;
  }

  /** Writes a file unless it has the text already; true if it had not. */
  write(path: string, text: string): boolean {
    if (this.read(path) === text) return false;
    this.put(path, text);
    return true;
  }

  put(path: string, text: string): void {
    const whole = join(this.folder, path);
    try {
      if (!this.#folders.has(dirname(whole))) mkdirSync(dirname(whole), { recursive: true });
      this.#folders.add(dirname(whole));
      writeFileSync(whole, text);
    } catch (error) {
      notWritable(whole)(error);
    }
  }
}

async function writeSource(
  bundle: Bundle,
  workstream: string,
  tasks: readonly KeptTask[],
  old: readonly Entry[],
  now: string,
): Promise<Entry[]> {
  const oldOf = new Map(old.map((entry) => [entry.name, entry]));
  const entries: Entry[] = [];
  for (const [at, task] of tasks.entries()) {
    if (at % FILES_PER_TURN === 0) await nextTurn();
    const [path, text] = [taskPath(workstream, task.name), writeTaskFile(task)];
    const sha256 = hash("sha256", text);
    const isKnown = oldOf.get(task.name)?.sha256 === sha256 && bundle.isKnown(path, text);
    if (!isKnown) bundle.put(path, text);
    bundle.counts[isKnown ? "unchanged" : "written"]++;
    oldOf.delete(task.name);
    entries.push({ name: task.name, sha256 });
  }
  for (const entry of oldOf.values()) entries.push(...bury(bundle, workstream, entry, now));
  bundle.write(join(workstream, "INDEX.md"), sourceIndex(workstream, tasks, entries));
  return entries;
}

/** Keeps the file of a task that is there no more, with a banner. */
function bury(bundle: Bundle, workstream: string, entry: Entry, now: string): Entry[] {
  const path = taskPath(workstream, entry.name);
  const text = bundle.read(path);
  if (text === undefined) return [];
  bundle.counts.deleted++;
  if (entry.deletedAt !== undefined) return [entry];
  const banner = `> **Deleted.** This task was no longer in ${workstream} on ${now}. An import leaves it out.\n`;
  const buried = text.replace(/^---\n[\s\S]*?\n---\n/, (front) => `${front}\n${banner}`);
  bundle.put(path, buried);
  return [{ name: entry.name, sha256: hash("sha256", buried), deletedAt: now }];
}

const README = `# Tasks from mu

Each folder has the tasks of one workstream: an index, and under \`tasks\` one Markdown file for each task with its fields,
description and notes. \`manifest.json\` lists the files with their SHA-256, and an import takes only what is listed there.

Import them with \`mu workstream import <this folder>\`.
`;

function index({ sources }: Manifest): string {
  const rows = Object.entries(sources).map(([name, { tasks }]) => {
    const deleted = tasks.filter(({ deletedAt }) => deletedAt !== undefined).length;
    return `| [${name}](${name}/INDEX.md) | ${tasks.length - deleted} | ${deleted} |\n`;
  });
  return `# Workstreams\n\n| workstream | tasks | deleted |\n| --- | --- | --- |\n${rows.join("")}`;
}

function sourceIndex(workstream: string, tasks: readonly KeptTask[], entries: readonly Entry[]): string {
  const cell = (text: string) => text.replace(/\s+/g, " ").replaceAll("|", "\\|");
  const link = (name: string) => `[${name}](tasks/${name}.md)`;
  const rows = tasks.map(
    ({ name, status, impact, effortDays, title }) =>
      `| ${link(name)} | ${status} | ${impact} | ${effortDays} | ${cell(title)} |\n`,
  );
  const deleted = entries.flatMap(({ name, deletedAt }) => (deletedAt === undefined ? [] : [`- ${link(name)}\n`]));
  const head = `# ${workstream}\n\n| task | status | impact | effort in days | title |\n| --- | --- | --- | --- | --- |\n`;
  return `${head}${rows.join("")}${deleted.length === 0 ? "" : `\nDeleted:\n\n${deleted.join("")}`}`;
}

const changedMs = (folder: string, path: string) => statSync(join(folder, path)).mtimeMs;

/** A folder with anything in it that the export would write over is left alone. */
async function requireUnused(folder: string, sources: readonly Source[]): Promise<void> {
  const there = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [] as string[];
    return notWritable(folder)(error);
  });
  const ours = ["README.md", "INDEX.md", ...sources.map(({ workstream }) => workstream)];
  const taken = there.find((name) => ours.includes(name));
  if (taken === undefined) return;
  const message = `${quote(folder)} has a ${taken} and is no bundle. Name another folder with --out.`;
  throw new Fault("conflict", "bundle.not_a_bundle", message);
}

function olderBundle(folder: string): Fault {
  const message = `${quote(folder)} was written by an older mu, in another layout. Name another folder with --out.`;
  return new Fault("conflict", "bundle.older", message);
}

function inUse(folder: string): Fault {
  const message = `Another export changed ${quote(folder)} meanwhile. Run this one again.`;
  return new Fault("conflict", "bundle.in_use", message);
}

/** For `.catch`: what went wrong with a file, as a fault that names it. Faults are thrown as they are. */
export function notWritable(path: string): (error: unknown) => never {
  return (error) => {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof Fault || typeof code !== "string") throw error;
    throw new Fault("unavailable", "file.not_writable", `${quote(path)} cannot be written (${code}).`);
  };
}
