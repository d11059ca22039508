import { statement } from "../db/statement.js";
import { asFault } from "../errors.js";
import { NOT_APPROVED } from "../landing/choose.js";
import { landTasks } from "../landing/land.js";
import { enumerate, type TaskRef } from "../names.js";
import { taskToChange, taskVerb } from "../tasks/change.js";
import type { DispatchWorld } from "./dispatch.js";
import type { Scene } from "./facts.js";

/** Work that runs have finished and that is not on the branch. */
export interface FinishedWork {
  tasks: string[];
  /** Changes whenever there is other work. */
  key: string;
}

const selectFinished = statement((db, { workstreamId }: { workstreamId: number }) =>
  db
    .selectFrom("tasks as t")
    .select(["t.id", "t.name", "t.work_to", "t.approved_commit"])
    .where("t.workstream_id", "=", workstreamId)
    .where("t.status", "=", "CLOSED")
    .where((e) => e.or([e("t.level", "is", null), e("t.level", "<>", "landed")]))
    .where("t.work_to", "is not", null)
    .where((e) => e.or([e("t.pull_request", "is", null), e("t.pull_request", "not like", "http%")]))
    .whereRef("t.work_to", "<>", "t.work_from" as "t.work_to")
    .where((e) =>
      e.or([
        e.exists(e.selectFrom("runs as r").select("r.id").whereRef("r.task_id", "=", "t.id")),
        // What a job's checkout has was made by the runs of its parts.
        e("t.kind", "=", "job"),
      ]),
    )
    .orderBy("t.name"),
);

export async function finishedWork({ context }: DispatchWorld, { workstream, job }: Scene): Promise<FinishedWork> {
  const all = await selectFinished(context.store.db, { workstreamId: workstream.id });
  const rows = job === undefined ? all : all.filter(({ id }) => id === job);
  return {
    tasks: rows.map(({ name }) => name),
    key: rows.map((row) => `${row.name} ${row.work_to} ${row.approved_commit}`).join(),
  };
}

/**
 * Lands what runs have finished. Work that does not fit is open again, with the reason for the next run, and that counts as
 * an attempt. What keeps all of it from landing is told, and left for the next time.
 */
export async function landFinished(
  world: DispatchWorld,
  scene: Scene,
  { tasks }: FinishedWork,
  say: (text: string) => void,
): Promise<void> {
  const workstream = scene.workstream.name;
  try {
    const { landed, returned, skipped } = await landTasks(world, { workstream, tasks });
    if (landed.length > 0) say(`Landed ${enumerate(landed.map(({ task }) => task))}`);
    const waiting = skipped.filter(({ why }) => why === NOT_APPROVED);
    if (waiting.length > 0) say(`Waits for an approval: ${enumerate(waiting.map(({ task }) => task))}`);
    for (const { task, reason } of returned) {
      await countRefusal(world.context, { workstream, name: task }, reason);
      say(`${task} did not land: it ${reason}`);
    }
  } catch (error) {
    say(`Nothing landed: ${asFault(error).message}`);
  }
}

/** Counts an attempt whose work did not land; one too many holds the task for a person. */
const countRefusal = taskVerb("run.refuse", async (tx, ref: TaskRef, reason: string) => {
  const row = await taskToChange(tx.db, ref);
  const isOver = row.attempts >= row.max_retries;
  const held = { hold: "escalated", hold_reason: `${row.attempts + 1} attempts failed, the last: it ${reason}` };
  await tx.patch("tasks", row.id, { attempts: row.attempts + 1, ...(isOver && held), updated_at: tx.now }, row);
});
