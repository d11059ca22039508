import { existsSync } from "node:fs";
import { realpath, rename } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Crew } from "../agents/crew.js";
import type { Reader } from "../db/schema.js";
import { write } from "../db/write.js";
import { asFault, Fault } from "../errors.js";
import { type PushMark, pushMarkOf } from "../flow/payload.js";
import { withLandingLock } from "../landing/lock.js";
import { settleLeft } from "../landing/settle.js";
import { counted, enumerate, qualifiedName, quote, shellWord } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { detectBackend, getLander } from "../vcs/backends.js";
import {
  type Changed,
  changedIn,
  commitPaths,
  findMessage,
  findOutlet,
  isCommitted,
  keepCommit,
  type Outlet,
  pushUpstream,
  takeBack,
  type Upstream,
  upstreamOf,
} from "../vcs/git/publish.js";
import { findCommit } from "../vcs/git/run.js";
import { findWorkspaceRow } from "../workspaces/workspace.js";
import { recordWork } from "./checkout.js";
import { ARCHIVE, artifactPath, DELETED, JOBS, readFileOf, sha256 } from "./folder.js";
import {
  archiveFolder,
  archiveIn,
  isArchived,
  type JobRow,
  jobRow,
  jobRows,
  moveFolder,
  partsOf,
  setPayloadIn,
} from "./job.js";
import { keepAll } from "./special.js";

/** What is pushed together: the jobs of one checkout. */
export const PUSH = shape({
  /** The top of the checkout. */
  path: "string",
  branch: "string",
  remote: "string",
  jobs: "string[]",
  /** Of the commit; null if only the push is left. */
  subject: "string | null",
  /** What is committed, from the top of the checkout; the folders of the jobs move to the archive besides. */
  files: "string[]",
  /** Null in a dry run, and if there was nothing to commit. */
  commit: "string | null",
});
export type Push = TypeOf<typeof PUSH>;

export const PUSH_SKIPPED = shape({
  job: "string",
  why: ["no_report", "under_way", "local", "refused"],
  reason: "string",
});
type Skipped = TypeOf<typeof PUSH_SKIPPED>;

export interface PushWish {
  /** Only these; all that have a report without. */
  jobs?: readonly string[] | undefined;
  /** Also those whose names begin with `local-`. */
  includeLocal?: boolean | undefined;
}

export interface Pushes {
  pushes: Push[];
  skipped: Skipped[];
  warnings: { code: string; message: string }[];
}

interface Member {
  job: JobRow;
  report: string;
  /** What is left to do: a push that was cut off may have made the commit, and one that was refused has archived it. */
  left: "commit" | "archive" | "push";
  mark: PushMark | undefined;
}

interface Group {
  outlet: Outlet;
  branch: string;
  upstream: Upstream;
  /** The folder whose changes are committed. */
  folder: string;
  changed: Changed;
  members: Member[];
}

const LOCAL = "local-";

/** What `pushJobs` would do. Faults: see there. */
export async function planPush(crew: Crew, workstream: string, wish: PushWish = {}): Promise<Pushes> {
  const { groups, skipped } = await planGroups(crew, workstream, wish);
  const warnings = groups.flatMap(({ changed }) => nestedWarning(changed));
  return { pushes: groups.map((group) => describe(group, null)), skipped, warnings };
}

/**
 * Commits jobs that have a report, with the report as the message, archives them in the same commit, and pushes the
 * branch, never with force. Jobs of one checkout are one commit. A job with a checkout of its own is committed there.
 * What a push that was cut off has left is taken to its end.
 *
 * Faults `job.not_found`, `job.no_report`, `job.running`, `job.is_local`, `job.archived`, `job.push_needs_git`; with
 * nothing changed `job.detached`, `job.no_upstream`, `job.checkout_busy`, `job.staged_elsewhere`, `job.commit_refused`, `job.push_hook`; with the commit kept
 * `job.push_failed`; those of `withLandingLock`, `vcs.*`.
 */
