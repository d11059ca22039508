import type { AgentStatus } from "../agent.js";
import type { AgentCliKey } from "../clis/cli.js";
import { DETAILS, type FeedEvent, type FeedKind } from "../feed/event.js";
import type { Explanation } from "../screen/explain.js";

/** All that is known of an agent at one moment. Times are ms since the epoch. */
export interface StatusEvidence {
  cli: AgentCliKey;
  /** What the screen says now; undefined when it was not read. */
  verdict?: Explanation | undefined;
  /** When the screen's content last changed, as exactly as is known. */
  screenChangedAt?: number | undefined;
  /** What the CLI reported, newest last. */
  feed: readonly FeedEvent[];
  /** The pane's program; undefined when nobody could be asked. */
  process?: { alive: boolean; command: string; startedAt?: number } | undefined;
  /** `operatorMark: "free"`: a person set it at `at` or before. */
  previous?: { status: AgentStatus; at: number; operatorMark?: "free" } | undefined;
  now: number;
}

export interface FusedStatus {
  status: AgentStatus;
  reason: string;
  /** Whose word it is. */
  by: "hook" | "screen" | "process" | "person";
  rule: string;
  evidence: string[];
  /** When that was seen (ms since the epoch). */
  at: number;
  /** It could not be checked now and may have changed. */
  stale?: true;
}

/** An agent's status from all that is known of it. Its own events come first; `overrules` says when the screen does. */
export function fuseStatus(evidence: StatusEvidence): FusedStatus {
  const { process, verdict } = evidence;
  if (!process) return unreachable(evidence);
  if (!process.alive) return terminated(evidence, process.command);
  const report = readReport(evidence);
  if (!report) return verdict ? withoutReport(evidence, verdict) : unseen(evidence, process.command);
  if (!verdict) return marked(evidence, checkAge(evidence, report.fused));
  if (verdict.rule === "blank" && report.kind === "session") return spawning(evidence, verdict.reason);
  if (verdict.status === report.fused.status) return marked(evidence, agree(evidence, report, verdict));
  return marked(evidence, overrules(evidence, report, verdict) ? fromScreen(evidence, verdict) : report.fused);
}

/** Events from before the pane's program started are another program's; starts are known to a second or so. */
const START_SLACK = 2_000;
/** After an event a screen needs this long (ms) to show it; until then its older look does not count against it. */
const SETTLE = 1_500;
/** Behind an event that is this old (ms), a screen that is not busy is right, whenever it changed: working redraws. */
const STUCK = 10_000;
/** pi waits 2, 4 and 8 s between its tries. */
const RETRY_WINDOW = 9_500;
/** A program that shows nothing for this long (ms) is no longer called spawning. */
const SPAWN_LIMIT = 60_000;
/** A report that no screen confirmed for this long (ms) is called stale. */
const UNCHECKED = 60_000;

/** What the newest event says, as if nothing else were known. */
interface Report {
  kind: FeedKind;
  fused: FusedStatus;
}

function readReport(evidence: StatusEvidence): Report | undefined {
  const event = newest(evidence);
  if (!event) return undefined;
  const { status, reason } = MEANINGS[event.kind](event, evidence.now);
  const said = event.text?.trim().split("\n", 1)[0]?.slice(0, 200);
  const seen = [`${event.event} at ${new Date(event.at).toISOString()}${said ? `: ${said}` : ""}`];
  const rule = `hook.${event.event}`;
  return { kind: event.kind, fused: { status, reason, by: "hook", rule, evidence: seen, at: event.at } };
}

function newest({ feed, process }: StatusEvidence): FeedEvent | undefined {
  const since = process?.startedAt === undefined ? Number.NEGATIVE_INFINITY : process.startedAt - START_SLACK;
  return feed.reduce<FeedEvent | undefined>(
    (last, event) => (event.at >= since && event.at >= (last?.at ?? Number.NEGATIVE_INFINITY) ? event : last),
    undefined,
  );
}

type Meaning = (event: FeedEvent, now: number) => Pick<FusedStatus, "status" | "reason">;

const MEANINGS: Readonly<Record<FeedKind, Meaning>> = {
  session: () => ({ status: "idle", reason: "ready: a session began" }),
  prompt: ({ detail }) => ({
    status: "busy",
    reason: detail === DETAILS.queued ? "works, and a prompt waits" : "works on a prompt",
  }),
  working: ({ detail, text }) => {
    if (detail === DETAILS.retry) return { status: "busy", reason: `a retry is in progress${quote(text)}` };
    return { status: "busy", reason: detail === DETAILS.queued ? "works on a prompt that waited" : "works" };
  },
  tool: ({ detail }) => ({ status: "busy", reason: `runs ${detail ?? "a tool"}` }),
  permission: ({ text, detail }) => ({
    status: "needs_permission",
    reason: `asks for permission${quote(text ?? detail)}`,
  }),
  question: ({ text }) => ({ status: "needs_input", reason: `asks a question${quote(text)}` }),
  idle: ({ detail }) => ({
    status: "idle",
    reason: detail === DETAILS.interrupted ? "interrupted" : "ready for a prompt",
  }),
  error: ({ at, text, detail }, now) => {
    const waits = detail === DETAILS.mayRetry && now - at < RETRY_WINDOW;
    if (waits) return { status: "busy", reason: `an error, a retry may follow${quote(text)}` };
    return { status: "idle", reason: `error${quote(text ?? detail)}` };
  },
  compacting: () => ({ status: "busy", reason: "compaction" }),
  ended: ({ detail }) => ({ status: "terminated", reason: `the session ended${detail ? ` (${detail})` : ""}` }),
};

