import { existsSync, readFileSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Fault } from "../errors.js";
import { quote } from "../names.js";
import { createOnce, dirtyCheckout, noTarget, parseCommits, SAVED, standingOf } from "./bookmarks.js";
import { findAbove } from "./folders.js";
import { runProgram } from "./program.js";
import type { Checkout, Commit, Refreshed, Standing, Target, VcsBackend, VcsWorld } from "./vcs.js";

/**
 * Jujutsu: a workspace is a `jj workspace`. Its working-copy commit counts as uncommitted work until it has a
 * description. Saves are bookmarks, which outlive a forgotten workspace and `jj util gc`. Conflicts are undone by
 * reverting our own operation, which keeps what others did in the meantime.
 */
export const jjBackend: VcsBackend = {
  key: "jj",
  findRoot: async (_world, folder) => findRoot(folder),
  target: findTarget,
  create,
  async remove(world, { root, path }) {
    await jj(world, root, ["workspace", "forget", nameOf(path), STILL]).catch((error) => {
      if (!(error instanceof Fault && /no such workspace/i.test(error.message))) throw error;
    });
    await rm(path, { recursive: true, force: true });
  },
  async standings(world, _root, paths, target) {
    const found: Standing[] = [];
    // Serial: each takes a snapshot, which is an operation on the shared repository.
    for (const path of paths) found.push(await standing(world, path, target));
    return found;
  },
  head: async (world, { path }) => (existsSync(path) ? (await readFacts(world, path, [STILL])).head : undefined),
  async commits(world, { path }, since) {
    const { head } = await readFacts(world, path, [STILL]);
    return commitsOf(world, path, `${since}..${head}`);
  },
  async diff(world, { path }, since, { stat = false }) {
    return jj(world, path, ["diff", "--from", since, "--to", "@", stat ? "--stat" : "--git"]);
  },
  refresh,
  snapshot: async () => undefined,
  async save(world, { path }, { name, target }) {
    if (!existsSync(path)) return null;
    await jj(world, path, ["workspace", "update-stale", ...EVERYTHING]);
    const { at, head, files } = await readFacts(world, path, EVERYTHING);
    const unlanded = await commitsOf(world, path, `${target === null ? "root()" : target.commit}..${head}`);
    if (files === 0 && unlanded.length === 0) return null;
    const commit = files === 0 ? head : at;
    const place = `${SAVED}${name}`;
    await jj(world, path, ["bookmark", "set", place, "-r", commit, "--allow-backwards", STILL]);
    return { place, commit, commits: unlanded.length, files };
  },
  async restore(world, { path }, place) {
    const { files } = await readFacts(world, path);
    if (files > 0) throw dirtyCheckout(path, files, COMMIT);
    const saved = factsIn(await jj(world, path, ["log", "--no-graph", "-r", exact(place), "-T", FACTS, STILL]));
    await jj(world, path, ["new", saved.head]);
    if (saved.head !== saved.at) await jj(world, path, ["restore", "--from", saved.at]);
  },
  async describe(world, root, place) {
    const target = await findTarget(world, root).catch(() => null);
    const range = `${target?.commit ?? "root()"}..${exact(place)}`;
    return (await jj(world, root, ["log", "--no-graph", "-r", range, "-T", ONE_LINE, "--summary", STILL])).trimEnd();
  },
  async listSaved(world, root) {
    const template = String.raw`if(remote, "", name ++ "\t" ++ normal_target.commit_id() ++ "\n")`;
    const lines = (await jj(world, root, ["bookmark", "list", "-T", template, STILL])).split("\n");
    return lines.flatMap((line) => {
      const [place = "", commit = ""] = line.split("\t");
      return place.startsWith(SAVED) ? [{ name: place.slice(SAVED.length), place, commit }] : [];
    });
  },
};

const COMMIT = "jj commit -m '…'";

/** Makes jj ignore the work tree: no snapshot, no update. */
const STILL = "--ignore-working-copy";

