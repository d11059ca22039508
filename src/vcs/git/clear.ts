import { chmod, lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** Deletes a folder with all in it, also what was made read-only (package caches do that); one that is gone is fine. */
export async function clearFolder(path: string): Promise<void> {
  try {
    await rm(path, OPTIONS);
  } catch (error) {
    if (!["EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    await makeWritable(path);
    await rm(path, OPTIONS);
  }
}

const OPTIONS = { recursive: true, force: true, maxRetries: 5, retryDelay: 50 };

async function makeWritable(folder: string): Promise<void> {
  if (!(await lstat(folder)).isDirectory()) return;
  await chmod(folder, 0o700);
  for (const name of await readdir(folder)) await makeWritable(join(folder, name));
}
