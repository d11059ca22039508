import { DETAILS, type FeedEvent, feedEvent } from "../../feed.js";
import { asList, asObject, asText } from "../../json.js";
import { DELIVERED_EVENT, type SpoolEvent } from "../../spool.js";

interface Sessions {
  /** Sessions of subagents: they work inside a turn of their parent. */
  children: Set<string>;
  running: boolean;
  /** The turn has reported its end (idle or error); what follows only repeats it. */
  over: boolean;
}

type Reader = (raw: SpoolEvent, sessions: Sessions) => FeedEvent | undefined;

/** Reads the events of the OpenCode plugin. An abort is `session.error` and then `session.idle`, several times. */
export function readOpencodeEvents(events: readonly SpoolEvent[]): FeedEvent[] {
  const sessions: Sessions = { children: new Set(), running: false, over: false };
  return events.flatMap((raw) => READERS[raw.event]?.(raw, sessions) ?? []);
}

const READERS: Readonly<Record<string, Reader>> = {
  "session.created": (raw, sessions) => {
    const info = asObject(raw.payload.info);
    const id = asText(info.id) ?? sessionOf(raw);
    if (id === undefined || asText(info.parentID) === undefined) return read(raw, "session", {});
    sessions.children.add(id);
    return undefined;
  },
  "chat.message": (raw, sessions) => {
    if (isChild(raw, sessions)) return undefined;
    const detail = sessions.running ? DETAILS.queued : undefined;
    return read(raw, "prompt", { text: asText(raw.payload.text), detail });
  },
  [DELIVERED_EVENT]: (raw) => read(raw, "prompt", { text: asText(raw.payload.text) }),
  "session.status": readStatus,
  "session.idle": (raw, sessions) => readIdle(raw, sessions),
  "session.error": (raw, sessions) => {
    if (isChild(raw, sessions)) return undefined;
    Object.assign(sessions, { running: false, over: true });
    const error = asObject(raw.payload.error);
    if (error.name === "MessageAbortedError") return read(raw, "idle", { detail: DETAILS.interrupted });
    return read(raw, "error", {
      text: asText(asObject(error.data).message) ?? asText(error.name),
      detail: asText(error.name),
    });
  },
  "session.compacted": (raw, sessions) => read(raw, sessions.running ? "working" : "idle", { detail: "compacted" }),
  "permission.asked": readPermission,
  "permission.updated": readPermission,
  "permission.replied": readAnswer,
  "question.asked": (raw) => {
    const questions = asList(raw.payload.questions).map((question) => asText(asObject(question).question));
    return read(raw, "question", { text: questions.filter(Boolean).join(" · ") });
  },
  "question.replied": readAnswer,
  "question.rejected": readAnswer,
};

function readStatus(raw: SpoolEvent, sessions: Sessions): FeedEvent | undefined {
  if (isChild(raw, sessions)) return undefined;
  const status = asObject(raw.payload.status);
  if (status.type === "idle") return readIdle(raw, sessions);
  Object.assign(sessions, { running: true, over: false });
  if (status.type !== "retry") return read(raw, "working", {});
  return read(raw, "working", { text: asText(status.message), detail: DETAILS.retry });
}

function readIdle(raw: SpoolEvent, sessions: Sessions): FeedEvent | undefined {
  if (isChild(raw, sessions) || sessions.over) return undefined;
  Object.assign(sessions, { running: false, over: true });
  return read(raw, "idle", {});
}

function readPermission(raw: SpoolEvent): FeedEvent {
  const text = asText(asObject(raw.payload.metadata).command) ?? asText(asList(raw.payload.patterns)[0]);
  return read(raw, "permission", { text, detail: asText(raw.payload.permission) ?? asText(raw.payload.type) });
}

function readAnswer(raw: SpoolEvent, sessions: Sessions): FeedEvent {
  return read(raw, sessions.running ? "working" : "idle", {});
}

function sessionOf(raw: SpoolEvent): string | undefined {
  return asText(raw.payload.sessionID);
}

function isChild(raw: SpoolEvent, sessions: Sessions): boolean {
  return sessions.children.has(sessionOf(raw) ?? "");
}

function read(raw: SpoolEvent, kind: FeedEvent["kind"], fields: Parameters<typeof feedEvent>[2]): FeedEvent {
  return feedEvent(raw, kind, { sessionRef: sessionOf(raw) ?? asText(asObject(raw.payload.info).id), ...fields });
}
