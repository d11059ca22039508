import { existsSync } from "node:fs";
import { mkdir, open, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, normalize } from "node:path";
import { Fault } from "../../errors.js";
import { quote } from "../../names.js";
import { moveWhole } from "../../whole-file.js";
import { runProgram } from "../program.js";
import type { VcsWorld } from "../vcs.js";
import { type Differences, sameBytes } from "./compare.js";

/** How a copy differed from its root. */
interface Manifest extends Omit<Differences, "complete"> {
  root: string;
  path: string;
}

/**
 * Writes the differences into a tar at `file`: `manifest.json`, and the changed files under `tree/`. Atomic, also if
 * interrupted. Not compressed, because that takes ten times as long. An existing archive is kept; faults `vcs.ref_taken`
 * if its bytes differ.
 */
export async function writeArchive(world: VcsWorld, file: string, manifest: Manifest): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const stage = join(dirname(file), `.${basename(file)}.draft`);
  await rm(stage, { recursive: true, force: true });
  try {
    await mkdir(stage, { mode: 0o700 });
    await writeFile(join(stage, "manifest.json"), JSON.stringify(manifest));
    // A fixed time makes archives of the same content identical.
    await utimes(join(stage, "manifest.json"), 0, 0);
    // tar stores the symlink's target under the symlink's name, without flags that only one tar has.
    await symlink(manifest.path, join(stage, "tree"));
    const list = ["manifest.json", ...manifest.changed.map((name) => `tree/${name}`)];
    const draft = join(stage, "draft.tar");
    await writeFile(draft, "", { mode: 0o600 });
    await runProgram(world, "tar", ["-c", "-f", draft, "-C", stage, "--null", "-T", "-"], { input: list.join("\0") });
    if (existsSync(file)) {
      if (sameBytes(draft, file)) return;
      throw new Fault("conflict", "vcs.ref_taken", `${quote(file)} exists and holds something else.`);
    }
    await moveWhole(draft, file);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** Faults `vcs.no_save` for anything but an archive of ours. */
export async function readManifest(world: VcsWorld, file: string): Promise<Manifest> {
  try {
    const { stdout } = await runProgram(world, "tar", ["-x", "-O", "-f", file, "manifest.json"]);
    await checkEnd(file);
    return JSON.parse(stdout) as Manifest;
  } catch (error) {
    if (error instanceof Fault && error.code === "vcs.not_installed") throw error;
    const message = `${quote(file)} does not exist, is damaged, or is not an archive of a workspace.`;
    throw new Fault("missing", "vcs.no_save", message);
  }
}

/** An archive ends with empty blocks; tar says nothing where it is cut off between two files. */
async function checkEnd(file: string): Promise<void> {
  const archive = await open(file);
  const { size } = await archive.stat();
  const { buffer } = await archive.read(Buffer.alloc(512), 0, 512, size - 512).finally(() => archive.close());
  if (buffer.some((byte) => byte !== 0)) throw new Error("cut off");
}

/** Restores an archive's files into `path` and deletes what it lists as deleted. */
export async function unpackArchive(world: VcsWorld, file: string, path: string): Promise<void> {
  const { changed, deleted } = await readManifest(world, file);
  for (const name of deleted) if (isInside(name)) await rm(join(path, name), { recursive: true, force: true });
  if (changed.length === 0) return;
  await runProgram(world, "tar", ["-x", "-p", "-f", file, "-C", path, "--strip-components", "1"]);
}

const isInside = (name: string) => !isAbsolute(name) && name !== "" && !normalize(name).startsWith("..");
