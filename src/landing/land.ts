import { join } from "node:path";
import type { TmuxHost } from "../agents/crew.js";
import { newGroup } from "../db/context.js";
import { asFault, Fault } from "../errors.js";
import { counted, enumerate, shellWord } from "../names.js";
import { pidOf, processIdentity } from "../processes.js";
import { readSettings as readProjectSettings } from "../project/read.js";
import { DEFAULT_SETTINGS } from "../project/settings.js";
import type { TaskRow } from "../tasks/task.js";
import { describeCommits, findLoose } from "../work/loose.js";
import { standingsOf } from "../workspaces/inspect.js";
import { findWorkspaceRow, type WorkspaceRow } from "../workspaces/workspace.js";
import { readSettings, type Settings } from "../workstreams/settings.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { landBatch } from "./batch.js";
import { withChecker } from "./checker.js";
import { alreadyLanding, type Candidate, type Choice, type Chosen, chooseTasks } from "./choose.js";
import { type LandingLock, withLandingLock } from "./lock.js";
import { emptyLanding, type Landing, leaveOut, skip } from "./outcome.js";
import { findPlace, noVersionControl, type Place } from "./place.js";
import { landingsUnderWay, takeTasks } from "./rows.js";
import { type EndedLanding, endInterruptedLandings, endLandings, scratchFolder, settleLeft } from "./settle.js";
import { stackTasks } from "./stack.js";

export interface LandOptions {
  /** The branch to land on; the workstream's own without it. */
  onto?: string | undefined;
  /** The check to run; null for none, undefined for the workstream's. */
  check?: string | null | undefined;
  /** How long the check may take, in ms; the workstream's setting without it. */
  timeoutMs?: number | undefined;
  /** Also push the branch. */
  push?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** Called with a sentence before each step that may be slow. */
  remark?: ((text: string) => void) | undefined;
}

/**
 * Lands finished work: rebases it onto the branch in a scratch checkout, runs the check there, and moves the branch
 * forward to exactly what was checked. Work that conflicts or fails the check is returned to its owner; the rest lands.
 * One landing of a repository runs at a time, the next one waits. What a dead one left unfinished is ended first.
 *
 * Faults: those of `chooseTasks` and `findPlace`; `landing.under_way`, `landing.nothing_to_continue`, `landing.checkout_dirty`, `landing.target_red`, `landing.moving`,
 * `landing.interrupted`, `landing.lock_lost`, `landing.no_remote`, `landing.push_failed`, `vcs.*`. What landed before a fault stays landed.
 */
export async function landTasks(crew: TmuxHost, choice: Choice, options: LandOptions = {}): Promise<Landing> {
  const ended = await endInterruptedLandings(crew, options.remark);
  const found = await locate(crew, choice, options);
  const { place, chosen } = found;
  if (place === undefined) return begin(choice, await prepare(crew, choice, found), ended);
  const remote = await remoteOf(crew, place, options);
  const land = async (lock: LandingLock) => {
    await settleLeft(crew, lock, options.remark);
    ended.push(...(await endInterruptedLandings(crew, options.remark)));
    const ready = await prepare(crew, choice, await locate(crew, choice, options));
    const report = begin(choice, ready, ended);
    if (ready.place?.root === place.root && ready.candidates.length > 0) {
      await takeAndLand(crew, { ...ready, place: ready.place, lock }, options);
    }
    return report;
  };
  const names = enumerate(
    chosen.candidates.map(({ row }) => row.name),
    SHOWN_NAMES,
  );
  const purpose = `${names} in ${choice.workstream} by ${crew.context.actor}`;
  const report =
    chosen.candidates.length === 0
      ? begin(choice, await prepare(crew, choice, found), ended)
      : await withLandingLock(crew, await place.lander.lockFile(place.root), { ...options, purpose }, land);
  report.remote = remote ?? null;
  if (options.push && remote !== undefined)
    await push(crew, place, { remote, workstream: choice.workstream, onto: options.onto }, report);
  return report;
}

/** How many of a landing's tasks are named to those who wait for it. */
const SHOWN_NAMES = 3;

/** The report, which begins with what an interrupted landing had landed. */
function begin(choice: Choice, { report, candidates }: Ready, ended: readonly EndedLanding[]): Landing {
  const arrived = ended.filter((one) => one.workstream === choice.workstream && one.outcome === "landed");
  for (const { task, commit, agent } of arrived) report.landed.push({ task, commit, commits: null, agent });
  if (choice.unfinished && candidates.length + arrived.length === 0) throw nothingToContinue(choice.workstream);
  return report;
}