/** Includes files of any size: what jj leaves out is lost with the folder. */
const EVERYTHING = ["--config", "snapshot.max-new-file-size=0", "--config", "snapshot.auto-track='all()'"];

const ONE_LINE = String.raw`commit_id.short() ++ " " ++ if(description, description.first_line(), "(uncommitted)") ++ "\n"`;

async function jj(world: VcsWorld, cwd: string, args: readonly string[]): Promise<string> {
  const words = ["--no-pager", "--color", "never", "--quiet", ...args];
  try {
    return (await runProgram(world, "jj", words, { cwd })).stdout;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const revision = /Revision `?(.+?)`? doesn't exist|Failed to parse revset/.exec(error.message);
    if (revision !== null)
      throw new Fault(
        "missing",
        "vcs.unknown_ref",
        `Unknown revision${revision[1] === undefined ? "" : ` ${quote(revision[1])}`}.`,
        [{ intent: "List the bookmarks", command: "jj bookmark list" }],
      );
    throw error;
  }
}

/** A revset for exactly this bookmark, whatever characters it has. */
const exact = (bookmark: string) => `bookmarks(exact:${JSON.stringify(bookmark)})`;

/** The root of the main workspace, found without running jj. Other workspaces have a file that points to it. */
function findRoot(folder: string): string | undefined {
  return findAbove(folder, (at) => {
    const repo = join(at, ".jj", "repo");
    if (!existsSync(repo)) return undefined;
    if (statSync(repo).isDirectory()) return at;
    return dirname(dirname(resolve(join(at, ".jj"), readFileSync(repo, "utf8").trim())));
  });
}

/** jj's workspace names are unique in a repository, agents' names in a workstream. */
const nameOf = (path: string) => `mu-${basename(dirname(path))}-${basename(path)}`;

async function findTarget(world: VcsWorld, root: string, wish?: string): Promise<Target | null> {
  const template = String.raw`commit_id ++ "\t" ++ local_bookmarks.map(|b| b.name()).join(",") ++ "\t" ++ remote_bookmarks.map(|b| b.name()).join(",") ++ "\n"`;
  const look = async (revset: string) => {
    const args = ["log", "--no-graph", "--limit", "1", "-r", revset, "-T", template, STILL];
    const [commit = "", local = "", remote = ""] = (await jj(world, root, args)).trimEnd().split("\t");
    return { commit, branch: local.split(",")[0] || remote.split(",")[0] || "" };
  };
  if (wish !== undefined) {
    const { commit } = await look(exact(wish));
    if (commit !== "") return { branch: wish, commit };
    return { branch: wish, commit: (await look(JSON.stringify(wish))).commit };
  }
  const trunk = await look("trunk() ~ root()");
  for (const branch of [trunk.branch, "main", "master"]) {
    const { commit } = branch === "" ? { commit: "" } : await look(exact(branch));
    if (commit !== "") return { branch, commit };
  }
  if (trunk.commit !== "" && trunk.branch !== "") return trunk;
  const near = await look(`heads(::@ & bookmarks()) ~ bookmarks(glob:"${SAVED}*")`);
  if (near.commit !== "") return near;
  throw noTarget(root, "jj bookmark create main -r @-");
}

function create(world: VcsWorld, { root, path }: Checkout, { from }: { from?: string | undefined }) {
  return createOnce(
    { path, meta: ".jj", store: join("repo", "store") },
    {
      async base() {
        const revision = from ?? (await findTarget(world, root))?.commit ?? "@-";
        return jj(world, root, ["log", "--no-graph", "--limit", "1", "-r", revision, "-T", "commit_id", STILL]);
      },
      add(base) {
        const place = ["--name", nameOf(path), "--revision", base, path];
        return jj(world, root, ["workspace", "add", "--config", "git.colocate=false", ...place]);
      },
      remove: () => jjBackend.remove(world, { root, path }),
    },
  );
}

