import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { TaskRow } from "./task.js";

/** A task that was not taken although it was first: what it touches is being changed elsewhere. */
export interface PassedOver {
  task: string;
  /** Who is changing it. */
  agent: string;
  /** The task by which that agent says so; null where its workspace shows it. */
  by: string | null;
  /** The files that are changed, at most some; or the globs that are declared. */
  paths: string[];
}

/** A row that can be taken. */
type Candidate = Pick<TaskRow, "name" | "touches" | "priority" | "impact" | "effort_days">;

/** Where somebody else is at work. */
interface Elsewhere {
  changes: { agent: string; paths: string[] }[];
  claims: { agent: string; task: string; touches: string[] }[];
}

/** So many candidates are looked at when the first one is contested. */
export const MOST_CANDIDATES = 50;
/** So many paths are told of each. */
const MOST_TOLD = 10;

/**
 * Chooses between tasks that are as good as each other, the first being `first`: the first of them whose declared files
 * nobody else is changing, or `first` itself when there is none such. Another is as good when it has the same priority
 * and the same impact by effort. It costs nothing where `first` declares nothing, and one query or two where nobody is
 * in its way. `others` gives the ready rows in their order, `first` among them, and
 * `globs` comes from `loadGlobs`.
 */
export async function chooseUncontested<Row extends Candidate>(
  db: Reader,
  taker: { workstreamId: number; agent: string },
  first: Row,
  { globs, others }: { globs: Globs | undefined; others: () => Promise<readonly Row[]> },
): Promise<{ row: Row; passedOver: PassedOver[] }> {
  const asItStands = { row: first, passedOver: [] };
  if (first.touches === null || globs === undefined) return asItStands;
  const elsewhere = await readElsewhere(db, taker);
  if (elsewhere.changes.length + elsewhere.claims.length === 0) return asItStands;
  const why = (row: Row) => inTheWay(globs, row, elsewhere);
  const reason = why(first);
  if (reason === undefined) return asItStands;
  const passedOver = [reason];
  for (const row of await others()) {
    if (row.name === first.name || !isAsGood(row, first)) continue;
    const against = why(row);
    if (against === undefined) return { row, passedOver };
    passedOver.push(against);
  }
  return asItStands;
}

const selectDeclared = statement((db, { workstream }: { workstream: string }) =>
  db
    .selectFrom("tasks as t")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .select("t.id")
    .where("w.name", "=", workstream)
    .where("t.status", "=", "OPEN")
    .where("t.touches", "is not", null)
    .limit(1),
);

/** What matches globs, loaded before a write that may need it, and only where a task declares some. */
export async function loadGlobs(db: Reader, workstream: string): Promise<Globs | undefined> {
  const [declared] = await selectDeclared(db, { workstream });
  return declared && import("./touches.js");
}

const isAsGood = (a: Candidate, b: Candidate) =>
  a.priority === b.priority && a.impact / a.effort_days === b.impact / b.effort_days;

const selectChanges = statement((db, { workstreamId, agent }: { workstreamId: number; agent: string }) =>
  db
    .selectFrom("workspace_changes as c")
    .innerJoin("workspaces as s", "s.id", "c.workspace_id")
    .select(["s.agent", "c.paths"])
    .where("s.workstream_id", "=", workstreamId)
    .where("s.agent", "<>", agent)
    .where("s.freed_at", "is", null)
    .where("c.paths", "<>", "[]")
    .orderBy("s.agent"),
);

const selectClaims = statement((db, { workstreamId, agent }: { workstreamId: number; agent: string }) =>
  db
    .selectFrom("tasks as t")
    .innerJoin("agents as o", "o.id", "t.owner_id")
    .select(["o.name as agent", "t.name as task", "t.touches"])
    .where("t.workstream_id", "=", workstreamId)
    .where("t.status", "=", "IN_PROGRESS")
    .where("t.touches", "is not", null)
    .where("o.name", "<>", agent)
    .orderBy("t.name"),
);

async function readElsewhere(db: Reader, taker: { workstreamId: number; agent: string }): Promise<Elsewhere> {
  const changes = await selectChanges(db, taker);
  const claims = await selectClaims(db, taker);
  return {
    changes: changes.map(({ agent, paths }) => ({ agent, paths: JSON.parse(paths) })),
    claims: claims.map(({ agent, task, touches }) => ({ agent, task, touches: JSON.parse(touches ?? "[]") })),
  };
}

type Globs = typeof import("./touches.js");

function inTheWay(globs: Globs, row: Candidate, { changes, claims }: Elsewhere): PassedOver | undefined {
  if (row.touches === null) return undefined;
  const touches: string[] = JSON.parse(row.touches);
  const covers = globs.coveredBy(touches);
  for (const { agent, paths } of changes) {
    const met = paths.filter(covers);
    if (met.length > 0) return { task: row.name, agent, by: null, paths: met.slice(0, MOST_TOLD) };
  }
  const claim = claims.find((one) => globs.mayOverlap(touches, one.touches));
  if (claim === undefined) return undefined;
  return { task: row.name, agent: claim.agent, by: claim.task, paths: claim.touches.slice(0, MOST_TOLD) };
}
