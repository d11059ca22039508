import { statSync } from "node:fs";
import type { Host } from "../../host.js";
import type { PaneLabels } from "../../tmux/appearance.js";
import type { Pane } from "../../tmux/panes.js";
import type { Screen as Captured, Survey } from "../../tmux/screens.js";
import { type AgentStatus, listMembers, type Member } from "../agent.js";
import { outdatedLabels } from "../borders.js";
import type { AgentCli } from "../clis/cli.js";
import { getAgentCli } from "../clis/table.js";
import type { TmuxHost } from "../crew.js";
import { type Feed, readFeed } from "../feed.js";
import { transcriptPath } from "../files.js";
import { cliIn, isInDoubt, readOccupants } from "../occupant.js";
import { type Location, locate } from "../pane.js";
import type { Occupant } from "../screen/screen.js";
import { toScreen } from "../screen/screen.js";
import { type Explanation, explainScreen } from "../screen/verdict.js";
import { fuseStatus, type Judgement } from "./fuse.js";
import { recordSamples, type Sample } from "./record.js";

/** An open agent's status now, with its evidence. */
export interface Observation extends Judgement {
  agent: string;
  workstream: string;
  /** Since when it has this status. */
  since: string;
  /** Its living pane; null when it has none. */
  pane: Pane | null;
}

export interface ObserveOptions {
  /** Only the agents of this workstream. */
  workstream?: string | undefined;
  /** All panes, where the caller has listed them already. */
  panes?: readonly Pane[] | undefined;
  /** Nothing is stored of those that have ended: whoever asks for it may be in the middle of a restart of theirs. */
  living?: boolean;
  /** Labels to write in the call that looks. */
  labels?: readonly PaneLabels[] | undefined;
  /** A pane whose screen is wanted, too, with its colours. */
  shown?: string | undefined;
  /** What the caller's looks found in the panes: who looks each second need not read the processes of all. */
  occupants?: KnownOccupants | undefined;
}

/** By a pane's id: what was in it when it stood still as `facts` say, at a moment in ms. */
export type KnownOccupants = Map<string, { facts: string; at: number; occupant: Occupant | undefined }>;

/** So long a pane that stands still counts as having the same processes, in ms. */
const KNOWN_MS = 5_000;

/** tmux reports a window's last output in whole seconds. */
const ACTIVITY_MS = 1000;
/** A status from an agent's own event may expire with time alone: the screen is read again for this long (ms). */
const UNSETTLED_MS = 15_000;

/**
 * The status of every open agent, without people. One tmux call lists the panes, a second reads the screens that may
 * have changed; without open agents tmux is not called. Stores what is new, with its history. Faults `tmux.*`.
 */
export async function observeAgents(host: TmuxHost, options: ObserveOptions = {}): Promise<Observation[]> {
  const { seen, labels } = await observeOnce(host, options);
  if (labels.length > 0) await host.tmux.setPaneLabels(labels);
  return seen;
}

/** As `observeAgents`, but returns the labels for the caller's next call instead of writing them, and what `shown` shows. */
export async function observeOnce(
  host: TmuxHost,
  options: ObserveOptions = {},
): Promise<{ seen: Observation[]; labels: PaneLabels[]; shown?: Captured | undefined }> {
  const { samples: all, shown } = await collectSamples(host, options);
  const samples = options.living ? all.filter(({ judgement }) => judgement.status !== "terminated") : all;
  await recordSamples(host, samples);
  return { seen: samples.map(toObservation), labels: await outdatedLabels(host, samples), shown };
}

/** As `observeAgents`, but writes nothing: no rows, no labels. */
export async function peekAgents(host: TmuxHost, options: ObserveOptions = {}): Promise<Observation[]> {
  return (await collectSamples(host, options)).samples.map(toObservation);
}

/** The statuses as last stored; tmux is not called. */
export async function storedObservations(host: Pick<Host, "context">, workstream?: string): Promise<Observation[]> {
  const members = await listMembers(host.context.store.db, workstream);
  const at = host.context.clock.now();
  return members.map((member) => toObservation({ member, place: { at: "nowhere" }, judgement: asStored(member), at }));
}

async function collectSamples(
  host: TmuxHost,
  { workstream, panes: listed, labels, shown: wantsShown, occupants }: ObserveOptions,
): Promise<{ samples: Sample[]; shown?: Captured | undefined }> {
  const members = await listMembers(host.context.store.db, workstream);
  if (members.length === 0) return { samples: [] };
  const look: Survey = listed
    ? { panes: [...listed], screens: new Map() }
    : await host.tmux.survey({ ...request(host, members, labels), shown: wantsShown });
  const { panes, screens: early, shown } = look;
  const at = host.context.clock.now();
  const places = await locate(host, members, panes);
  await addOccupants(host, { members, places, at, known: occupants ?? new Map() });
  const candidates = await Promise.all(
    members.map((member) => inspect(host, member, places.get(member.row.id) ?? { at: "nowhere" }, at)),
  );
  const wanted = candidates.flatMap((one) =>
    one.wanted === undefined || early.has(one.wanted.id) ? [] : [one.wanted.id],
  );
  const late = wanted.length === 0 ? NO_SCREENS : await host.tmux.captureScreens(wanted);
  const samples = candidates.map((one) =>
    sampleOf(one, one.wanted && (early.get(one.wanted.id) ?? late.get(one.wanted.id)), at),
  );
  return { samples, shown };
}

