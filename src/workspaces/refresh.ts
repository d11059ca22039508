import type { Crew } from "../agents/crew.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import { type AgentRef, enumerate, quote } from "../names.js";
import { type Salvage, salvageWorkspace, targetOf } from "../salvage/salvage.js";
import { getBackend } from "../vcs/backends.js";
import type { BackendKey, Commit, Refreshed, VcsBackend } from "../vcs/vcs.js";
import { requireQuiet, type WhileBusy } from "./busy.js";
import { type Hold, noteIntent, withHold } from "./hold.js";
import { isThere } from "./revive.js";
import {
  checkoutOf,
  toWorkspace,
  type Workspace,
  type WorkspaceRow,
  workspaceRow,
  workspaceRows,
} from "./workspace.js";

export interface RefreshOptions {
  /** What to put the work on; without it the target branch. */
  onto?: string | undefined;
  whileBusy?: WhileBusy | undefined;
}

export interface RefreshedWorkspace {
  workspace: Workspace;
  outcome: "current" | "refreshed";
  /** The commits that were put on the new base, oldest first. */
  replayed: Commit[];
  salvage: Salvage | null;
}

/**
 * Puts an agent's commits on the newest state of the target branch, after everything unlanded was saved. Tasks in
 * progress go on from the same commit as it is now. A conflict leaves everything as it was. Interrupted, it can be
 * called again.
 *
 * Faults: `workspace.not_found`, `workspace.not_ready`, `workspace.dirty`, `workspace.conflict` with the files,
 * `workspace.in_use`, `workspace.in_progress`, `vcs.required`, `vcs.unknown_ref`, and those of the backend.
 */
export async function refreshWorkspace(
  crew: Crew,
  ref: AgentRef,
  options: RefreshOptions = {},
): Promise<RefreshedWorkspace> {
  const row = await readyRow(crew, ref);
  await requireQuiet(crew, row, options.whileBusy);
  return withHold(crew, row, async (hold) => {
    const backend = getBackend(row.backend as BackendKey);
    const target = await targetOf(crew, backend, row);
    const onto = options.onto ?? target?.commit;
    if (onto === undefined) throw noTarget(row);
    const salvage = await salvageWorkspace(crew, row, "workspace refresh");
    const before = await rememberStarts(crew, backend, row, hold);
    const refreshed = await backend.refresh(crew, checkoutOf(row), onto, target?.landed).catch((error) => {
      throw asOwnFault(error, row);
    });
    if (refreshed.outcome === "conflict") throw conflict(row, refreshed);
    const workspace = await settle(crew, backend, row, { base: refreshed.onto, before });
    return { workspace, outcome: refreshed.outcome, replayed: refreshed.replayed, salvage };
  });
}

/** How the refresh of one of several went; `refused` says why, with the fault's code. */
export interface RefreshAttempt extends Omit<RefreshedWorkspace, "outcome"> {
  outcome: RefreshedWorkspace["outcome"] | "refused";
  problem: string | null;
  code: string | null;
}

/** Refreshes all workspaces of a workstream, one after the other; one that is refused does not hinder the others. */
export async function refreshAll(
  crew: Crew,
  workstream: string,
  options: RefreshOptions = {},
): Promise<RefreshAttempt[]> {
  const attempts: RefreshAttempt[] = [];
  for (const row of await workspaceRows(crew.context.store.db, workstream)) {
    try {
      const done = await refreshWorkspace(crew, { workstream, name: row.agent }, options);
      attempts.push({ ...done, problem: null, code: null });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const why = { problem: error.message, code: error.code };
      attempts.push({ workspace: toWorkspace(row), outcome: "refused", replayed: [], salvage: null, ...why });
    }
  }
  return attempts;
}

/**
 * The workspace when it can be worked with. Faults `workspace.not_found`, `workspace.not_ready`,
 * `workspace.folder_gone`.
 */
export async function readyRow(crew: Crew, ref: AgentRef): Promise<WorkspaceRow> {
  const row = await workspaceRow(crew.context.store.db, ref);
  if (row.state === "ready" && (await isThere(row.path))) return row;
  if (row.state === "ready") throw folderGone(row);
  throw new Fault(
    "conflict",
    "workspace.not_ready",
    `The workspace of ${quote(ref.name)} is ${row.state}: that was begun and has not ended.`,
    row.state === "creating"
      ? [{ intent: "Make it", command: `mu workspace create ${ref.workstream}/${ref.name}` }]
      : [{ intent: "Free it", command: `mu workspace free ${ref.workstream}/${ref.name}` }],
    { state: row.state },
  );
}

