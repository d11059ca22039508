import type { OfferedTool, ToolCall, Utterance } from "./conversation.js";
import type { Usage } from "./script.js";

/** One vendor's way of asking a model and of answering, as far as the agent CLIs use it. */
export interface Wire {
  /** Paths that match are this wire's. */
  path: RegExp;
  read(body: unknown, path: string): Question;
  /** The answer as server-sent records, in the order in which a client gets them. */
  stream(answer: Answer): SseRecord[];
  /** The same answer for a client that does not stream. */
  whole(answer: Answer): object;
  error(status: number, message: string): object;
}

export interface Question {
  model: string;
  streams: boolean;
  tools: OfferedTool[];
  utterances: Utterance[];
}

export interface Answer {
  id: string;
  model: string;
  text: string;
  calls: readonly ToolCall[];
  usage: Usage;
}

export interface SseRecord {
  event?: string;
  data: object | string;
}

/** `record` as the bytes of one server-sent event. */
export function encodeSse({ event, data }: SseRecord): string {
  const name = event === undefined ? "" : `event: ${event}\n`;
  return `${name}data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`;
}

/** Cuts a text into the small pieces that a model would stream; at least three, so that every text has a middle. */
export function inPieces(text: string): string[] {
  const size = Math.max(1, Math.min(16, Math.floor(text.length / 3)));
  return text.match(new RegExp(`[\\s\\S]{1,${size}}`, "gu")) ?? [];
}
