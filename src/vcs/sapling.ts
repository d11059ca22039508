import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Fault } from "../errors.js";
import { quote } from "../names.js";
import { pathTaken, runProgram } from "./program.js";
import type { Checkout, Commit, Refreshed, Saved, Standing, Target, VcsBackend, VcsWorld } from "./vcs.js";

/**
 * Sapling: a workspace is a share, a work tree of its own on the store and the bookmarks of the repository. Saves are
 * bookmarks; uncommitted files are saved in a commit of their own, which is taken off the work tree again at once.
 */
export const saplingBackend: VcsBackend = {
  key: "sl",
  findRoot: async (_world, folder) => findRoot(folder),
  target: findTarget,
  create,
  remove: async (_world, { path }) => rm(path, { recursive: true, force: true }),
  standings: (world, _root, paths, target) => Promise.all(paths.map((path) => standing(world, path, target))),
  head: async (world, { path }) => (existsSync(path) ? nodeOf(world, path, ".") : undefined),
  commits: (world, { path }, since) => commitsOf(world, path, since),
  diff,
  refresh,
  snapshot: async () => undefined,
  save,
  async restore(world, { path }, place) {
    await checkClean(world, path);
    await sl(world, path, ["goto", "--rev", bookmark(place)]);
    const description = await sl(world, path, ["log", "-r", ".", "-T", "{desc}"]);
    if (description.startsWith(UNCOMMITTED)) await resetTo(world, path, await nodeOf(world, path, ".^"));
  },
  async describe(world, root, place) {
    const target = await findTarget(world, root).catch(() => null);
    const from = target === null ? bookmark(place) : `only(${bookmark(place)}, ${target.commit})`;
    return (await sl(world, root, ["log", "-r", from, "--stat", "-T", "{node|short} {desc|firstline}\\n"])).trimEnd();
  },
  async listSaved(world, root) {
    const lines = (await sl(world, root, ["bookmarks", "-T", "{bookmark}\\t{node}\\n"])).split("\n");
    const places = lines.filter((line) => line.startsWith(SAVED)).map((line) => line.split("\t")[0] ?? "");
    return Promise.all(
      places.map(async (place) => ({
        name: place.slice(SAVED.length),
        place,
        commit: await nodeOf(world, root, bookmark(place)),
      })),
    );
  },
};

const SAVED = "mu/salvage/";
/** How the commit of uncommitted files is told from others. */
const UNCOMMITTED = "Salvage: uncommitted files";

/** Without pagers, questions, colours and the person's aliases and templates. */
async function sl(world: VcsWorld, cwd: string, args: readonly string[], okCodes: number[] = []): Promise<string> {
  const env = { SL_AUTOMATION: "1", HGPLAIN: "1" };
  try {
    return (await runProgram(world, "sl", ["--noninteractive", ...args], { cwd, env, okCodes })).stdout;
  } catch (error) {
    if (!(error instanceof Fault) || !/unknown revision/.test(error.message)) throw error;
    throw new Fault("missing", "vcs.unknown_ref", error.message, [
      { intent: "See the bookmarks", command: "sl bookmarks" },
    ]);
  }
}

/** A revset that is this bookmark and nothing else. */
const bookmark = (name: string) => `bookmark(${JSON.stringify(`literal:${name}`)})`;

const nodeOf = async (world: VcsWorld, cwd: string, revset: string) =>
  (await sl(world, cwd, ["log", "--limit", "1", `--rev=${revset}`, "-T", "{node}"])).trim();

/** The repository's root; a share has a file that points to it. No sl is needed for that. */
function findRoot(folder: string): string | undefined {
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (existsSync(join(at, ".sl"))) {
      const shared = join(at, ".sl", "sharedpath");
      return existsSync(shared) ? dirname(resolve(join(at, ".sl"), readFileSync(shared, "utf8").trim())) : at;
    }
    if (at === dirname(at)) return undefined;
  }
}