export async function pushJobs(
  crew: Crew,
  workstream: string,
  wish: PushWish = {},
  options: { signal?: AbortSignal; remark?: (text: string) => void } = {},
): Promise<Pushes> {
  const first = await planGroups(crew, workstream, wish);
  const root = first.groups[0]?.outlet.path;
  if (root === undefined) return { pushes: [], skipped: first.skipped, warnings: [] };
  const { root: repository } = await detectBackend(crew, root);
  const names = enumerate(first.groups.flatMap(namesOf), 3);
  const purpose = `${names} in ${workstream}, pushed by ${crew.context.actor}`;
  return withLandingLock(crew, await getLander("git").lockFile(repository), { ...options, purpose }, async (lock) => {
    if (lock.left !== null) await settleLeft(crew, lock, options.remark);
    // Another push may have ended while this one waited.
    const { groups, skipped } = await planGroups(crew, workstream, wish, "again");
    const done: Pushes = { pushes: [], skipped, warnings: [] };
    for (const group of groups) {
      done.warnings.push(...nestedWarning(group.changed));
      done.pushes.push(describe(group, await pushGroup(crew, group, done)));
    }
    return done;
  });
}

const namesOf = ({ members }: Pick<Group, "members">) => members.map(({ job }) => job.row.name);
const toCommit = <M extends Member>(members: readonly M[]) => members.filter(({ left }) => left === "commit");

function nestedWarning({ nested }: Changed) {
  const message = `Not committed, as they are repositories of their own: ${enumerate(nested)}.`;
  return nested.length === 0 ? [] : [{ code: "nested", message }];
}

function describe(group: Group, commit: string | null): Push {
  const { outlet, branch, upstream, changed, members } = group;
  const fresh = toCommit(members);
  const subject = fresh.length === 0 ? null : (messageOf(fresh).split("\n", 1)[0] ?? null);
  const files = fresh.length === 0 ? [] : changed.files;
  return { path: outlet.path, branch, remote: upstream.remote, jobs: namesOf(group), subject, files, commit };
}

/** The subject of the oldest report, then everything else that the reports say. */
const messageOf = (members: readonly Member[]): string => `${members.map(({ report }) => report).join("\n\n")}\n`;

async function planGroups(
  crew: Crew,
  workstream: string,
  { jobs: named, includeLocal = false }: PushWish,
  again?: "again",
): Promise<{ groups: Group[]; skipped: Skipped[] }> {
  const { db } = crew.context.store;
  for (const name of named ?? []) await jobRow(db, { workstream, name });
  const rows = (await jobRows(db, workstream)).sort((a, b) => a.row.id - b.row.id);
  const chosen = named === undefined ? rows : rows.filter(({ row }) => named.includes(row.name));
  const skipped: Skipped[] = [];
  const places = new Map<string, Place>();
  const add = (folder: string, branch: string | undefined, member: Member) => {
    const place = places.get(`${folder}\0${branch}`) ?? { folder, branch, members: [] };
    place.members.push(member);
    places.set(`${folder}\0${branch}`, place);
  };
  for (const job of chosen) {
    const mark = pushMarkOf(job.row.payload);
    if (mark?.state === "committed") {
      const folder = existsSync(mark.path) ? mark.path : job.root;
      add(folder, mark.branch, { job, report: "", left: "push", mark });
      continue;
    }
    const report = await reportOf(job, mark);
    const why = await whyNot(crew, job, { report, includeLocal });
    // In the second look, what another push has done meanwhile is no mistake of the caller's.
    if (why !== undefined && named !== undefined && again === undefined) throw why.fault;
    if (why?.skipped !== undefined) skipped.push(why.skipped);
    if (why !== undefined || report === undefined) continue;
    add((await checkoutOf(crew, job)) ?? job.root, undefined, { job, report, left: "commit", mark });
  }
  return { groups: await toGroups(crew, [...places.values()], skipped), skipped };
}

/** A folder of a checkout; the branch is the one that it is on unless it is said. */
interface Place {
  folder: string;
  branch: string | undefined;
  members: Member[];
}

/** The text of a job's report, wherever a push that was cut off has left it. */
async function reportOf({ root, folder }: JobRow, mark: PushMark | undefined): Promise<string | undefined> {
  const isMoved = mark !== undefined && !existsSync(join(root, folder)) && existsSync(join(root, mark.folder));
  const text = (await readFileOf(root, artifactPath(isMoved ? mark.folder : folder, "report")))?.text;
  // A NUL would end the message; space is trimmed, and so is a byte order mark.
  return text?.replaceAll("\0", "").trim();
}