const NO_SCREENS: ReadonlyMap<string, Captured> = new Map();

/** One request for the list of panes and for the screens that will surely be needed. */
function request(host: Host, members: readonly Member[], labels: readonly PaneLabels[] | undefined) {
  return { labels, screens: members.filter((one) => isWorthReading(host, one)).flatMap(({ row }) => row.pane ?? []) };
}

/** True for an agent that was busy, or whose pane has printed since; the transcript's mtime shows that cheaply. */
function isWorthReading(host: Host, { row, seen }: Member): boolean {
  if (getAgentCli(row.cli).reading.by !== "screen") return false;
  if (seen === undefined || RESTLESS.has(seen.status)) return true;
  const transcript = statSync(transcriptPath(host.stateDir, row), { throwIfNoEntry: false });
  return transcript !== undefined && transcript.mtimeMs > Date.parse(seen.seen_at);
}

const RESTLESS: ReadonlySet<string> = new Set(["busy", "spawning"]);

/** An agent's place and feed; `wanted` is its pane when the screen must be read. */
interface Candidate {
  member: Member;
  cli: AgentCli;
  place: Location;
  feed: Feed;
  wanted: Pane | undefined;
}

async function inspect(host: Host, member: Member, place: Location, now: Date): Promise<Candidate> {
  const cli = cliIn(member.row, place.at === "pane" ? place.occupant : undefined);
  const feed = await readFeed(host, member, getAgentCli(member.row.cli));
  const isWanted = place.at === "pane" && needsScreen(member, cli, place.pane, feed, now);
  return { member, cli, place, feed, wanted: isWanted ? place.pane : undefined };
}

/** Reads the processes of those panes whose program's name does not say enough. */
async function addOccupants(
  host: Host,
  {
    members,
    places,
    at,
    known,
  }: { members: readonly Member[]; places: Map<number, Location>; at: Date; known: KnownOccupants },
): Promise<void> {
  const found = members.map(({ row }) => ({ row, place: places.get(row.id) }));
  const doubtful = found.flatMap(({ row, place }) =>
    place?.at === "pane" && isInDoubt(row, place.pane) ? [place] : [],
  );
  const isKnown = (pane: Pane) => {
    const one = known.get(pane.id);
    return one !== undefined && one.facts === stillFacts(pane) && at.getTime() - one.at < KNOWN_MS;
  };
  const unknown = doubtful.flatMap(({ pane }) => (isKnown(pane) ? [] : [pane]));
  const occupants = await readOccupants(host, unknown);
  for (const pane of unknown) {
    const found = { facts: stillFacts(pane), at: at.getTime(), occupant: occupants.get(pane.id) };
    if (isQuiet(pane, at)) known.set(pane.id, found);
    else known.delete(pane.id);
  }
  for (const place of doubtful) place.occupant = occupants.get(place.pane.id) ?? known.get(place.pane.id)?.occupant;
}

/** What changes with all that a pane prints, and with its program. */
function stillFacts(pane: Pane): string {
  return `${pane.server} ${pane.pid} ${pane.activityAt.getTime()} ${paneFacts(pane)}`;
}

function sampleOf({ member, cli, place, feed, wanted }: Candidate, captured: Captured | undefined, at: Date): Sample {
  if (place.at !== "pane") return { member, feed, place, judgement: withoutPane(place), at };
  if (wanted !== undefined && captured === undefined) {
    const gone = { at: "gone", why: `pane ${wanted.id} is gone`, lost: "pane" } as const;
    return { member, feed, place: gone, judgement: withoutPane(gone), at };
  }
  if (wanted === undefined && cli.reading.by === "screen")
    return { member, feed, place, judgement: asStored(member), at };
  const verdict = explainScreen(cli, toScreen(place.pane, captured, place.occupant));
  const text = verdictText(verdict);
  const { row, seen } = member;
  const fused = fuseStatus({
    verdict,
    screenChangedAt: screenSince(member, text, at).getTime(),
    printedAt: place.pane.activityAt.getTime(),
    feed: feed.events,
    process: { alive: !place.pane.dead, command: place.pane.command, startedAt: Date.parse(row.spawned_at) },
    previous: seen && { status: seen.status as AgentStatus, at: Date.parse(seen.at) },
    now: at.getTime(),
  });
  const isByProcess = cli.reading.by !== "screen" && fused.by === "screen";
  const judgement: Judgement = isByProcess ? { ...fused, by: "process" } : fused;
  if (captured === undefined) return { member, feed, place, judgement, at };
  const settles = isQuiet(place.pane, at) && !isSettled(member, place.pane);
  return { member, feed, place, judgement, at, screen: { verdict: text, facts: paneFacts(place.pane), settles } };
}

