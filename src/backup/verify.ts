import { constants, copyFile, mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pendingMigrations } from "../db/migrate.js";
import { MIGRATION_NAMES } from "../db/migrations/names.js";
import type { Reader } from "../db/schema.js";
import { openSqlite, type SqliteOptions } from "../db/sqlite/sqlite.js";
import type { Store } from "../db/store.js";
import { Fault, type FaultKind } from "../errors.js";
import { type ChainHead, verifyChains } from "../journal/audit.js";
import { compareTables } from "../journal/replay.js";
import { counted } from "../names.js";
import { shape, type TypeOf } from "../shape.js";

/** What is in a database file that was found to be whole. */
export const BACKUP = shape({
  file: "string",
  bytes: "number",
  /** The last migration that it has. */
  schema: "string",
  /** Migrations that this mu would run on it. */
  pending: "string[]",
  workstreams: "string[]",
  tasks: "number",
  events: "number",
  chains: [{ scope: "string", n: "number", head: "string" }],
});

export type Backup = TypeOf<typeof BACKUP>;

/**
 * Checks a database file without changing it: its pages, its schema, its chains, and that its tables are what its events say.
 * Faults `backup.*`: `not_found`, `empty`, `not_a_database`, `foreign`, `damaged`, `broken_chain`, `tables_differ`; `db.newer`.
 */
export async function verifyBackup(path: string): Promise<Backup> {
  const file = await stat(path).catch(() => undefined);
  const size = file?.size;
  if (size === undefined) throw bad(path, "not_found", "is not there, or may not be read", "missing");
  if (!file?.isFile()) throw bad(path, "not_a_database", "is not a file");
  if (size === 0) throw bad(path, "empty", "is empty: it has no byte");
  try {
    return await withBackup(path, (store) => inspect(store, path, size));
  } catch (error) {
    throw asBackupFault(error, path);
  }
}

/** Opens a file that is not this process's database, and leaves it as it is. Faults `db.*`. */
export async function withBackup<T>(path: string, work: (store: Store) => Promise<T>): Promise<T> {
  // In WAL mode even readers write beside the file: they get a copy.
  if (!(await isInWalMode(path))) return withOpen(path, { migrate: "never", readonly: true }, work);
  return inFolder(async (copy) => {
    for (const suffix of ["", "-wal"]) await copyFile(path + suffix, copy + suffix, COPY).catch(ignoreMissing);
    return withOpen(copy, { migrate: "never" }, work);
  });
}

const COPY = constants.COPYFILE_FICLONE;

const ignoreMissing = (error: NodeJS.ErrnoException) => {
  if (error.code !== "ENOENT") throw error;
};

/** The header of a database says so in its 19th byte. */
async function isInWalMode(path: string): Promise<boolean> {
  const file = await open(path);
  const { buffer } = await file.read(Buffer.alloc(19), 0, 19, 0).finally(() => file.close());
  return buffer[18] === 2;
}

async function withOpen<T>(
  path: string,
  options: Omit<SqliteOptions, "missing">,
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const store = await openSqlite(path, { missing: "create", ...options });
  return work(store).finally(() => store.close());
}

async function inFolder<T>(work: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "mu-backup-"));
  return work(join(folder, "copy.db")).finally(() => rm(folder, { recursive: true, force: true }));
}

async function inspect(store: Store, path: string, bytes: number): Promise<Backup> {
  const { rows } = await store.query("pragma integrity_check(5)");
  const damage = rows.map((row) => String(row["integrity_check"])).filter((line) => line !== "ok");
  if (damage.length > 0) throw bad(path, "damaged", `is damaged (${damage.join("; ").slice(0, 200)})`);
  const pending = await pendingMigrations(store.db, path);
  const schema = MIGRATION_NAMES[MIGRATION_NAMES.length - pending.length - 1] ?? "none";
  const contents = await (pending.length > 0 ? inUpgradedCopy(store, readContents) : store.read(readContents));
  return { file: path, bytes, schema, pending, ...contents };

  async function readContents(db: Reader) {
    const chains = await verifyChains(db);
    const [broken] = chains.filter((chain) => !chain.ok);
    if (broken !== undefined) {
      const { scope, firstBad } = broken;
      throw bad(
        path,
        "broken_chain",
        `is no history of mu's: event ${firstBad?.n} of ${scope || "the machine"} ${firstBad?.problem}`,
      );
    }
    const differences = await compareTables(db);
    if (differences.length > 0)
      throw bad(path, "tables_differ", `has ${counted(differences.length, "row")} that its events do not explain`);
    const workstreams = await db.selectFrom("workstreams").select("name").orderBy("name").execute();
    const tasks = await db
      .selectFrom("tasks")
      .select((eb) => eb.fn.countAll<number>().as("n"))
      .executeTakeFirst();
    return {
      workstreams: workstreams.map(({ name }) => name),
      tasks: Number(tasks?.n ?? 0),
      events: chains.reduce((sum, { n }) => sum + n, 0),
      chains: chains.map(({ scope, n, head }): ChainHead => ({ scope, n, head })),
    };
  }
}

/** An older schema is read as this mu would have it. */
function inUpgradedCopy<T>(store: Store, work: (db: Reader) => Promise<T>): Promise<T> {
  return inFolder(async (copy) => {
    await store.copyTo(copy);
    return withOpen(copy, { synchronous: "NORMAL" }, (upgraded) => upgraded.read(work));
  });
}

const DAMAGED = "is torn or damaged: a part of it cannot be read";

function asBackupFault(error: unknown, path: string): unknown {
  const code = error instanceof Fault ? error.code : undefined;
  if (code === "db.foreign") return bad(path, "foreign", "is a database, but not one of this mu's");
  if (code === "db.not_a_database") return bad(path, "not_a_database", "is not a database");
  return code === "db.corrupt" || code === "db.io" ? bad(path, "damaged", DAMAGED) : error;
}

function bad(path: string, reason: string, what: string, kind: FaultKind = "negative"): Fault {
  return new Fault(kind, `backup.${reason}`, `${path} ${what}. It cannot be restored.`, [
    { intent: "See the snapshots", command: "mu snapshot list" },
  ]);
}
