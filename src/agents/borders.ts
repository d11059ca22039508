import { Fault } from "../errors.js";
import type { Settings } from "../workstreams/settings.js";
import { getWorkstream, sessionOf } from "../workstreams/workstream.js";
import type { Crew } from "./crew.js";

type Borders = Settings["borders"];

/**
 * Whether the panes of a workstream have borders with name, status and task: not with `MU_BANNER_QUIET=1`, not
 * where the workstream's setting `borders` is `off`. Faults `workstream.not_found`.
 */
export async function bordersOf(crew: Crew, workstream: string): Promise<Borders> {
  if (crew.env["MU_BANNER_QUIET"] === "1") return "off";
  const { settings } = await getWorkstream(crew.context.store.db, workstream);
  return settings.borders;
}

/** Draws or removes the borders of the workstream's open windows; gives how many. Faults `tmux.*`. */
export async function drawBorders(crew: Crew, workstream: string, borders: Borders): Promise<number> {
  const panes = (await crew.tmux.listPanes()).filter((pane) => pane.session === sessionOf(workstream));
  const windows = new Set(panes.map((pane) => pane.window));
  let drawn = 0;
  for (const window of windows) {
    await crew.tmux.setPaneBorders(window, borders).then(() => drawn++, ignoreGone);
  }
  return drawn;
}

/** A window that closed meanwhile needs no borders. */
function ignoreGone(error: unknown): void {
  if (!(error instanceof Fault) || error.code !== "pane.not_found") throw error;
}
