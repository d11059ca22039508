import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Crew } from "../../agents/crew.js";
import type { Reader } from "../../db/schema.js";
import { asFault, Fault } from "../../errors.js";
import { type PushMark, pushMarkOf } from "../../flow/payload.js";
import { enumerate, quote } from "../../names.js";
import { detectBackend } from "../../vcs/backends.js";
import { changedIn, findMessage, findOutlet, isCommitted, type Outlet, upstreamOf } from "../../vcs/git/publish.js";
import { findCheckout } from "../checkout.js";
import { ARCHIVE, artifactPath, DELETED, JOBS, readFileOf, sha256 } from "../folder.js";
import { isArchived, type JobRow, jobRow, jobRows, partsOf } from "../job.js";
import {
  describe,
  type Group,
  type Member,
  namesOf,
  nestedWarning,
  type Pushes,
  type PushWish,
  type Skipped,
} from "./group.js";
import { busy, detached, noUpstream, stagedElsewhere } from "./refusals.js";

const LOCAL = "local-";

/** What `pushJobs` would do. Faults: see there. */
export async function planPush(crew: Crew, workstream: string, wish: PushWish = {}): Promise<Pushes> {
  const { groups, skipped } = await planGroups(crew, workstream, wish);
  const warnings = groups.flatMap(({ changed }) => nestedWarning(changed));
  return { pushes: groups.map((group) => describe(group, null)), skipped, warnings };
}

export async function planGroups(
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
    const own = job.plan.workspace ? await findCheckout(crew, job) : undefined;
    add(own ?? job.root, undefined, { job, report, left: "commit", mark });
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

export const openParts = async (db: Reader, { row }: JobRow) =>
  (await partsOf(db, row)).flatMap(({ name, status }) => (/^(?:OPEN|IN_PROGRESS)$/.test(status) ? [name] : []));

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
export function leavesOut(below: string): (path: string) => boolean {
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
