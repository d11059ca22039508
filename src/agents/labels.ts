import type { Reader } from "../db/schema.js";
import type { PaneLabels } from "../tmux/look.js";
import type { Crew } from "./crew.js";
import type { Sighting } from "./record.js";

/** Writes status and task on the borders of the panes whose labels say something else; one tmux call, or none. */
export async function labelPanes(crew: Crew, sightings: readonly Sighting[]): Promise<void> {
  const here = sightings.flatMap(({ member, place, sensed }) =>
    place.at === "pane" ? [{ id: member.row.id, pane: place.pane, status: sensed.status as string }] : [],
  );
  if (here.length === 0) return;
  const tasks = await currentTasks(
    crew.context.store.db,
    here.map(({ id }) => id),
  );
  const stale = here.flatMap(({ id, pane, status }): PaneLabels[] => {
    const task = taskLabel(tasks.get(id) ?? []);
    return pane.labels.status === status && pane.labels.task === task ? [] : [{ pane: pane.id, status, task }];
  });
  if (stale.length > 0) await crew.tmux.setPaneLabels(stale);
}

function taskLabel(tasks: readonly string[]): string {
  return tasks.length > 1 ? `${tasks.length} tasks` : (tasks[0] ?? "");
}

/** The names of the tasks that these agents are working on. */
async function currentTasks(db: Reader, agents: readonly number[]): Promise<Map<number, string[]>> {
  const rows = await db
    .selectFrom("tasks")
    .select(["owner_id", "name"])
    .where("owner_id", "in", agents)
    .where("status", "=", "IN_PROGRESS")
    .orderBy("id")
    .execute();
  const tasks = new Map<number, string[]>();
  for (const { owner_id, name } of rows) {
    if (owner_id !== null) tasks.set(owner_id, [...(tasks.get(owner_id) ?? []), name]);
  }
  return tasks;
}
