import type { Pane } from "../../tmux/panes.js";
import type { AgentStatus } from "../agent.js";
import type { AgentCli } from "../clis/cli.js";
import type { Crew } from "../crew.js";
import type { FeedEvent } from "../feed/event.js";
import { foldFeed } from "../feed/fold.js";
import type { Member } from "../roster.js";
import type { Explanation } from "../screen/explain.js";
import { readSpool, spoolPath, spoolSize } from "../spool.js";
import { type FusedStatus, fuseStatus } from "./status.js";

/** A status with its grounds. `by` is the authority that decided. */
export type Sensed = Omit<FusedStatus, "reason" | "rule"> & { reason: string | null; rule: string | null };

/** What the agent's CLI reported, up to the end of its spool. */
export interface Feed {
  events: readonly FeedEvent[];
  /** The spool has grown since the stored fold. */
  changed: boolean;
  offset: string;
}

/** So many of the newest events are stored. */
const KEPT_EVENTS = 40;

/** The CLIs that report what they do. */
const REPORTING: ReadonlySet<string> = new Set(["claude", "pi", "opencode", "codex"]);

/** What the agent's hooks have reported; the stored fold while its spool has not grown. */
export async function readFeed(crew: Crew, { row, seen }: Pick<Member, "row" | "seen">, cli: AgentCli): Promise<Feed> {
  const offset = seen?.spool_offset ?? "";
  if (!REPORTING.has(cli.key)) return { events: [], changed: false, offset };
  const path = spoolPath(crew.stateDir, row.id);
  if ((await spoolSize(path)) === Number(offset)) return { events: storedFeed(seen?.feed), changed: false, offset };
  const { events, end } = await readSpool(path);
  return {
    events: foldFeed(cli.key, events).slice(-KEPT_EVENTS),
    changed: String(end) !== offset,
    offset: String(end),
  };
}

function storedFeed(feed: string | null | undefined): FeedEvent[] {
  return feed == null ? [] : (JSON.parse(feed) as FeedEvent[]);
}

/** The conversation that the agent is in, by the newest event that names one. */
export function sessionOf({ events }: Feed): string | undefined {
  return events.findLast((event) => event.sessionRef !== undefined)?.sessionRef;
}

export interface Evidence {
  cli: AgentCli;
  feed: Feed;
  verdict: Explanation;
  /** When the screen first said what it says. */
  screenSince: Date;
  pane: Pane;
  now: Date;
}

/** One status from all that is known of an agent with a pane. */
export function fuse({ row, seen }: Member, { cli, feed, verdict, screenSince, pane, now }: Evidence): Sensed {
  const fused = fuseStatus({
    verdict,
    screenChangedAt: screenSince.getTime(),
    feed: feed.events,
    process: { alive: !pane.dead, command: pane.command, startedAt: Date.parse(row.spawned_at) },
    previous: seen && { status: seen.status as AgentStatus, at: Date.parse(seen.at) },
    now: now.getTime(),
  });
  if (cli.reading.by === "screen" || fused.by !== "screen") return fused;
  return { ...fused, by: "process" };
}
