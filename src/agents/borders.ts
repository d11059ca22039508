import type { Context } from "../context.js";
import { write } from "../db/write.js";
import { Fault } from "../errors.js";
import { sessionOf } from "../session-name.js";
import { getWorkstream, workstreamRow } from "../workstreams.js";
import type { Crew } from "./crew.js";

export type Borders = "on" | "off";

/**
 * Whether the panes of a workstream have borders with name, status and task: not with `MU_BANNER_QUIET=1`, not
 * where the workstream's setting `borders` is `off`. Faults `workstream.not_found`.
 */
export async function bordersOf(crew: Crew, workstream: string): Promise<Borders> {
  if (crew.env["MU_BANNER_QUIET"] === "1") return "off";
  const { settings } = await getWorkstream(crew.context.store.db, workstream);
  return settings["borders"] === "off" ? "off" : "on";
}

/** Sets the workstream's `borders`, and draws or removes those of its open windows. Faults `workstream.not_found`. */
export async function setBorders(crew: Crew, workstream: string, borders: Borders): Promise<{ windows: number }> {
  await writeSetting(crew.context, workstream, borders);
  const panes = (await crew.tmux.listPanes()).filter((pane) => pane.session === sessionOf(workstream));
  const windows = new Set(panes.map((pane) => pane.window));
  let drawn = 0;
  for (const window of windows) {
    await crew.tmux.setPaneBorders(window, borders).then(() => drawn++, ignoreGone);
  }
  return { windows: drawn };
}

/** A window that closed meanwhile needs no borders. */
function ignoreGone(error: unknown): void {
  if (!(error instanceof Fault) || error.code !== "pane.not_found") throw error;
}

async function writeSetting(context: Context, workstream: string, borders: Borders): Promise<void> {
  const spec = { op: "workstream.set", scope: workstream, subject: workstream, payload: { borders } };
  await write(context, spec, async (tx) => {
    const row = await workstreamRow(tx.db, workstream);
    const settings = { ...JSON.parse(row.settings), borders };
    await tx.patch("workstreams", row.id, { settings: JSON.stringify(settings) }, row);
  });
}
