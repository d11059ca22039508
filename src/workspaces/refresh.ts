import { agentRows, PANELESS } from "../agents/agent.js";
import type { TmuxHost } from "../agents/crew.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { asFault, Fault } from "../errors.js";
import type { Host } from "../host.js";
import { type AgentRef, enumerate, quote, shellWord } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { isApproved } from "../tasks/approved.js";
import { getBackend } from "../vcs/backends.js";
import { COMMIT, type Commit, type Refreshed, type VcsBackend } from "../vcs/vcs.js";
import { requireIdle, type WhileBusy } from "./busy.js";
import { type Hold, noteIntent, withHold } from "./hold.js";
import { SALVAGE, salvageWorkspace } from "./salvage.js";
import { targetOf } from "./target.js";
import {
  aboutWorkspace,
  readyRow,
  toWorkspace,
  WORKSPACE,
  type Workspace,
  type WorkspaceRow,
  workspaceRows,
} from "./workspace.js";

interface RefreshOptions {
  /** What to rebase onto; default: the target branch. */
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
 * Saves an agent's unlanded work and rebases its commits onto the target branch. Updates the commits recorded for its
 * unlanded tasks. A conflict leaves everything as it was. Can be run again after an interruption.
 *
 * Faults: `workspace.not_found`, `workspace.not_ready`, `workspace.dirty`, `workspace.conflict` with the files,
 * `workspace.in_use`, `workspace.in_progress`, `vcs.required`, `vcs.unknown_ref`, and those of the backend.
 */
export async function refreshWorkspace(
  crew: TmuxHost,
  ref: AgentRef,
  options: RefreshOptions = {},
): Promise<RefreshedWorkspace> {
  const row = await readyRow(crew, ref);
  await requireIdle(crew, row, options.whileBusy);
  return withHold(crew, row, async (hold) => {
    const backend = getBackend(row.backend);
    const target = await targetOf(crew, crew.context.store.db, row);
    const onto = options.onto ?? target?.commit;
    if (onto === undefined) throw noTarget(row);
    const salvage = await salvageWorkspace(crew, row, "workspace refresh", "stays");
    const before = await noteTaskCommits(crew, backend, row, hold);
    const refreshed = await backend.refresh(crew, row, onto, target?.landed).catch(async (error) => {
      throw await asOwnFault(crew, error, row);
    });
    if (refreshed.outcome === "conflict") throw await conflict(crew, row, refreshed);
    const workspace = await finishRefresh(crew, backend, row, { base: refreshed.onto, before });
    return { workspace, outcome: refreshed.outcome, replayed: refreshed.replayed, salvage };
  });
}

/** Refreshes all workspaces of a workstream in turn; continues if one is refused. */
export async function refreshAll(
  crew: TmuxHost,
  workstream: string,
  options: RefreshOptions = {},
): Promise<RefreshAttempt[]> {
  const attempts: RefreshAttempt[] = [];
  for (const row of await workspaceRows(crew.context.store.db, workstream)) {
    try {
      const done = await refreshWorkspace(crew, { workstream, name: row.agent }, options);
      attempts.push({ ...done, problem: null, code: null });
    } catch (error) {
      const { message: problem, code } = asFault(error);
      const why = { problem, code };
      attempts.push({ workspace: toWorkspace(row), outcome: "refused", replayed: [], salvage: null, ...why });
    }
  }
  return attempts;
}

/** Identifies a commit after a rebase. */
const TRACED = ["author", "authorDate", "subject", "body"] as const;
type Trace = Pick<Commit, (typeof TRACED)[number]>;

/** The first and last commits of a workspace's tasks, by id; includes what an interrupted refresh noted. */
type TaskCommits = Record<string, Trace>;

async function noteTaskCommits(host: Host, backend: VcsBackend, row: WorkspaceRow, hold: Hold): Promise<TaskCommits> {
  const tasks = await unlandedTasks(host.context.store.db, row);
  const wanted = new Set(tasks.flatMap((task) => [task.work_from, task.work_to]));
  const ends: TaskCommits = hold.inherited === null ? {} : JSON.parse(hold.inherited);
  if (wanted.size === 0 || row.base_ref === null) return ends;
  for (const { sha, author, authorDate, subject, body } of await backend.commits(host, row, row.base_ref)) {
    if (wanted.has(sha)) ends[sha] = { author, authorDate, subject, body };
  }
  await noteIntent(host, hold, ends);
  return ends;
}

/** The tasks with unlanded work in this workspace. */
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

/** The commits of a workspace before and after its refresh. */
interface Rewritten {
  oldBase: string | null;
  base: string;
  before: TaskCommits;
  now: Commit[];
}

async function finishRefresh(
  host: Host,
  backend: VcsBackend,
  row: WorkspaceRow,
  { base, before }: Pick<Rewritten, "base" | "before">,
): Promise<Workspace> {
  const now = await backend.commits(host, row, base);
  const rewritten = { oldBase: row.base_ref, base, before, now };
  await keepEnds(host, backend, row, rewritten);
  return write(host.context, aboutWorkspace("workspace.refresh", row), (tx) => recordRefreshIn(tx, row, rewritten));
}

/** Records the new base of a workspace, and the new commits of its tasks. */
export async function recordRefreshIn(tx: Tx, row: WorkspaceRow, rewritten: Rewritten): Promise<Workspace> {
  for (const task of await unlandedTasks(tx.db, row)) {
    const commits = newCommits(task, rewritten);
    const { work_to: approved_commit, work_from: approved_from } = commits;
    // A clean rebase changes nothing that was approved.
    const approval =
      approved_commit && isApproved(task) ? { approved_commit, approved_from: approved_from ?? null } : {};
    await tx.patch("tasks", task.id, { ...commits, ...approval }, task);
  }
  const patched = await tx.patch("workspaces", row.id, { base_ref: rewritten.base });
  return toWorkspace({ ...patched, workstream: row.workstream });
}

/** Keeps the rebased last commits of finished tasks alive. */
async function keepEnds(host: Host, backend: VcsBackend, row: WorkspaceRow, rewritten: Rewritten): Promise<void> {
  for (const task of await unlandedTasks(host.context.store.db, row)) {
    const { work_to: end } = newCommits(task, rewritten);
    if (end && end !== task.work_to) await backend.keep?.(host, row.root, `${row.workstream}/${task.name}`, end);
  }
}

/**
 * The new first and last commit of a task. Unchanged for a finished task whose last commit is no longer in the
 * workspace, and for a released task that starts elsewhere.
 */
function newCommits(
  { status, work_from: from, work_to: to }: RowOf<"tasks">,
  rewritten: Rewritten,
): Partial<Pick<RowOf<"tasks">, "work_from" | "work_to">> {
  if (from === null) return {};
  if (status === "CLOSED") {
    const end = to === null || to === from ? undefined : newId(to, rewritten);
    return end === undefined ? {} : { work_from: newStart(from, rewritten), work_to: end };
  }
  const { oldBase, before, now } = rewritten;
  const isHere = from === oldBase || Object.hasOwn(before, from) || now.some((commit) => commit.sha === from);
  return status === "IN_PROGRESS" || isHere ? { work_from: newStart(from, rewritten) } : {};
}

const newStart = (start: string, rewritten: Rewritten) => newId(start, rewritten) ?? rewritten.base;

/** The new id of a commit; undefined if it is no longer one of the workspace's. */
function newId(sha: string, { before, now }: Rewritten): string | undefined {
  if (now.some((commit) => commit.sha === sha)) return sha;
  const trace = before[sha];
  return trace && now.find((commit) => TRACED.every((field) => commit[field] === trace[field]))?.sha;
}

async function asOwnFault(host: Host, error: unknown, row: WorkspaceRow): Promise<unknown> {
  if (!(error instanceof Fault) || error.code !== "vcs.dirty") return error;
  return dirtyWorkspace(host, row, error.details);
}

/** The fault for a workspace with uncommitted changes. */
export async function dirtyWorkspace(host: Host, row: WorkspaceRow, details: Fault["details"] = {}): Promise<Fault> {
  const name = `${row.workstream}/${row.agent}`;
  return new Fault(
    "conflict",
    "workspace.dirty",
    `The workspace of ${quote(row.agent)} has uncommitted changes.`,
    [
      { intent: "List them", command: `mu workspace diff ${name} --stat` },
      ...(await askAgent(host, row, "commit them", "Commit your work")),
      { intent: "Commit them by hand", command: `cd ${shellWord(row.path)}` },
      { intent: "Save them and start over", command: `mu workspace recreate ${name}` },
    ],
    details,
  );
}

async function conflict(
  host: Host,
  row: WorkspaceRow,
  { onto, conflicts }: Extract<Refreshed, { outcome: "conflict" }>,
): Promise<Fault> {
  const target = onto.slice(0, 12);
  return new Fault(
    "conflict",
    "workspace.conflict",
    `The work of ${quote(row.agent)} conflicts with ${target} in ${enumerate(conflicts)}. Nothing was changed.`,
    [
      ...(await askAgent(host, row, "rebase", `Rebase your commits onto ${target} and resolve the conflicts`)),
      { intent: "Rebase by hand", command: `cd ${shellWord(row.path)}` },
    ],
    { conflicts, onto },
  );
}

/** A prompt for the workspace's agent, if it is open: one that is closed gets none. */
async function askAgent(host: Host, { workstream, agent }: WorkspaceRow, what: string, prompt: string) {
  const open = await agentRows(host.context.store.db, workstream);
  if (!open.some(({ name, cli }) => name === agent && !PANELESS.includes(cli))) return [];
  return [{ intent: `Ask the agent to ${what}`, command: `mu agent send ${workstream}/${agent} '${prompt}'` }];
}

function noTarget({ root, workstream }: WorkspaceRow): Fault {
  return new Fault("conflict", "vcs.required", `${quote(root)} has no branch to land on.`, [
    { intent: "List the workspaces", command: `mu workspace list -w ${workstream}` },
  ]);
}
