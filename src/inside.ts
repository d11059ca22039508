import { readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { Fault, throwIfExhausted } from "./errors.js";
import { quote } from "./names.js";

/**
 * A file's bytes; undefined if it is not there. What is read must be in the folder `root`, a real path.
 * Faults `file.outside`, `file.not_readable`.
 */
export async function readInside(root: string, path: string): Promise<Buffer | undefined> {
  try {
    const real = await realpath(join(root, path));
    if (!real.startsWith(root.endsWith(sep) ? root : root + sep)) {
      const message = `${quote(path)} is a link out of its folder. Put the text itself there.`;
      throw new Fault("conflict", "file.outside", message);
    }
    return (await stat(real)).isFile() ? await readFile(real) : undefined;
  } catch (error) {
    if (error instanceof Fault) throw error;
    const { code = String(error) } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throwIfExhausted(error);
    throw new Fault(
      "usage",
      "file.not_readable",
      `${quote(path)} cannot be read (${code}). Give yourself access to it.`,
    );
  }
}