async function whyNot(
  crew: Crew,
  job: JobRow,
  { report, includeLocal }: { report: string | undefined; includeLocal: boolean },
): Promise<{ fault: Fault; skipped?: Skipped } | undefined> {
  const { name, workstream } = job.row;
  const no = (why: Skipped["why"], code: string, reason: string, intent: string, command: string) => {
    const fault = new Fault("conflict", code, `${name} ${reason}.`, [
      { intent, command: `${command} -w ${workstream}` },
    ]);
    return { fault, skipped: { job: name, why, reason } };
  };
  if (isArchived(job)) {
    const { fault } = no("refused", "job.archived", "is archived", "See the jobs", "mu job list --archived");
    return { fault };
  }
  if (report === undefined)
    return no("no_report", "job.no_report", "has no report.md yet", "Write it", `mu job run ${name} report`);
  if (name.startsWith(LOCAL) && !includeLocal) {
    const again = `mu job push ${name} --include-local`;
    return no("local", "job.is_local", "is for this machine only", "Push it all the same", again);
  }
  const open = await openParts(crew.context.store.db, job);
  if (open.length === 0) return undefined;
  const what = `still has ${enumerate(open)} to do`;
  return no("under_way", "job.running", what, "Cancel what is left of it", `mu job cancel ${name}`);
}

const openParts = async (db: Reader, { row }: JobRow) =>
  (await partsOf(db, row)).flatMap(({ name, status }) => (/^(?:OPEN|IN_PROGRESS)$/.test(status) ? [name] : []));

/** The job's own checkout, if it still has one. */
async function checkoutOf(crew: Crew, { row, plan }: JobRow): Promise<string | undefined> {
  if (!plan.workspace) return undefined;
  const space = await findWorkspaceRow(crew.context.store.db, row);
  return space?.state === "ready" && existsSync(space.path) ? space.path : undefined;
}

/** What can be pushed; the rest is skipped, or is the fault if it is all that there is. */
async function toGroups(crew: Crew, places: readonly Place[], skipped: Skipped[]): Promise<Group[]> {
  const groups: Group[] = [];
  const faults: Fault[] = [];
  for (const place of places) {
    try {
      groups.push(await toGroup(crew, place));
    } catch (error) {
      const fault = asFault(error);
      faults.push(fault);
      for (const job of namesOf(place)) skipped.push({ job, why: "refused", reason: fault.message });
    }
  }
  if (groups.length === 0 && faults[0] !== undefined) throw faults[0];
  return groups;
}

async function toGroup(crew: Crew, { folder: given, branch: pushed, members }: Place): Promise<Group> {
  const { backend } = await detectBackend(crew, given);
  if (backend.key !== "git") {
    throw new Fault("usage", "job.push_needs_git", `${quote(given)} is in no git repository: nothing to push.`);
  }
  const folder = await realpath(given);
  const outlet = await findOutlet(crew, folder);
  const branch = pushed ?? outlet.branch;
  if (pushed === undefined && outlet.underway !== null) throw busy(outlet);
  if (branch === null) throw detached(outlet, namesOf({ members })[0] ?? "");
  const upstream = await upstreamOf(crew, outlet.path, branch);
  if (upstream === null) throw await noUpstream(crew, outlet, branch);
  const group = { outlet, branch, upstream, folder, members, changed: { files: [], outside: [], nested: [] } };
  if (pushed !== undefined) return group;
  const changed = await changedIn(crew, outlet, folder, leavesOut(relative(outlet.path, folder)));
  if (changed.outside.length > 0) throw stagedElsewhere(outlet, folder, changed.outside);
  for (const member of members) if (await wasCommitted(crew, outlet, member)) member.left = "archive";
  return { ...group, changed };
}

/** What a commit leaves out below the project folder: jobs of this machine, and deleted ones. */
function leavesOut(below: string): (path: string) => boolean {
  const heads = [join(JOBS, LOCAL), join(ARCHIVE, LOCAL), `${DELETED}/`].map((path) => join(below, path));
  return (path) => heads.some((head) => path.startsWith(head));
}

async function wasCommitted(crew: Crew, outlet: Outlet, { job, mark }: Member): Promise<boolean> {
  if (mark === undefined || outlet.path !== mark.path) return false;
  const isIt = (message: string) => sha256(message.trim()) === mark.sha256;
  if ((await findMessage(crew, outlet, mark.before, isIt)) !== undefined) return true;
  const report = join(await realpath(job.root), artifactPath(mark.folder, "report"));
  return isCommitted(crew, outlet, relative(outlet.path, report));
}