/** A workspace's working-copy commit, the commit it counts as being at, and the number of its uncommitted files. */
interface Facts {
  at: string;
  head: string;
  files: number;
}

const FACTS = String.raw`commit_id ++ "\t" ++ parents.map(|c| c.commit_id()).join(",") ++ "\t" ++ if(description, "described", "") ++ "\t" ++ diff.files().len() ++ "\n"`;

async function readFacts(world: VcsWorld, path: string, options: readonly string[] = []): Promise<Facts> {
  return factsIn(await jj(world, path, ["log", "--no-graph", "-r", "@", "-T", FACTS, ...options]));
}

function factsIn(line: string): Facts {
  const [at = "", parents = "", described, files] = line.trimEnd().split("\t");
  if (described === "described") return { at, head: at, files: 0 };
  return { at, head: parents.split(",")[0] ?? at, files: Number(files) };
}

function standing(world: VcsWorld, path: string, target: Target | null): Promise<Standing> {
  return standingOf(path, target, {
    underway: null,
    async state() {
      // The files of a stale workspace cannot be read, but its commits can.
      const facts = await readFacts(world, path).catch(() => undefined);
      return { head: (facts ?? (await readFacts(world, path, [STILL]))).head, dirty: facts?.files ?? null };
    },
    count: (from, to) => countOf(world, path, `${from}..${to}`),
  });
}

async function countOf(world: VcsWorld, path: string, revset: string): Promise<number> {
  return (await jj(world, path, ["log", "--no-graph", "-r", revset, "-T", '"."', STILL])).length;
}

async function commitsOf(world: VcsWorld, path: string, revset: string): Promise<Commit[]> {
  const template = String.raw`commit_id ++ "\0" ++ author.name() ++ " <" ++ author.email() ++ ">\0" ++ author.timestamp().format("%Y-%m-%dT%H:%M:%S%:z") ++ "\0" ++ description ++ "\0"`;
  return parseCommits(await jj(world, path, ["log", "--no-graph", "--reversed", "-r", revset, "-T", template, STILL]));
}

async function refresh(world: VcsWorld, { path }: Checkout, onto: string): Promise<Refreshed> {
  const { at, head: from, files } = await readFacts(world, path);
  if (files > 0) throw dirtyCheckout(path, files, COMMIT);
  if ((await countOf(world, path, `${from}..${onto}`)) === 0)
    return { outcome: "current", from, onto, head: from, replayed: [] };
  const range = (tip: string) => `(${onto}..${tip}) & conflicts()`;
  const before = await countOf(world, path, range(at));
  await jj(world, path, ["rebase", "-b", "@", "-d", onto]);
  const ours = (await jj(world, path, ["op", "log", "--no-graph", "--limit", "1", "-T", "id", STILL])).trim();
  if ((await countOf(world, path, range("@"))) > before) {
    const conflicts = await conflictsIn(world, path, onto);
    await revert(world, path, ours);
    return { outcome: "conflict", from, onto, conflicts };
  }
  const { head } = await readFacts(world, path, [STILL]);
  return { outcome: "refreshed", from, onto, head, replayed: await commitsOf(world, path, `${onto}..${head}`) };
}

async function conflictsIn(world: VcsWorld, path: string, onto: string): Promise<string[]> {
  const template = String.raw`conflicted_files.map(|f| f.path()).join("\n") ++ "\n"`;
  const args = ["log", "--no-graph", "-r", `(${onto}..@) & conflicts()`, "-T", template, STILL];
  // Older versions lack this keyword: then the commits are listed.
  const text = await jj(world, path, args).catch(() => jj(world, path, [...args.slice(0, 4), "-T", ONE_LINE, STILL]));
  return [...new Set(text.split("\n").filter((line) => line !== ""))].sort();
}

/** Reverts one operation; older versions call this `undo`. */
async function revert(world: VcsWorld, path: string, operation: string): Promise<void> {
  await jj(world, path, ["op", "revert", operation]).catch(() => jj(world, path, ["op", "undo", operation]));
}
