import { Fault } from "../../errors.js";
import type { Screen } from "../../tmux/screens.js";
import { sessionOf } from "../../workstreams/workstream.js";
import type { TmuxHost } from "../crew.js";
import { type KnownOccupants, observeOnce } from "./observe.js";

/** Between two looks at the panes, in ms; and after so many in which nothing has changed. */
const LOOK_MS = 1_000;
const QUIET_LOOKS = 5;
const QUIET_MS = 3_000;

/** Who wants to know what the panes show. */
export interface Looker {
  /** The pane whose screen is wanted, if one is. */
  shown(): string | undefined;
  /** Called when statuses or the screen differ from the look before. */
  changed(what: "statuses" | "screen", seen: Picture | undefined): void;
}

/** What a pane shows, with its colours. */
export interface Picture extends Pick<Screen, "lines"> {
  pane: string;
}

/**
 * Looks at the panes of a workstream and stores what is new, until the end; without tmux what was stored stands. What hooks
 * say comes through the database at once, so that the looks may be slow while nothing changes.
 */
export async function keepLooking(
  { tmux, ...rest }: TmuxHost,
  workstream: string,
  over: AbortSignal,
  looker: Looker,
): Promise<void> {
  const host = { ...rest, tmux: tmux.holding(sessionOf(workstream), over) };
  let [known, screen, quiet] = ["", "", 0];
  const occupants: KnownOccupants = new Map();
  let labels: Awaited<ReturnType<typeof observeOnce>>["labels"] = [];
  while (!over.aborted) {
    try {
      const pane = looker.shown();
      const found = await observeOnce(host, { workstream, labels, shown: pane, occupants });
      labels = found.labels;
      const statuses = JSON.stringify(found.seen.map(({ agent, status, since, rule }) => [agent, status, since, rule]));
      const seen = pane && found.shown ? { pane, lines: found.shown.lines } : undefined;
      const shown = seen ? `${pane}\n${seen.lines.join("\n")}` : "";
      quiet = statuses === known && shown === screen ? quiet + 1 : 0;
      if (statuses !== known) looker.changed("statuses", seen);
      if (shown !== screen) looker.changed("screen", seen);
      [known, screen] = [statuses, shown];
    } catch (error) {
      if (over.aborted) return;
      if (!(error instanceof Fault)) throw error;
    }
    await host.context.clock.sleep(quiet < QUIET_LOOKS ? LOOK_MS : QUIET_MS, over).catch(() => {});
  }
}
