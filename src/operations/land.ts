import * as z from "zod";
import { claimant } from "../agents/identity.js";
import { Fault, type NextStep } from "../errors.js";
import { type Choice, NOT_APPROVED } from "../landing/choose.js";
import { landTasks, predictLanding } from "../landing/land.js";
import { emptyLanding, LANDING, type Landing, PULL_REQUEST, REVERTED } from "../landing/outcome.js";
import { counted, enumerate, shellWord } from "../names.js";
import { findTask } from "../tasks/task.js";
import { describeLoose } from "../work/loose.js";
import { type App, type Drawing, defineOperation, NEXT_STEPS, type Paint, shape, step, type TypeOf } from "./define.js";
import {
  durationField,
  field,
  flag,
  type InputOf,
  optionalText,
  personField,
  tasksField,
  workstreamField,
} from "./fields.js";
import { flagWords } from "./verb.js";

const OUTPUT = shape({
  dryRun: "boolean",
  ...LANDING,
  /** With --revert, each with the commit that takes it back. */
  reverted: [REVERTED],
  /** With --pr and --sync. */
  pullRequests: [PULL_REQUEST],
  nextSteps: NEXT_STEPS,
});

type Shown = TypeOf<typeof OUTPUT>;

const landFields = () => ({
  tasks: tasksField("Tasks to land (default: those chosen by --agent or --all)").optional(),
  workstream: workstreamField(),
  all: flag("All finished work of the workstream"),
  agent: personField("All finished work of this agent").optional(),
  check: field(z.string().min(1).max(4096).optional(), "Command that must pass (default: the workstream's check)", {
    value: "command",
  }),
  noCheck: flag("Skip the check"),
  timeout: durationField("Timeout of the check (default: the workstream's setting)").optional(),
  onto: optionalText("Target branch (default: the workstream's)", { value: "branch" }),
  push: flag("Push the branch afterwards (never with force)", { outward: true }),
  dryRun: flag("Only show what would land and what would conflict"),
  continue: flag("Continue an interrupted landing"),
  include: flag("Take in commits of no task"),
  empty: flag("Nothing of these tasks needs to land"),
  as: optionalText("Commit of the branch that has the work", { value: "commit" }),
  pr: flag("Push the task as mu/<task> and open a pull request, or update it, with GitHub's gh", { outward: true }),
  sync: flag("Ask GitHub which pull requests were merged: those tasks have landed", { outward: true }),
  revert: flag("Take what the task landed off the branch again"),
});

export const land = defineOperation({
  name: "land",
  summary: "Land finished work on the target branch",
  description:
    "Rebases the commits of CLOSED tasks onto the branch in a scratch checkout, task by task, runs the check there, and moves the branch forward to exactly what was checked. Work that conflicts or fails the check goes back to its owner as OPEN, with a note that says why; the rest lands. One landing of a repository runs at a time; the next one waits. Your own checkout follows the branch and keeps your uncommitted changes; if they are in files that would land, nothing is touched and the work lands after you have committed or stashed them. mu never merges with conflicts and never pushes with force. A task without commits needs --empty; --as names the commit of the branch that has the work. If you name your own task and it is IN_PROGRESS, it is closed first. By default an agent lands its own work, a person all finished work. Where the settings file says landRequires: review, work that is not approved is left out. --pr pushes one task to a branch of its own and opens a pull request with title, notes, check and trailers, or returns it where its check fails; --sync marks as landed what was merged. --revert takes a landed task off the branch with one commit, which is checked in the same way, and opens the task again. Exits 1 if a task was returned.",
  effect: "write",
  acts: ["runs"],
  input: landFields,
  output: OUTPUT,
  positional: ["tasks"],
  examples: [
    { command: "mu land", shows: "what is finished" },
    { command: "mu land --dry-run", shows: "what would land, and what would conflict" },
    { command: "mu land cart --check 'test -e cart.txt'", shows: "one task, if the check passes" },
    { command: "mu land --all", shows: "all finished work" },
    { command: "mu land build", shows: "a task that is not closed", fault: "landing.not_closed" },
    { command: "mu land nothing", shows: "an unknown task", fault: "task.not_found" },
    { command: "mu land --continue", shows: "no unfinished landing", fault: "landing.nothing_to_continue" },
    { command: "mu land --revert cart", shows: "a task that has not landed", fault: "landing.not_landed" },
    { command: "mu land --pr cart", shows: "a project without a remote", fault: "landing.no_remote" },
    { command: "mu land build --all", shows: "two ways of choosing", fault: "usage.two_choices" },
  ],
  async run(app, input) {
    const { workstream } = input;
    if (input.pr || input.sync || input.revert) return landOtherwise(app, input);
    const choice: Choice = { workstream, ...chosenTasks(app, input), said: saidOf(input) };
    const options = {
      onto: input.onto,
      check: input.noCheck ? null : input.check,
      timeoutMs: input.timeout,
      push: input.push,
      signal: app.request.signal,
      remark: app.request.remark,
    };
    const crew = await app.crew();
    if (choice.tasks !== undefined && !input.dryRun) await closeOwn(app, workstream, choice.tasks, input.include);
    const landing = await (input.dryRun ? predictLanding : landTasks)(crew, choice, options);
    const { remote, ...outcome } = landing;
    const nextSteps = await stepsAfter(app, landing, input);
    return { dryRun: input.dryRun, ...outcome, reverted: [], pullRequests: [], nextSteps };
  },
  render: renderLanding,
  exitCode: ({ returned }) => (returned.length > 0 ? 1 : 0),
});

