import { type FileHandle, open } from "node:fs/promises";
import { decodeSpoolLine, RECORD_START, type SpoolEvent } from "./line.js";
import { type Cursor, formatCursor, listSegments, parseCursor, sizeOf } from "./segments.js";

export interface SpoolRead {
  events: SpoolEvent[];
  /** Where the next read goes on; a text that means something to `readSpool` only. */
  offset: string;
  /** Pieces that were no record: torn by a crash, or not from a hook. */
  garbage: number;
}

/** One read takes no more than this from a segment (bytes); the next read goes on behind it. */
const MAX_READ = 64 * 1024 * 1024;

/**
 * The events that came since `sinceOffset`, oldest first, each once. A record whose end is not written yet is left for
 * the next read; no spool at all is no events. An offset of a spool that was removed since, or one that cannot be
 * read, begins at the start.
 */
export async function readSpool(path: string, sinceOffset = ""): Promise<SpoolRead> {
  for (let attempt = 1; ; attempt++) {
    const segments = await listSegments(path);
    const read = await readSegments(segments, parseCursor(sinceOffset));
    const now = (await listSegments(path)).active.number;
    if (attempt === MAX_ATTEMPTS || now === segments.active.number) return read;
  }
}

/** A rotation during a read takes microseconds; a second one right behind it does not happen. */
const MAX_ATTEMPTS = 4;

/**
 * The newest events only, for a glance at an agent's state: those in the last `bytes` bytes, but at least one when
 * there is any. `offset` is where `readSpool` goes on.
 */
export async function readSpoolTail(path: string, bytes = 64 * 1024): Promise<SpoolRead> {
  const { older, active } = await listSegments(path);
  const before = older.at(-1);
  const [size, olderSize] = await Promise.all([sizeOf(path), before ? sizeOf(before.path) : 0]);
  for (let reach = bytes; ; reach *= 4) {
    const inOlder = Math.max(0, olderSize - Math.max(0, reach - size));
    const start = { segment: active.number, position: Math.max(0, size - reach), older: inOlder };
    const read = await readSpool(path, formatCursor(start));
    if (read.events.length > 0 || reach >= size + olderSize) return read;
  }
}

type Segments = Awaited<ReturnType<typeof listSegments>>;

async function readSegments({ older, active }: Segments, since: Cursor): Promise<SpoolRead> {
  const start = since.segment > active.number ? { segment: 0, position: 0, older: 0 } : since;
  const read: SpoolRead = { events: [], offset: "", garbage: 0 };
  let before = 0;
  for (const segment of [...older, active]) {
    const position = startIn(segment.number, start);
    if (position === undefined) continue;
    const found = await readSegment(segment.path, position);
    read.events.push(...found.events);
    read.garbage += found.garbage;
    read.offset = formatCursor({ segment: segment.number, position: found.position, older: before });
    if (!found.drained) break;
    before = found.position;
  }
  return read;
}

function startIn(segment: number, start: Cursor): number | undefined {
  if (segment > start.segment) return 0;
  if (segment === start.segment) return start.position;
  return segment === start.segment - 1 ? start.older : undefined;
}

interface SegmentRead {
  events: SpoolEvent[];
  garbage: number;
  position: number;
  /** Nothing is left to read but the beginning of a record. */
  drained: boolean;
}

async function readSegment(path: string, position: number): Promise<SegmentRead> {
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return { events: [], garbage: 0, position: 0, drained: true };
  try {
    const { size } = await file.stat();
    const start = position > size ? 0 : position;
    const bytes = await readRange(file, start, Math.min(size - start, MAX_READ));
    const drained = start + bytes.length >= size;
    const end = bytes.lastIndexOf(LINE_END) + 1;
    if (end === 0 && !drained) return { events: [], garbage: 1, position: start + bytes.length, drained };
    return { ...readRecords(bytes.subarray(0, end)), position: start + end, drained };
  } finally {
    await file.close();
  }
}

const LINE_END = 0x0a;

async function readRange(file: FileHandle, start: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, start + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function readRecords(bytes: Buffer): { events: SpoolEvent[]; garbage: number } {
  const events: SpoolEvent[] = [];
  let garbage = 0;
  for (const line of bytes.toString("utf8").split("\n")) {
    if (line.trim() === "") continue;
    const pieces = line.split(RECORD_START);
    const event = pieces.length > 1 ? decodeSpoolLine(pieces.at(-1) ?? "") : undefined;
    if (event) events.push(event);
    garbage += pieces.slice(0, -1).filter((piece) => piece.trim() !== "").length + (event ? 0 : 1);
  }
  return { events, garbage };
}
