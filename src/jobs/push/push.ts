import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Crew } from "../../agents/crew.js";
import { write } from "../../db/write.js";
import { Fault } from "../../errors.js";
import type { PushMark } from "../../flow/payload.js";
import { withLandingLock } from "../../landing/lock.js";
import { settleLeft } from "../../landing/settle.js";
import { enumerate, qualifiedName } from "../../names.js";
import { detectBackend, getLander } from "../../vcs/backends.js";
import { changedIn, commitPaths, keepCommit, pushUpstream, takeBack } from "../../vcs/git/publish.js";
import { findCommit } from "../../vcs/git/run.js";
import { recordWork } from "../checkout.js";
import { sha256 } from "../folder.js";
import { archiveFolder, archiveIn, moveFolder, setPayloadIn } from "../job.js";
import { keepAll } from "../special.js";
import {
  describe,
  type Group,
  type Member,
  messageOf,
  namesOf,
  nestedWarning,
  type Pushes,
  type PushWish,
  toCommit,
} from "./group.js";
import { leavesOut, openParts, planGroups } from "./plan.js";
import { commitRefused, hookRefused, pushFailed } from "./refusals.js";

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
