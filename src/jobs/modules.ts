import { closeSync, constants, existsSync, openSync, readSync, realpathSync } from "node:fs";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import ignore, { type Ignore } from "ignore";
import { asFault, Fault } from "../errors.js";
import { didYouMean, enumerate, quote, UNPRINTABLE } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { gitEntries } from "../vcs/git/run.js";
import type { VcsWorld } from "../vcs/vcs.js";

/** A part of a project that has a document of its own, `_name.md`. Paths are relative to the project folder. */
export const MODULE = shape({
  /** The document's name; `folder/name` where several folders have a document of that name. */
  name: "string",
  path: "string",
  /** `.` for the project folder itself. */
  folder: "string",
  /** The module of the nearest folder above. */
  parent: "string | null",
});
export type Module = TypeOf<typeof MODULE>;

/** A document that is no module, or that a person should look at. */
interface ScanWarning {
  code: string;
  message: string;
}

/** The modules of a project, a folder before what is in it, and what was left out. */
export interface Scan {
  modules: Module[];
  warnings: ScanWarning[];
}

/** `_.md` and `__init__.md` are no documents. */
const DOC = /(?:^|\/)_(?<stem>[^_/][^/]*)\.md$/s;
/** Never looked into: what version control keeps, what others wrote, and what jobs and rules are written in. */
const LEFT_OUT = new Set([".git", ".jj", ".sl", ".hg", "node_modules"]);
const LEFT_OUT_AT_TOP = new Set([".mu", ".mixer"]);
const MOST_NAME = 100;
/** A NUL in so many first bytes makes a file binary, as for git. */
const HEAD_BYTES = 8_192;

/**
 * Looks for modules in the project at `root`. What git ignores is left out, and symbolic links are not followed. Faults
 * `vcs.failed`, `vcs.no_folder`.
 */
export async function scanModules(world: VcsWorld, root: string): Promise<Scan> {
  const warnings: ScanWarning[] = [];
  const listed = await listFiles(world, root);
  const isUsable = usableIn(existsSync(root) ? realpathSync.native(root) : root, warnings);
  const docs = listed
    .filter((path) => DOC.test(path) && !isLeftOut(path))
    .sort(inTreeOrder)
    .filter(isUsable)
    .map((path) => ({ path, folder: dirname(path), stem: DOC.exec(path)?.groups?.["stem"] ?? "" }));
  const count = (values: readonly string[]) =>
    values.reduce((counts, one) => counts.set(one, (counts.get(one) ?? 0) + 1), new Map<string, number>());
  const stems = count(docs.map(({ stem }) => stem));
  const modules: Module[] = [];
  const first = new Map<string, string>();
  for (const { path, folder, stem } of docs) {
    const name = (stems.get(stem) ?? 0) > 1 ? `${folder}/${stem}` : stem;
    const above = foldersAbove(folder).find((one) => first.has(one));
    modules.push({ name, path, folder, parent: above === undefined ? null : (first.get(above) ?? null) });
    if (!first.has(folder)) first.set(folder, name);
  }
  for (const [folder, times] of count(docs.map((doc) => doc.folder))) {
    if (times === 1) continue;
    const names = modules.filter((module) => module.folder === folder).map(({ name }) => name);
    const message = `The folder ${quote(folder)} has ${times} modules: ${enumerate(names)}.`;
    warnings.push({ code: "module.same_folder", message });
  }
  return { modules, warnings };
}

/** The paths of files below `root`, by git, or where there is no repository by a walk. */
async function listFiles(world: VcsWorld, root: string): Promise<string[]> {
  // One call, and with a pattern that git checks fastest.
  const args = ["ls-files", "-co", "--exclude-standard", "-z", "--", "*.md"];
  try {
    // While a merge is open git lists a file once for each side.
    return [...new Set(await gitEntries(world, root, args))];
  } catch (error) {
    const { code, message } = asFault(error);
    if (code === "vcs.not_installed" || /not a git repository/i.test(message)) return walk(root, ".", []);
    throw error;
  }
}

/** What a `.gitignore` says about the paths below its folder. */
interface Rules {
  folder: string;
  rules: Ignore;
}

