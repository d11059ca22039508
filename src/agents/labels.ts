import type { Reader } from "../db/schema.js";
import type { PaneLabels } from "../tmux/look.js";
import type { Crew } from "./crew.js";
import type { Sighting } from "./record.js";

/** Status and task for the borders of the panes whose labels say something else. */
export async function staleLabels(crew: Crew, sightings: readonly Sighting[]): Promise<PaneLabels[]> {
  const here = sightings.flatMap(({ member, place, sensed }) =>
    place.at === "pane" ? [{ id: member.row.id, pane: place.pane, status: sensed.status as string }] : [],
  );
  if (here.length === 0) return [];
  const tasks = await currentTasks(
    crew.context.store.db,
    here.map(({ id }) => id),
  );
  return here.flatMap(({ id, pane, status }): PaneLabels[] => {
    const task = taskLabel(tasks.get(id) ?? []);
    return pane.labels.status === status && pane.labels.task === task ? [] : [{ pane: pane.id, status, task }];
  });
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
