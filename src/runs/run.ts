import { fromRow } from "../db/from-row.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { RowOf } from "../db/write.js";
import { Fault } from "../errors.js";
import { shape, type TypeOf } from "../shape.js";
import { workstreamRow } from "../workstreams/workstream.js";

/** `reserved` and `running` are active; `lost`: whoever answered for it died; `cancelled`: a person or a signal ended it. */
export const RUN_STATES = ["reserved", "running", "done", "failed", "lost", "cancelled"] as const;
export type RunState = (typeof RUN_STATES)[number];

const COLUMNS = {
  id: "number",
  state: RUN_STATES,
  task: "string",
  role: "string",
  /** The slot that it worked in. */
  agent: "string",
  attempt: "number",
  cli: "string",
  model: "string | null",
  /** `interactive`: what an agent with a pane of its own used while it held the task. */
  transport: ["pane", "child", "interactive"],
  /** The UTC day that it is booked on. */
  day: "string",
  /** Where the cost comes from; null where nothing is known. */
  costBasis: "string | null",
  tokensIn: "number | null",
  tokensOut: "number | null",
  tokensCacheRead: "number | null",
  tokensCacheWrite: "number | null",
  sessionRef: "string | null",
  exitCode: "number | null",
  /** Why it failed, as a word, and in the CLI's words. */
  failure: "string | null",
  reason: "string | null",
  retryAt: "string | null",
  verdict: "string | null",
  /** The last that the agent said. */
  answer: "string | null",
  createdAt: "string",
  startedAt: "string | null",
  finishedAt: "string | null",
} as const;

/** One invocation of an agent. Amounts are in USD. */
export const RUN = shape({
  ...COLUMNS,
  workstream: "string",
  reservedUsd: "number",
  /** Null while it is active, and where nothing is known: then the reservation counts. */
  costUsd: "number | null",
  /** What the vendor bills; null where that is unknown. */
  actualCostUsd: "number | null",
});

export type Run = TypeOf<typeof RUN>;

/** A run with the name of its workstream. */
export type RunRow = RowOf<"runs"> & { workstream: string };

/** Runs with the names that their ids stand for. */
export function selectRuns(db: Reader) {
  return db
    .selectFrom("runs as r")
    .innerJoin("workstreams as w", "w.id", "r.workstream_id")
    .selectAll("r")
    .select("w.name as workstream");
}

export const MICROS = 1_000_000;
export const micros = (usd: number) => Math.round(usd * MICROS);
const usd = (amount: number | null) => (amount === null ? null : amount / MICROS);

export function toRun(row: RunRow): Run {
  return {
    ...fromRow(COLUMNS, row as never),
    workstream: row.workstream,
    reservedUsd: row.reserved_micros / MICROS,
    costUsd: usd(row.cost_micros),
    actualCostUsd: usd(row.actual_micros),
  };
}

const selectActive = statement((db, { workstreamId }: { workstreamId: number }) =>
  selectRuns(db).where("r.workstream_id", "=", workstreamId).where("r.finished_at", "is", null).orderBy("r.id"),
);

/** The runs of a workstream, by row id, that are reserved or under way. */
export const activeRuns = (db: Reader, workstreamId: number): Promise<RunRow[]> => selectActive(db, { workstreamId });

const selectActiveIds = statement((db, { workstreamId }: { workstreamId: number }) =>
  db.selectFrom("runs").select("id").where("workstream_id", "=", workstreamId).where("finished_at", "is", null),
);

export async function activeRunIds(db: Reader, workstreamId: number): Promise<number[]> {
  return (await selectActiveIds(db, { workstreamId })).map(({ id }) => id);
}

const selectById = statement((db, { id }: { id: number }) => selectRuns(db).where("r.id", "=", id));

/** The run of that id. Faults `run.not_found`. */
export async function runRow(db: Reader, id: number): Promise<RunRow> {
  const [row] = await selectById(db, { id });
  if (row !== undefined) return row;
  throw new Fault("missing", "run.not_found", `There is no run ${id}.`, [
    { intent: "List the runs", command: "mu runs list" },
  ]);
}

export interface RunFilter {
  task?: string | undefined;
  role?: string | undefined;
  state?: RunState | "active" | undefined;
  /** A UTC day. */
  day?: string | undefined;
}

/** The runs of a workstream, newest first. Faults `workstream.not_found`. */
export async function listRuns(db: Reader, workstream: string, filter: RunFilter = {}): Promise<Run[]> {
  let query = selectRuns(db).where("r.workstream_id", "=", (await workstreamRow(db, workstream)).id);
  if (filter.task !== undefined) query = query.where("r.task", "=", filter.task);
  if (filter.role !== undefined) query = query.where("r.role", "=", filter.role);
  if (filter.day !== undefined) query = query.where("r.day", "=", filter.day);
  if (filter.state === "active") query = query.where("r.finished_at", "is", null);
  else if (filter.state !== undefined) query = query.where("r.state", "=", filter.state);
  return (await query.orderBy("r.id", "desc").execute()).map(toRun);
}