/** Whether the pane may show something that the stored status does not know of. */
function needsScreen(member: Member, cli: AgentCli, pane: Pane, feed: Feed, now: Date): boolean {
  if (cli.reading.by !== "screen") return pane.dead;
  const { seen } = member;
  if (feed.changed || !isSettled(member, pane)) return true;
  return seen?.by === "hook" && now.getTime() - Date.parse(seen.at) < UNSETTLED_MS;
}

/** Whether the pane still shows the screen that the stored status was read from: one without a rule was told without it. */
function isSettled({ seen }: Member, pane: Pane): boolean {
  return (
    seen !== undefined &&
    seen.rule !== null &&
    seen.pane_facts === paneFacts(pane) &&
    isQuiet(pane, new Date(seen.seen_at))
  );
}

/** Whether a screen read at `at` is final: nothing was printed within the same second. */
function isQuiet(pane: Pane, at: Date): boolean {
  return pane.activityAt.getTime() + ACTIVITY_MS <= at.getTime();
}

/** The columns of tmux's list that change with a pane's screen: if they are equal, a quiet pane is unchanged. */
function paneFacts({ cursorX, cursorY, width, height, command, dead, historySize, title }: Pane): string {
  return `${cursorX},${cursorY} ${width}x${height} ${historySize} ${dead ? "dead" : "alive"} ${command} ${title}`;
}

/** A verdict without seconds, counters and spinners, which change while the status does not. */
function verdictText({ status, rule, reason }: Explanation): string {
  return `${status} ${rule} ${reason.replace(/\d+/g, "0").replace(/[^\p{L}\p{N}\s]+/gu, "")}`;
}

function screenSince({ seen }: Member, verdict: string, now: Date): Date {
  if (seen?.screen_at == null || seen.screen_hash !== verdict) return now;
  return new Date(seen.screen_at);
}

function asStored({ seen }: Member): Judgement {
  if (seen === undefined) return { ...terminated("nobody has looked yet"), status: "spawning" };
  return {
    status: seen.status as AgentStatus,
    reason: seen.reason,
    by: seen.by as Judgement["by"],
    rule: seen.rule,
    evidence: seen.evidence === null ? [] : JSON.parse(seen.evidence),
  };
}

function withoutPane(place: Exclude<Location, { at: "pane" }>): Judgement {
  if (place.at === "gone") return terminated(place.why);
  const is = (status: AgentStatus, reason: string): Judgement => ({ ...terminated(reason), status });
  return place.at === "nowhere" ? is("spawning", "its pane is not open yet") : is("unreachable", place.why);
}

function terminated(reason: string): Judgement {
  return { status: "terminated", reason, by: "process", rule: null, evidence: [] };
}

function toObservation({
  member,
  place,
  judgement,
  at,
}: Pick<Sample, "member" | "place" | "judgement" | "at">): Observation {
  const { seen, row, workstream } = member;
  const since = seen?.status === judgement.status ? seen.at : at.toISOString();
  return { agent: row.name, workstream, ...judgement, since, pane: place.at === "pane" ? place.pane : null };
}

/** The pause between two looks, in ms. */
const BEAT_MS = 900;

/**
 * The agents of a workstream, or of all: first every agent, then each change of a status or of its rule, until
 * `signal` aborts. A closed agent is reported once as `terminated`. Each look costs one tmux call, plus one if panes
 * have printed something. Faults `tmux.*`.
 */
export async function* followAgents(
  host: TmuxHost,
  workstream: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Observation> {
  let known = new Map<string, Observation>();
  let labels: readonly PaneLabels[] = [];
  for (; !signal.aborted; await host.context.clock.sleep(BEAT_MS, signal)) {
    const look = await observeOnce(host, { workstream, labels });
    labels = look.labels;
    const seen = new Map(look.seen.map((one) => [keyOf(one), one]));
    for (const [key, one] of seen) if (!isSame(known.get(key), one)) yield one;
    for (const [key, one] of known) if (!seen.has(key) && one.status !== "terminated") yield ended(host, one);
    known = seen;
  }
}

function keyOf({ workstream, agent }: Observation): string {
  return `${workstream}/${agent}`;
}

function isSame(before: Observation | undefined, now: Observation): boolean {
  return before?.status === now.status && before.rule === now.rule && before.since === now.since;
}

function ended(host: Host, one: Observation): Observation {
  const since = host.context.clock.now().toISOString();
  return { ...one, status: "terminated", reason: "it was closed", by: "process", rule: null, since, pane: null };
}
