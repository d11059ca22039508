import type { Host } from "../host.js";
import { boundSpool, readSpool, SPOOL_BYTES, type SpoolEvent, spoolPath, spoolSize } from "./spool.js";

/** What an agent reported, in words that are the same for all CLIs. */
export type FeedKind =
  | "session"
  | "prompt"
  | "working"
  | "tool"
  | "permission"
  | "question"
  | "idle"
  | "error"
  | "compacting"
  | "ended";

export interface FeedEvent {
  /** ms since the epoch. */
  at: number;
  kind: FeedKind;
  /** The CLI's own name for it. */
  event: string;
  /** The prompt, the command that needs a permission, the question, the error, the answer. */
  text?: string;
  promptId?: string;
  /** Names the conversation, for a later resume. */
  sessionRef?: string;
  /** The tool's name, or one of the words of `DETAILS`. */
  detail?: string;
}

/** The details that decide about a status. */
export const DETAILS = {
  /** A prompt that waits for the end of the running turn. */
  queued: "queued",
  /** A turn that a person broke off. */
  interrupted: "interrupted",
  /** The CLI may try again by itself within seconds. */
  mayRetry: "may retry",
  /** The end of a turn that a stop hook had continued. */
  continued: "continued",
  retry: "retry",
} as const;

/** The fields of an event that are worth having; empty ones are left out. */
export function feedEvent(
  raw: { at: number; event: string },
  kind: FeedKind,
  fields: { [Key in "text" | "promptId" | "sessionRef" | "detail"]?: string | undefined } = {},
): FeedEvent {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== "");
  return { at: raw.at, kind, event: raw.event, ...Object.fromEntries(given) };
}

/** Reads what one CLI reported, in order of time; `session` is the agent's conversation, if it is known. */
export type EventReader = (events: readonly SpoolEvent[], session?: string | null) => FeedEvent[];

type Reporter = { readEvents?: EventReader };

/**
 * What an agent's CLI reported, in terms shared by all CLIs, oldest first. Concurrent hooks may append out of order, so
 * events are sorted by time. A CLI that reports nothing has no events.
 */
export function foldFeed({ readEvents }: Reporter, events: readonly SpoolEvent[], session?: string | null) {
  const sorted = [...events].sort((a, b) => a.at - b.at);
  return readEvents?.(sorted, session) ?? [];
}

/** What the agent's CLI reported, up to the end of its spool. */
export interface Feed {
  events: readonly FeedEvent[];
  /** The spool has grown since the stored fold. */
  changed: boolean;
  offset: string;
}

/** The fold as the database keeps it. */
interface StoredFeed {
  feed: string | null;
  spool_offset: string;
}

/** How many of the newest events are stored. */
const KEPT_EVENTS = 40;

/** What the agent's hooks have reported; the stored fold while its spool has not grown. */
export async function readFeed(
  host: Host,
  { row, seen }: { row: { id: number; session_ref: string | null }; seen: StoredFeed | undefined },
  cli: Reporter,
): Promise<Feed> {
  const offset = seen?.spool_offset ?? "";
  if (cli.readEvents === undefined) return { events: [], changed: false, offset };
  const path = spoolPath(host.stateDir, row.id);
  const size = await spoolSize(path);
  const namesSession = (event: SpoolEvent) =>
    sessionOf({ events: foldFeed(cli, [event], row.session_ref) }) !== undefined;
  if (size > SPOOL_BYTES) await boundSpool(path, host.context.clock.now(), namesSession);
  if (size === Number(offset)) return { events: JSON.parse(seen?.feed ?? "[]"), changed: false, offset };
  const { events, end } = await readSpool(path);
  return {
    events: foldFeed(cli, events, row.session_ref).slice(-KEPT_EVENTS),
    changed: String(end) !== offset,
    offset: String(end),
  };
}

/** The conversation that the agent is in, by the newest event that names one. */
export function sessionOf({ events }: Pick<Feed, "events">): string | undefined {
  return events.findLast((event) => event.sessionRef !== undefined)?.sessionRef;
}