/** `--pr`, `--sync` and `--revert`. Faults `usage.two_choices`, `usage.missing_argument`. */
async function landOtherwise(app: App, input: Wish): Promise<Shown> {
  const { workstream, tasks = [], pr, sync, revert } = input;
  const others = {
    all: input.all,
    agent: input.agent?.name,
    continue: input.continue,
    dryRun: input.dryRun,
    push: input.push,
  };
  const words = flagWords({ pr, sync, revert, ...others, include: input.include, empty: input.empty, as: input.as });
  const ways = words.filter((word) => word.startsWith("--"));
  if (ways.length > 1) throw twoChoices(ways);
  const [task] = tasks;
  if (!sync && (task === undefined || tasks.length > 1)) {
    const message = `Name one task with ${ways.join(", ")}.`;
    throw new Fault("usage", "usage.missing_argument", message, [step("See the usage", "mu land --help")]);
  }
  const crew = await app.crew();
  const { request } = app;
  const check = input.noCheck ? null : input.check;
  const options = { onto: input.onto, check, timeoutMs: input.timeout, signal: request.signal, remark: request.remark };
  const { remote: _, ...empty } = emptyLanding([]);
  const shown = { dryRun: false, ...empty, reverted: [], pullRequests: [] };
  if (sync) {
    const { syncPullRequests } = await import("../landing/pull-request.js");
    const named = tasks.length === 0 ? undefined : tasks.map(({ name }) => name);
    const pullRequests = await syncPullRequests(crew, workstream, named);
    if (pullRequests.length === 0) request.remark("No finished task has a pull request.");
    const merged = pullRequests.find(({ state }) => state === "merged");
    const next = merged && step("See what it brought", `mu task diff ${merged.task} -w ${workstream}`);
    return { ...shown, pullRequests, nextSteps: next ? [next] : [] };
  }
  const ref = { workstream, name: task?.name ?? "" };
  if (pr) {
    const { openPullRequest } = await import("../landing/pull-request.js");
    const opened = await openPullRequest(crew, ref, options);
    if ("why" in opened) {
      const landing = { ...emptyLanding([]), returned: [opened] };
      return { ...shown, returned: [opened], nextSteps: await stepsAfter(app, landing, input) };
    }
    const next = [step("See later whether it was merged", `mu land --sync -w ${workstream}`)];
    return { ...shown, pullRequests: [opened], nextSteps: next };
  }
  const { revertTask } = await import("../landing/revert.js");
  const reverted = await revertTask(crew, ref, options);
  const next = [step("See why it is open", `mu task notes ${workstream}/${reverted.task} --last 1`)];
  return { ...shown, reverted: [reverted], nextSteps: next };
}