/** Commits, pushes and archives; gives the commit. */
async function pushGroup(crew: Crew, group: Group, { warnings }: Pushes): Promise<string | null> {
  const { outlet, branch, upstream, members } = group;
  const begun = await begin(crew, group);
  let commit: string | null = null;
  const fresh = toCommit(begun);
  if (fresh.length > 0) {
    for (const { job, mark } of fresh) await moveFolder(job, mark.folder, job.row);
    commit = await commitAll(crew, group, fresh);
    if (commit === null) {
      const message = `${enumerate(fresh.map(({ job }) => job.row.name))}: nothing to commit; archived without a commit.`;
      warnings.push({ code: "nothing_to_commit", message });
    }
  }
  const refusal = await pushUpstream(crew, outlet.path, { branch, ...upstream });
  if (refusal?.by === "hook" && fresh.length === begun.length && fresh.length > 0) {
    if (commit !== null) await takeBack(crew, outlet, commit);
    await undo(crew, fresh);
    throw hookRefused(group, refusal.words, "Nothing was committed.");
  }
  await keepCommit(outlet);
  for (const { job, left } of members) if (left !== "push" && job.plan.workspace) await recordWork(crew, job);
  await confirm(crew, begun, refusal === undefined ? "pushed" : "committed");
  if (refusal?.by === "hook") throw hookRefused(group, refusal.words, "The commit is there.");
  if (refusal !== undefined) throw pushFailed(group, refusal.words);
  return commit;
}

type Begun = Member & { mark: PushMark };

/** Records where the files of the jobs go, so that a push that is cut off can be taken to its end. */
async function begin(crew: Crew, { outlet, branch, members }: Group): Promise<Begun[]> {
  const begun: Begun[] = [];
  const hash = sha256(messageOf(toCommit(members)).trim());
  for (const member of members) {
    const { job, mark, left } = member;
    if (left !== "push") await keepAll(crew, job);
    const isMoved = mark !== undefined && !existsSync(join(job.root, job.folder));
    const folder = isMoved ? mark.folder : archiveFolder(job.root, job.row.name);
    const made = { state: "begun", path: outlet.path, branch, before: outlet.head, folder, sha256: hash } as const;
    begun.push({ ...member, mark: left === "commit" || mark === undefined ? made : mark });
  }
  await record(crew, toCommit(begun), "begun", async (tx, { job, mark }) => {
    const open = await openParts(tx.db, job);
    if (open.length > 0) throw new Fault("conflict", "job.running", `${job.row.name} was begun to run just now.`);
    await setPayloadIn(tx, job.row, { push: mark });
  });
  return begun;
}

type Tx = Parameters<typeof archiveIn>[0];

/** One write about several jobs. */
async function record(
  { context }: Crew,
  members: readonly Begun[],
  state: string,
  work: (tx: Tx, member: Begun) => Promise<void>,
): Promise<void> {
  const row = members[0]?.job.row;
  if (row === undefined) return;
  const payload = { state, jobs: namesOf({ members: [...members] }) };
  await write(context, { op: "job.push", scope: row.workstream, subject: qualifiedName(row), payload }, async (tx) => {
    for (const member of members) await work(tx, member);
  });
}

/** Commits what is changed now. Where that is refused, all is as before. */
async function commitAll(crew: Crew, group: Group, fresh: readonly Begun[]): Promise<string | null> {
  const { outlet, folder } = group;
  try {
    const { files } = await changedIn(crew, outlet, folder, leavesOut(relative(outlet.path, folder)));
    const made = await commitPaths(crew, outlet, { paths: files, message: messageOf(fresh) });
    if (!("refused" in made)) return made.commit;
    throw commitRefused(group, made.refused);
  } catch (error) {
    // A commit that was made all the same is found by the next push.
    if (((await findCommit(crew, outlet.path, "HEAD")) ?? null) === outlet.head) await undo(crew, fresh);
    throw error;
  }
}

