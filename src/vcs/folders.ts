import { existsSync, lstatSync } from "node:fs";
import { chmod, lstat, mkdir, mkdtemp, readdir, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { quote } from "../names.js";
import { programFault } from "./program.js";
import type { VcsWorld } from "./vcs.js";

/**
 * Options for `cp` that keep symlinks, modes and times, best first. GNU's and macOS's cp clone each file if the file
 * system can and copy the bytes if not. Node's own `cp` does not clone, and it rewrites relative symlinks.
 */
const COPY_OPTIONS: readonly (readonly string[])[] = [
  ["-a", "--reflink=auto"],
  ["-c", "-p", "-P", "-R"],
  ["-p", "-P", "-R"],
];

const UNKNOWN_OPTION = /unrecognized option|illegal option|invalid option|unknown option|unsupported option/;

/** Copies the contents of `from` into `to`, which is created. Ignores files that vanish. Faults `vcs.no_space`, `vcs.failed`. */
export async function copyFolder(world: VcsWorld, from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await copy(world, `${from}/.`, `${to}/`);
}

/** Copies a file, symlink or folder to the path `to`, creating its folder. Faults as `copyFolder`. */
export async function copyEntry(world: VcsWorld, from: string, to: string): Promise<void> {
  if (lstatSync(from).isDirectory()) return copyFolder(world, from, to);
  await mkdir(dirname(to), { recursive: true });
  await copy(world, from, to);
}

async function copy(world: VcsWorld, from: string, to: string): Promise<void> {
  const env = { ...world.env, LC_ALL: "C" };
  for (const [index, options] of COPY_OPTIONS.entries()) {
    const result = await world.exec("cp", [...options, "--", from, to], { env });
    if (result.code === 0) return;
    const isLast = index === COPY_OPTIONS.length - 1;
    if (!isLast && UNKNOWN_OPTION.test(result.stderr)) continue;
    if (result.code !== null && onlyVanished(result.stderr)) return;
    throw programFault("cp", result, { verb: `Copying to ${quote(to)}`, cwd: dirname(to) });
  }
}

/** True if cp complains only about files that were removed after it listed them. */
function onlyVanished(stderr: string): boolean {
  const lines = stderr.split("\n").filter((line) => line !== "");
  const missing = /^cp: (?:cannot (?:stat|open|access) )?'?(.+?)'?(?: for reading)?: No such file or directory$/;
  const paths = lines.map((line) => missing.exec(line)?.[1]);
  return lines.length > 0 && paths.every((path) => path !== undefined && !existsSync(path));
}

export const temporaryFolder = ({ env }: VcsWorld) => env["TMPDIR"] || tmpdir();

/** Runs `use` with a new private folder whose path begins with `prefix`, and deletes it afterwards. */
export async function withFolder<T>(prefix: string, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(prefix);
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** True unless the path is free for a new folder: missing, or an empty folder. */
export async function isTaken(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length > 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ENOENT";
  }
}

/** Deletes a folder, including read-only folders in it such as package caches. Does nothing if it does not exist. */
export async function deleteFolder(path: string): Promise<void> {
  const options = { recursive: true, force: true, maxRetries: 5, retryDelay: 50 };
  try {
    await rm(path, options);
  } catch (error) {
    if (!["EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    await makeWritable(path);
    await rm(path, options);
  }
}

async function makeWritable(folder: string): Promise<void> {
  if (!(await lstat(folder)).isDirectory()) return;
  await chmod(folder, 0o700);
  for (const name of await readdir(folder)) await makeWritable(join(folder, name));
}

/** The absolute path with symlinks resolved, for a path that need not exist. */
export async function realPath(path: string): Promise<string> {
  const whole = resolve(path);
  const real = await realpath(whole).catch(() => undefined);
  if (real !== undefined) return real;
  return whole === dirname(whole) ? whole : join(await realPath(dirname(whole)), basename(whole));
}

/** The first result of `look` in `folder` and the folders above it. */
export function findAbove<T>(folder: string, look: (at: string) => T | undefined): T | undefined {
  for (let at = resolve(folder); ; at = dirname(at)) {
    const found = look(at);
    if (found !== undefined || at === dirname(at)) return found;
  }
}
