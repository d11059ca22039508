import { join } from "node:path";
import type { TmuxHost } from "../agents/crew.js";
import { newGroup } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { Fault } from "../errors.js";
import { duration, enumerate, qualifiedName, type TaskRef } from "../names.js";
import { redact, secretsIn } from "../redact.js";
import { taskToChange, taskVerb } from "../tasks/change.js";
import { lastCheck } from "../tasks/checks.js";
import { listNotes } from "../tasks/notes.js";
import { selectTasks, type TaskRow, taskRow } from "../tasks/task.js";
import { gh } from "../vcs/github.js";
import { getSettings, workstreamRow } from "../workstreams/workstream.js";
import { redOf } from "./batch.js";
import { type CheckAnswer, withChecker } from "./checker.js";
import { type Candidate, chooseTasks } from "./choose.js";
import type { LandOptions } from "./land.js";
import { withLandingLock } from "./lock.js";
import { type PullRequest, type Returned, returnRed } from "./outcome.js";
import { findPlace, type Place } from "./place.js";
import { scratchFolder } from "./settle.js";
import { auditTrailers, stackTasks } from "./stack.js";

type PullRequestOptions = Omit<LandOptions, "push">;

/**
 * Pushes a finished task's commits as the branch `mu/<task>`, on the remote's target and checked like any landing, and
 * opens a pull request, or updates the one that is open. A task with which the check fails is returned instead, as
 * `landTasks` does. Faults `landing.no_gh`, `landing.gh_failed`, `landing.no_remote`,
 * `landing.no_commits`, `landing.pr_conflict`, `landing.pr_red`, `landing.push_failed`, and those of `chooseTasks` and `findPlace`.
 */
export async function openPullRequest(
  crew: TmuxHost,
  ref: TaskRef,
  options: PullRequestOptions = {},
): Promise<PullRequest | Returned> {
  const { db } = crew.context.store;
  const candidate = await candidateFor(db, ref);
  const settings = await getSettings(db, ref.workstream);
  const place = await findPlace(crew, ref.workstream, [candidate], { onto: options.onto, settings });
  const remote = await place.lander.remote(crew, place.root, place.branch);
  if (remote === undefined) throw noRemote(place);
  await gh(crew, place.root, ["--version"]);
  const purpose = `the pull request of ${ref.name} in ${ref.workstream} by ${crew.context.actor}`;
  return withLandingLock(crew, await place.lander.lockFile(place.root), { ...options, purpose }, async () =>
    publish(crew, { candidate: await candidateFor(db, ref), place, remote, options }),
  );
}

/** The task with its commits. Faults `landing.no_commits`, and those of `chooseTasks`. */
async function candidateFor(db: Reader, ref: TaskRef): Promise<Candidate> {
  const { candidates } = await chooseTasks(db, { workstream: ref.workstream, tasks: [ref.name] });
  return candidates[0] ?? Promise.reject(await noCommits(db, ref));
}

interface Scene {
  candidate: Candidate;
  place: Place;
  remote: string;
  options: PullRequestOptions;
}

/** Reserves, acts, confirms. What a crash leaves is on the task, and the next call finds the open pull request itself. */
async function publish(crew: TmuxHost, scene: Scene): Promise<PullRequest | Returned> {
  const { place, remote } = scene;
  const { row } = scene.candidate;
  const { lander, root } = place;
  const branch = `mu/${row.name}`;
  const pushes = await earlierPushes(crew.context.store.db, row);
  const last = pushes.at(-1);
  const there = await lander.remoteTip(crew, root, { remote, branch });
  const isThere = last !== undefined && last.work === row.work_to && there === last.tip;
  const ready = isThere ? { tip: last.tip, check: undefined } : await prepare(crew, row, scene);
  if ("why" in ready) return ready;
  const { tip, check } = ready;
  if (!isThere) {
    if (there !== undefined && !pushes.some((push) => push.tip === there)) throw foreign(row, remote, branch);
    await reserve(crew.context, row, { branch, remote, tip, work: row.work_to });
    const words = await lander.publish(crew, root, { remote, branch, commit: tip, replaces: there });
    if (words !== undefined && row.pull_request === null) await forget(crew.context, row);
    if (words !== undefined) throw pushFailed(remote, branch, words);
  }
  const { url, state } = await describe(crew, row, { place, branch, body: await bodyOf(crew, row, check) });
  await confirm(crew.context, row, { url, branch, remote, tip, work: row.work_to });
  return { task: row.name, url, branch, state, commit: tip };
}