function quote(text: string | undefined): string {
  const line = text?.trim().split("\n", 1)[0]?.slice(0, 200);
  return line ? `: ${line}` : "";
}

/**
 * Whether the screen is right and the event is outdated. A screen that no rule knows is right only about a session
 * that just began, where an unknown dialog may stand. Esc fires no hook: the idle screen behind it is newer than the
 * event, or at least keeps still for longer than a working CLI could.
 */
function overrules({ screenChangedAt, now }: StatusEvidence, report: Report, verdict: Explanation): boolean {
  const age = now - report.fused.at;
  const newer = (screenChangedAt ?? now) > report.fused.at;
  if (verdict.rule === "blank") return false;
  if (verdict.rule === "unrecognised") return newer && report.kind === "session";
  if (newer && (age >= SETTLE || AT_ONCE.has(verdict.status))) return true;
  return age >= STUCK && verdict.status !== "busy" && report.kind !== "ended";
}

/** A dialog on the screen, or a shell in the CLI's place, is nothing that is still about to be redrawn. */
const AT_ONCE: ReadonlySet<AgentStatus> = new Set(["needs_input", "needs_permission", "terminated"]);

/** Both say the same: the event's word, with the reason of whichever looked last. */
function agree({ screenChangedAt, now }: StatusEvidence, report: Report, verdict: Explanation): FusedStatus {
  const evidence = [...report.fused.evidence, ...verdict.evidence];
  const fresher = (screenChangedAt ?? now) > report.fused.at && !PRECISE.has(report.kind);
  const tells = fresher && !PLAIN.has(verdict.rule.split(".").at(-1) ?? "");
  return { ...report.fused, evidence, ...(tells && { reason: verdict.reason }) };
}

/** Their events name the error and the command; a screen shows a piece of it. */
const PRECISE: ReadonlySet<FeedKind> = new Set(["error", "permission"]);

/** Rules whose reason says no more than the status does. */
const PLAIN: ReadonlySet<string> = new Set(["composer", "editor", "interruptible", "title-spinner", "unrecognised"]);

function fromScreen({ screenChangedAt, now }: StatusEvidence, verdict: Explanation): FusedStatus {
  const { status, reason, rule, evidence } = verdict;
  return { status, reason, by: "screen", rule, evidence, at: screenChangedAt ?? now };
}

function withoutReport(evidence: StatusEvidence, verdict: Explanation): FusedStatus {
  if (verdict.rule === "blank" && isSpawning(evidence)) return spawning(evidence, verdict.reason);
  return marked(evidence, fromScreen(evidence, verdict));
}

/** Neither an event nor a screen: all that is known is that a program runs. */
function unseen(evidence: StatusEvidence, command: string): FusedStatus {
  const { previous, now } = evidence;
  if (isSpawning(evidence)) return spawning(evidence, `${command} starts`);
  const status = previous?.status ?? "busy";
  const reason = `${command} runs; its screen was not read`;
  return {
    status,
    reason,
    by: "process",
    rule: "process.alive",
    evidence: [command],
    at: previous?.at ?? now,
    stale: true,
  };
}

function isSpawning({ previous, process, now }: StatusEvidence): boolean {
  if (previous && previous.status !== "spawning") return false;
  return now - (process?.startedAt ?? previous?.at ?? now) < SPAWN_LIMIT;
}

function spawning({ process, previous, now }: StatusEvidence, reason: string): FusedStatus {
  const at = process?.startedAt ?? previous?.at ?? now;
  const evidence = [process?.command ?? ""].filter(Boolean);
  return { status: "spawning", reason, by: "process", rule: "process.spawning", evidence, at };
}

function unreachable({ previous, now }: StatusEvidence): FusedStatus {
  const known = previous && previous.status !== "unreachable" ? `last known: ${previous.status}` : "nothing is known";
  return {
    ...{ status: "unreachable", reason: `nobody could ask for its pane; ${known}`, by: "process" },
    ...{ rule: "process.unreachable", evidence: [], at: now, stale: true },
  };
}

function terminated({ verdict, screenChangedAt, process, now }: StatusEvidence, command: string): FusedStatus {
  const words = verdict?.status === "terminated" ? verdict : undefined;
  return {
    ...{ status: "terminated", by: "process", rule: "process.dead" },
    reason: words?.reason ?? `${command || "the program"} ended`,
    evidence: words?.evidence ?? [command].filter(Boolean),
    at: screenChangedAt ?? process?.startedAt ?? now,
  };
}

function checkAge({ now }: StatusEvidence, fused: FusedStatus): FusedStatus {
  return now - fused.at >= UNCHECKED ? { ...fused, stale: true } : fused;
}

/** `free` is a person's mark on an idle agent; work that began after the mark takes it away. */
function marked({ previous, feed }: StatusEvidence, fused: FusedStatus): FusedStatus {
  if (fused.status !== "idle" || !previous || (previous.operatorMark ?? previous.status) !== "free") return fused;
  if (feed.some((event) => event.at > previous.at && WORK.has(event.kind))) return fused;
  const evidence = [`idle by ${fused.rule}: ${fused.reason}`, ...fused.evidence];
  return { ...fused, status: "free", reason: "marked free", by: "person", rule: "person.free", evidence };
}

const WORK: ReadonlySet<FeedKind> = new Set(["prompt", "working", "tool"]);