/** Naming your own task that is in progress means that it is finished. */
async function closeOwn(app: App, workstream: string, tasks: readonly string[], include: boolean): Promise<void> {
  const { closeOwnTasks } = await import("../landing/close-first.js");
  const refs = tasks.map((name) => ({ workstream, name }));
  const { request } = app;
  const options = { cwd: request.cwd, signal: request.signal, onOutput: request.stream, include };
  const { closed, warnings } = await closeOwnTasks(await app.crew(), refs, claimant(app.caller), options);
  if (closed.length > 0) request.remark(`Closed ${closed.join(", ")}.`);
  for (const { message } of warnings) request.remark(message);
}

type Wish = InputOf<typeof landFields>;

function chosenTasks(app: App, wish: Wish): Pick<Choice, "tasks" | "unfinished" | "agent"> {
  const { tasks = [], all, agent, workstream } = wish;
  const ways = [tasks.length > 0 && "tasks", all && "--all", agent && "--agent", wish.continue && "--continue"];
  const taken = ways.filter((way) => typeof way === "string");
  if (wish.check !== undefined && wish.noCheck) {
    throw new Fault("usage", "usage.two_checks", "Give --check or --no-check, not both.");
  }
  if (taken.length > 1) throw twoChoices(taken);
  if (tasks.length > 0) return { tasks: tasks.map(({ name }) => name) };
  if (agent !== undefined) return { agent: agent.name };
  if (wish.continue) return { unfinished: true };
  if (all || app.caller.kind !== "agent") return {};
  if (app.caller.home === workstream) return { agent: app.caller.name };
  const why = `You are ${app.caller.name} of ${app.caller.home}. Name the tasks of ${workstream}, or pass --agent or --all.`;
  throw new Fault("usage", "usage.missing_argument", why, [step("See the usage", "mu land --help")]);
}

/** Faults `usage.missing_argument`, `usage.two_choices`. */
function saidOf({ tasks = [], include, dryRun, empty, as }: Wish): Choice["said"] {
  if (include && tasks.length === 0) throw unnamed("--include");
  if (include && dryRun) throw twoChoices(["--include", "--dry-run"]);
  if (!empty && as === undefined) return undefined;
  if (empty && as !== undefined) throw twoChoices(["--empty", "--as"]);
  if (tasks.length > 0) return as === undefined ? "empty" : { as };
  throw unnamed(as === undefined ? "--empty" : "--as");
}

function unnamed(flag: string): Fault {
  return new Fault("usage", "usage.missing_argument", `Name the tasks that ${flag} is about.`, [
    step("List finished tasks", "mu task list --status CLOSED"),
  ]);
}

function twoChoices(words: readonly string[]): Fault {
  return new Fault("usage", "usage.two_choices", `${words.join(" and ")} cannot be combined. Choose one.`, [
    step("See the usage", "mu land --help"),
  ]);
}

async function stepsAfter(
  app: App,
  { target, landed, returned, skipped, pushed, remote }: Landing,
  line: Wish,
): Promise<NextStep[]> {
  const { workstream } = line;
  if (line.dryRun) return landed.length > 0 ? [step("Apply it", sameLine(line))] : [];
  const { context } = await app.crew();
  const steps: NextStep[] = [];
  for (const { task } of returned.slice(0, 3)) {
    steps.push(step(`See why ${task} was returned`, `mu task notes ${workstream}/${task} --last 1`));
    const isJob = (await findTask(context.store.db, { workstream, name: task }))?.kind === "job";
    if (isJob) steps.push(step(`Have ${task} mended`, `mu job run ${task} work --from builder -w ${workstream}`));
  }
  const [first] = landed;
  if (first !== undefined && pushed === null && remote !== null) {
    // One that has landed already is named, so that nothing else lands along with the push.
    const onto = line.onto === undefined ? "" : ` --onto ${shellWord(line.onto)}`;
    steps.push(step(`Push ${target?.branch ?? "the branch"}`, `mu land ${first.task}${onto} --push -w ${workstream}`));
  }
  const waiting = skipped.find(({ why }) => why === NOT_APPROVED);
  if (waiting !== undefined) steps.push(step(`Review ${waiting.task}`, `mu review ${workstream}/${waiting.task}`));
  const empty = skipped.find(({ why }) => why === "no_commits");
  if (empty !== undefined && line.tasks?.length) {
    steps.push(step("Say that nothing of it needs to land", `mu land ${empty.task} --empty -w ${workstream}`));
  }
  if (landed.length === 0 && returned.length === 0) {
    steps.push(step("Show the workstream", `mu state -w ${workstream}`));
  }
  return steps;
}