/** Puts the files of jobs back, and forgets their push. */
async function undo(crew: Crew, fresh: readonly Begun[]): Promise<void> {
  for (const { job, mark } of fresh) {
    const [from, to] = [join(job.root, mark.folder), join(job.root, job.folder)];
    if (existsSync(from) && !existsSync(to)) await rename(from, to);
  }
  await record(crew, fresh, "taken back", (tx, { job }) => setPayloadIn(tx, job.row, { push: undefined }));
}

/** Records that the jobs are archived, and whether their push is still to come. */
function confirm(crew: Crew, begun: readonly Begun[], state: "pushed" | "committed"): Promise<void> {
  const changed = begun.filter(({ left }) => left !== "push" || state === "pushed");
  return record(crew, changed, state, async (tx, { job, mark, left }) => {
    const push = state === "pushed" ? undefined : { ...mark, state };
    if (left === "push") await setPayloadIn(tx, job.row, { push });
    else await archiveIn(tx, job.row, mark.folder, { push });
  });
}

const gitAt = (path: string) => `git -C ${shellWord(path)}`;

function busy({ path, underway }: Outlet): Fault {
  return new Fault("conflict", "job.checkout_busy", `${quote(path)} has a ${underway} in progress. End it first.`, [
    { intent: "See its status", command: `${gitAt(path)} status` },
  ]);
}

function detached({ path }: Outlet, name: string): Fault {
  return new Fault("conflict", "job.detached", `${quote(path)} is on no branch. Nothing was changed.`, [
    { intent: "Put it on a branch", command: `${gitAt(path)} switch -c ${name}` },
  ]);
}

async function noUpstream(crew: Crew, { path }: Outlet, branch: string): Promise<Fault> {
  const remote = await getLander("git").remote(crew, path, branch);
  const isThere = remote && (await findCommit(crew, path, `refs/remotes/${remote}/${branch}`)) !== undefined;
  const word = shellWord(branch);
  const command =
    remote === undefined
      ? "remote add origin <url>"
      : isThere
        ? `branch --set-upstream-to=${remote}/${word} ${word}`
        : `push -u ${remote} ${word}`;
  const message = `${branch} in ${quote(path)} has no upstream branch to be pushed to. Nothing was changed.`;
  return new Fault("conflict", "job.no_upstream", message, [
    { intent: remote === undefined ? "Add a remote" : "Set it", command: `${gitAt(path)} ${command}` },
  ]);
}

function stagedElsewhere({ path }: Outlet, folder: string, files: readonly string[]): Fault {
  const what = `${counted(files.length, "file is", "files are")} staged outside of ${quote(folder)}: ${enumerate(files, 5)}`;
  return new Fault("conflict", "job.staged_elsewhere", `${what}. Commit or unstage them.`, [
    {
      intent: "Unstage them",
      command: `${gitAt(path)} restore --staged ${files.slice(0, 5).map(shellWord).join(" ")}`,
    },
  ]);
}

const said = (words: string) => words.replaceAll(/^/gm, "  ");

function commitRefused({ outlet: { path, branch } }: Group, words: string): Fault {
  const message = `git refused the commit on ${branch}; everything is as before. It said:\n${said(words)}`;
  return new Fault(
    "conflict",
    "job.commit_refused",
    message,
    [{ intent: "See what would be committed", command: `${gitAt(path)} status` }],
    { words },
  );
}

function hookRefused(group: Group, words: string, state: string): Fault {
  const message = `The pre-push hook refused ${group.branch}. ${state} It said:\n${said(words)}`;
  return new Fault("conflict", "job.push_hook", message, [again(group)], { words });
}

function pushFailed(group: Group, words: string): Fault {
  const { outlet, branch, upstream } = group;
  const message = `${upstream.remote} did not take ${branch}: ${words}. The commit is there and ${enumerate(namesOf(group))} archived; only the push is left.`;
  const pull = `${gitAt(outlet.path)} pull --rebase ${shellWord(upstream.remote)} ${shellWord(upstream.ref.replace("refs/heads/", ""))}`;
  const details = { words, jobs: namesOf(group), branch, remote: upstream.remote };
  return new Fault(
    "unavailable",
    "job.push_failed",
    message,
    [{ intent: "If it has newer commits, take them in", command: pull }, again(group)],
    details,
  );
}

function again({ members }: Group) {
  const workstream = members[0]?.job.row.workstream;
  return { intent: "Push again", command: `mu job push --yes -w ${workstream}` };
}
