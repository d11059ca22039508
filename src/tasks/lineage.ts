import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { Tx } from "../db/write.js";
import { Fault } from "../errors.js";
import { counted, qualifiedName } from "../names.js";

const selectRun = statement((db, { id }: { id: number }) =>
  db
    .selectFrom("runs as r")
    .innerJoin("workstreams as w", "w.id", "r.workstream_id")
    .leftJoin("tasks as t", "t.id", "r.task_id")
    .select(["r.task as name", "w.name as workstream", "t.depth"])
    .select((of) =>
      of
        .selectFrom("tasks as c")
        .select((e) => e.fn.countAll().as("children"))
        .where("c.from_run", "=", id)
        .as("children"),
    )
    .where("r.id", "=", id),
);

/**
 * What a new task has of the run that adds it, for `count` of them. Faults `run.too_many_tasks`, `run.too_deep`.
 */
export async function lineageIn({ db, run }: Tx, count = 1): Promise<{ from_run: number | null; depth: number }> {
  const [parent] = run === undefined ? [] : await selectRun(db, { id: run.id });
  if (run === undefined || parent === undefined) return { from_run: null, depth: 0 };
  const depth = Number(parent.depth ?? 0) + 1;
  const { children: mostChildren, depth: mostDepth } = run.limits ?? NO_LIMITS;
  const instead = [
    { intent: "Leave a note of what is missing", command: `mu task note ${qualifiedName(parent)} '…'` },
    { intent: "Ask for a person", command: `mu task escalate ${qualifiedName(parent)} '…'` },
  ];
  const refuse = (code: string, why: string) =>
    new Fault("conflict", code, `Run ${run.id} of ${parent.name} ${why} Nothing was added.`, instead);
  const has = Number(parent.children);
  if (has + count > mostChildren) {
    const most = `may add ${counted(mostChildren, "task")} (dispatch.maxChildrenPerRun)`;
    throw refuse("run.too_many_tasks", `${most}: it has added ${has}, and wants ${count} more.`);
  }
  if (depth > mostDepth) {
    const most = `${mostDepth} (dispatch.maxDepth)`;
    throw refuse("run.too_deep", `is at depth ${depth - 1}, and a task that it adds would be deeper than ${most}.`);
  }
  return { from_run: run.id, depth };
}

const NO_LIMITS = { children: Number.POSITIVE_INFINITY, depth: Number.POSITIVE_INFINITY };

const selectTwin = statement((db, { run, title }: { run: number; title: string }) =>
  db.selectFrom("tasks").select("name").where("from_run", "=", run).where("title", "=", title).orderBy("id").limit(1),
);

/** The name of a task of that title that the run has added before. */
export async function twinOf(db: Reader, run: number | null, title: string): Promise<string | undefined> {
  return run === null ? undefined : (await selectTwin(db, { run, title }))[0]?.name;
}
