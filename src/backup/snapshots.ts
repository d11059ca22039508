import { randomUUID } from "node:crypto";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "../db/store.js";
import { Fault } from "../errors.js";
import { didYouMean, quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { writeBackup } from "./backup.js";

/** A kept copy of the whole database. */
export const SNAPSHOT = shape({
  id: "string",
  at: "string",
  /** The verb before which mu took it; of a database that a restore has set aside, `set-aside`. */
  before: "string",
  bytes: "number",
  path: "string",
});

export type Snapshot = TypeOf<typeof SNAPSHOT>;

/** What a restore calls the database that it replaces. */
export const SET_ASIDE = "set-aside";

/** Automatic snapshots: at most so many, of so many bytes in all; the newest always stays. */
const KEPT_MOST = 20;
const KEPT_BYTES = 2 ** 30;
/** Any snapshot, one that was set aside, too, is kept for so many days. */
const KEPT_DAYS = 14;
const DAY_MS = 86_400_000;

/** The keep policy in words. */
export const POLICY = `mu keeps the newest ${KEPT_MOST} up to 1 GiB in all, and none for longer than ${KEPT_DAYS} days`;

/** Where the snapshots of a database are: beside it, so that a restore need only rename. */
export const snapshotFolder = (database: string) => `${database}.snapshots`;

/** The file of a new snapshot; its id is 8 hexadecimal digits. */
export function snapshotPath(database: string, before: string, now: Date, id = randomUUID().slice(0, 8)): string {
  return join(snapshotFolder(database), `${now.toISOString().replaceAll(/[-:.]/g, "")}-${id}-${before}.db`);
}

/** Keeps a copy of what is committed, and deletes those that the keep policy gives up. A server keeps its own. */
export async function takeSnapshot(store: Store, before: string, now: Date): Promise<void> {
  if (store.dialect === "postgres") return;
  await mkdir(snapshotFolder(store.location), { recursive: true, mode: 0o700 });
  await writeBackup(store, snapshotPath(store.location, before, now));
  const kept = await listSnapshots(store.location);
  for (const one of outlived(kept, now)) await deleteSnapshot(one);
  await removeDrafts(snapshotFolder(store.location), now);
}

/** Deletes what killed processes have left of snapshots, once no living one can be at it any more. */
async function removeDrafts(folder: string, now: Date): Promise<void> {
  const drafts = (await readdir(folder)).filter((name) => /\.db\.mu-[0-9a-f]{12}$/.test(name));
  for (const path of drafts.map((name) => join(folder, name))) {
    const file = await stat(path).catch(() => undefined);
    if (file !== undefined && now.getTime() - file.mtimeMs > DAY_MS) await rm(path, { force: true });
  }
}

/** Those that the keep policy gives up; `kept` has the newest first. */
export function outlived(kept: readonly Snapshot[], now: Date): Snapshot[] {
  const [newest] = kept;
  let [count, bytes] = [0, 0];
  return kept.filter((one) => {
    const isOld = now.getTime() - Date.parse(one.at) > KEPT_DAYS * DAY_MS;
    if (one.before === SET_ASIDE) return isOld;
    count++;
    bytes += one.bytes;
    return one !== newest && (isOld || count > KEPT_MOST || bytes > KEPT_BYTES);
  });
}

const NAME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-([0-9a-f]{8})-([a-z.-]+)\.db$/;

/** All snapshots of a database, the newest first. */
export async function listSnapshots(database: string): Promise<Snapshot[]> {
  const folder = snapshotFolder(database);
  const names = await readdir(folder).catch(() => []);
  const live = await stat(database).catch(() => undefined);
  const found = names
    .sort()
    .reverse()
    .map(async (name): Promise<Snapshot | undefined> => {
      const [, year, month, day, hour, minute, second, ms, id = "", before = ""] = NAME.exec(name) ?? [];
      const path = join(folder, name);
      const file = id === "" ? undefined : await stat(path).catch(() => undefined);
      // A restore that was cut off leaves a second name of the database that it wanted to set aside.
      if (file === undefined || (file.ino === live?.ino && file.dev === live.dev)) return undefined;
      const at = `${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`;
      return { id, at, before, bytes: file.size, path };
    });
  return (await Promise.all(found)).filter((one) => one !== undefined);
}

/** A snapshot by its id or the beginning of it. Faults `snapshot.not_found`, `snapshot.ambiguous`. */
export async function getSnapshot(database: string, id: string): Promise<Snapshot> {
  const all = await listSnapshots(database);
  const [one, another] = all.filter((snapshot) => snapshot.id.startsWith(id.toLowerCase()));
  if (one !== undefined && another === undefined) return one;
  const ids = all.map((snapshot) => snapshot.id);
  const list = [{ intent: "List the snapshots", command: "mu snapshot list" }];
  if (one !== undefined) {
    throw new Fault(
      "usage",
      "snapshot.ambiguous",
      `Several snapshots begin with ${quote(id)}. Give more of the id.`,
      list,
    );
  }
  throw new Fault("missing", "snapshot.not_found", `There is no snapshot ${quote(id)}.${didYouMean(id, ids)}`, list);
}

/** Deletes a snapshot, with the log of a damaged database that stands beside it. */
export async function deleteSnapshot({ path }: Snapshot): Promise<void> {
  for (const suffix of ["-shm", "-wal", ""]) await rm(path + suffix, { force: true });
}
