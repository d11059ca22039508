import { type Claimant, claimantRow } from "../agents/agent.js";
import { localTime } from "../clock.js";
import type { Context } from "../db/context.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import { enumerate, qualifiedName, type TaskRef } from "../names.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { claimantName, lease, type TaskToChange, taskToChange, taskVerb } from "./change.js";
import { openBlockers } from "./graph.js";
import { type StatusChange, unchanged } from "./lifecycle.js";
import { insertEvidence } from "./notes.js";
import {
  chooseUncontested,
  countWork,
  type Globs,
  loadGlobs,
  MOST_CANDIDATES,
  type PassedOver,
  readyTaskRows,
  type WorkCounts,
} from "./ready.js";
import { CONTAINER_KINDS, lookAt, type TaskRow, toTask } from "./task.js";
import { transition } from "./transition.js";

/** Where a claimant works, read before the claim: commits after `head` belong to the task. */
export interface WorkBegun {
  agent: string;
  root: string;
  /** Null for a copy, which has no commits. */
  head: string | null;
  /** Starting commits of earlier claims that the workspace still contains. */
  continues: ReadonlySet<string>;
}

export interface ClaimOptions {
  /** The claim expires after this long without activity by its owner. */
  leaseSeconds?: number | undefined;
  /** `expired`: also take a task whose lease has expired or whose owner is gone. */
  steal?: "expired" | undefined;
  /** Kept as a note of kind `evidence`. */
  evidence?: string | undefined;
  /** Where the claimant works; without it no commits are recorded. */
  work?: WorkBegun | undefined;
}

/** The result of a claim; unchanged if the claimant owned the task already and nothing was written. */
export type Claim = StatusChange;

/**
 * Claims the task: OPEN becomes IN_PROGRESS. Claiming one's own task is a no-op, or renews its lease. Faults: `task.not_open`, `task.already_claimed`, `task.lease_active`, `task.container`, `task.held`,
 * `task.not_before`, `task.blocked`, `task.invalid_lease`, `task.not_found`, `agent.not_found`, `agent.replaced`.
 */
export const claimTask = taskVerb("task.claim", claimTaskIn, (claimant) => ({ owner: claimantName(claimant) }));

export async function claimTaskIn(
  tx: Tx,
  ref: TaskRef,
  claimant: Claimant,
  options: ClaimOptions = {},
): Promise<Claim> {
  const row = await taskToChange(tx.db, ref);
  const agent = await claimantRow(tx, { id: row.workstream_id, name: row.workstream }, claimant);
  if (row.owner_id === agent.id && row.status === "IN_PROGRESS") return renew(tx, row, agent.name, options);
  if (row.status === "IN_PROGRESS" && options.steal === "expired") {
    requireAbandoned(row, tx.now);
    tx.addPayload({ stolenFrom: row.owner });
    return assign(tx, row, agent, "steal", options);
  }
  await requireClaimable(tx, row);
  return assign(tx, row, agent, "claim", options);
}

/** The owner claims again: a given lease starts over, anything else stays. */
async function renew(tx: Tx, row: TaskRow, owner: string, { leaseSeconds, evidence }: ClaimOptions): Promise<Claim> {
  if (leaseSeconds === undefined && evidence === undefined) return unchanged(row);
  const columns = { ...(leaseSeconds !== undefined && lease(tx.now, leaseSeconds)), updated_at: tx.now };
  await tx.patch("tasks", row.id, columns, row);
  await insertEvidence(tx, row.id, owner, evidence);
  return { ...unchanged(row), task: toTask({ ...row, ...columns }), changed: true };
}

async function assign(
  tx: Tx,
  row: TaskRow,
  agent: RowOf<"agents">,
  verb: "claim" | "steal",
  options: ClaimOptions,
): Promise<Claim> {
  const after = await transition(tx, row, verb, {
    owner_id: agent.id,
    claim_generation: row.claim_generation + 1,
    ...lease(tx.now, options.leaseSeconds),
    ...workColumnsOf(row, agent.name, options.work),
  });
  if (after === undefined) throw new Error(`${row.name} is ${row.status}: no ${verb} from there`);
  await insertEvidence(tx, row.id, agent.name, options.evidence);
  return { ...unchanged(row), task: toTask({ ...after, owner: agent.name }), changed: true };
}

/** Records where the work of a claim begins, for a claimant that gets its workspace after the claim. */
export async function beginWorkIn(tx: Tx, row: TaskRow, begun: WorkBegun): Promise<void> {
  await tx.patch("tasks", row.id, workColumnsOf(row, begun.agent, begun), row);
}

/** Where the claim's work begins; all null if `begun` is not the claimant's. */
function workColumnsOf(row: TaskRow, agent: string, begun: WorkBegun | undefined) {
  if (begun?.agent !== agent) return { work_agent: null, work_root: null, work_from: null };
  const { root, head, continues } = begun;
  const continued = row.work_agent === agent && row.work_root === root && continues.has(row.work_from ?? "");
  return { work_agent: agent, work_root: root, work_from: continued ? row.work_from : head };
}

