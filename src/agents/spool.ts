import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { writeWhole } from "../whole-file.js";
import { asObject, type Json } from "./json.js";

/** One event that an agent's CLI reported. `at` is in ms since the epoch. */
export interface SpoolEvent {
  at: number;
  event: string;
  payload: Json;
}

/** The event that mu itself appends when an agent was given a delivery that its CLI may not report: `{text, delivery}`. */
export const DELIVERED_EVENT = "mu.delivered";

/** The spool file of one incarnation. */
export function spoolPath(stateDir: string, agentId: string | number): string {
  return join(stateDir, "spool", String(agentId));
}

/** Creates the folder of the spools; hooks write only if it exists. */
export async function prepareSpool(stateDir: string): Promise<void> {
  await mkdir(join(stateDir, "spool"), { recursive: true, mode: 0o700 });
}

/** Appends that an agent was given a delivery. */
export function reportDelivery(path: string, { text, id, at }: { text: string; id: number; at: number }) {
  return appendSpool(path, { at, event: DELIVERED_EVENT, payload: { text, delivery: id } });
}

/** Appends one event as a hook would, with a single write. */
export async function appendSpool(path: string, event: SpoolEvent): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(path, "a", 0o600);
  try {
    await file.write(Buffer.from(encodeSpoolLine(event)));
  } finally {
    await file.close();
  }
}

/**
 * A record is `RS seconds SP event SP json LF`. RS (0x1e) occurs in no JSON text, so a record that was torn by a crash
 * or a full disk is lost alone: the next one starts at its own RS.
 */
const RECORD_START = "\u001e";

export function encodeSpoolLine({ at, event, payload }: SpoolEvent): string {
  return `${RECORD_START}${(at / 1000).toFixed(3)} ${event} ${JSON.stringify(payload)}\n`;
}

/** Seconds with a point or, from a shell in another locale, a comma; a `date` without fractions leaves its `N`. */
const HEADER = /^(\d{9,11})(?:[.,](?:(\d{1,9})|N))? ([A-Za-z][\w.-]{0,63}) /;

/** The event of one record (without its RS and LF); undefined for anything else. */
export function decodeSpoolLine(record: string): SpoolEvent | undefined {
  const match = HEADER.exec(record);
  if (!match) return undefined;
  const [header, seconds, fraction = "0", event = ""] = match;
  try {
    const payload: unknown = JSON.parse(record.slice(header.length));
    if (typeof payload !== "object" || payload === null) return undefined;
    const at = Number(seconds) * 1000 + Math.floor(Number(`0.${fraction}`) * 1000);
    return { at, event, payload: asObject(payload) };
  } catch {
    return undefined;
  }
}

export interface SpoolRead {
  /** Oldest first. */
  events: SpoolEvent[];
  /** Bytes of the spool up to the last complete record. */
  end: number;
}

/** What a look at a spool reads of it (bytes). */
const READ_BYTES = 64 * 1024;

/** Where a spool is set aside; what hooks report then begins the spool anew. */
const asideOf = (path: string) => `${path}.1`;

/**
 * The newest events: those in the last `bytes` bytes of the spool and of what was set aside of it, but at least one if
 * there is any. A record whose end is not written yet, and whatever is no record, is skipped; without a spool there are
 * no events.
 */
export async function readSpool(path: string, bytes = READ_BYTES): Promise<SpoolRead> {
  const { events, end, ino } = await readPart(path, bytes);
  const aside = await readPart(asideOf(path), Math.max(4096, bytes - end));
  if (aside.ino === ino) return { events, end };
  return { events: end < bytes ? [...aside.events, ...events] : events, end: aside.end + end };
}

async function readPart(path: string, bytes: number): Promise<SpoolRead & { ino?: number }> {
  const file = await open(path, "r").catch(() => undefined);
  if (file === undefined) return { events: [], end: 0 };
  try {
    const { size, ino } = await file.stat();
    for (let reach = bytes; ; reach *= 4) {
      const start = Math.max(0, size - reach);
      const tail = await readRange(file, start, size - start);
      const length = tail.lastIndexOf(LINE_END) + 1;
      const events = decodeRecords(tail.subarray(0, length));
      if (events.length > 0 || start === 0) return { events, end: start + length, ino };
    }
  } finally {
    await file.close();
  }
}

/** The size in bytes of a spool and of what was set aside of it; 0 if it does not exist. */
export async function spoolSize(path: string): Promise<number> {
  const sizes = await Promise.all([path, asideOf(path)].map(async (part) => (await statOf(part))?.size ?? 0));
  return sizes.reduce((sum, size) => sum + size);
}

const statOf = (path: string) => stat(path).catch(() => undefined);

/** What a spool, and what was set aside of it, may have in bytes when it is read. */
export const SPOOL_BYTES = 1024 * 1024;
/** A hook that has opened a spool has written to it after this long (ms). */
const WRITTEN_MS = 1_000;
/** Cutting a spool takes less than this, or was interrupted (ms). */
const CUT_MS = 60_000;
/** How far back a cut looks for the event to keep (bytes). */
const SEARCH_BYTES = 64 * 1024 * 1024;

/**
 * Sets a spool aside that has grown beyond `SPOOL_BYTES`; when no hook can write to it any more, the next call cuts it to
 * what a look reads. The newest event that `isKept` stays in any case. Of several processes one does it.
 */
export async function boundSpool(path: string, now: Date, isKept: (event: SpoolEvent) => boolean): Promise<void> {
  const [lock, aside] = [`${path}.lock`, asideOf(path)];
  const held = await open(lock, "wx", 0o600).catch(() => undefined);
  const isOld = async (file: string, ms: number) => now.getTime() - ((await statOf(file))?.mtimeMs ?? 0) > ms;
  if (held === undefined) return (await isOld(lock, CUT_MS)) ? rm(lock, { force: true }) : undefined;
  try {
    const { events } = await readPart(aside, SEARCH_BYTES);
    const kept = events.filter(isKept).reduce<SpoolEvent | undefined>((a, b) => (a && a.at > b.at ? a : b), undefined);
    if (((await statOf(path))?.size ?? 0) > SPOOL_BYTES) {
      if (kept !== undefined) await appendSpool(path, kept);
      await rename(path, aside);
    } else if (((await statOf(aside))?.size ?? 0) > SPOOL_BYTES && (await isOld(aside, WRITTEN_MS))) {
      const from = events.length - (await readPart(aside, READ_BYTES)).events.length;
      const rest = events.filter((event, index) => index >= from || event === kept);
      if (rest.length < events.length) await writeWhole(aside, rest.map(encodeSpoolLine).join(""));
    }
  } finally {
    await held.close();
    await rm(lock, { force: true });
  }
}

const LINE_END = 0x0a;

/** The bytes of an open file from `start` on, fewer where it ends. */
export async function readRange(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, start + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function decodeRecords(bytes: Buffer): SpoolEvent[] {
  return bytes
    .toString("utf8")
    .split("\n")
    .filter((line) => line.includes(RECORD_START))
    .flatMap((line) => decodeSpoolLine(line.slice(line.lastIndexOf(RECORD_START) + 1)) ?? []);
}