/** What `landTasks` would do if the check passed: which tasks land, which conflict. Writes no row and no ref. */
export async function predictLanding(crew: TmuxHost, choice: Choice, options: LandOptions = {}): Promise<Landing> {
  const { report, place, candidates, edges } = await prepare(crew, choice, await locate(crew, choice, options));
  if (place === undefined) return report;
  const stack = await stackTasks(crew, place, candidates, edges);
  const { commit } = stack.target;
  report.target = { branch: place.branch, from: commit, to: commit };
  for (const { candidate, commits } of stack.steps) {
    report.landed.push({ task: candidate.row.name, commit: null, commits, agent: candidate.row.work_agent });
  }
  for (const { candidate, files, words, hunk, below } of stack.clashes) {
    const { name, work_agent } = candidate.row;
    const reason = `conflicts with ${place.branch}${below.length > 0 ? " or with what lands before it" : ""}`;
    const excerpt = hunk || words.join("\n");
    report.returned.push({ task: name, why: "conflict", reason, agent: work_agent, files, excerpt, delivered: false });
  }
  return report;
}

function nothingToContinue(workstream: string): Fault {
  return new Fault("missing", "landing.nothing_to_continue", `${workstream} has no unfinished landing.`, [
    { intent: "Land what is finished", command: `mu land -w ${workstream}` },
  ]);
}

interface Located {
  settings: Settings;
  chosen: Chosen;
  place: Place | undefined;
}

/** Which tasks were chosen, and where they land. Looks at no commit: before the lock that would be done for nothing. */
async function locate(crew: TmuxHost, choice: Choice, { onto, push }: LandOptions): Promise<Located> {
  const { db } = crew.context.store;
  const { root, settings: stored } = await workstreamRow(db, choice.workstream);
  const settings = readSettings(stored);
  const { landRequires } = root === null ? DEFAULT_SETTINGS : await readProjectSettings(root);
  const chosen = await chooseTasks(db, choice, landRequires);
  const { candidates, skipped } = chosen;
  const copies = skipped.filter(({ why }) => why === "no_vcs").map(({ task }) => task);
  if (copies.length > 0 && candidates.length + chosen.empty.length === 0 && copies.length === skipped.length) {
    throw await noVersionControl(db, choice.workstream, copies);
  }
  const landsNothing = candidates.length === 0 && !push;
  const place = landsNothing ? undefined : await findPlace(crew, choice.workstream, candidates, { onto, settings });
  return { settings, chosen, place };
}

interface Ready {
  report: Landing;
  settings: Settings;
  place: Place | undefined;
  candidates: Candidate[];
  edges: Chosen["edges"];
}

async function prepare(crew: TmuxHost, choice: Choice, { settings, chosen, place }: Located): Promise<Ready> {
  const { candidates, edges, skipped, empty } = chosen;
  const report = emptyLanding(skipped);
  await reportLoose(crew, [...candidates.map(({ row }) => row), ...empty], report);
  await skipEmpty(crew, empty, report);
  if (place === undefined) return { report, settings, place, candidates, edges };
  const said = typeof choice.said === "object" ? { as: await onBranch(crew, place, choice.said.as) } : choice.said;
  const there = await dropGone(crew, place, { candidates, edges, report });
  return { report, settings, place, candidates: there.map((candidate) => ({ ...candidate, said })), edges };
}

/** Skips tasks whose commits the repository does not have, and those that wait for them. */
async function dropGone(
  crew: TmuxHost,
  { lander, root }: Place,
  { candidates, edges, report }: Pick<Ready, "candidates" | "edges" | "report">,
): Promise<Candidate[]> {
  const ends = ({ work }: Candidate) => (work === null ? [] : [work.from, work.to]);
  const commits = candidates.flatMap(ends);
  const missing = new Set(commits.length === 0 ? [] : await lander.missing(crew, root, commits));
  const gone = candidates.filter((candidate) => ends(candidate).some((commit) => missing.has(commit)));
  for (const candidate of gone) skip(report, candidate, "commits_gone", `has commits that are no longer in ${root}`);
  return leaveOut(report, candidates, edges, { out: gone, reason: "waits for a task that cannot land" });
}

/** The commit of this name. Faults `vcs.unknown_ref`, and `landing.not_on_branch` if the branch lacks it. */
async function onBranch(crew: TmuxHost, { lander, root, branch }: Place, name: string): Promise<string> {
  const commit = await lander.commit(crew, root, name);
  if (await lander.contains(crew, root, branch, commit)) return commit;
  throw new Fault("conflict", "landing.not_on_branch", `${branch} has no commit ${commit}.`, [
    { intent: "List its commits", command: `git -C ${shellWord(root)} log --oneline ${shellWord(branch)}` },
  ]);
}

/** Skips tasks without commits. Says where their work may be instead. */
async function skipEmpty(crew: TmuxHost, rows: readonly TaskRow[], report: Landing): Promise<void> {
  const spaces = await spacesOf(crew, rows);
  const standings = await standingsOf(crew, [...spaces.values()]);
  for (const row of rows) {
    const space = spaces.get(row.work_agent ?? "");
    const dirty = (space && standings.get(space.path)?.dirty) ?? 0;
    const files = `${counted(dirty, "file")} of ${row.work_agent} ${dirty === 1 ? "is" : "are"}`;
    const loose = report.loose.find(({ agent, commits }) => agent === row.work_agent && commits.length > 0);
    const [why, reason] =
      loose !== undefined
        ? [
            "loose_commits",
            `has no commits, but ${describeCommits(loose.commits)} of ${loose.agent} belong to no task: mu land ${row.name} --include takes them in`,
          ]
        : dirty > 0
          ? ["uncommitted", `has no commits, and ${files} not committed: open it and commit them`]
          : ["no_commits", "has no commits"];
    report.skipped.push({ task: row.name, why, reason });
  }
}

