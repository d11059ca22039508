import { DETAILS, type FeedEvent, feedEvent } from "../../feed.js";
import { asList, asObject, asText, type Json } from "../../json.js";
import { DELIVERED_EVENT, type SpoolEvent } from "../../spool.js";

/** What is known of the turn while the hooks of Claude Code are read in order. */
interface Turn {
  running: boolean;
  promptId?: string | undefined;
  /** Prompts that were submitted into the running turn. */
  queued: number;
  dialog?: { kind: "permission" | "question"; subagent: boolean; text: string | undefined } | undefined;
}

type Reader = (raw: SpoolEvent, turn: Turn) => FeedEvent | undefined;

/**
 * Reads the hooks of Claude Code. A prompt into a running turn carries that turn's `prompt_id`: it is queued, and the
 * next `Stop` begins it without another event. Events of subagents (`agent_id`) say nothing about the pane, except
 * that their dialogs are dialogs. Esc fires no hook: only the next prompt or the screen shows it.
 */
export function readClaudeEvents(events: readonly SpoolEvent[], session?: string | null): FeedEvent[] {
  const turn: Turn = { running: false, queued: 0 };
  return withoutNested(events.filter(isFirstReport()), session ?? undefined).flatMap(
    (raw) => READERS[raw.event]?.(raw, turn) ?? [],
  );
}

const READERS: Readonly<Record<string, Reader>> = {
  SessionStart: readSessionStart,
  UserPromptSubmit: readPrompt,
  [DELIVERED_EVENT]: readDelivered,
  PreToolUse: (raw, turn) => {
    if (isSubagent(raw) && !turn.running) return undefined;
    turn.running = true;
    return read(raw, "tool", { detail: tool(raw) });
  },
  PostToolUse: readToolEnd,
  PostToolUseFailure: readToolEnd,
  PermissionDenied: readToolEnd,
  ElicitationResult: readToolEnd,
  PermissionRequest: (raw, turn) => openDialog(raw, turn, tool(raw) === "AskUserQuestion" ? "question" : "permission"),
  Elicitation: (raw, turn) => openDialog(raw, turn, "question"),
  Notification: readNotification,
  Stop: readStop,
  StopFailure: (raw, turn) => {
    if (isSubagent(raw)) return undefined;
    endTurn(turn);
    return read(raw, "error", {
      text: asText(raw.payload.last_assistant_message) ?? asText(raw.payload.error),
      detail: asText(raw.payload.error),
    });
  },
  PreCompact: (raw) => read(raw, "compacting", { detail: asText(raw.payload.trigger) }),
  PostCompact: (raw, turn) => read(raw, turn.running ? "working" : "idle", { detail: "compacted" }),
  SessionEnd: (raw, turn) => {
    endTurn(turn);
    const reason = asText(raw.payload.reason);
    return reason === "clear" || reason === "resume" ? undefined : read(raw, "ended", { detail: reason });
  },
};

function readSessionStart(raw: SpoolEvent, turn: Turn): FeedEvent {
  if (raw.payload.source === "compact") return read(raw, turn.running ? "working" : "idle", { detail: "compacted" });
  endTurn(turn);
  return read(raw, "session", { detail: asText(raw.payload.source) });
}

function readPrompt(raw: SpoolEvent, turn: Turn): FeedEvent | undefined {
  if (isSubagent(raw)) return undefined;
  const promptId = asText(raw.payload.prompt_id);
  const queued = turn.running && promptId !== undefined && promptId === turn.promptId;
  if (queued) turn.queued++;
  else Object.assign(turn, { running: true, queued: 0, promptId, dialog: undefined });
  return read(raw, "prompt", { text: asText(raw.payload.prompt), detail: queued ? DETAILS.queued : undefined });
}

function readDelivered(raw: SpoolEvent, turn: Turn): FeedEvent {
  turn.running = true;
  return read(raw, "prompt", { text: asText(raw.payload.text) });
}

