import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { sql } from "kysely";
import { openPrivateStore } from "../../db/open.js";
import { JOURNALLED } from "../../db/relations.js";
import type { Reader } from "../../db/schema.js";
import type { Store } from "../../db/store.js";
import { shape, type TypeOf } from "../../shape.js";
import { moveWhole } from "../../whole-file.js";
import { applyChange, changesIn, compareTable, noRows } from "../replay.js";

/** The most that all keyframes of a database take, in bytes; the oldest go first. */
const MOST_BYTES = 2 ** 30;

/** The tables as they were after an event, in a SQLite file whose name says after which, and the hash of its bytes. */
interface Keyframe {
  event: number;
  eventHash: string;
  fileHash: string;
  path: string;
  bytes: number;
}

const NAME = /^(\d+)-([0-9a-f]{16})-([0-9a-f]{32})\.db$/;
/** A draft that is older than this was left behind, in ms. */
const DRAFT_MS = 3_600_000;

/** Where the keyframes of the database are that has this state folder. */
export const keyframeFolder = (stateDir: string) => join(stateDir, "keyframes");

/** By event. */
async function listKeyframes(folder: string): Promise<Keyframe[]> {
  const found: Keyframe[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    const [match, event, eventHash = "", fileHash = ""] = NAME.exec(name) ?? [];
    const file = match === undefined ? undefined : await stat(path).catch(() => undefined);
    if (file !== undefined) found.push({ event: Number(event), eventHash, fileHash, path, bytes: file.size });
  }
  return found.sort((a, b) => a.event - b.event);
}

/** What is wrong with a keyframe: `stale` if its event is not in the log, `damaged` if its bytes changed. */
async function problemOf(source: Reader, keyframe: Keyframe): Promise<"stale" | "damaged" | null> {
  const { event, eventHash, fileHash, path } = keyframe;
  const row = await source.selectFrom("events").select("hash").where("id", "=", event).executeTakeFirst();
  if (row === undefined || shortHash(row.hash) !== eventHash) return "stale";
  return (await hashOf(path)) === fileHash ? null : "damaged";
}

const shortHash = (hash: string) => hash.slice(0, 16);

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  return hash.digest("hex").slice(0, 32);
}

/** A private store as it was after the last event up to `until` that a keyframe has; bad keyframes are removed. */
export async function openNearest(
  source: Reader,
  folder: string,
  until: number,
): Promise<{ store: Store; event: number }> {
  const before = (await listKeyframes(folder)).filter(({ event }) => event <= until);
  for (const keyframe of before.reverse()) {
    const store = await openKeyframe(source, keyframe);
    if (store !== undefined) return { store, event: keyframe.event };
    await rm(keyframe.path, { force: true });
  }
  return { store: await openPrivateStore(), event: 0 };
}

/** Undefined for one that is stale or damaged, or that another process has just removed. */
async function openKeyframe(source: Reader, keyframe: Keyframe): Promise<Store | undefined> {
  try {
    return (await problemOf(source, keyframe)) === null ? await openPrivateStore(keyframe.path) : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a private store as the keyframe of an event. It only saves time: what cannot be written is left out. */
export async function saveKeyframe(store: Store, folder: string, { id, hash }: { id: number; hash: string }) {
  const draft = join(folder, `${randomBytes(6).toString("hex")}.draft`);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await sql`vacuum into ${draft}`.execute(store.db);
    const path = join(folder, `${id}-${shortHash(hash)}-${await hashOf(draft)}.db`);
    await moveWhole(draft, path);
    await tidy(folder, (await stat(path)).mtimeMs);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => {});
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  }
}

async function tidy(folder: string, now: number): Promise<void> {
  let bytes = 0;
  for (const keyframe of (await listKeyframes(folder)).reverse()) {
    bytes += keyframe.bytes;
    if (bytes > MOST_BYTES) await rm(keyframe.path, { force: true });
  }
  for (const name of (await readdir(folder)).filter((one) => one.endsWith(".draft"))) {
    const path = join(folder, name);
    const draft = await stat(path).catch(() => undefined);
    if (draft !== undefined && now - draft.mtimeMs > DRAFT_MS) await rm(path, { force: true });
  }
}

/** A keyframe, and what is wrong with it: `differs` if it is not what the events up to its own say. */
export const CHECKED_KEYFRAME = shape({
  event: "number",
  path: "string",
  bytes: "number",
  problem: [["stale", "damaged", "differs"], null],
});

/**
 * Checks every keyframe: its event and its bytes, and with `deep` each of its rows against the fold of the log, which
 * takes as long as reading the whole log. `mend` removes those that have a problem: the next look at the past makes them
 * anew. Give it one unchanging picture of the database (`store.read`).
 */
export async function checkKeyframes(
  source: Reader,
  folder: string,
  { deep = false, mend = false }: { deep?: boolean; mend?: boolean } = {},
): Promise<TypeOf<typeof CHECKED_KEYFRAME>[]> {
  const checked: TypeOf<typeof CHECKED_KEYFRAME>[] = [];
  const tables = noRows();
  let after = 0;
  for (const keyframe of await listKeyframes(folder)) {
    const { event, path, bytes } = keyframe;
    let problem: (typeof checked)[number]["problem"] = await problemOf(source, keyframe);
    if (deep && problem === null) {
      for await (const changes of changesIn(source, { after, until: event })) {
        for (const change of changes) applyChange(tables, change);
      }
      after = event;
      if (await differs(path, tables)) problem = "differs";
    }
    if (mend && problem !== null) await rm(path, { force: true });
    checked.push({ event, path, bytes, problem });
  }
  return checked;
}

async function differs(path: string, tables: ReturnType<typeof noRows>): Promise<boolean> {
  const store = await openPrivateStore(path);
  try {
    for (const table of JOURNALLED) if ((await compareTable(store.db, table, tables)).length > 0) return true;
    return false;
  } finally {
    await store.close();
  }
}