function folderGone({ workstream, agent, path }: WorkspaceRow): Fault {
  return new Fault(
    "missing",
    "workspace.folder_gone",
    `The workspace of ${quote(agent)} has lost its folder: ${path}.`,
    [
      {
        intent: "Save what it had committed, and make it anew",
        command: `mu workspace recreate ${workstream}/${agent}`,
      },
      { intent: "Save that, and have none", command: `mu workspace free ${workstream}/${agent}` },
    ],
    { path },
  );
}

/** A commit as it can be known again after it was put on another base. */
type Trace = Pick<Commit, "author" | "authorDate" | "subject" | "body">;

/** Where the tasks in progress began, by commit; what a refresh that was cut off had noted counts as well. */
type Starts = Record<string, Trace>;

async function rememberStarts(crew: Crew, backend: VcsBackend, row: WorkspaceRow, hold: Hold): Promise<Starts> {
  const begun = new Set((await tasksInProgress(crew.context.store.db, row)).map((task) => task.work_from));
  const starts: Starts = hold.inherited === null ? {} : JSON.parse(hold.inherited);
  if (begun.size === 0 || row.base_ref === null) return starts;
  for (const { sha, author, authorDate, subject, body } of await backend.commits(crew, checkoutOf(row), row.base_ref)) {
    if (begun.has(sha)) starts[sha] = { author, authorDate, subject, body };
  }
  await noteIntent(crew, hold, starts);
  return starts;
}

function tasksInProgress(db: Tx["db"], row: WorkspaceRow): Promise<RowOf<"tasks">[]> {
  return db
    .selectFrom("tasks")
    .selectAll()
    .where("workstream_id", "=", row.workstream_id)
    .where("status", "=", "IN_PROGRESS")
    .where("work_agent", "=", row.agent)
    .where("work_from", "is not", null)
    .execute();
}

/** Writes down the new base, and where the tasks in progress begin now. */
async function settle(
  crew: Crew,
  backend: VcsBackend,
  row: WorkspaceRow,
  { base, before }: { base: string; before: Starts },
): Promise<Workspace> {
  const now = await backend.commits(crew, checkoutOf(row), base);
  const spec = { op: "workspace.refresh", scope: row.workstream, subject: `${row.workstream}/${row.agent}` };
  const patched = await write(crew.context, spec, async (tx) => {
    for (const task of await tasksInProgress(tx.db, row)) {
      await tx.patch("tasks", task.id, { work_from: startNow(task.work_from ?? base, { base, before, now }) }, task);
    }
    return tx.patch("workspaces", row.id, { base_ref: base });
  });
  return toWorkspace({ ...patched, workstream: row.workstream });
}

function startNow(start: string, { base, before, now }: { base: string; before: Starts; now: Commit[] }): string {
  if (now.some((commit) => commit.sha === start)) return start;
  const trace = before[start];
  const same = trace && now.find((commit) => isSame(commit, trace));
  return same?.sha ?? base;
}

function isSame(commit: Commit, trace: Trace): boolean {
  return (
    commit.author === trace.author &&
    commit.authorDate === trace.authorDate &&
    commit.subject === trace.subject &&
    commit.body === trace.body
  );
}

function asOwnFault(error: unknown, { workstream, agent }: WorkspaceRow): unknown {
  if (!(error instanceof Fault) || error.code !== "vcs.dirty") return error;
  return dirtyWorkspace({ workstream, name: agent }, error.details);
}

/** The fault for a verb that needs a workspace without uncommitted changes. */
export function dirtyWorkspace({ workstream, name }: AgentRef, details: Fault["details"] = {}): Fault {
  return new Fault(
    "conflict",
    "workspace.dirty",
    `The workspace of ${quote(name)} has changes that are not committed.`,
    [
      { intent: "See them", command: `mu workspace diff ${workstream}/${name} --stat` },
      { intent: "Let the agent commit them", command: `mu agent send ${workstream}/${name} 'Commit your work'` },
      { intent: "Save them and begin anew", command: `mu workspace recreate ${workstream}/${name}` },
    ],
    details,
  );
}

function conflict(
  { workstream, agent, path }: WorkspaceRow,
  { onto, conflicts }: Extract<Refreshed, { outcome: "conflict" }>,
): Fault {
  return new Fault(
    "conflict",
    "workspace.conflict",
    `The work of ${quote(agent)} does not fit on ${onto.slice(0, 12)}: ${enumerate(conflicts)}. Everything is as it was.`,
    [
      {
        intent: "Let the agent rebase by itself",
        command: `mu agent send ${workstream}/${agent} 'Rebase your commits onto ${onto.slice(0, 12)} and resolve the conflicts'`,
      },
      { intent: "Do it by hand", command: `cd ${path}` },
    ],
    { conflicts, onto },
  );
}

function noTarget({ root, workstream }: WorkspaceRow): Fault {
  return new Fault("conflict", "vcs.required", `${quote(root)} has no branch that work lands on.`, [
    { intent: "See the workspaces", command: `mu workspace list -w ${workstream}` },
  ]);
}
