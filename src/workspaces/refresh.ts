import type { Crew } from "../agents/crew.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { type AgentRef, enumerate, quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { getBackend } from "../vcs/backends.js";
import { type BackendKey, COMMIT, type Commit, type Refreshed, type VcsBackend } from "../vcs/vcs.js";
import { requireQuiet, type WhileBusy } from "./busy.js";
import { type Hold, noteIntent, withHold } from "./hold.js";
import { SALVAGE, salvageWorkspace } from "./salvage.js";
import { targetOf } from "./target.js";
import {
  checkoutOf,
  readyRow,
  toWorkspace,
  WORKSPACE,
  type Workspace,
  type WorkspaceRow,
  workspaceRows,
} from "./workspace.js";

interface RefreshOptions {
  /** What to put the work on; without it the target branch. */
  onto?: string | undefined;
  whileBusy?: WhileBusy | undefined;
}

export const REFRESH_ATTEMPT = shape({
  workspace: WORKSPACE,
  outcome: ["current", "refreshed", "refused"],
  /** The commits that were put on the new base, oldest first. */
  replayed: [COMMIT],
  salvage: [SALVAGE, null],
  problem: "string | null",
  code: "string | null",
});

type RefreshAttempt = TypeOf<typeof REFRESH_ATTEMPT>;

interface RefreshedWorkspace extends Omit<RefreshAttempt, "problem" | "code"> {
  outcome: "current" | "refreshed";
}

/**
 * Puts an agent's commits on the newest state of the target branch, after everything unlanded was saved. The work of
 * its tasks that have not landed is the same commits as they are called now. A conflict leaves everything as it was.
 * Interrupted, it can be called again.
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
    const before = await rememberEnds(crew, backend, row, hold);
    const refreshed = await backend.refresh(crew, checkoutOf(row), onto, target?.landed).catch((error) => {
      throw asOwnFault(error, row);
    });
    if (refreshed.outcome === "conflict") throw conflict(row, refreshed);
    const workspace = await settle(crew, backend, row, { base: refreshed.onto, before });
    return { workspace, outcome: refreshed.outcome, replayed: refreshed.replayed, salvage };
  });
}

/** How the refresh of one of several went; `refused` says why, with the fault's code. */
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

/** A commit as it can be known again after it was put on another base. */
type Trace = Pick<Commit, "author" | "authorDate" | "subject" | "body">;

/** Where the tasks of a workspace begin and end, by commit; what a refresh that was cut off had noted counts as well. */
type Ends = Record<string, Trace>;

async function rememberEnds(host: Host, backend: VcsBackend, row: WorkspaceRow, hold: Hold): Promise<Ends> {
  const tasks = await unlandedTasks(host.context.store.db, row);
  const wanted = new Set(tasks.flatMap((task) => [task.work_from, task.work_to]));
  const ends: Ends = hold.inherited === null ? {} : JSON.parse(hold.inherited);
  if (wanted.size === 0 || row.base_ref === null) return ends;
  for (const { sha, author, authorDate, subject, body } of await backend.commits(host, checkoutOf(row), row.base_ref)) {
    if (wanted.has(sha)) ends[sha] = { author, authorDate, subject, body };
  }
  await noteIntent(host, hold, ends);
  return ends;
}

/** The tasks whose work is in this workspace and nowhere else yet: at work on, given back, or finished. */
function unlandedTasks(db: Tx["db"], row: WorkspaceRow): Promise<RowOf<"tasks">[]> {
  return db
    .selectFrom("tasks")
    .selectAll()
    .where("workstream_id", "=", row.workstream_id)
    .where("status", "in", ["OPEN", "IN_PROGRESS", "CLOSED"])
    .where((e) => e.or([e("level", "is", null), e("level", "<>", "landed")]))
    .where("work_agent", "=", row.agent)
    .where("work_root", "=", row.root)
    .where("work_from", "is not", null)
    .orderBy("id")
    .execute();
}

/** How the commits of a workspace were called before its refresh, and what is there now. */
interface Rewritten {
  oldBase: string | null;
  base: string;
  before: Ends;
  now: Commit[];
}

/** Writes down the new base, and what the work of the workspace's tasks is now. */
async function settle(
  host: Host,
  backend: VcsBackend,
  row: WorkspaceRow,
  { base, before }: Pick<Rewritten, "base" | "before">,
): Promise<Workspace> {
  const now = await backend.commits(host, checkoutOf(row), base);
  const rewritten = { oldBase: row.base_ref, base, before, now };
  await keepEnds(host, backend, row, rewritten);
  const spec = { op: "workspace.refresh", scope: row.workstream, subject: `${row.workstream}/${row.agent}` };
  const patched = await write(host.context, spec, async (tx) => {
    for (const task of await unlandedTasks(tx.db, row)) {
      await tx.patch("tasks", task.id, workNow(task, rewritten), task);
    }
    return tx.patch("workspaces", row.id, { base_ref: base });
  });
  return toWorkspace({ ...patched, workstream: row.workstream });
}

/** What finished tasks end with now stays alive as their old ends do. */
async function keepEnds(host: Host, backend: VcsBackend, row: WorkspaceRow, rewritten: Rewritten): Promise<void> {
  for (const task of await unlandedTasks(host.context.store.db, row)) {
    const { work_to: end } = workNow(task, rewritten);
    if (end && end !== task.work_to) await backend.keep?.(host, row.root, `${row.workstream}/${task.name}`, end);
  }
}

/**
 * The work of a task as it is called now. A finished one whose end is not in the workspace any more keeps its own
 * commits, and so does one that was given back and begins elsewhere.
 */
function workNow(
  { status, work_from: from, work_to: to }: RowOf<"tasks">,
  rewritten: Rewritten,
): Partial<Pick<RowOf<"tasks">, "work_from" | "work_to">> {
  if (from === null) return {};
  if (status === "CLOSED") {
    const end = to === null || to === from ? undefined : nameNow(to, rewritten);
    return end === undefined ? {} : { work_from: startNow(from, rewritten), work_to: end };
  }
  const { oldBase, before, now } = rewritten;
  const isHere = from === oldBase || Object.hasOwn(before, from) || now.some((commit) => commit.sha === from);
  return status === "IN_PROGRESS" || isHere ? { work_from: startNow(from, rewritten) } : {};
}

const startNow = (start: string, rewritten: Rewritten) => nameNow(start, rewritten) ?? rewritten.base;

/** What a commit is called now; undefined when it is not among the workspace's own any more. */
function nameNow(sha: string, { before, now }: Rewritten): string | undefined {
  if (now.some((commit) => commit.sha === sha)) return sha;
  const trace = before[sha];
  return trace && now.find((commit) => isSame(commit, trace))?.sha;
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
