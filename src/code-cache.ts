import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { Script } from "node:vm";

/** Caches kept: several builds of mu, or several versions of Node, may take turns. */
const KEPT = 4;

/** A compiled program. */
export interface Compiled {
  /** Runs the program as a CommonJS module and gives its exports. */
  load(require: NodeJS.Require): unknown;
  /** Writes the code cache if there was no valid one; call it when the work is done. */
  keep(): void;
}

/**
 * Compiles the file at `path`, which is one function expression of CommonJS's five parameters, with V8's code cache. It
 * halves the time to start: most of it is compiling. The cache is in the user's cache folder and valid only for this `build`, file, V8 and processor.
 */
export function compileCached(path: string, build: string, env: NodeJS.ProcessEnv): Compiled {
  const { mtimeMs, size } = statSync(path);
  const id = `${build}-${Math.round(mtimeMs).toString(36)}-${size.toString(36)}-${process.versions.v8}-${process.arch}`;
  const folder = join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "mu");
  const file = join(folder, `code-${id}.bin`);
  const cachedData = readCache(file, id);
  // The bundler writes ASCII only. As Latin-1, V8 takes so long a text as it was read, without another copy.
  const script = new Script(readFileSync(path, "latin1"), { filename: path, ...(cachedData && { cachedData }) });
  return {
    load(require) {
      const module = { exports: {} };
      script.runInThisContext()(module.exports, require, module, path, dirname(path));
      return module.exports;
    },
    keep() {
      if (cachedData === undefined || script.cachedDataRejected)
        writeCache(folder, file, id, script.createCachedData());
    },
  };
}

/**
 * The code in `file`; undefined if there is none, or if it is damaged or not for `id`. V8 does not check what it
 * runs, so the file holds the code twice: comparing takes 0.1 ms, computing a checksum or loading zlib for it 2 ms.
 */
function readCache(file: string, id: string): Buffer | undefined {
  try {
    const bytes = readFileSync(file);
    const end = bytes.length - id.length;
    const code = bytes.subarray(0, end / 2);
    const isSound = end > 0 && bytes.toString("latin1", end) === id && code.equals(bytes.subarray(end / 2, end));
    return isSound ? code : undefined;
  } catch {
    return undefined;
  }
}

/** Replaces the file as a whole and removes the oldest caches. A failure only makes the next start slower. */
function writeCache(folder: string, file: string, id: string, code: Buffer): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const draft = `${file}.${process.pid}`;
    writeFileSync(draft, Buffer.concat([code, code, Buffer.from(id)]), { mode: 0o600 });
    renameSync(draft, file);
    const caches = readdirSync(folder)
      .filter((name) => name.startsWith("code-"))
      .map((name) => ({ path: join(folder, name), writtenMs: statSync(join(folder, name)).mtimeMs }))
      .sort((a, b) => b.writtenMs - a.writtenMs);
    for (const { path } of caches.slice(KEPT)) rmSync(path, { force: true });
  } catch {}
}