async function findTarget(world: VcsWorld, root: string, wish?: string): Promise<Target | null> {
  if (wish !== undefined) return { branch: wish, commit: await nodeOf(world, root, wish) };
  const active = await sl(world, root, ["log", "--rev=.", "-T", "{activebookmark}"]);
  for (const branch of ["main", "master", active.trim()]) {
    const commit = branch === "" ? undefined : await nodeOf(world, root, branch).catch(onlyUnknown);
    if (commit !== undefined && commit !== "") return { branch, commit };
  }
  throw new Fault("missing", "vcs.no_target", `${quote(root)} has no bookmark that work could land on.`, [
    { intent: "Make one", command: "sl bookmark main" },
  ]);
}

function onlyUnknown(error: unknown): undefined {
  if (error instanceof Fault && error.code === "vcs.unknown_ref") return undefined;
  throw error;
}

async function create(world: VcsWorld, { root, path }: Checkout, { from }: { from?: string | undefined }) {
  if (existsSync(path) && readdirSync(path).length > 0 && !isOurs(path)) throw pathTaken(path);
  const known = await madeAt(path);
  if (known !== undefined) return { base: known };
  const base = from === undefined ? (await findTarget(world, root))?.commit : await nodeOf(world, root, from);
  // What a crash left has files missing that would be taken for deleted: it is made anew.
  await rm(path, { recursive: true, force: true });
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    await sl(world, dirname(path), ["--config", "extensions.share=", "share", "--noupdate", "--bookmarks", root, path]);
    await sl(world, path, ["goto", "--rev", base ?? "."]);
    await writeFile(madeFile(path), base ?? "");
  } catch (error) {
    await rm(path, { recursive: true, force: true });
    throw error;
  }
  return { base: base ?? null };
}

/** True when `path` is a share, whole or half made, and not a repository of its own. */
const isOurs = (path: string) => existsSync(join(path, ".sl")) && !existsSync(join(path, ".sl", "store"));

/** A file that says that a share was made to its end, and where it began. */
const madeFile = (path: string) => join(path, ".sl", "mu-base");

const madeAt = (path: string) => readFile(madeFile(path), "utf8").catch(() => undefined);

/** Changed, added, removed, missing and unknown files, not ignored ones. */
async function uncommitted(world: VcsWorld, path: string, which = "-mardu"): Promise<string[]> {
  return (await sl(world, path, ["status", which, "--no-status", "--print0"]))
    .split("\0")
    .filter((name) => name !== "");
}

async function checkClean(world: VcsWorld, path: string): Promise<void> {
  const files = (await uncommitted(world, path)).length;
  if (files === 0) return;
  const count = `${files} uncommitted ${files === 1 ? "file" : "files"}`;
  throw new Fault("conflict", "vcs.dirty", `${quote(path)} has ${count}.`, [
    { intent: "Commit them", command: "sl commit --addremove -m '…'" },
  ]);
}

async function standing(world: VcsWorld, path: string, target: Target | null): Promise<Standing> {
  const none: Standing = { path, present: false, head: null, behind: null, ahead: null, dirty: null, underway: null };
  if (!existsSync(path)) return none;
  const known = { ...none, present: true, underway: existsSync(rebaseState(path)) ? "rebase" : null };
  try {
    const head = await nodeOf(world, path, ".");
    const count = async (revset: string) => (await sl(world, path, ["log", `--rev=${revset}`, "-T", "."])).length;
    const [behind, ahead] =
      target === null
        ? [null, null]
        : [await count(`only(${target.commit}, .)`), await count(`only(., ${target.commit})`)];
    return { ...known, head, behind, ahead, dirty: (await uncommitted(world, path)).length };
  } catch {
    return known;
  }
}

const rebaseState = (path: string) => join(path, ".sl", "rebasestate");