function readToolEnd(raw: SpoolEvent, turn: Turn): FeedEvent | undefined {
  const answered = turn.dialog;
  if (!isSubagent(raw)) {
    turn.dialog = undefined;
    turn.running = raw.payload.is_interrupt !== true;
    if (!turn.running) return read(raw, "idle", { detail: DETAILS.interrupted });
    return read(raw, "working", { detail: tool(raw) });
  }
  if (answered?.subagent) turn.dialog = undefined;
  else if (!turn.running) return undefined;
  return read(raw, turn.running ? "working" : "idle", { detail: tool(raw) });
}

function openDialog(raw: SpoolEvent, turn: Turn, kind: "permission" | "question"): FeedEvent {
  const text = dialogText(raw.payload);
  turn.dialog = { kind, subagent: isSubagent(raw), text };
  return read(raw, kind, { text, detail: tool(raw) });
}

function readNotification(raw: SpoolEvent, turn: Turn): FeedEvent | undefined {
  const text = asText(raw.payload.message);
  switch (raw.payload.notification_type) {
    case "permission_prompt":
      return read(raw, turn.dialog?.kind ?? "permission", { text: turn.dialog?.text ?? text });
    case "elicitation_dialog":
      return read(raw, "question", { text });
    case "idle_prompt":
      endTurn(turn);
      return read(raw, "idle", {});
    default:
      return undefined;
  }
}

function readStop(raw: SpoolEvent, turn: Turn): FeedEvent | undefined {
  if (isSubagent(raw)) return undefined;
  turn.dialog = undefined;
  if (turn.queued > 0) {
    turn.queued--;
    turn.promptId = undefined;
    return read(raw, "working", { detail: DETAILS.queued });
  }
  endTurn(turn);
  const detail = raw.payload.stop_hook_active === true ? DETAILS.continued : undefined;
  return read(raw, "idle", { text: asText(raw.payload.last_assistant_message), detail });
}

function endTurn(turn: Turn): void {
  Object.assign(turn, { running: false, queued: 0, promptId: undefined, dialog: undefined });
}

function read(raw: SpoolEvent, kind: FeedEvent["kind"], fields: Parameters<typeof feedEvent>[2]): FeedEvent {
  const ids = { promptId: asText(raw.payload.prompt_id), sessionRef: asText(raw.payload.session_id) };
  return feedEvent(raw, kind, { ...ids, ...fields });
}

function tool(raw: SpoolEvent): string | undefined {
  return asText(raw.payload.tool_name);
}

function isSubagent(raw: SpoolEvent): boolean {
  return asText(raw.payload.agent_id) !== undefined;
}

/** What a dialog is about: the question, the command, the file. */
function dialogText(payload: Json): string | undefined {
  const input = asObject(payload.tool_input);
  const questions = asList(input.questions).map((question) => asText(asObject(question).question));
  const words = [questions.filter(Boolean).join(" · "), input.command, input.file_path, input.url, payload.message];
  return words.map(asText).find((text) => text !== undefined && text !== "");
}

/**
 * An agent may run `claude -p` in its own pane: with hooks installed for all sessions its events land in the same
 * spool. While the agent's own conversation (`known`, or the first) has not ended, any other one is such a guest, until
 * it gets a second prompt.
 */
function withoutNested(events: readonly SpoolEvent[], known: string | undefined): SpoolEvent[] {
  let own = known;
  const prompts = new Map<string, number>();
  return events.filter((raw) => {
    const session = asText(raw.payload.session_id);
    if (session === undefined) return true;
    const asked = (prompts.get(session) ?? 0) + (raw.event === "UserPromptSubmit" ? 1 : 0);
    prompts.set(session, asked);
    if (own !== undefined && session !== own && asked < 2) return false;
    own = raw.event === "SessionEnd" ? undefined : session;
    return true;
  });
}

/**
 * Hooks that are installed for a user and given at the start as well report twice within this time (ms). Prompt and tool ids
 * tell two events apart.
 */
const ECHO = 250;

function isFirstReport(): (raw: SpoolEvent) => boolean {
  const seen = new Map<string, number>();
  return (raw) => {
    const key = `${raw.event} ${JSON.stringify(raw.payload)}`;
    const before = seen.get(key);
    seen.set(key, raw.at);
    return before === undefined || raw.at - before > ECHO;
  };
}
