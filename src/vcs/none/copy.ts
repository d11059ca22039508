import { existsSync, lstatSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault } from "../../errors.js";
import { quote } from "../../names.js";
import { lastWords, noSpace } from "../program.js";
import type { VcsWorld } from "../vcs.js";

/**
 * Ways to copy a tree with its symlinks, modes and times, best first. GNU's and macOS's cp try to clone every file and
 * copy the bytes where the file system cannot, so one run is both the question and the answer. Node's own `cp` is none
 * of them: it does not clone, and it rewrites relative symlinks.
 */
const WAYS: readonly (readonly string[])[] = [
  ["-a", "--reflink=auto"],
  ["-c", "-p", "-P", "-R"],
  ["-p", "-P", "-R"],
];

const UNKNOWN_OPTION = /unrecognized option|illegal option|invalid option|unknown option|unsupported option/;

/**
 * Copies everything in the folder `from` into the folder `to`, which is made. Files that vanish meanwhile are passed
 * over. Faults `vcs.no_space`, `vcs.failed`.
 */
export async function copyFolder(world: VcsWorld, from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  await copy(world, [`${from}/.`], `${to}/`);
}

/** Copies one file, symlink or folder to the path `to`, whose folder is made. Faults as `copyFolder`. */
export async function copyEntry(world: VcsWorld, from: string, to: string): Promise<void> {
  if (lstatSync(from).isDirectory()) return copyFolder(world, from, to);
  await mkdir(dirname(to), { recursive: true });
  await copy(world, [from], to);
}

async function copy(world: VcsWorld, from: readonly string[], to: string): Promise<void> {
  for (const [index, options] of WAYS.entries()) {
    const result = await world.exec("cp", [...options, "--", ...from, to], {
      env: { ...world.env, LC_ALL: "C" },
    });
    if (result.code === 0) return;
    if (result.notStarted !== undefined)
      throw new Fault("unavailable", "vcs.not_installed", `cp could not be started (${result.notStarted}).`);
    const last = index === WAYS.length - 1;
    if (!last && UNKNOWN_OPTION.test(result.stderr)) continue;
    if (/No space left|Disc quota|Disk quota/.test(result.stderr)) throw noSpace(dirname(to));
    if (result.code !== null && onlyVanished(result.stderr)) return;
    const how = result.code === null ? "was ended" : "failed";
    throw new Fault("unavailable", "vcs.failed", `Copying to ${quote(to)} ${how}: ${lastWords(result.stderr)}`);
  }
}

/** Somebody at work in the folder may remove a file between the moment it is listed and the moment it is read. */
function onlyVanished(stderr: string): boolean {
  const lines = stderr.split("\n").filter((line) => line !== "");
  return (
    lines.length > 0 &&
    lines.every((line) => {
      const path = /^cp: (?:cannot (?:stat|open|access) )?'?(.+?)'?(?: for reading)?: No such file or directory$/.exec(
        line,
      )?.[1];
      return path !== undefined && !existsSync(path);
    })
  );
}
