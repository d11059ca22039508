import type { AgentStatus } from "../agent.js";
import { DETAILS, type FeedEvent, type FeedKind } from "../feed.js";
import type { Explanation } from "../screen/verdict.js";

/** A status with its evidence; the stored one may lack a reason and a rule. */
export type Judgement = Omit<FusedStatus, "reason" | "rule"> & { reason: string | null; rule: string | null };

/** All that is known of an agent at one moment. Times are ms since the epoch. */
export interface StatusEvidence {
  /** What the screen says now. */
  verdict: Explanation;
  /** When the screen's content last changed, as far as known. */
  screenChangedAt: number;
  /** When the pane, or its window, last printed anything. */
  printedAt: number;
  /** What the CLI reported, newest last. */
  feed: readonly FeedEvent[];
  /** The pane's program. */
  process: { alive: boolean; command: string; startedAt: number };
  previous?: { status: AgentStatus; at: number } | undefined;
  now: number;
}

export interface FusedStatus {
  status: AgentStatus;
  reason: string;
  /** The authority that decided. */
  by: "hook" | "screen" | "process" | "person";
  rule: string;
  evidence: string[];
}

/** An agent's status from all evidence. Its own events come first; see `overrules` for when the screen wins. */
export function fuseStatus(evidence: StatusEvidence): FusedStatus {
  const { process, verdict } = evidence;
  if (!process.alive) return terminated(evidence);
  const report = readReport(evidence);
  if (verdict.rule === "starting") {
    const isNew = !report && UNSEEN.has(evidence.previous?.status ?? "spawning");
    const reason = `its CLI has ended: ${process.command} is in front`;
    return isNew
      ? spawning(process.command, verdict.reason)
      : { ...terminated(evidence), rule: "process.gone", reason };
  }
  if (verdict.rule === "blank" && (report ? report.kind === "session" : isSpawning(evidence))) {
    return spawning(process.command, verdict.reason);
  }
  if (!report) return marked(evidence, fromScreen(evidence));
  if (verdict.status === report.fused.status) return marked(evidence, agree(evidence, report));
  return marked(evidence, overrules(evidence, report) ? fromScreen(evidence) : report.fused);
}

const UNSEEN: ReadonlySet<AgentStatus> = new Set(["spawning", "unreachable"]);
/** Events from before the program's start belong to another program; starts are known to about a second. */
const START_SLACK = 2_000;
/** A screen may take this long (ms) to show an event; until then it cannot contradict the event. */
const SETTLE = 1_500;
/** A screen that is not busy wins when event and last output are this old (ms): a working CLI keeps redrawing. */
const STUCK = 10_000;
/** pi waits 2, 4 and 8 s between its tries. */
const RETRY_WINDOW = 9_500;
/** A program that shows nothing for this long (ms) is no longer called spawning. */
const SPAWN_LIMIT = 60_000;
/** Until then a program that prints a line or two and loads on still starts, if no rule knows its screen (ms). */
const HALF_DRAWN = 4_000;

/** What the newest event says, as if nothing else were known. */
interface Report {
  kind: FeedKind;
  /** ms since the epoch. */
  at: number;
  fused: FusedStatus;
}

function readReport(evidence: StatusEvidence): Report | undefined {
  const event = newest(evidence);
  if (!event) return undefined;
  const { status, reason } = MEANINGS[event.kind](event, evidence.now);
  const seen = [`${event.event} at ${new Date(event.at).toISOString()}${quote(event.text)}`];
  const rule = `hook.${event.event}`;
  return { kind: event.kind, at: event.at, fused: { status, reason, by: "hook", rule, evidence: seen } };
}

function newest({ feed, process }: StatusEvidence): FeedEvent | undefined {
  const since = process.startedAt - START_SLACK;
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
 * Whether the event is outdated and the screen wins. An unrecognised screen wins only over the start of a session,
 * where it may be an unknown dialog. Esc fires no hook: the idle screen after it is newer than the event, or at least
 * nothing was printed for longer than a working CLI could be silent: a widget may hide where its spinner turns.
 */
function overrules({ screenChangedAt, printedAt, verdict, now }: StatusEvidence, report: Report): boolean {
  const age = now - report.at;
  // A title that spins is printed all the time and changes nothing on the screen.
  const spins = verdict.status === "busy" && printedAt - report.at >= SETTLE;
  const newer = screenChangedAt > report.at || spins;
  if (verdict.rule === "blank") return false;
  if (verdict.rule === "unrecognised") return newer && report.kind === "session";
  if (newer && (age >= SETTLE || AT_ONCE.has(verdict.status))) return true;
  return Math.min(age, now - printedAt) >= STUCK && verdict.status !== "busy" && report.kind !== "ended";
}

/** A dialog, or a shell in the CLI's place, is never a screen that is about to be redrawn. */
const AT_ONCE: ReadonlySet<AgentStatus> = new Set(["needs_input", "needs_permission", "terminated"]);

/** Both agree: the event decides, with the reason of the newer of the two. */
function agree({ screenChangedAt, verdict }: StatusEvidence, report: Report): FusedStatus {
  const evidence = [...report.fused.evidence, ...verdict.evidence];
  const fresher = screenChangedAt > report.at && !PRECISE.has(report.kind);
  const isNewer = fresher && !PLAIN.has(verdict.rule.split(".").at(-1) ?? "");
  return { ...report.fused, evidence, ...(isNewer && { reason: verdict.reason }) };
}

/** These events name the whole error or command; the screen shows only part of it. */
const PRECISE: ReadonlySet<FeedKind> = new Set(["error", "permission"]);

/** Rules whose reason adds nothing to the status. */
const PLAIN: ReadonlySet<string> = new Set(["composer", "editor", "interruptible", "title-spinner", "unrecognised"]);

function fromScreen(known: StatusEvidence): FusedStatus {
  const { status, reason, rule, evidence } = known.verdict;
  const isHalfDrawn = rule === "unrecognised" && known.now - known.screenChangedAt < HALF_DRAWN;
  if (isHalfDrawn && isSpawning(known)) return spawning(known.process.command, "starting: its screen is half drawn");
  return { status, reason, by: "screen", rule, evidence };
}

function isSpawning({ previous, process, now }: StatusEvidence): boolean {
  if (previous && previous.status !== "spawning") return false;
  return now - process.startedAt < SPAWN_LIMIT;
}

function spawning(command: string, reason: string): FusedStatus {
  return { status: "spawning", reason, by: "process", rule: "process.spawning", evidence: [command].filter(Boolean) };
}

function terminated({ verdict, process: { command } }: StatusEvidence): FusedStatus {
  const isLastWords = verdict.status === "terminated";
  return {
    ...{ status: "terminated", by: "process", rule: "process.dead" },
    reason: isLastWords ? verdict.reason : `${command || "the program"} ended`,
    evidence: isLastWords ? verdict.evidence : [command].filter(Boolean),
  };
}

/** A person marks an idle agent `free`; work that begins after the mark removes it. */
function marked({ previous, feed }: StatusEvidence, fused: FusedStatus): FusedStatus {
  if (fused.status !== "idle" || !previous || previous.status !== "free") return fused;
  if (feed.some((event) => event.at > previous.at && WORK.has(event.kind))) return fused;
  const evidence = [`idle by ${fused.rule}: ${fused.reason}`, ...fused.evidence];
  return { ...fused, status: "free", reason: "marked free", by: "person", rule: "person.free", evidence };
}

const WORK: ReadonlySet<FeedKind> = new Set(["prompt", "working", "tool"]);