async function walk(root: string, folder: string, above: readonly Rules[]): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => []);
  const own = entries.some((entry) => entry.name === ".gitignore" && entry.isFile())
    ? await readFile(join(root, folder, ".gitignore"), "utf8").catch(() => "")
    : "";
  const all = own === "" ? above : [{ folder, rules: ignore().add(own) }, ...above];
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (isLeftOut(path)) continue;
    if (entry.isDirectory() && !isIgnored(`${path}/`, all)) found.push(...(await walk(root, path, all)));
    if (entry.isFile() && DOC.test(path) && !isIgnored(path, all)) found.push(path);
  }
  return found;
}

/** The innermost `.gitignore` that says something decides. */
function isIgnored(path: string, all: readonly Rules[]): boolean {
  for (const { folder, rules } of all) {
    const { ignored, unignored } = rules.test(folder === "." ? path : path.slice(folder.length + 1));
    if (ignored || unignored) return ignored;
  }
  return false;
}

function isLeftOut(path: string): boolean {
  const folders = path.split("/");
  return LEFT_OUT_AT_TOP.has(folders[0] ?? "") || folders.some((folder) => LEFT_OUT.has(folder));
}

/** Documents of a folder before those of the folders in it, each by code unit. */
function inTreeOrder(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const [one = "", other = ""] = [left[at], right[at]];
    if (one !== other) return one < other ? -1 : 1;
  }
  return left.length - right.length;
}

/** Folders sort behind the documents beside them. */
const partsOf = (path: string) => path.split("/").map((part, at, { length }) => (at === length - 1 ? "" : "/") + part);

/** The folders that hold `folder`, nearest first; `.` is the last. */
function foldersAbove(folder: string): string[] {
  return folder === "." ? [] : [dirname(folder), ...foldersAbove(dirname(folder))];
}

/** Whether a document can be a module's; why not is added to `warnings`. A file that is gone by now is not told of. */
function usableIn(real: string, warnings: ScanWarning[]): (path: string) => boolean {
  const folders = new Map<string, boolean>();
  const leave = (code: string, path: string, why: string) => {
    warnings.push({ code, message: `${quote(path)} is not a module: ${why}.` });
    return false;
  };
  const isReal = (folder: string) => {
    const known = folders.get(folder) ?? isRealPath(folder === "." ? real : `${real}/${folder}`);
    folders.set(folder, known);
    return known;
  };
  return (path) => {
    const stem = DOC.exec(path)?.groups?.["stem"] ?? "";
    if (stem.length > MOST_NAME) return leave("module.name", path, `its name is longer than ${MOST_NAME} characters`);
    if (path.search(UNPRINTABLE) >= 0 || stem.includes(",") || stem.trim() !== stem) {
      return leave(
        "module.name",
        path,
        "its name has a comma, a blank at an end or a character that cannot be printed",
      );
    }
    if (!isReal(dirname(path))) return false;
    const head = headOf(`${real}/${path}`);
    if (typeof head === "string") {
      const isGone = ["ENOENT", "ENOTDIR", "ELOOP", "EMLINK", "EISDIR", "EAGAIN"].includes(head);
      return isGone ? false : leave("module.unreadable", path, `it cannot be read (${head})`);
    }
    return head.includes(0) ? leave("module.binary", path, "it is no text") : true;
  };
}

function isRealPath(path: string): boolean {
  try {
    return realpathSync.native(path) === path;
  } catch {
    return false;
  }
}

const head = Buffer.alloc(HEAD_BYTES);

