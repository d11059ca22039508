import { statement } from "../db/statement.js";
import { ignoreFault } from "../errors.js";
import type { Host } from "../host.js";
import { enumerate } from "../names.js";
import { markedWindow, type PaneLabels } from "../tmux/appearance.js";
import type { Pane } from "../tmux/panes.js";
import { readSettings, type Settings } from "../workstreams/settings.js";
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

/**
 * What panes say of their agents where they say something else: status and task in the border, with `titles: status` also
 * in the title, and in the window's name who waits for a person. A title that a program has set stays as it is.
 */
export async function outdatedLabels(host: Host, samples: readonly Sample[]): Promise<PaneLabels[]> {
  const here = samples.flatMap(({ member, place, judgement }) =>
    place.at === "pane" ? [{ ...member, pane: place.pane, status: judgement.status as string }] : [],
  );
  if (here.length === 0) return [];
  const { db } = host.context.store;
  const tasks = await currentTasks(db);
  const titled = new Set((await selectTitled(db, {})).filter(saysStatus).map(({ name }) => name));
  const waiting = here.filter(({ status }) => status.startsWith("needs_"));
  const sessions = waitingOf(here);
  return here.flatMap(({ row, workstream, pane, status }): PaneLabels[] => {
    const task = taskLabel(tasks.get(row.id) ?? []);
    const title = titled.has(workstream) ? [row.name, status, task].filter(Boolean).join(SEPARATOR) : row.name;
    const names = waiting.filter((one) => one.pane.window === pane.window).map((one) => one.row.name);
    const window = markedWindow(pane.windowName, names.sort());
    const changes = {
      ...(pane.title !== title && pane.title.split(SEPARATOR, 1)[0] === row.name && { title }),
      ...(pane.windowName !== window && pane.session === sessionOf(workstream) && { window }),
      ...sessions.get(pane.id),
    };
    const isCurrent = pane.statusLabel === status && pane.taskLabel === task && Object.keys(changes).length === 0;
    return isCurrent ? [] : [{ pane: pane.id, status, task, ...changes }];
  });
}

type Placed = { row: { name: string }; workstream: string; pane: Pane; status: string };

/** What the status line of each session is to say, by one pane of it, where it says something else. */
function waitingOf(here: readonly Placed[]): ReadonlyMap<string, { waiting: string }> {
  const own = here.filter(({ pane, workstream }) => pane.session === sessionOf(workstream));
  const first = [...new Map(own.toReversed().map((one) => [one.pane.session, one.pane])).values()];
  const outdated = first.flatMap((pane): [string, { waiting: string }][] => {
    const names = own.flatMap(({ pane: { session }, status, row }) =>
      session === pane.session && status.startsWith("needs_") ? [row.name] : [],
    );
    const waiting = names.length === 0 ? "" : `! ${enumerate(names.sort(), 3)}`;
    return pane.waitingLabel === waiting ? [] : [[pane.id, { waiting }]];
  });
  return new Map(outdated);
}

/** Between the parts of a title. */
const SEPARATOR = " · ";

const selectTitled = statement((db, _: object) =>
  db.selectFrom("workstreams").select(["name", "settings"]).where("settings", "like", '%"titles"%'),
);

const saysStatus = ({ settings }: { settings: string }) => readSettings(settings).titles === "status";

function taskLabel(tasks: readonly string[]): string {
  return tasks.length > 1 ? `${tasks.length} tasks` : (tasks[0] ?? "");
}