/** The task's commits on the remote's target, checked; or how the task was returned. Faults `landing.pr_conflict`, `landing.pr_red`. */
async function prepare(
  crew: TmuxHost,
  row: TaskRow,
  { candidate, place, remote, options }: Scene,
): Promise<{ tip: string; check: CheckAnswer | undefined } | Returned> {
  const { branch } = place;
  const target = await place.lander.fetch(crew, place.root, { remote, branch });
  const { steps, clashes } = await stackTasks(crew, place, [candidate], [], target);
  const [clash] = clashes;
  if (clash !== undefined) throw conflict(row, remote, place, clash.files);
  const tip = steps[0]?.tip;
  if (tip === undefined || tip.commit === target.commit) throw await noCommits(crew.context.store.db, row);
  const settings = await getSettings(crew.context.store.db, row.workstream);
  const path = join(scratchFolder(crew.stateDir), newGroup());
  return withChecker(crew, place, { path, workstream: row.workstream, settings, options }, async (checker) => {
    const trial = { branch, target, tip, what: `with ${row.name}`, remark: options.remark };
    const red = checker && (await redOf(checker, trial));
    if (red === undefined) return { tip: tip.commit, check: checker?.answers.find(({ green }) => green) };
    const refusal = { landing: null, candidate, branch, onto: target.commit };
    return (await returnRed(crew, refusal, red)) ?? Promise.reject(hasChanged(row, red));
  });
}

/** The check is red, and meanwhile the task is no longer what was checked. */
function hasChanged(row: TaskRow, { command, ending, tail }: CheckAnswer): Fault {
  const message = `${command} ${ending} with ${row.name}, which has changed meanwhile. Nothing was pushed.\n${tail}`;
  return new Fault("negative", "landing.pr_red", message, [
    { intent: "Look at it", command: `mu task show ${qualifiedName(row)}` },
  ]);
}

/** A push of the task's branch. */
interface Push {
  branch: string;
  remote: string;
  tip: string;
  /** The end of the work that it has. */
  work: string | null;
}

async function earlierPushes(db: Reader, row: TaskRow): Promise<Push[]> {
  const events = await db
    .selectFrom("events")
    .select("payload")
    .where("scope", "=", row.workstream)
    .where("subject", "=", qualifiedName(row))
    .where("op", "in", ["land.push", "land.pr"])
    .orderBy("n")
    .execute();
  return events.map(({ payload }) => JSON.parse(payload) as Push);
}

const reserve = taskVerb("land.push", async (tx, row: TaskRow, push: Push) => {
  const now = await taskToChange(tx.db, row);
  tx.addPayload({ ...push });
  await tx.patch("tasks", now.id, { pull_request: now.pull_request ?? push.branch, updated_at: tx.now }, now);
});

const confirm = taskVerb("land.pr", async (tx, row: TaskRow, push: Push & { url: string }) => {
  const now = await taskToChange(tx.db, row);
  tx.addPayload({ ...push });
  await tx.patch("tasks", now.id, { pull_request: push.url, updated_at: tx.now }, now);
});

/** Opens the pull request of a branch, or updates the text of the one that is open. */
async function describe(
  crew: TmuxHost,
  row: TaskRow,
  { place, branch, body }: { place: Place; branch: string; body: string },
): Promise<{ url: string; state: "opened" | "updated" }> {
  const { root } = place;
  const text = ["--title", row.title, "--body-file", "-"];
  const listed = await gh(crew, root, ["pr", "list", "--head", branch, "--state", "open", "--json", "url"]);
  const [open] = readJson<{ url: string }[]>(listed);
  if (open !== undefined) {
    await gh(crew, root, ["pr", "edit", open.url, ...text], body);
    return { url: open.url, state: "updated" };
  }
  const made = await gh(crew, root, ["pr", "create", "--head", branch, "--base", place.branch, ...text], body);
  const url = /https?:\/\/\S+/.exec(made.split("\n").at(-1) ?? "")?.[0];
  if (url !== undefined) return { url, state: "opened" };
  throw new Fault("unavailable", "landing.gh_failed", `gh pr create printed no address: ${made}`, []);
}

function readJson<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new Fault("unavailable", "landing.gh_failed", `gh printed no JSON: ${text.slice(0, 200)}`, []);
  }
}

/** How many of a task's newest notes its pull request has. */
const SHOWN_NOTES = 10;

async function bodyOf(crew: TmuxHost, row: TaskRow, run: CheckAnswer | undefined): Promise<string> {
  const { db } = crew.context.store;
  const known = await lastCheck(db, row.id);
  const check = run ?? (known?.commit === row.work_to ? known : undefined);
  const notes = await listNotes(db, row, { last: SHOWN_NOTES });
  const trailers = [`Mu-Task: ${qualifiedName(row)}`, ...(await auditTrailers(crew, row.workstream))];
  const parts = [
    row.description ?? "",
    notes.map(({ author, kind, text }) => `- **${author}** (${kind}): ${text.replaceAll("\n", "\n  ")}`).join("\n"),
    check &&
      `Check: \`${check.command}\` ${check.green ? "passed" : "failed"} after ${duration(check.seconds * 1000)}.`,
    trailers.join("\n"),
  ];
  return redact(`${parts.filter(Boolean).join("\n\n")}\n`, secretsIn(crew.env));
}

