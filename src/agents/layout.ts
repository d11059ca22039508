import { Fault } from "../errors.js";
import { quote } from "../names.js";
import { LAYOUTS, type Layout } from "../tmux/look.js";
import { sessionOf } from "../workstreams/session-name.js";
import type { Crew } from "./crew.js";

/** The layout of that name; another one is `layout.unknown`. */
export function checkLayout(name: string): Layout {
  const found = LAYOUTS.find((layout) => layout === name);
  if (found !== undefined) return found;
  throw new Fault("usage", "layout.unknown", `${quote(name)} is no layout; there are ${LAYOUTS.join(", ")}.`, [
    { intent: "Use one", command: `mu agent spawn <agent> --window <window> --layout ${LAYOUTS[4]}` },
  ]);
}

/**
 * Arranges the panes of a window of the workstream, or of all its windows. Gives how many windows. Faults
 * `window.not_found`, `tmux.failed`.
 */
export async function arrangeWindow(
  crew: Crew,
  workstream: string,
  { window, layout }: { window?: string | undefined; layout: Layout },
): Promise<{ windows: number }> {
  const panes = (await crew.tmux.listPanes()).filter((pane) => pane.session === sessionOf(workstream));
  const chosen = panes.filter((pane) => window === undefined || pane.windowName === window);
  const ids = [...new Set(chosen.map((pane) => pane.window))];
  if (window !== undefined && ids.length === 0) throw windowNotFound(workstream, window);
  for (const id of ids) await crew.tmux.selectLayout(id, layout);
  return { windows: ids.length };
}

function windowNotFound(workstream: string, window: string): Fault {
  return new Fault("missing", "window.not_found", `There is no window ${quote(window)} in ${workstream}.`, [
    { intent: "See the agents with their windows", command: `mu agent list -w ${workstream}` },
  ]);
}
