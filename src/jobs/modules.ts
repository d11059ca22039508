import { closeSync, constants, existsSync, openSync, readSync, realpathSync } from "node:fs";
import { readdir, readFile, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import ignore, { type Ignore } from "ignore";
import { asFault, Fault } from "../errors.js";
import { readInside } from "../inside.js";
import { counted, didYouMean, enumerate, quote, UNPRINTABLE } from "../names.js";
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

/** The modules of a project, a folder before what is in it, and what a person should look at. */
export interface Scan {
  modules: Module[];
  warnings: { code: string; message: string }[];
}

/** `_.md` and `__init__.md` are no documents. */
const DOC = /(?:^|\/)_(?<stem>[^_/][^/]*)\.md$/s;
/** Never looked into: what version control keeps, what others wrote, and what jobs and rules are written in. */
const LEFT_OUT = /(?:^|\/)(?:\.git|\.jj|\.sl|\.hg|node_modules)(?:\/|$)|^\.(?:mu|mixer)(?:\/|$)/;
const MOST_NAME = 100;
/** A NUL in so many first bytes makes a file binary, as for git. */
const head = Buffer.alloc(8_192);

/**
 * Looks for modules in the project at `root`. What git ignores is left out, and symbolic links are not followed. Faults
 * `vcs.failed`, `vcs.no_folder`.
 */
export async function scanModules(world: VcsWorld, root: string): Promise<Scan> {
  const warnings: Scan["warnings"] = [];
  const paths = (await listFiles(world, root)).filter((path) => DOC.test(path) && !LEFT_OUT.test(path));
  const real = existsSync(root) ? realpathSync.native(root) : root;
  const stems = new Map<string, number>();
  const docs = paths.sort(inTreeOrder).flatMap((path) => {
    const { stem = "" } = DOC.exec(path)?.groups ?? {};
    const problem = nameProblem(path, stem) ?? fileProblem(`${real}/${path}`);
    if (problem !== undefined) {
      const [code, why] = problem;
      if (code !== GONE) warnings.push({ code, message: `${quote(path)} is not a module: ${why}.` });
      return [];
    }
    stems.set(stem, (stems.get(stem) ?? 0) + 1);
    return [{ path, folder: dirname(path), stem }];
  });
  const named = new Map<string, string[]>();
  const modules = docs.map(({ path, folder, stem }): Module => {
    const name = stems.get(stem) === 1 ? stem : `${folder}/${stem}`;
    const above = foldersAbove(folder).find((one) => named.has(one)) ?? "";
    named.set(folder, [...(named.get(folder) ?? []), name]);
    return { name, path, folder, parent: named.get(above)?.[0] ?? null };
  });
  for (const [folder, names] of named) {
    if (names.length === 1) continue;
    const message = `The folder ${quote(folder)} has ${names.length} modules: ${enumerate(names)}.`;
    warnings.push({ code: "module.same_folder", message });
  }
  return { modules, warnings };
}

/** The paths of documents below `root`, by git, or where there is no repository by a walk. */
async function listFiles(world: VcsWorld, root: string): Promise<string[]> {
  try {
    // While a merge is open git lists a file once for each side.
    return [...new Set(await gitEntries(world, root, ["ls-files", "-co", "--exclude-standard", "-z", "--", "*.md"]))];
  } catch (error) {
    const { code, message } = asFault(error);
    if (code !== "vcs.not_installed" && !/not a git repository/i.test(message)) throw error;
    return walk(root, ".", []);
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
    if (LEFT_OUT.test(path)) continue;
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

/** Documents of a folder before those of the folders in it, each by code unit. */
const inTreeOrder = (a: string, b: string) => (keyOf(a) < keyOf(b) ? -1 : 1);
const keyOf = (path: string) => path.replace(/[^/]*$/, "\0$&").replaceAll("/", "\x01");

/** The folders that hold `folder`, nearest first; `.` is the last. */
function foldersAbove(folder: string): string[] {
  return folder === "." ? [] : [dirname(folder), ...foldersAbove(dirname(folder))];
}

/** For a file that is not there, or is none, or is behind a link. */
const GONE = "gone";

/** Why a document cannot be a module's, as a code and in words. */
type Problem = readonly [code: string, why: string];

function nameProblem(path: string, stem: string): Problem | undefined {
  if (stem.length > MOST_NAME) return ["module.name", `its name is longer than ${MOST_NAME} characters`];
  // Most names are plain, and the classes of Unicode take a ms to compile.
  if (/^[\w./-]+$/.test(path)) return undefined;
  const isPlain = path.search(UNPRINTABLE) < 0 && !/[^\S ]/.test(path) && !stem.includes(",") && stem.trim() === stem;
  if (isPlain) return undefined;
  return ["module.name", "its name has a comma, a blank at an end or a character that cannot be printed"];
}

function fileProblem(path: string): Problem | undefined {
  let file: number | undefined;
  try {
    if (realpathSync.native(path) !== path) return [GONE, "it is behind a link"];
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const isBinary = head.subarray(0, readSync(file, head, 0, head.length, 0)).includes(0);
    return isBinary ? ["module.binary", "it is no text"] : undefined;
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    const isGone = ["ENOENT", "ENOTDIR", "ELOOP", "EISDIR", "EAGAIN"].includes(code);
    return isGone ? [GONE, code] : ["module.unreadable", `it cannot be read (${code})`];
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
  const message = `${quote(name)} is the name of ${counted(choices.length, "module")}. Say which: ${enumerate(choices)}.`;
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
