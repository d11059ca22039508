import { lstat, readFile, readlink, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Fault, throwIfExhausted } from "../../errors.js";
import { writeWhole } from "../../whole-file.js";

/** The file's text, or undefined when it is not there. Bytes that are no UTF-8 are `hooks.settings_unreadable`. */
export async function readText(path: string): Promise<string | undefined> {
  const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throwIfExhausted(error);
    throw unreadable(path, error.code ?? error.message);
  });
  if (bytes === undefined) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw unreadable(path, "it is not UTF-8");
  }
}

function unreadable(path: string, why: string): Fault {
  return new Fault("usage", "hooks.settings_unreadable", `${path} was left unchanged: ${why}.`);
}

/**
 * Changes the file from `before` to `after` (undefined: no file) atomically.
 * A symbolic link stays one, and the mode is kept. When someone else changed the file since `before` was read, it is
 * left unchanged: `hooks.settings_changed`. A file or folder that cannot be written is `hooks.not_writable`.
 */
export async function replaceText(path: string, before: string | undefined, after: string | undefined): Promise<void> {
  if (before === after) return;
  const target = await followLinks(path);
  const requireSame = async () => {
    if ((await readText(target)) !== before) throw changed(path);
  };
  await requireSame();
  if (after === undefined) return rm(target, { force: true });
  const mode = ((await stat(target).catch(() => undefined))?.mode ?? 0o644) & 0o7777;
  // Syncing the draft takes a while, in which somebody else may have saved theirs.
  await writeWhole(target, after, mode, requireSame).catch((error: NodeJS.ErrnoException) => {
    throw error instanceof Fault ? error : unwritable(path, error.code ?? error.message);
  });
}

function unwritable(path: string, why: string): Fault {
  return new Fault(
    "unavailable",
    "hooks.not_writable",
    `${path} cannot be written (${why}). Make its folder writable.`,
  );
}

function changed(path: string): Fault {
  return new Fault("conflict", "hooks.settings_changed", `${path} was changed by another program just now. Try again.`);
}

/** The file that a link leads to in the end, whether it is there or not. */
async function followLinks(path: string): Promise<string> {
  let target = path;
  for (let step = 0; step < MAX_LINKS; step++) {
    if (!(await lstat(target).catch(() => undefined))?.isSymbolicLink()) return target;
    target = resolve(dirname(target), await readlink(target));
  }
  throw unreadable(path, "its symbolic links form a cycle");
}

const MAX_LINKS = 40;