/** Finds what is in the workspaces of these tasks and belongs to no task. */
async function reportLoose(crew: TmuxHost, rows: readonly TaskRow[], report: Landing): Promise<void> {
  for (const space of (await spacesOf(crew, rows)).values()) {
    const { commits, stashes } = await findLoose(crew, crew.context.store.db, { ...space, shared: false });
    if (commits.length + stashes.length > 0)
      report.loose.push({ agent: space.agent, path: space.path, commits, stashes });
  }
}

/** The workspaces that the tasks were done in, by agent. */
async function spacesOf(crew: TmuxHost, rows: readonly TaskRow[]): Promise<Map<string, WorkspaceRow>> {
  const spaces = new Map<string, WorkspaceRow>();
  for (const { workstream, work_agent: name, work_root } of rows) {
    if (name === null || spaces.has(name)) continue;
    const space = await findWorkspaceRow(crew.context.store.db, { workstream, name });
    if (space !== undefined && space.root === work_root) spaces.set(name, space);
  }
  return spaces;
}

/** Reserves, acts, confirms; always ends its rows and deletes its scratch checkout. */
async function takeAndLand(
  crew: TmuxHost,
  ready: Ready & { place: Place; lock: LandingLock },
  options: LandOptions,
): Promise<void> {
  const { report, settings, place, lock, candidates, edges } = ready;
  const id = newGroup();
  const scratch = join(scratchFolder(crew.stateDir), id);
  const batch = { id, root: place.root, branch: place.branch, scratch, process: await processIdentity(crew) };
  // While this process has the lock, every other landing here is over, also one that cannot be seen.
  const over = (await landingsUnderWay(crew.context.store.db)).filter(({ root }) => root === place.root);
  await endLandings(crew, over, "taken over");
  const { taken, others } = await takeTasks(
    crew.context,
    batch,
    candidates.map(({ row }) => row),
  );
  for (const other of others) {
    const row = candidates.find((candidate) => candidate.row.id === other.task_id)?.row;
    if (row !== undefined) throw alreadyLanding(row, pidOf(other.process));
  }
  const workstream = candidates[0]?.row.workstream ?? "";
  let ending = "not landed";
  try {
    await withChecker(crew, place, { path: scratch, workstream, settings, options }, (checker) =>
      landBatch(crew, { place, lock, landings: taken, edges, checker, report, ...options }, candidates),
    );
  } catch (error) {
    const fault = asFault(error);
    ending = fault.code;
    throw withReport(fault, report);
  } finally {
    const left = (await landingsUnderWay(crew.context.store.db)).filter((row) => row.batch === id);
    await endLandings(crew, left, ending);
  }
}

/** Adds to a fault what landed and what was returned before it. */
function withReport(fault: Fault, { landed, returned, target }: Landing): Fault {
  const { kind, code, message, nextSteps, details } = fault;
  const before = landed.length === 0 ? "" : ` Landed before that: ${landed.map(({ task }) => task).join(", ")}.`;
  return new Fault(kind, code, `${message}${before}`, nextSteps, { ...details, landed, returned, target });
}

async function remoteOf(
  crew: TmuxHost,
  { lander, root, branch }: Place,
  { push }: LandOptions,
): Promise<string | undefined> {
  const remote = await lander.remote(crew, root, branch);
  if (remote !== undefined || !push) return remote;
  throw new Fault("usage", "landing.no_remote", `${root} has no remote to push ${branch} to.`, [
    { intent: "Land without a push", command: "mu land" },
  ]);
}

async function push(
  crew: TmuxHost,
  { lander, root, branch }: Place,
  { remote, workstream, onto }: { remote: string; workstream: string; onto?: string | undefined },
  report: Landing,
): Promise<void> {
  const words = await lander.push(crew, root, { remote, branch });
  report.pushed = words === undefined ? { remote } : null;
  if (words === undefined) return;
  const count = report.landed.length;
  const git = `git -C ${shellWord(root)}`;
  const again = [
    ...report.landed.slice(0, 1).map(({ task }) => task),
    ...(onto === undefined ? [] : [`--onto ${onto}`]),
  ];
  const what = count === 0 ? "" : `${counted(count, "task has", "tasks have")} landed on ${branch} here; `;
  throw new Fault(
    "unavailable",
    "landing.push_failed",
    `${what}${remote} rejected ${branch}: ${words}.`,
    [
      { intent: "Fetch what it has", command: `${git} fetch ${remote}` },
      { intent: "Merge it", command: `${git} switch ${branch} && ${git} merge ${remote}/${branch}` },
      { intent: "Push again", command: `${["mu land", ...again].join(" ")} --push -w ${workstream}` },
    ],
    { remote, branch, landed: report.landed, returned: report.returned, target: report.target },
  );
}