/** The first bytes of a file, until the next call, or the code of what kept it from being read: a link gives `ELOOP`. */
function headOf(path: string): Uint8Array | string {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    return head.subarray(0, readSync(file, head, 0, HEAD_BYTES, 0));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/**
 * The modules that `names` name, in the order of the scan; `folder/name` does as well where the name alone would do.
 * Faults `module.not_found`, and `module.ambiguous` with the names to choose from.
 */
export function findModules(modules: readonly Module[], names: readonly string[]): Module[] {
  const found = new Set(names.map((name) => findModule(modules, name)));
  return modules.filter((module) => found.has(module));
}

function findModule(modules: readonly Module[], name: string): Module {
  const exact = modules.find((module) => module.name === name);
  if (exact !== undefined) return exact;
  const [only, ...others] = modules.filter(({ path }) => path === docOf(name) || path.endsWith(`/_${name}.md`));
  const names = modules.map((module) => module.name);
  const next = [{ intent: "Look for modules again", command: "mu sync" }];
  if (only === undefined) {
    const known = names.length === 0 ? "There are none." : `The modules are ${enumerate(names)}.`;
    const message = `There is no module ${quote(name)}.${didYouMean(name, names)} ${known}`;
    throw new Fault("missing", "module.not_found", message, next, { modules: names });
  }
  if (others.length === 0) return only;
  const choices = [only, ...others].map((module) => module.name);
  const message = `${quote(name)} is the name of ${choices.length} modules. Say which: ${enumerate(choices)}.`;
  throw new Fault("usage", "module.ambiguous", message, next, { choices });
}

const docOf = (name: string) => join(dirname(name), `_${name.slice(name.lastIndexOf("/") + 1)}.md`);

/** A text that a step gives its agents. */
export interface ContextText {
  /** `module api`, `rules of work`, `rules of work for api`. */
  what: string;
  path: string;
  text: string;
  bytes: number;
}

/**
 * The documents of modules, each behind those of all folders above it, whole. One that is gone is left out. Faults
 * `file.outside`, `file.not_readable`.
 */
export async function docsFor(
  root: string,
  modules: readonly Module[],
  selected: readonly Module[],
): Promise<ContextText[]> {
  const above = new Set(selected.flatMap(({ folder }) => foldersAbove(folder)));
  const chosen = new Set(selected.map(({ name }) => name));
  const wanted = modules.filter(({ name, folder }) => chosen.has(name) || above.has(folder));
  return readAll(
    root,
    wanted.map(({ name, path }) => [`module ${name}`, [path]]),
  );
}

/**
 * The rules of a step: those for all, then those for each module. What `.mu/rules` lacks is looked for in `.mixer/rules`.
 * Faults `file.outside`, `file.not_readable`.
 */
export async function rulesFor(root: string, step: string, selected: readonly Module[]): Promise<ContextText[]> {
  const paths = (name: string) => [".mu", ".mixer"].map((home) => join(home, "rules", step, `${name}.md`));
  const all: Wanted = [`rules of ${step}`, paths("_all")];
  const each = selected.map(({ name }): Wanted => [`rules of ${step} for ${name}`, paths(name)]);
  return readAll(root, [all, ...each]);
}

/** What a text is, and where it may be: the first that is there. */
type Wanted = readonly [what: string, paths: readonly string[]];

async function readAll(root: string, wanted: readonly Wanted[]): Promise<ContextText[]> {
  const real = await realpath(root);
  const found: ContextText[] = [];
  for (const [what, paths] of wanted) {
    for (const path of paths) {
      const bytes = await readInside(real, path);
      if (bytes === undefined) continue;
      found.push({ what, path, text: bytes.toString("utf8"), bytes: bytes.length });
      break;
    }
  }
  return found;
}

/** A file's bytes; undefined if it is not there. What an agent reads is the project's own. */
async function readInside(root: string, path: string): Promise<Buffer | undefined> {
  try {
    const real = await realpath(join(root, path));
    if (!real.startsWith(root.endsWith(sep) ? root : root + sep)) {
      const message = `${quote(path)} is a link out of the project folder. Put the text itself there.`;
      throw new Fault("conflict", "file.outside", message);
    }
    return (await stat(real)).isFile() ? await readFile(real) : undefined;
  } catch (error) {
    if (error instanceof Fault) throw error;
    const { code = String(error) } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw notReadable(path, code);
  }
}

/** The fault for a file of the project that cannot be read. */
export const notReadable = (path: string, why: string) =>
  new Fault("usage", "file.not_readable", `${quote(path)} cannot be read (${why}). Give yourself access to it.`);
