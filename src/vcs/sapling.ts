import { existsSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Fault, ignoreFault } from "../errors.js";
import { createOnce, dirtyCheckout, noTarget, parseCommits, SAVED, standingOf } from "./bookmarks.js";
import { findAbove } from "./folders.js";
import { runProgram } from "./program.js";
import type { Checkout, Commit, Refreshed, Saved, Standing, Target, VcsBackend, VcsWorld } from "./vcs.js";

/**
 * Sapling: a workspace is a share, a work tree with the store and bookmarks of the repository. Saves are bookmarks;
 * uncommitted files are saved in a commit of their own, after which the work tree is reset to its parent.
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

/** The description of a commit of uncommitted files. */
const UNCOMMITTED = "Salvage: uncommitted files";

/** Runs sl without prompts, colors, and the user's aliases and templates. */
async function sl(world: VcsWorld, cwd: string, args: readonly string[], okCodes: number[] = []): Promise<string> {
  const env = { SL_AUTOMATION: "1", HGPLAIN: "1" };
  try {
    return (await runProgram(world, "sl", ["--noninteractive", ...args], { cwd, env, okCodes })).stdout;
  } catch (error) {
    if (!(error instanceof Fault) || !/unknown revision/.test(error.message)) throw error;
    throw new Fault("missing", "vcs.unknown_ref", error.message, [
      { intent: "List the bookmarks", command: "sl bookmarks" },
    ]);
  }
}

/** A revset for exactly this bookmark. */
const bookmark = (name: string) => `bookmark(${JSON.stringify(`literal:${name}`)})`;

const nodeOf = async (world: VcsWorld, cwd: string, revset: string) =>
  (await sl(world, cwd, ["log", "--limit", "1", `--rev=${revset}`, "-T", "{node}"])).trim();

/** The root of the repository, found without running sl. A share has a file that points to it. */
function findRoot(folder: string): string | undefined {
  return findAbove(folder, (at) => {
    if (!existsSync(join(at, ".sl"))) return undefined;
    const shared = join(at, ".sl", "sharedpath");
    return existsSync(shared) ? dirname(resolve(join(at, ".sl"), readFileSync(shared, "utf8").trim())) : at;
  });
}

async function findTarget(world: VcsWorld, root: string, wish?: string): Promise<Target> {
  if (wish !== undefined) return { branch: wish, commit: await nodeOf(world, root, wish) };
  const active = await sl(world, root, ["log", "--rev=.", "-T", "{activebookmark}"]);
  for (const branch of ["main", "master", active.trim()]) {
    const commit = branch === "" ? undefined : await nodeOf(world, root, branch).catch(ignoreFault("vcs.unknown_ref"));
    if (commit !== undefined && commit !== "") return { branch, commit };
  }
  throw noTarget(root, "sl bookmark main");
}

function create(world: VcsWorld, { root, path }: Checkout, { from }: { from?: string | undefined }) {
  return createOnce(
    { path, meta: ".sl", store: "store" },
    {
      base: async () => (from === undefined ? (await findTarget(world, root)).commit : nodeOf(world, root, from)),
      async add(base) {
        const share = ["--config", "extensions.share=", "share", "--noupdate", "--bookmarks", root, path];
        await sl(world, dirname(path), share);
        await sl(world, path, ["goto", "--rev", base]);
      },
      remove: () => rm(path, { recursive: true, force: true }),
    },
  );
}

/** Changed, added, removed, missing and unknown files. */
async function uncommitted(world: VcsWorld, path: string, which = "-mardu"): Promise<string[]> {
  return (await sl(world, path, ["status", which, "--no-status", "--print0"]))
    .split("\0")
    .filter((name) => name !== "");
}

async function checkClean(world: VcsWorld, path: string): Promise<void> {
  const files = (await uncommitted(world, path)).length;
  if (files > 0) throw dirtyCheckout(path, files, "sl commit --addremove -m '…'");
}

function standing(world: VcsWorld, path: string, target: Target | null): Promise<Standing> {
  return standingOf(path, target, {
    underway: existsSync(rebaseState(path)) ? "rebase" : null,
    state: async () => ({
      head: await nodeOf(world, path, "."),
      dirty: (await uncommitted(world, path)).length,
    }),
    count: async (from, to) => (await sl(world, path, ["log", `--rev=only(${to}, ${from})`, "-T", "."])).length,
  });
}

const rebaseState = (path: string) => join(path, ".sl", "rebasestate");

async function commitsOf(world: VcsWorld, path: string, since: string): Promise<Commit[]> {
  const template = String.raw`{node}\0{author}\0{date|rfc3339date}\0{desc}\0`;
  return parseCommits(await sl(world, path, ["log", `--rev=sort(only(., ${since}), rev)`, "-T", template]));
}

/** The output of `sl diff`, which leaves out unknown files, and a diff of those. */
async function diff(world: VcsWorld, { path }: Checkout, since: string, { stat = false }): Promise<string> {
  const known = await sl(world, path, ["diff", "--rev", since, stat ? "--stat" : "--git"]);
  const unknown = await uncommitted(world, path, "-u");
  if (stat) return known + unknown.map((name) => ` ${name} | untracked\n`).join("");
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

/** Changes the work tree's parent and keeps its files. */
async function resetTo(world: VcsWorld, path: string, node: string): Promise<void> {
  await sl(world, path, ["--config", "extensions.reset=", "reset", "--keep", "--rev", node]);
}
