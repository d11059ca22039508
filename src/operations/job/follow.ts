import { pollUntil } from "../../clock.js";
import type { Reader } from "../../db/schema.js";
import { placeOf } from "../../flow/payload.js";
import { type JobRow, partsOf } from "../../jobs/job.js";
import { duration } from "../../names.js";
import { activeRuns } from "../../runs/run.js";
import type { App } from "../define.js";

/** Says what happens in a job, a line at a time; on a terminal the last line is what goes on now. */
export interface Follower {
  say(text: string): void;
  end(): Promise<void>;
}

const EVERY_MS = 1_000;

export function followJob({ context, request }: App, job: JobRow): Follower {
  const { terminal, remark } = request;
  const ring = terminal?.ring;
  if (ring === undefined) return { say: remark, end: async () => {} };
  // The terminal cuts the line itself, whatever its width: a line that wrapped could not be drawn over.
  const draw = (text: string) => ring(`\r\x1b[2K\x1b[?7l${text}\x1b[?7h`);
  const life = new AbortController();
  const look = async () => {
    const now = await nowIn(context.store.db, job, context.clock.now());
    if (!life.signal.aborted) draw(now);
    return undefined;
  };
  const options = { everyMs: EVERY_MS, timeoutMs: Number.POSITIVE_INFINITY, signal: life.signal };
  const ticking = pollUntil(context.clock, look, options).catch(() => {});
  return {
    say(text) {
      draw("");
      remark(text);
    },
    async end() {
      life.abort();
      await ticking;
      draw("");
    },
  };
}

/** `work, round 2: theme-work-build-2 by builder-1 for 12s`, of each run that is under way. */
async function nowIn(db: Reader, { row }: JobRow, now: Date): Promise<string> {
  const parts = new Map((await partsOf(db, row)).map((part) => [part.id, part]));
  const runs = await activeRuns(db, row.workstream_id);
  const lines = runs.flatMap(({ task_id, agent, started_at, created_at }) => {
    const part = parts.get(task_id);
    if (part === undefined) return [];
    const { round } = placeOf(part.payload);
    const since = duration(now.getTime() - Date.parse(started_at ?? created_at));
    return `${part.step}${round > 1 ? `, round ${round}` : ""}: ${part.name} by ${agent} for ${since}`;
  });
  return lines.join(" · ");
}
