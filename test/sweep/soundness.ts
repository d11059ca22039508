import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openSqlite } from "../../src/db/sqlite/sqlite.js";
import type { Store } from "../../src/db/store.js";
import { execProgram } from "../../src/exec.js";
import { verifyChains } from "../../src/journal/audit.js";
import { compareTables } from "../../src/journal/replay.js";
import { fsck, lostOf, type Manifest, takeManifest } from "../support/faults.js";
import type { Repository } from "../support/repository.js";
import type { Seeded } from "../support/seeded.js";
import { manifestOf } from "../support/trees.js";

/** What is at a place at one moment. */
export interface Moment {
  /** What happened, by the hash of its event. */
  events: Map<string, string>;
  /** The project's files, by path. */
  files: Record<string, string>;
  work: Manifest;
}

export async function look(app: Seeded): Promise<Moment> {
  const rows = await withStore(app, (store) =>
    store.db.selectFrom("events").select(["hash", "scope", "op", "subject"]).execute(),
  );
  const git = gitOf(app);
  return {
    events: new Map(
      rows.map(({ hash, scope, op, subject }) => [hash, `${op} ${subject} in ${scope || "the machine"}`]),
    ),
    files: manifestOf(app.request.cwd),
    work: hasRepository(app) ? await takeManifest(git, await checkoutsOf(git)) : { commits: [], files: [] },
  };
}

/** What is wrong with what is there, whatever happened; `[]` where all is sound. */
export async function faultsOf(app: Seeded): Promise<string[]> {
  const ofDatabase = await withStore(app, (store) =>
    store.read(async (db) => {
      const broken = (await verifyChains(db)).filter((chain) => !chain.ok);
      return [...broken, ...(await compareTables(db))].map((fault) => JSON.stringify(fault));
    }),
  );
  if (!hasRepository(app)) return ofDatabase;
  const git = gitOf(app);
  const unreadable = (await checkoutsOf(git)).map((path) =>
    git.gitIn(path, "status").then(
      () => [],
      (error) => [`${error}`],
    ),
  );
  return [...ofDatabase, ...(await fsck(git)), ...(await Promise.all(unreadable)).flat()];
}

/**
 * What is gone or half there. Events stay; commits and what is in no commit are somewhere; and each file of the project
 * is as it was `before`, or as the verb leaves it when nothing keeps it from its end.
 */
export async function lostSince(app: Seeded, before: Moment, clean: Moment): Promise<string[]> {
  const now = await look(app);
  const work = hasRepository(app) ? await lostOf(gitOf(app), before.work) : [];
  // A verb may put another database in place of this one: what is not there then may be missing at any time.
  const stay = new Set(clean.events.values());
  const gone = [...before.events].filter(([hash, event]) => stay.has(event) && !now.events.has(hash));
  const events = gone.map(([, event]) => `event ${event}`);
  const files = Object.entries(before.files).filter(([path, was]) => {
    const isChanged = clean.files[path] !== was;
    return now.files[path] !== was && !(isChanged && isWhole(app, path, now.files[path], clean.files[path]));
  });
  return [...work, ...events, ...files.map(([path]) => `file ${path}`)];
}

/** A file that holds a time differs from run to run: then only what can be read counts as whole. */
function isWhole(app: Seeded, path: string, is: string | undefined, clean: string | undefined): boolean {
  if (is === clean) return true;
  if (is === undefined) return false;
  const text = readFileSync(join(app.request.cwd, path), "utf8");
  return path.endsWith(".json") ? parses(text) : text.length > 0;
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

async function withStore<T>(app: Seeded, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openSqlite(app.env["MU_DB_PATH"] as string, { missing: "create", synchronous: "NORMAL" });
  return work(store).finally(() => store.close());
}

type Git = Pick<Repository, "git" | "gitIn">;

const hasRepository = (app: Seeded) => existsSync(join(app.request.cwd, ".git"));

function gitOf({ env, request }: Seeded): Git {
  const gitIn: Git["gitIn"] = async (cwd, ...args) => {
    const { code, stdout, stderr } = await execProgram("git", args, { cwd, env });
    if (code !== 0) throw new Error(`git ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout.trimEnd();
  };
  return { gitIn, git: (...args) => gitIn(request.cwd, ...args) };
}

async function checkoutsOf(git: Git): Promise<string[]> {
  const lines = (await git.git("worktree", "list", "--porcelain")).split("\n");
  return lines
    .flatMap((line) => (line.startsWith("worktree ") ? [line.slice("worktree ".length)] : []))
    .filter(existsSync);
}
