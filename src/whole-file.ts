import { randomBytes } from "node:crypto";
import { chmod, constants, copyFile, link, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Writes a file so that it is as before or whole, whatever cuts this off: a draft beside it is synced and renamed over
 * it. Creates its folder. `last` is called right before the rename and may fault to keep the file as it is.
 */
export async function writeWhole(path: string, text: string, mode = 0o600, last?: () => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.mu-${randomBytes(6).toString("hex")}`;
  try {
    const file = await open(draft, "wx", mode);
    await file
      .writeFile(text)
      .finally(() => file.close())
      .catch(withPath(path));
    await chmod(draft, mode);
    await moveWhole(draft, path, last);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** Syncs a file, calls `last`, renames the file to `path`, and syncs the folder, so that the rename lasts. */
export async function moveWhole(draft: string, path: string, last?: () => Promise<void>): Promise<void> {
  await sync(draft);
  await last?.();
  await rename(draft, path);
  await sync(dirname(path));
}

/** As `moveWhole`, but over no file: faults EEXIST. Where there are no hard links, two at once may both succeed. */
export async function placeWhole(draft: string, path: string): Promise<void> {
  await sync(draft);
  await linkOrCopy(draft, path);
  await rm(draft);
  await sync(dirname(path));
}

/** A second name for a file, and a copy where it can have one only. Faults EEXIST. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw error;
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    await sync(to);
  }
}

/** Syncs a file or folder; false if it does not exist. Some file systems cannot sync folders. */
export async function sync(path: string): Promise<boolean> {
  try {
    const handle = await open(path, "r");
    await handle
      .sync()
      .finally(() => handle.close())
      .catch(withPath(path));
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (["EISDIR", "EINVAL", "EPERM", "ENOTSUP"].includes(code ?? "")) return true;
    if (["ENOENT", "ENOTDIR"].includes(code ?? "")) return false;
    throw error;
  }
}

/** For `.catch`: names the file in an error of a descriptor, which knows none. */
function withPath(path: string): (error: unknown) => never {
  return (error) => {
    throw error instanceof Error ? Object.assign(error, { path }) : error;
  };
}
