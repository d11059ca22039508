import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { Script } from "node:vm";

/** A compiled program, and what keeps its compiled form for the next start. */
export interface Compiled {
  /** Runs the program as a CommonJS module and gives its exports. */
  load(require: NodeJS.Require): unknown;
  /** Writes the compiled form down where there is none that fits; call it when the work is done. */
  keep(): void;
}

/**
 * Compiles the CommonJS file at `path` with V8's code cache, which halves the time to start: most of it is
 * compiling. The cache lives in the user's own cache folder; V8 refuses one of another version of itself.
 */
export function compileCached(path: string, env: NodeJS.ProcessEnv): Compiled {
  const folder = join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "mu");
  const file = join(folder, cacheName(path));
  const cachedData = readOrNothing(file);
  // The bundler writes ASCII alone, and Latin-1 is read without a look at every byte.
  const source = readFileSync(path, "latin1");
  const wrapped = `(function (exports, require, module, __filename, __dirname) {${source}\n})`;
  const script = new Script(wrapped, { filename: path, ...(cachedData && { cachedData }) });
  return {
    load(require) {
      const module = { exports: {} };
      script.runInThisContext()(module.exports, require, module, path, dirname(path));
      return module.exports;
    },
    keep() {
      if (cachedData === undefined || script.cachedDataRejected)
        replaceQuietly(folder, file, script.createCachedData());
    },
  };
}

function readOrNothing(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/** V8 tells sources apart by their length alone, so the name says which build of the program it is. */
function cacheName(path: string): string {
  const { mtimeMs, size } = statSync(path);
  return `code-${process.versions.v8}-${Math.round(mtimeMs).toString(36)}-${size.toString(36)}.bin`;
}

/** Older builds' caches go. One that cannot be written only makes the next start slower. */
function replaceQuietly(folder: string, file: string, data: Buffer): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const stale = readdirSync(folder).filter((name) => name.startsWith(`code-${process.versions.v8}-`));
    const draft = `${file}.${process.pid}`;
    writeFileSync(draft, data, { mode: 0o600 });
    renameSync(draft, file);
    for (const name of stale) if (join(folder, name) !== file) rmSync(join(folder, name), { force: true });
  } catch {}
}
