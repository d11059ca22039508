import type { Reader } from "../db/schema.js";
import { Fault, ignoreFault, insteadOfFault } from "../errors.js";
import { qualifiedName } from "../names.js";
import type { TaskRow } from "../tasks/task.js";
import type { BareCommit, ChangedFile, CommitRange, DiffForm, SpanReader, VcsWorld } from "../vcs/vcs.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { backendOf } from "./place.js";
import { earlierWork, workOfTask } from "./work.js";

/** Where the changes of a task are: landed, finished, in progress, or nowhere. */
export const CHANGE_STATES = ["landed", "finished", "in progress", "none"] as const;

/** What a task has changed. */
export interface TaskChanges {
  state: (typeof CHANGE_STATES)[number];
  root: string;
  /** One for each landing, else at most one; `to` may be a tree. */
  spans: CommitRange[];
  /** Oldest first. */
  commits: BareCommit[];
  /** How many files of the workspace are not committed; they are in the span. */
  uncommitted: number;
}

const NONE: TaskChanges = { state: "none", root: "", spans: [], commits: [], uncommitted: 0 };

interface Scene {
  world: VcsWorld;
  db: Reader;
  spans: SpanReader;
}

/**
 * What a task has changed: what its landings brought to the branch, else its recorded work, else what is in its owner's
 * workspace, uncommitted files included. Faults `task.diff_unsupported` without git, `vcs.*`.
 */
export async function changesOf(world: VcsWorld, db: Reader, row: TaskRow): Promise<TaskChanges> {
  const { spans } = await backendOf({ backend: "git" });
  if (spans === undefined) return NONE;
  const scene = { world, db, spans };
  if (row.level === "landed") return landedChanges(scene, row);
  return row.status === "IN_PROGRESS" ? changesSoFar(scene, row) : recordedChanges(scene, row);
}

/** Whether a task may have commits. */
export const hasWork = (row: TaskRow) => row.work_agent !== null || row.landed_commit !== null;

/** Only the commits; none where they cannot be read. */
export async function commitsOfTask(world: VcsWorld, db: Reader, row: TaskRow): Promise<BareCommit[]> {
  return (await changesOf(world, db, row).catch(insteadOfFault(NONE))).commits;
}

interface Payload {
  commit?: string;
  branch?: string;
  commits?: number | null;
  onto?: string;
  said?: unknown;
}

/** What the landings of a task brought to a branch since it was last reverted, oldest first. */
export async function landedSpans(world: VcsWorld, db: Reader, row: TaskRow) {
  const root = row.work_root ?? (await workstreamRow(db, row.workstream)).root;
  const found: CommitRange[] = [];
  let branch: string | undefined;
  const reader = (await backendOf({ backend: "git" })).spans;
  for (const { commit, commits = null, onto = "", said, ...landing } of await landings(db, row)) {
    if (root === null || commit === undefined || (commits === 0 && typeof said !== "object")) continue;
    const span = await reader?.ofLanded(world, root, { commit, commits, onto });
    if (span === undefined) continue;
    found.push(span);
    branch = landing.branch;
  }
  return { root, branch, spans: found };
}

async function landedChanges(scene: Scene, row: TaskRow): Promise<TaskChanges> {
  const { world, db, spans } = scene;
  const { root, spans: found } = await landedSpans(world, db, row);
  if (root === null) return NONE;
  if (found.length === 0) return { ...(await recordedChanges(scene, row)), state: "landed" };
  const commits: BareCommit[] = [];
  for (const span of found) commits.push(...(await spans.commits(world, root, span)));
  return { state: "landed", root, spans: found, commits, uncommitted: 0 };
}

/** The landings of the task since it was last reverted, oldest first. */
async function landings(db: Reader, row: TaskRow): Promise<Payload[]> {
  const events = await db
    .selectFrom("events")
    .select(["op", "payload"])
    .where("scope", "=", row.workstream)
    .where("subject", "=", qualifiedName(row))
    .where("op", "in", ["land", "land.revert"])
    .orderBy("n")
    .execute();
  const last = events.findLastIndex(({ op }) => op === "land.revert");
  return events.slice(last + 1).map(({ payload }) => JSON.parse(payload) as Payload);
}

