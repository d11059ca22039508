import { type FileHandle, open, stat } from "node:fs/promises";
import { decodeSpoolLine, RECORD_START, type SpoolEvent } from "./line.js";
import { listSegments, type Segment, splitOffset, toOffset } from "./segments.js";

export interface SpoolRead {
  events: SpoolEvent[];
  /** Where the next read goes on. */
  offset: number;
  /** Pieces that were no record: torn by a crash, or not from a hook. */
  garbage: number;
}

/** One read takes no more than this from a segment (bytes); the next read goes on behind it. */
const MAX_READ = 64 * 1024 * 1024;

/**
 * The events that came since `sinceOffset`, oldest first. A record whose end is not written yet is left for the next
 * read; no spool at all is no events. An offset of a spool that was removed since reads the new one from its start.
 */
export async function readSpool(path: string, sinceOffset = 0): Promise<SpoolRead> {
  for (let attempt = 1; ; attempt++) {
    const segments = await listSegments(path);
    const read = await readSegments(segments, sinceOffset);
    if (attempt === MAX_ATTEMPTS || last(await listSegments(path)) === last(segments)) return read;
  }
}

/** A rotation during a read takes microseconds; a second one right behind it does not happen. */
const MAX_ATTEMPTS = 4;

/**
 * The newest events only, for a glance at an agent's state: those in the last `bytes` bytes, but at least one when
 * there is any. `offset` is where `readSpool` goes on.
 */
export async function readSpoolTail(path: string, bytes = 64 * 1024): Promise<SpoolRead> {
  const segments = await listSegments(path);
  const sizes = await Promise.all(segments.map((segment) => sizeOf(segment.path)));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  for (let reach = bytes; ; reach *= 4) {
    const read = await readSpool(path, offsetFromEnd(segments, sizes, reach));
    if (read.events.length > 0 || reach >= total) return read;
  }
}

function offsetFromEnd(segments: readonly Segment[], sizes: readonly number[], reach: number): number {
  let left = reach;
  for (let index = segments.length - 1; index >= 0; index--) {
    const [segment, size = 0] = [segments[index], sizes[index]];
    if (segment && size >= left) return toOffset(segment.number, size - left);
    left -= size;
  }
  return 0;
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}

function last(segments: readonly Segment[]): number {
  return segments.at(-1)?.number ?? 0;
}

async function readSegments(segments: readonly Segment[], sinceOffset: number): Promise<SpoolRead> {
  const since = splitOffset(sinceOffset);
  const gone = since.segment > last(segments);
  const read: SpoolRead = { events: [], offset: sinceOffset, garbage: 0 };
  for (const segment of segments) {
    if (!gone && segment.number < since.segment) continue;
    const position = !gone && segment.number === since.segment ? since.position : 0;
    const found = await readSegment(segment.path, position);
    const sealed = segment.number !== last(segments);
    read.events.push(...found.events);
    read.garbage += found.garbage + (sealed && found.torn ? 1 : 0);
    read.offset = toOffset(segment.number, found.position);
    if (sealed && !found.drained) break;
  }
  return read;
}

interface SegmentRead {
  events: SpoolEvent[];
  garbage: number;
  position: number;
  /** Bytes without a line's end are left at the end. */
  torn: boolean;
  /** Nothing is left to read but such bytes. */
  drained: boolean;
}

async function readSegment(path: string, position: number): Promise<SegmentRead> {
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return { events: [], garbage: 0, position: 0, torn: false, drained: true };
  try {
    const { size } = await file.stat();
    const start = position > size ? 0 : position;
    const bytes = await readRange(file, start, Math.min(size - start, MAX_READ));
    const rest = size - start - bytes.length;
    const end = bytes.lastIndexOf(0x0a) + 1;
    if (end === 0 && rest > 0)
      return { events: [], garbage: 1, position: start + bytes.length, torn: true, drained: false };
    const { events, garbage } = readRecords(bytes.subarray(0, end));
    return { events, garbage, position: start + end, torn: end < bytes.length, drained: rest === 0 };
  } finally {
    await file.close();
  }
}

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