/** The line of a dry run, without that. */
function sameLine({ workstream, tasks = [], agent, timeout, ...line }: Wish): string {
  const { all, onto, check, noCheck, empty, as, push } = line;
  const flags = flagWords({
    ...{ all, agent: agent?.name, continue: line.continue, onto, check, noCheck, empty, as, push },
    timeout: timeout === undefined ? undefined : `${timeout}ms`,
  });
  return ["mu land", ...tasks.map(({ name }) => shellWord(name)), ...flags, `-w ${workstream}`].join(" ");
}

function renderLanding(landing: Shown, paint: Paint): Drawing {
  const { landed, returned, skipped, loose, pushed, reverted, pullRequests } = landing;
  if (reverted.length + pullRequests.length > 0) {
    return [
      ...reverted.map(
        ({ task, branch, commit }) => `Reverted ${paint.bold(task)} on ${branch} with ${short(commit)}; it is OPEN`,
      ),
      ...pullRequests.map(({ task, url, state }) => `${paint.bold(task)}  ${STATES[state]}: ${url}`),
    ];
  }
  if (landed.length + returned.length + skipped.length === 0) {
    return pushed ? `Pushed to ${pushed.remote}` : "Nothing to land";
  }
  const bare = skipped.filter(({ why }) => why === "no_commits").map(({ task }) => paint.bold(task));
  return [
    section(headOfLanded(landing, paint), landed, (one) => {
      const what = one.commits === null ? "by an earlier landing" : counted(one.commits, "commit");
      return `  ✓ ${paint.bold(one.task)} ${one.commit === null ? "" : `${short(one.commit)} `}${paint.dim(one.commits === 0 ? "no commits" : what)}`;
    }),
    section(landing.dryRun ? "Would be returned" : "Returned", returned, (one) => {
      const files = one.files.length === 0 ? "" : `: ${one.files.slice(0, 5).join(", ")}`;
      const sent = one.delivered ? `; sent to ${one.agent} as a prompt` : "";
      return `  ✗ ${paint.bold(one.task)} ${one.reason}${one.reason.includes(" in ") ? "" : files}${sent}`;
    }),
    section(
      "Skipped",
      skipped.filter(({ why }) => why !== "no_commits"),
      (one) => `  • ${paint.bold(one.task)} ${one.reason}`,
    ),
    bare.length > 0 && `No commits to land: ${enumerate(bare, SHOWN_NAMES)}`,
    section("Of no task", loose, (one) => `  • ${describeLoose(one)} in ${one.path}`),
    landed.length === 0 && pushed && `Pushed to ${pushed.remote}`,
  ];
}

const STATES: Readonly<Record<TypeOf<typeof PULL_REQUEST>["state"], string>> = {
  opened: "opened",
  updated: "updated",
  open: "not merged yet",
  merged: "merged, so it has landed",
  stale: "merged, but the task has newer commits",
  closed: "closed without a merge",
};

/** Without commits, many tasks share one line; more than these are counted. */
const SHOWN_NAMES = 5;

function headOfLanded({ dryRun, target, checks, pushed, landed }: Shown, paint: Paint): string {
  const green = checks.findLast((check) => check.green);
  const move = target && target.from !== target.to ? paint.dim(` ${short(target.from)} → ${short(target.to)}`) : "";
  const checked = green === undefined ? "" : `, ${green.command} passed in ${green.seconds.toFixed(1)} s`;
  const where = `${counted(landed.length, "task")} on ${target?.branch ?? "the branch"}`;
  return `${dryRun ? "Would land" : "Landed"} ${where}${move}${checked}${pushed ? `, pushed to ${pushed.remote}` : ""}`;
}

function section<T>(head: string, items: readonly T[], line: (item: T) => string): Drawing {
  return items.length > 0 && [head, items.map(line)];
}

const short = (commit: string) => commit.slice(0, 8);