/** Refuses to steal a claim that is still valid. */
function requireAbandoned(row: TaskToChange, now: string): void {
  if (row.owner_id === null || row.owner_closed_at !== null) return;
  if (row.lease_until === null) throw alreadyClaimed(row);
  if (row.lease_until <= now) return;
  throw new Fault(
    "conflict",
    "task.lease_active",
    `${row.name} is leased by ${row.owner} until ${localTime(row.lease_until)}. Retry after that.`,
    [takeAnother(row)],
    { owner: row.owner, leaseUntil: row.lease_until },
  );
}

/** Refuses a task that nobody may claim now. Faults as `claimTask`. */
export async function requireClaimable(tx: Pick<Tx, "db" | "now">, row: TaskToChange): Promise<void> {
  if (row.status === "IN_PROGRESS") throw alreadyClaimed(row);
  const refuse = (code: string, why: string, details: Record<string, unknown> = {}) =>
    new Fault("conflict", code, `${row.name} ${why}`, [lookAt(row), takeAnother(row)], details);

  if (row.status !== "OPEN") throw refuse("task.not_open", `is ${row.status}. Open it first.`);
  if (CONTAINER_KINDS.includes(row.kind)) throw refuse("task.container", `is a ${row.kind}. Claim a task in it.`);
  if (row.hold !== null) {
    throw refuse("task.held", `is held (${row.hold})${row.hold_reason === null ? "." : `: ${row.hold_reason}`}`);
  }
  if (row.not_before !== null && row.not_before > tx.now) {
    throw refuse("task.not_before", `may not start before ${localTime(row.not_before)}.`, {
      notBefore: row.not_before,
    });
  }
  if (row.blocked === 0) return;
  const blockers = await openBlockers(tx.db, row.id);
  throw refuse("task.blocked", `is blocked by ${enumerate(blockers)}.`, { blockers });
}

function alreadyClaimed(row: TaskToChange): Fault {
  return new Fault(
    "conflict",
    "task.already_claimed",
    `${row.name} is ${row.status} by ${row.owner ?? "nobody"}.`,
    [takeAnother(row), lookAt(row)],
    { owner: row.owner },
  );
}

const takeAnother = ({ workstream }: TaskRow) => ({
  intent: "Claim another one",
  command: `mu task claim --next -w ${workstream}`,
});

export interface ClaimNextOptions extends Pick<ClaimOptions, "leaseSeconds" | "work"> {
  /** Claim a task for this role or for none, instead of the claimant's own role. */
  role?: string | undefined;
}

export interface NextClaim extends Claim {
  passedOver: PassedOver[];
}

/**
 * Claims the best ready task for the claimant's role, or for no role. Of tasks that are as
 * good as the best it takes one whose declared files no other agent is changing, and reports the ones it passed over. Faults
 * `task.none_ready` with counts, `workstream.not_found`, `task.invalid_lease`, `agent.not_found`, `agent.replaced`.
 */
export async function claimNext(
  context: Context,
  workstream: string,
  claimant: Claimant,
  options: ClaimNextOptions = {},
): Promise<NextClaim> {
  const payload = { owner: claimantName(claimant) };
  const globs = await loadGlobs(context.store.db, workstream);
  return write(context, { op: "task.claim", scope: workstream, subject: workstream, payload }, async (tx) => {
    const claim = await claimNextIn(tx, workstream, claimant, { ...options, globs });
    tx.about(qualifiedName(claim.task));
    return claim;
  });
}

/** As `claimNext`; `globs` come from `loadGlobs` before the write, and without them `touches` are not compared. */
export async function claimNextIn(
  tx: Tx,
  workstream: string,
  claimant: Claimant,
  { globs, ...options }: ClaimNextOptions & { globs?: Globs | undefined } = {},
): Promise<NextClaim> {
  const { id, name } = await workstreamRow(tx.db, workstream);
  const agent = await claimantRow(tx, { id, name }, claimant);
  const role = options.role ?? agent.role;
  const best = (limit: number) => readyTaskRows(tx.db, workstream, { role, limit, now: tx.now });
  const [first] = await best(1);
  if (first === undefined) throw noneReady(workstream, role, await countWork(tx.db, id, tx.now));
  const taker = { workstreamId: id, agent: agent.name };
  const { row, passedOver } = await chooseUncontested(tx.db, taker, first, {
    globs,
    others: () => best(MOST_CANDIDATES),
  });
  if (passedOver.length > 0) tx.addPayload({ passedOver });
  return { ...(await assign(tx, row, agent, "claim", options)), passedOver };
}

function noneReady(workstream: string, role: string | null, counts: WorkCounts): Fault {
  const { ready, blocked, held, waiting, inProgress, open } = counts;
  const others = ready === 0 ? "" : ` for ${role === null ? "agents without a role" : `the role ${role}`}`;
  const words = { "ready for other roles": ready, blocked, held, "not due yet": waiting, "in progress": inProgress };
  const rest = Object.entries(words).flatMap(([what, count]) => (count === 0 ? [] : [`${count} ${what}`]));
  const why = open + inProgress === 0 ? "All work is done." : `${rest.join(", ")}.`;
  return new Fault(
    "missing",
    "task.none_ready",
    `Nothing is ready in ${workstream}${others}. ${why}`,
    [
      { intent: "See what there is", command: `mu state -w ${workstream}` },
      { intent: "Add a task", command: `mu task add 'What to do next' -w ${workstream}` },
    ],
    { ...counts },
  );
}
