import { existsSync, lstatSync, readlinkSync, realpathSync } from "node:fs";
import { appendFile, mkdir, rm, symlink } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { Fault } from "../../errors.js";
import { quote } from "../../names.js";
import { shape, type TypeOf } from "../../shape.js";
import { copyEntry, temporaryFolder, withFolder } from "../../vcs/folders.js";
import { gitLine, runGit } from "../../vcs/git/run.js";
import type { BackendKey, Checkout, VcsWorld } from "../../vcs/vcs.js";
import { INCLUDE_FILE, requireOwnFolders, type SetupPlan } from "./plan.js";

/** Files put into a workspace, as relative paths; a whole folder is one path ending with `/`. */
export const SETUP_FILES = shape({
  copied: "string[]",
  linked: "string[]",
});

export type SetupFiles = TypeOf<typeof SETUP_FILES>;

/**
 * Copies and links what the plan names and the repository does not track. Keeps existing files, so it can run again.
 * Does nothing for copies of a whole folder. Faults `setup.outside`, `setup.writes_through_link`, `vcs.*`.
 */
export async function putFiles(
  world: VcsWorld,
  { root, path, backend }: Checkout & { backend: BackendKey },
  plan: SetupPlan,
): Promise<SetupFiles> {
  const nothing = plan.copy.length + plan.link.length === 0 && !plan.includes;
  if (backend === "none" || nothing) return { copied: [], linked: [] };
  return withIndexOf(world, { root, backend }, async (repository) => {
    const linked: string[] = [];
    const toLink = await untracked(repository, excludes(plan.link));
    if (plan.command !== null) requireOwnFolders(plan.command.command, toLink);
    for (const name of toLink) {
      if (await linkInto(root, path, name)) linked.push(name);
    }
    if (backend === "git") await keepIgnored(world, { root, path }, linked);
    const copied: string[] = [];
    const own = await untracked(repository, excludes(plan.copy));
    const included = plan.includes ? await ignored(repository, await untracked(repository, [FROM_FILE])) : [];
    for (const name of new Set([...own, ...included])) {
      if (await copyInto(world, { root, path }, name)) copied.push(name);
    }
    return { copied, linked };
  });
}

const FROM_FILE = `--exclude-from=${INCLUDE_FILE}`;
const excludes = (patterns: SetupPlan["copy"]) => patterns.map(({ pattern }) => `--exclude=${pattern}`);

/** Runs git in the project's folder. */
type InRepository = (args: readonly string[], input?: string) => Promise<string>;

/**
 * Git matches the patterns. For other version control it uses an empty index; files that they track are already in the
 * workspace and are kept.
 */
async function withIndexOf<T>(
  world: VcsWorld,
  { root, backend }: { root: string; backend: BackendKey },
  work: (repository: InRepository) => Promise<T>,
): Promise<T> {
  const inRoot =
    (extra: readonly string[]): InRepository =>
    async (args, input) => {
      const options = { okCodes: [1], input };
      return (await runGit(world, root, [...extra, ...args], options)).stdout;
    };
  if (backend === "git") {
    const repository = inRoot([]);
    // A bare repository has no files.
    const bare = (await repository(["rev-parse", "--is-inside-work-tree"])).trim() !== "true";
    return work(bare ? async () => "" : repository);
  }
  return withFolder(join(temporaryFolder(world), "mu-index-"), async (empty) => {
    await runGit(world, empty, ["init", "--quiet", "--bare", empty]);
    return work(inRoot([`--git-dir=${empty}`, `--work-tree=${root}`, "-c", "core.bare=false"]));
  });
}

async function untracked(repository: InRepository, patterns: readonly string[]): Promise<string[]> {
  if (patterns.length === 0) return [];
  const listed = await repository(["ls-files", "--others", "--ignored", "--directory", "-z", ...patterns]);
  return namesIn(listed).filter((name) => !/^\.(git|jj|sl|hg)(\/|$)/.test(name));
}

async function ignored(repository: InRepository, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return [];
  return namesIn(await repository(["check-ignore", "-z", "--stdin"], names.join("\0")));
}

const namesIn = (listed: string) => listed.split("\0").filter((name) => name !== "");

/** The path for `name`; undefined if it exists. Faults `setup.outside`. */
function freePlace(path: string, name: string): string | undefined {
  const place = join(path, name);
  const way = relative(path, place).split(sep);
  for (let depth = 1; depth < way.length; depth++) {
    const at = join(path, ...way.slice(0, depth));
    const found = lstatSync(at, { throwIfNoEntry: false });
    if (found === undefined) break;
    if (!found.isDirectory()) throw outside(name, at);
  }
  return lstatSync(place, { throwIfNoEntry: false }) === undefined ? place : undefined;
}

async function copyInto(world: VcsWorld, { root, path }: Checkout, name: string): Promise<boolean> {
  const place = freePlace(path, name);
  const source = join(root, name);
  if (place === undefined || holds(source, path) || !present(source)) return false;
  try {
    await copyEntry(world, stripSlash(source), stripSlash(place));
  } catch (error) {
    // Half a folder would count as existing.
    await rm(place, { recursive: true, force: true });
    throw error;
  }
  return true;
}

async function linkInto(root: string, path: string, name: string): Promise<boolean> {
  const source = stripSlash(join(root, name));
  const place = freePlace(path, name);
  if (place === undefined) return isLinkTo(stripSlash(join(path, name)), source);
  if (holds(source, path) || !present(source)) return false;
  await mkdir(dirname(stripSlash(place)), { recursive: true });
  await symlink(source, stripSlash(place));
  return true;
}

/**
 * A pattern such as `node_modules/` does not ignore symlinks, so `git add --all` would commit the link. This adds the
 * link to `info/exclude`, which all checkouts share.
 */
async function keepIgnored(world: VcsWorld, { root, path }: Checkout, linked: readonly string[]): Promise<void> {
  const ignoredIn = (cwd: string, names: readonly string[]) =>
    ignored(async (args, input = "") => (await runGit(world, cwd, args, { okCodes: [1], input })).stdout, names);
  const theirs = (await ignoredIn(root, linked)).map(stripSlash);
  const ours = new Set(await ignoredIn(path, theirs));
  const missing = theirs.filter((name) => !ours.has(name));
  if (missing.length === 0) return;
  const file = await gitLine(world, root, ["rev-parse", "--git-path", "info/exclude"]);
  await mkdir(dirname(resolve(root, file)), { recursive: true });
  await appendFile(resolve(root, file), missing.map((name) => `/${name.replace(/[\\*?[ ]/g, "\\$&")}\n`).join(""));
}

const stripSlash = (path: string) => path.replace(/\/+$/, "");
const present = (path: string) => lstatSync(stripSlash(path), { throwIfNoEntry: false }) !== undefined;

function isLinkTo(place: string, source: string): boolean {
  return lstatSync(place).isSymbolicLink() && readlinkSync(place) === source;
}

/** True if a folder of the project contains the workspaces: it must not go into one of them. */
function holds(source: string, path: string): boolean {
  if (!existsSync(source)) return false;
  return `${realpathSync(path)}${sep}`.startsWith(`${realpathSync(source)}${sep}`);
}

function outside(name: string, at: string): Fault {
  return new Fault(
    "conflict",
    "setup.outside",
    `${quote(name)} would go outside the workspace: ${quote(at)} is a symlink or a file.`,
    [{ intent: "See the effective setup", command: "mu workspace setup" }],
    { path: name },
  );
}
