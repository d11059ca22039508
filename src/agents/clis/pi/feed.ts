import { DETAILS, type FeedEvent, feedEvent } from "../../feed.js";
import { asText } from "../../json.js";
import { DELIVERED_EVENT, type SpoolEvent } from "../../spool.js";

interface Run {
  running: boolean;
  /** The error that ended the last run; it may be tried again. */
  failed?: string | undefined;
  sessionRef?: string | undefined;
}

type Reader = (raw: SpoolEvent, run: Run) => FeedEvent | undefined;

/**
 * Reads the events of the pi extension. `agent_end` with an error may be followed by a retry after 2, 4 and 8 s;
 * newer versions say `agent_settled` when nothing follows. Dialogs of other extensions are events in newer versions
 * only (`ui_prompt_start`), otherwise only the screen shows them.
 */
export function readPiEvents(events: readonly SpoolEvent[]): FeedEvent[] {
  const run: Run = { running: false };
  return events.flatMap((raw) => {
    run.sessionRef = asText(raw.payload.session) ?? run.sessionRef;
    const event = READERS[raw.event]?.(raw, run);
    return event ? [run.sessionRef === undefined ? event : { ...event, sessionRef: run.sessionRef }] : [];
  });
}

const READERS: Readonly<Record<string, Reader>> = {
  session_start: (raw, run) => {
    Object.assign(run, { running: false, failed: undefined });
    return feedEvent(raw, "session", { detail: asText(raw.payload.reason) });
  },
  input: (raw, run) => {
    run.failed = undefined;
    return feedEvent(raw, "prompt", {
      text: asText(raw.payload.text),
      detail: run.running ? DETAILS.queued : undefined,
    });
  },
  [DELIVERED_EVENT]: (raw) => feedEvent(raw, "prompt", { text: asText(raw.payload.text) }),
  agent_start: (raw, run) => {
    const detail = run.failed !== undefined ? DETAILS.retry : undefined;
    run.running = true;
    return feedEvent(raw, "working", { detail });
  },
  tool_call: (raw) => feedEvent(raw, "tool", { detail: asText(raw.payload.tool) }),
  tool_execution_start: (raw) => feedEvent(raw, "tool", { detail: asText(raw.payload.tool) }),
  tool_execution_end: (raw) => feedEvent(raw, "working", { detail: asText(raw.payload.tool) }),
  confirm: (raw) => feedEvent(raw, "permission", { text: asText(raw.payload.title) }),
  confirm_answered: (raw) => feedEvent(raw, "working"),
  ui_prompt_start: (raw) =>
    feedEvent(raw, raw.payload.kind === "confirm" ? "permission" : "question", { text: asText(raw.payload.title) }),
  ui_prompt_end: (raw, run) => feedEvent(raw, run.running ? "working" : "idle"),
  agent_end: readEnd,
  agent_settled: (raw, run) => {
    run.running = false;
    return run.failed === undefined ? feedEvent(raw, "idle") : feedEvent(raw, "error", { text: run.failed });
  },
  session_before_compact: (raw) => feedEvent(raw, "compacting", { detail: asText(raw.payload.reason) }),
  session_compact: readCompacted,
  session_compact_failed: readCompacted,
  session_shutdown: (raw, run) => {
    const reason = asText(raw.payload.reason) ?? "quit";
    Object.assign(run, { running: false, failed: undefined });
    return reason === "quit" ? feedEvent(raw, "ended", { detail: reason }) : undefined;
  },
};

function readEnd(raw: SpoolEvent, run: Run): FeedEvent {
  const stop = asText(raw.payload.stop);
  run.running = false;
  run.failed = stop === "error" ? (asText(raw.payload.error) ?? "error") : undefined;
  if (run.failed !== undefined) return feedEvent(raw, "error", { text: run.failed, detail: DETAILS.mayRetry });
  return feedEvent(raw, "idle", {
    text: asText(raw.payload.text),
    detail: stop === "aborted" ? DETAILS.interrupted : undefined,
  });
}

function readCompacted(raw: SpoolEvent, run: Run): FeedEvent {
  const goesOn = run.running || raw.payload.willRetry === true;
  return feedEvent(raw, goesOn ? "working" : "idle", { detail: "compacted" });
}