async function commitsOf(world: VcsWorld, path: string, since: string): Promise<Commit[]> {
  const template = String.raw`{node}\0{author}\0{date|rfc3339date}\0{desc}\0`;
  const parts = (await sl(world, path, ["log", `--rev=sort(only(., ${since}), rev)`, "-T", template])).split("\0");
  const commits: Commit[] = [];
  for (let at = 0; at + 3 < parts.length; at += 4) {
    const [sha = "", author = "", authorDate = "", description = ""] = parts.slice(at, at + 4);
    const [subject = "", ...rest] = description.split("\n");
    commits.push({ sha, subject, body: rest.join("\n").trim(), author, authorDate });
  }
  return commits;
}

/** sl's own diff passes over files that were not added: those come behind it. */
async function diff(world: VcsWorld, { path }: Checkout, since: string, { stat = false }): Promise<string> {
  const known = await sl(world, path, ["diff", "--rev", since, stat ? "--stat" : "--git"]);
  const unknown = await uncommitted(world, path, "-u");
  if (stat) return known + unknown.map((name) => ` ${name} | not added\n`).join("");
  const patches = unknown.map(async (name) => {
    const labels = ["--label", "/dev/null", "--label", `b/${name}`];
    const args = ["-u", ...labels, "--", "/dev/null", name];
    return (await runProgram(world, "diff", args, { cwd: path, okCodes: [1, 2] })).stdout;
  });
  return known + (await Promise.all(patches)).join("");
}

async function refresh(world: VcsWorld, { path }: Checkout, onto: string): Promise<Refreshed> {
  if (existsSync(rebaseState(path))) await sl(world, path, ["rebase", "--abort"]);
  await checkClean(world, path);
  const from = await nodeOf(world, path, ".");
  const behind = await sl(world, path, ["log", `--rev=only(${onto}, .)`, "-T", "."]);
  if (behind === "") return { outcome: "current", from, onto, head: from, replayed: [] };
  if ((await commitsOf(world, path, onto)).length === 0) {
    await sl(world, path, ["goto", "--rev", onto]);
    return { outcome: "refreshed", from, onto, head: onto, replayed: [] };
  }
  await sl(world, path, ["rebase", "--base", ".", "--dest", onto, "--tool", "internal:merge"], [1]);
  if (existsSync(rebaseState(path))) {
    const listed = await sl(world, path, ["resolve", "--list", "--root-relative"], [1]);
    const conflicts = listed.split("\n").flatMap((line) => (line.startsWith("U ") ? [line.slice(2)] : []));
    await sl(world, path, ["rebase", "--abort"]);
    return { outcome: "conflict", from, onto, conflicts };
  }
  const head = await nodeOf(world, path, ".");
  return { outcome: "refreshed", from, onto, head, replayed: await commitsOf(world, path, onto) };
}

async function save(
  world: VcsWorld,
  { root, path }: Checkout,
  { name, target }: { name: string; target: Target | null },
): Promise<Saved | null> {
  if (!existsSync(path)) return null;
  const files = (await uncommitted(world, path)).length;
  const head = await nodeOf(world, path, ".");
  const commits = (await commitsOf(world, path, target?.commit ?? "null")).length;
  if (files === 0 && commits === 0) return null;
  const place = `${SAVED}${name}`;
  if (files > 0) {
    const message = `${UNCOMMITTED} of ${basename(dirname(path))}/${basename(path)}`;
    await sl(world, path, ["commit", "--addremove", "--user", "mu <mu@localhost>", "--message", message]);
  }
  const commit = await nodeOf(world, path, ".");
  await sl(world, root, ["bookmark", "--force", "--rev", commit, place]);
  if (files > 0) await resetTo(world, path, head);
  return { place, commit, commits, files };
}

/** Moves the work tree's parent and leaves its files alone. */
async function resetTo(world: VcsWorld, path: string, node: string): Promise<void> {
  await sl(world, path, ["--config", "extensions.reset=", "reset", "--keep", "--rev", node]);
}
