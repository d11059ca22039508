import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { STEP_NAMES, STEPS, type StepName } from "../flow/steps.js";
import { readInside } from "../inside.js";
import { writeWhole } from "../whole-file.js";

/** Where jobs have their folders, in the project's. */
export const JOBS = ".mu/jobs";
export const ARCHIVE = join(JOBS, ".archive");
/** Deleted jobs leave their files here. */
export const DELETED = join(JOBS, ".deleted");

/** A job's folder, relative to the project's. */
export const jobFolder = (job: string) => join(JOBS, job);

/** What a step has made, as it is on disk. */
export interface Artifact {
  step: StepName;
  /** Relative to the project's folder. */
  path: string;
  text: string;
  bytes: number;
  sha256: string;
}

export const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");

export const artifactPath = (folder: string, step: StepName) => join(folder, STEPS[step].artifact);

/** A file of a job; undefined if it is not there or has nothing but space in it. Faults as `readInside`. */
export async function readFileOf(root: string, path: string): Promise<Omit<Artifact, "step"> | undefined> {
  const bytes = await readInside(await realpath(root), path);
  if (bytes === undefined || bytes.toString("latin1").trim() === "") return undefined;
  return { path, text: bytes.toString("utf8"), bytes: bytes.length, sha256: sha256(bytes) };
}

/** The artifacts that a job has, in the order of the steps. Faults as `readInside`. */
export async function readArtifacts(root: string, folder: string): Promise<Artifact[]> {
  const found: Artifact[] = [];
  for (const step of STEP_NAMES) {
    const file = await readFileOf(root, artifactPath(folder, step));
    if (file !== undefined) found.push({ step, ...file });
  }
  return found;
}

const HISTORY = ".history";
export const branchPath = (folder: string, step: StepName, index: number) =>
  join(folder, HISTORY, `${step}.branch-${index}.md`);

/** The kept versions of an artifact, by number. */
export async function versionsOf(root: string, folder: string, step: StepName): Promise<number[]> {
  const names = await readdir(join(root, folder, HISTORY)).catch(() => [] as string[]);
  const pattern = new RegExp(`^${step}\\.(\\d+)\\.md$`);
  return names.flatMap((name) => Number(pattern.exec(name)?.[1] ?? [])).sort((a, b) => a - b);
}

const versionPath = (folder: string, step: StepName, n: number) => join(folder, HISTORY, `${step}.${n}.md`);

/** An artifact as it is, or an older version of it, and which versions there are. Undefined where it is not there. */
export async function readVersion(root: string, folder: string, step: StepName, version?: number) {
  const path = version === undefined ? artifactPath(folder, step) : versionPath(folder, step, version);
  const [file, versions] = await Promise.all([readFileOf(root, path), versionsOf(root, folder, step)]);
  return file && { step, path, version: version ?? null, versions, text: file.text };
}

/** Keeps an artifact as it is before it is revised. What is the newest version already is not kept twice. */
export async function keepVersion(root: string, folder: string, { step, text, sha256: sha }: Artifact): Promise<void> {
  const last = (await versionsOf(root, folder, step)).at(-1) ?? 0;
  const newest = last === 0 ? undefined : await readFileOf(root, versionPath(folder, step, last));
  if (newest?.sha256 === sha) return;
  await writeWhole(join(root, versionPath(folder, step, last + 1)), text, 0o644);
}

/** A name in a folder that nothing there has: `name`, `name-2` … */
export function freeName(folder: string, name: string): string {
  let found = name;
  for (let n = 2; existsSync(join(folder, found)); n++) found = `${name}-${n}`;
  return found;
}
