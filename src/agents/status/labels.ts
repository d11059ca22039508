import type { Reader } from "../../db/schema.js";
import { statement } from "../../db/statement.js";
import type { PaneLabels } from "../../tmux/look.js";
import type { Crew } from "../crew.js";
import type { Sighting } from "./record.js";

/** Status and task for the borders of the panes whose labels say something else. */
export async function staleLabels(crew: Crew, sightings: readonly Sighting[]): Promise<PaneLabels[]> {
  const here = sightings.flatMap(({ member, place, sensed }) =>
    place.at === "pane" ? [{ id: member.row.id, pane: place.pane, status: sensed.status as string }] : [],
  );
  if (here.length === 0) return [];
  const tasks = await currentTasks(crew.context.store.db);
  return here.flatMap(({ id, pane, status }): PaneLabels[] => {
    const task = taskLabel(tasks.get(id) ?? []);
    return pane.labels.status === status && pane.labels.task === task ? [] : [{ pane: pane.id, status, task }];
  });
}

function taskLabel(tasks: readonly string[]): string {
  return tasks.length > 1 ? `${tasks.length} tasks` : (tasks[0] ?? "");
}

const selectWork = statement((db, _: object) =>
  db
    .selectFrom("tasks as t")
    .innerJoin("agents as a", "a.id", "t.owner_id")
    .select(["a.id as agent", "t.name"])
    .where("a.closed_at", "is", null)
    .where("t.status", "=", "IN_PROGRESS")
    .orderBy("t.id"),
);

/** The names of the tasks that open agents are working on. */
async function currentTasks(db: Reader): Promise<Map<number, string[]>> {
  const tasks = new Map<number, string[]>();
  for (const { agent, name } of await selectWork(db, {})) tasks.set(agent, [...(tasks.get(agent) ?? []), name]);
  return tasks;
}