/**
 * Asks GitHub what became of the pull requests of a workstream's tasks: what was merged has landed, one that was closed is
 * forgotten. Faults `landing.no_gh`, `landing.gh_failed`, `workstream.not_found`.
 */
export async function syncPullRequests(
  crew: TmuxHost,
  workstream: string,
  tasks?: readonly string[],
): Promise<PullRequest[]> {
  const { db } = crew.context.store;
  const { id } = await workstreamRow(db, workstream);
  let query = selectTasks(db)
    .where("t.workstream_id", "=", id)
    .where("t.pull_request", "like", "http%")
    .where("t.status", "=", "CLOSED")
    .where((e) => e.or([e("t.level", "is", null), e("t.level", "<>", "landed")]));
  if (tasks !== undefined) query = query.where("t.name", "in", tasks);
  const found: PullRequest[] = [];
  for (const row of await query.orderBy("t.name").execute()) found.push(await syncOne(crew, row));
  return found;
}

interface Seen {
  state: "OPEN" | "MERGED" | "CLOSED";
  mergeCommit: { oid: string } | null;
  baseRefName: string;
}

async function syncOne(crew: TmuxHost, row: TaskRow): Promise<PullRequest> {
  const url = row.pull_request ?? "";
  const asked = ["pr", "view", url, "--json", "state,mergeCommit,baseRefName"];
  const seen = readJson<Seen>(await gh(crew, row.work_root ?? "", asked));
  const branch = `mu/${row.name}`;
  if (seen.state === "OPEN") return { task: row.name, url, branch, state: "open", commit: null };
  if (seen.state === "CLOSED") await forget(crew.context, row);
  const commit = seen.mergeCommit?.oid ?? null;
  if (seen.state === "CLOSED" || commit === null) return { task: row.name, url, branch, state: "closed", commit: null };
  const last = (await earlierPushes(crew.context.store.db, row)).at(-1);
  const isWhole = last?.work === row.work_to;
  await (isWhole
    ? confirmMerged(crew.context, row, { commit, branch: seen.baseRefName, url })
    : forget(crew.context, row));
  return { task: row.name, url, branch, state: isWhole ? "merged" : "stale", commit };
}

/** A pull request that says nothing of the task any more. */
const forget = taskVerb("land.unlink", async (tx, row: TaskRow) => {
  const now = await taskToChange(tx.db, row);
  tx.addPayload({ url: row.pull_request });
  await tx.patch("tasks", now.id, { pull_request: null, updated_at: tx.now }, now);
});

const confirmMerged = taskVerb(
  "land",
  async (tx, row: TaskRow, merged: { commit: string; branch: string; url: string }) => {
    const now = await taskToChange(tx.db, row);
    if (now.status !== "CLOSED" || now.level === "landed" || now.work_to !== row.work_to) return;
    const { commit, branch, url } = merged;
    tx.addPayload({ commit, branch, onto: "", commits: 1, agent: now.work_agent, check: null, pullRequest: url });
    await tx.patch("tasks", now.id, { level: "landed", landed_commit: commit, updated_at: tx.now }, now);
  },
);

async function noCommits(db: Reader, ref: TaskRef): Promise<Fault> {
  const row = await taskRow(db, ref);
  const why = row.level === "landed" ? "has landed already" : "has no commits that the branch lacks";
  return new Fault("conflict", "landing.no_commits", `${row.name} ${why}.`, [
    { intent: "Look at it", command: `mu task show ${qualifiedName(row)}` },
  ]);
}

function noRemote({ root, branch }: Place): Fault {
  return new Fault("usage", "landing.no_remote", `There is no remote in ${root} for a pull request to ${branch}.`, [
    { intent: "Land without one", command: "mu land" },
  ]);
}

function conflict(row: TaskRow, remote: string, { branch }: Place, files: readonly string[]): Fault {
  const where = files.length === 0 ? "" : ` in ${enumerate(files)}`;
  const message = `${row.name} conflicts with ${remote}/${branch}${where}. Nothing was pushed.`;
  return new Fault(
    "conflict",
    "landing.pr_conflict",
    message,
    [{ intent: "Return it", command: `mu review return ${qualifiedName(row)} --comment 'Rebase it'` }],
    { files },
  );
}

function foreign(row: TaskRow, remote: string, branch: string): Fault {
  const message = `${branch} on ${remote} has commits that mu did not push. Nothing was pushed.`;
  return new Fault("conflict", "landing.push_failed", message, [
    { intent: "See what this task would push", command: `mu task diff ${qualifiedName(row)}` },
  ]);
}

function pushFailed(remote: string, branch: string, words: string): Fault {
  return new Fault("unavailable", "landing.push_failed", `${remote} rejected ${branch}: ${words}.`, []);
}
