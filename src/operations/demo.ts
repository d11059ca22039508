import { DEMO_OUTCOME, type DemoOutcome } from "../demo/demo.js";
import type { JobPlay } from "../demo/job.js";
import type { Night } from "../demo/night.js";
import { Fault } from "../errors.js";
import { counted } from "../names.js";
import type { State } from "../state.js";
import { type Drawing, defineOperation, type Paint } from "./define.js";
import { flag, optionalText } from "./fields.js";
import { stateCard } from "./state.js";

export const demo = defineOperation({
  name: "demo",
  summary: "Watch scripted agents work through a task graph",
  description:
    "Needs no API key and no network. Three scripted agents in a private tmux share ten tasks, each in its own workspace. One asks for permission, one crashes and is replaced, and two change the same lines, which the radar predicts before they land. Everything is removed afterwards, unless --keep names a folder. Exits 0 if every task landed on main exactly once and the event chain is intact.",
  effect: "write",
  standalone: true,
  input: () => ({
    night: flag("Watch a dispatcher work through a night by roles instead, with a report in the morning"),
    job: flag(
      "Watch a job go through its six steps instead: a plan is refused once, a test fails once, the work lands",
    ),
    keep: optionalText("Keep the repository, the transcripts and mu.db in this new folder", { value: "folder" }),
  }),
  output: DEMO_OUTCOME,
  examples: [
    { command: "mu demo", shows: "the whole demo" },
    { command: "mu demo --night", shows: "a night without anybody" },
    { command: "mu demo --job", shows: "a job from idea to main" },
    { command: "mu demo --night --job", shows: "two at once", fault: "usage.two_choices" },
    { command: "mu demo --keep shop", shows: "the demo, keeping everything it made" },
    { command: "mu demo --agents 5", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  run({ program, request }, { keep, night, job }) {
    if (night && job) throw new Fault("usage", "usage.two_choices", "Give one of --night and --job.");
    return program.playDemo({ keep, night, job }, request);
  },
  render(outcome, paint) {
    const { state, night, job } = outcome;
    if (night !== null) return [night.report, nightSummary(outcome, night, paint)];
    if (job !== null) return jobSummary(outcome, job, paint);
    return [stateCard(state as State, paint), "", summary(outcome, paint)];
  },
  exitCode: ({ ok }) => (ok ? 0 : 1),
});

function nightSummary({ ok, problems, seconds, kept }: DemoOutcome, night: Night, paint: Paint): Drawing {
  const { runs, spentUsd, closed, held, unpaid } = night;
  return [
    paint.bold(ok ? "The night passed." : "The night failed."),
    `  ${counted(closed.length, "task")} done in ${counted(runs, "run")}, for $${spentUsd.toFixed(2)}, in ${seconds.toFixed(1)} s`,
    held.map(({ task, reason }) => `  ${task} waits for a person: ${reason ?? ""}`),
    unpaid.map((task) => `  ${task} waits for tomorrow's budget`),
    kept !== null && `  everything is in ${kept}: MU_STATE_DIR=${kept} mu runs list -w demo`,
    problems.map((problem) => `  ${paint.bold("!")} ${problem}`),
  ];
}

function jobSummary({ ok, problems, seconds, kept }: DemoOutcome, job: JobPlay, paint: Paint): Drawing {
  const runs = job.steps.reduce((sum, one) => sum + one.runs, 0);
  return [
    paint.bold(ok ? "The job is done." : "The job failed."),
    `  ${counted(job.steps.length, "step")} in ${counted(runs, "run")}, in ${seconds.toFixed(1)} s; ${job.landed ? "its work is on main" : "nothing landed"}`,
    job.refused.map((task) => `  ${task} sent it back`),
    "  its report, with which a person commits its folder:",
    job.report
      .trimEnd()
      .split("\n")
      .map((line) => `    ${line}`),
    kept !== null && `  everything is in ${kept}: MU_STATE_DIR=${kept} mu job show ${job.job} -w demo`,
    problems.map((problem) => `  ${paint.bold("!")} ${problem}`),
  ];
}

function summary(outcome: DemoOutcome, paint: Paint): Drawing {
  const { ok, problems, seconds, tasks, crashes, warnings, returned, prompts, audit, kept } = outcome;
  const done = tasks.filter(({ landings }) => landings === 1).length;
  const chain = `the chain of ${audit.events} events is ${audit.ok ? "intact" : "broken"}, and the tables ${audit.tables === "same" ? "match" : "differ from"} it`;
  return [
    paint.bold(ok ? "The demo passed." : "The demo failed."),
    `  ${done} of ${tasks.length} tasks landed on main exactly once, in ${seconds.toFixed(1)} s`,
    `  ${prompts.proved} of ${prompts.sent} prompts were proved delivered`,
    crashes.map(({ agent, tasks: lost, takenOverBy }) => {
      return `  ${agent} crashed on ${lost.join(", ")}; ${[...new Set(takenOverBy)].join(", ")} took over`;
    }),
    warnings.map(({ agents, paths }) => {
      return `  the radar predicted that ${agents.join(" and ")} would conflict in ${paths.join(", ")}`;
    }),
    returned.map(({ task, agent }) => `  ${task} was returned to ${agent}, who resolved the conflict; then it landed`),
    `  ${chain}`,
    kept !== null && `  everything is in ${kept}: MU_STATE_DIR=${kept} mu log -w demo`,
    problems.map((problem) => `  ${paint.bold("!")} ${problem}`),
  ];
}
