import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { KEPT_DELIVERIES } from "../agents/delivery/outbox.js";
import type { Store } from "../db/store.js";
import type { Host } from "../host.js";
import { shape, type TypeOf } from "../shape.js";
import { lostIncarnations } from "./recovery.js";

const MIB = 2 ** 20;

/** What mu keeps of agents in files: their names, with row id and moment of the incarnation, and how many bytes of them. */
const FILES = [
  { kind: "spools", folder: "spool", name: /^(\d+)(?:\..*)?$/, limitBytes: 64 * MIB },
  { kind: "transcripts", folder: "transcripts", name: /^(\d+)-(\d+)\.log/, limitBytes: 512 * MIB },
  { kind: "screens", folder: "transcripts", name: /^(\d+)-(\d+)\.txt/, limitBytes: 64 * MIB },
  { kind: "launches", folder: "launches", name: /^(\d+)-(\d+)\.json/, limitBytes: 8 * MIB },
] as const;

type FileKind = (typeof FILES)[number];

/** A file of an agent that no row of this database names may be another database's. It goes after this long (ms). */
const FOREIGN_MS = 30 * 86_400_000;

type KeptFile = Awaited<ReturnType<typeof listFiles>>[number];

/**
 * Removes the oldest files of agents that are closed, kind by kind, until what is left fits its limit. Those of open
 * agents and of a crew that recover would bring back stay, whatever they take. Safe to call from many processes at once.
 */
export async function removeOldFiles(
  host: Host,
  limits: Partial<Record<FileKind["kind"], number>> = {},
): Promise<string[]> {
  const removed: string[] = [];
  for (const kept of FILES) {
    const files = await listFiles(host.stateDir, kept);
    let excess = bytesOf(files) - (limits[kept.kind] ?? kept.limitBytes);
    if (excess <= 0) continue;
    const isNeeded = await neededFiles(host);
    for (const file of files.filter((one) => !isNeeded(one)).sort((a, b) => a.changedAt - b.changedAt)) {
      if (excess <= 0) break;
      await rm(file.path, { force: true });
      excess -= file.bytes;
      removed.push(file.path);
    }
  }
  return removed;
}

const bytesOf = (files: readonly KeptFile[]) => files.reduce((bytes, file) => bytes + file.bytes, 0);

async function listFiles(stateDir: string, { folder, name }: FileKind) {
  const names = await readdir(join(stateDir, folder)).catch(() => []);
  const files = names.map(async (file) => {
    const [match, id, spawnedAt] = name.exec(file) ?? [];
    const path = join(stateDir, folder, file);
    const found = match === undefined ? undefined : await stat(path).catch(() => undefined);
    return found ? [{ path, incarnation: Number(id), spawnedAt, bytes: found.size, changedAt: found.mtimeMs }] : [];
  });
  return (await Promise.all(files)).flat();
}

/** Read after the files: the row of an agent is there before them. */
async function neededFiles({ context: { store, clock } }: Host): Promise<(file: KeptFile) => boolean> {
  const rows = await store.db.selectFrom("agents").select(["id", "spawned_at", "closed_at"]).execute();
  const known = new Map(rows.map((row) => [row.id, row]));
  const lost = new Set(await lostIncarnations(store.db));
  return (file) => {
    const row = ownerOf(file, known);
    if (row === undefined) return file.changedAt > clock.now().getTime() - FOREIGN_MS;
    return row.closed_at === null || lost.has(file.incarnation);
  };
}

/** The row of the incarnation that a file names, with its spawn time where it has one. */
function ownerOf<R extends { spawned_at: string }>(
  { incarnation, spawnedAt }: KeptFile,
  known: ReadonlyMap<number, R>,
): R | undefined {
  const row = known.get(incarnation);
  const isOurs = spawnedAt === undefined || Number(spawnedAt) === Date.parse(row?.spawned_at ?? "");
  return isOurs ? row : undefined;
}

/** How much of one kind is kept, and what bounds it. */
export const KEPT = shape({
  kind: ["spools", "transcripts", "screens", "launches", "deliveries"],
  /** A folder, or a table. */
  where: "string",
  count: "number",
  bytes: "number",
  /** How many of them no agent of this database has: they may be another database's. */
  foreign: "number",
  /** What is beyond it goes; null where a number of rows is the limit. */
  limitBytes: "number | null",
  /** The limit in words, and who removes what is beyond it. */
  limit: "string",
});

type Kept = TypeOf<typeof KEPT>;

/** What is kept of agents, kind by kind. */
export async function measureKept(store: Store, stateDir: string): Promise<Kept[]> {
  const agents = await store.db.selectFrom("agents").select(["id", "spawned_at"]).execute();
  const known = new Map(agents.map((row) => [row.id, row]));
  const files = FILES.map(async (file): Promise<Kept> => {
    const { kind, limitBytes } = file;
    const found = await listFiles(stateDir, file);
    const foreign = found.filter((one) => ownerOf(one, known) === undefined).length;
    const limit = `${limitBytes / MIB} MiB; the next start of an agent removes the oldest of closed agents`;
    const where = join(stateDir, file.folder);
    return { kind, where, count: found.length, bytes: bytesOf(found), foreign, limitBytes, limit };
  });
  const { rows } = await store.query("select count(*) as n, coalesce(sum(length(text)), 0) as bytes from deliveries");
  const [count, bytes] = [Number(rows[0]?.["n"]), Number(rows[0]?.["bytes"])];
  const { days, each } = KEPT_DELIVERIES;
  const limit = `settled ones for ${days} days and ${each} for each agent; the next prompt removes older ones`;
  const deliveries: Kept = {
    kind: "deliveries",
    where: "deliveries",
    count,
    bytes,
    foreign: 0,
    limitBytes: null,
    limit,
  };
  return [...(await Promise.all(files)), deliveries];
}
