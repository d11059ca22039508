import type { SpoolEvent } from "./spool.js";

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

/** Reads what one CLI reported, in order of time. */
export type EventReader = (events: readonly SpoolEvent[]) => FeedEvent[];

/**
 * What an agent's CLI reported, in terms shared by all CLIs, oldest first. Concurrent hooks may append out of order, so
 * events are sorted by time. A CLI that reports nothing has no events.
 */
export function foldFeed({ readEvents }: { readEvents?: EventReader }, events: readonly SpoolEvent[]): FeedEvent[] {
  return readEvents?.([...events].sort((a, b) => a.at - b.at)) ?? [];
}
