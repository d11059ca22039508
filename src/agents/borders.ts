import { ignoreFault } from "../errors.js";
import type { Host } from "../host.js";
import type { PaneLabels } from "../tmux/appearance.js";
import type { Settings } from "../workstreams/settings.js";
import { getWorkstream, sessionOf } from "../workstreams/workstream.js";
import { currentTasks } from "./agent.js";
import type { TmuxHost } from "./crew.js";
import type { Sample } from "./status/record.js";

type Borders = Settings["borders"];

/**
 * Whether the panes of a workstream have borders with name, status and task: not with `MU_BANNER_QUIET=1`, not
 * where the workstream's setting `borders` is `off`. Faults `workstream.not_found`.
 */
export async function bordersOf(host: Host, workstream: string): Promise<Borders> {
  if (host.env["MU_BANNER_QUIET"] === "1") return "off";
  const { settings } = await getWorkstream(host.context.store.db, workstream);
  return settings.borders;
}

/** Draws or removes the borders of the workstream's open windows; gives how many. Faults `tmux.*`. */
export async function drawBorders(host: TmuxHost, workstream: string, borders: Borders): Promise<number> {
  const panes = (await host.tmux.listPanes()).filter((pane) => pane.session === sessionOf(workstream));
  const windows = new Set(panes.map((pane) => pane.window));
  let drawn = 0;
  for (const window of windows) {
    await host.tmux.setPaneBorders(window, borders).then(() => drawn++, ignoreFault("pane.not_found"));
  }
  return drawn;
}

/** Status and task for the borders of the panes whose labels say something else. */
export async function outdatedLabels(host: Host, samples: readonly Sample[]): Promise<PaneLabels[]> {
  const here = samples.flatMap(({ member, place, judgement }) =>
    place.at === "pane" ? [{ id: member.row.id, pane: place.pane, status: judgement.status as string }] : [],
  );
  if (here.length === 0) return [];
  const tasks = await currentTasks(host.context.store.db);
  return here.flatMap(({ id, pane, status }): PaneLabels[] => {
    const task = taskLabel(tasks.get(id) ?? []);
    return pane.statusLabel === status && pane.taskLabel === task ? [] : [{ pane: pane.id, status, task }];
  });
}

function taskLabel(tasks: readonly string[]): string {
  return tasks.length > 1 ? `${tasks.length} tasks` : (tasks[0] ?? "");
}
