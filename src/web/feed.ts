import type { TmuxHost } from "../agents/crew.js";
import { keepLooking } from "../agents/status/look.js";
import { asFault, ignoreFault } from "../errors.js";
import { followLog, type LogEntry, readLog } from "../journal/log.js";

/** News for a page: an entry of the log, a change of the crew, or that the log was replaced, so that all is read again. */
export type News = { type: "entry"; entry: LogEntry } | { type: "crew"; workstream: string } | { type: "gone" };

/** After a fault of the database's, such as a lock that stays, it is asked again so much later, in ms. */
const AGAIN_MS = 1_000;

/** So many entries are caught up on; who lacks more reads everything anew. */
const MOST_BEHIND = 500;

/** One follower of the log, and one look at the panes of each workstream that is shown, for all pages. */
export interface Feed {
  /** The number of the newest entry that was told. */
  newest(): number;
  /** The entries after `since`; undefined where they are too many, or are those of a history that is gone. */
  after(since: number): Promise<LogEntry[] | undefined>;
  subscribe(workstream: string, tell: (news: News) => void): () => void;
  close(): Promise<void>;
}

export async function openFeed(host: TmuxHost, signal: AbortSignal): Promise<Feed> {
  const ended = new AbortController();
  const over = AbortSignal.any([signal, ended.signal]);
  const { context } = host;
  const pages = new Map<(news: News) => void, string>();
  const looks = new Map<string, { pages: number; end: AbortController; done: Promise<void> }>();
  let newest = (await readLog(context.store.db, { limit: 1 })).at(-1)?.id ?? 0;
  const tellAll = (news: News) => {
    for (const tell of pages.keys()) tell(news);
  };
  const follow = async () => {
    for await (const entry of followLog(context, { sinceId: newest }, over)) {
      // Numbers only fall after a restore, which continues an older log.
      const isAnother = entry.id <= newest;
      newest = entry.id;
      tellAll(isAnother ? { type: "gone" } : { type: "entry", entry });
    }
  };
  const following = (async () => {
    while (!over.aborted) {
      await follow().catch((error) => over.aborted || asFault(error));
      await context.clock.sleep(AGAIN_MS, over).catch(() => {});
    }
  })();

  const look = (workstream: string) => {
    const end = new AbortController();
    const done = keepLooking(host, workstream, AbortSignal.any([over, end.signal]), {
      shown: () => undefined,
      changed: () => {
        for (const [tell, shown] of pages) if (shown === workstream) tell({ type: "crew", workstream });
      },
    }).catch(ignoreFault("workstream.not_found"));
    return { pages: 0, end, done };
  };

  return {
    newest: () => newest,
    async after(since) {
      if (since > newest) return undefined;
      const missed = await readLog(context.store.db, { sinceId: since, limit: MOST_BEHIND + 1 });
      return missed.length > MOST_BEHIND ? undefined : missed;
    },
    subscribe(workstream, tell) {
      pages.set(tell, workstream);
      const looked = looks.get(workstream) ?? look(workstream);
      looks.set(workstream, looked);
      looked.pages++;
      return () => {
        pages.delete(tell);
        if (--looked.pages > 0) return;
        looks.delete(workstream);
        looked.end.abort();
      };
    },
    async close() {
      ended.abort();
      await Promise.all([following, ...[...looks.values()].map(({ done }) => done)]);
    },
  };
}