/** The work that a close recorded, or that was returned. */
async function recordedChanges(scene: Scene, row: TaskRow): Promise<TaskChanges> {
  const { work_root: root, work_from: from, work_agent: agent } = row;
  const to = row.work_to ?? (row.status === "OPEN" ? (await earlierWork(scene.db, row))?.commit : undefined);
  if (root === null || from === null || to === undefined || from === to) return NONE;
  const space = await spaceOf(scene.db, row, agent, root);
  await requireGit(row, space?.backend);
  const span = await scene.spans.ofWork(scene.world, root, { from, to }, await tipOf(scene, root, space?.branch));
  const commits = await scene.spans.commits(scene.world, root, span);
  return { state: "finished", root, spans: [span], commits, uncommitted: 0 };
}

async function changesSoFar(scene: Scene, row: TaskRow): Promise<TaskChanges> {
  const { world, db, spans } = scene;
  const work = await workOfTask(world, db, row, {});
  if (work === undefined) return NONE;
  const { space, standing } = work;
  await requireGit(row, space.backend);
  const from = work.from ?? space.base_ref;
  if (from === null) return NONE;
  const { root, path, shared } = space;
  const head = work.to ?? standing?.head ?? from;
  const target = await tipOf(scene, root, space.branch);
  const span = head === from ? { from, to: head } : await spans.ofWork(world, root, { from, to: head }, target);
  const commits = head === from ? [] : await spans.commits(world, root, span);
  // Uncommitted files of a shared checkout may be anybody's.
  const snapshot = shared ? undefined : await (await backendOf(space)).snapshot(world, { root, path });
  const uncommitted = snapshot?.dirty ? (standing?.dirty ?? 0) : 0;
  if (commits.length === 0 && uncommitted === 0) return NONE;
  const to = uncommitted > 0 ? (snapshot?.tree ?? head) : head;
  return { state: "in progress", root, spans: [{ from: span.from, to }], commits, uncommitted };
}

/** The commit that work lands on, if there is one. */
async function tipOf({ world }: Scene, root: string, branch: string | null | undefined): Promise<string | undefined> {
  const git = await backendOf({ backend: "git" });
  const none = ignoreFault("vcs.no_target", "vcs.unknown_ref");
  return (await git.target(world, root, branch ?? undefined).catch(none))?.commit;
}

function spaceOf(db: Reader, { workstream_id }: TaskRow, agent: string | null, root: string) {
  return db
    .selectFrom("workspaces")
    .select(["backend", "branch"])
    .where("workstream_id", "=", workstream_id)
    .where("agent", "=", agent ?? "")
    .where("root", "=", root)
    .orderBy("id", "desc")
    .limit(1)
    .executeTakeFirst();
}

async function requireGit({ name, work_agent }: TaskRow, backend = "git"): Promise<void> {
  if (backend === "git") return;
  const message = `The work of ${name} is not in a git repository, so mu cannot tell its changes apart.`;
  throw new Fault("conflict", "task.diff_unsupported", message, [
    { intent: "Show all changes of the workspace", command: `mu workspace diff ${work_agent ?? "<agent>"}` },
  ]);
}

/** The files of all spans, each once, by path. */
export async function filesOf(world: VcsWorld, { root, spans }: TaskChanges): Promise<ChangedFile[]> {
  const reader = (await backendOf({ backend: "git" })).spans;
  const found = new Map<string, ChangedFile>();
  for (const span of spans) {
    for (const { path, added, removed } of (await reader?.files(world, root, span)) ?? []) {
      const known = found.get(path) ?? { path, added: 0, removed: 0 };
      found.set(path, { path, added: sum(known.added, added), removed: sum(known.removed, removed) });
    }
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

const sum = (a: number | null, b: number | null) => (a === null || b === null ? null : a + b);

/** The changes as git prints them. */
export async function diffOf(world: VcsWorld, { root, spans }: TaskChanges, form: DiffForm): Promise<string> {
  const reader = (await backendOf({ backend: "git" })).spans;
  let text = "";
  for (const span of spans) text += (await reader?.text(world, root, span, form)) ?? "";
  return text;
}

/** The commands that show the changes to a person. */
export async function diffCommands({ root, spans }: TaskChanges, form: DiffForm) {
  const reader = (await backendOf({ backend: "git" })).spans;
  return spans.flatMap((span) => reader?.command(root, span, form) ?? []);
}
