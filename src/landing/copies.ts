import type { Reader } from "../db/schema.js";
import { Fault } from "../errors.js";
import { shellWord } from "../names.js";
import type { TaskRow } from "../tasks/task.js";

/** Those of the tasks that were worked on in a copy without version control, by row id. */
export async function tasksOfCopies(db: Reader, rows: readonly TaskRow[]): Promise<Set<number>> {
  const unknown = rows.filter((row) => row.work_root !== null && row.work_to === null);
  const [first] = unknown;
  if (first === undefined) return new Set();
  const spaces = await db
    .selectFrom("workspaces")
    .select(["agent", "root", "backend"])
    .where("workstream_id", "=", first.workstream_id)
    .orderBy("id")
    .execute();
  const keyOf = (agent: string | null, root: string | null) => JSON.stringify([agent, root]);
  const backends = new Map(spaces.map(({ agent, root, backend }) => [keyOf(agent, root), backend]));
  const isCopied = (row: TaskRow) => backends.get(keyOf(row.work_agent, row.work_root)) === "none";
  return new Set(unknown.filter(isCopied).map((row) => row.id));
}

/** So many waits are told that will never end. */
const TOLD_WAITS = 3;

/** The fault for work without version control; it names the tasks that wait in vain for one of `tasks` to land. */
export async function noVersionControl(db: Reader, workstream: string, tasks: readonly string[]): Promise<Fault> {
  const waits = await db
    .selectFrom("task_edges as e")
    .innerJoin("tasks as b", "b.id", "e.blocker_id")
    .innerJoin("tasks as t", "t.id", "e.blocked_id")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .select(["b.name as blocker", "t.name as task"])
    .where("w.name", "=", workstream)
    .where("b.name", "in", tasks.length > 0 ? tasks : [""])
    .where("e.until", "=", "landed")
    .where("t.status", "in", ["OPEN", "IN_PROGRESS", "DEFERRED"])
    .orderBy("t.name")
    .limit(TOLD_WAITS)
    .execute();
  const scope = shellWord(workstream);
  return new Fault(
    "usage",
    "landing.vcs_required",
    "There is no version control here, so there is no branch to land on: the work stays in the workspaces' copies.",
    [
      ...waits.map(({ blocker, task }) => ({
        intent: `Let ${task} wait only until ${blocker} is closed`,
        command: `mu task block ${task} --by ${blocker} --until closed -w ${scope}`,
      })),
      { intent: "See what was changed", command: `mu workspace list -w ${scope}` },
    ],
  );
}
