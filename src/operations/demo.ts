import { DEMO_OUTCOME, type DemoOutcome } from "../demo/demo.js";
import type { State } from "../state.js";
import { type Drawing, defineOperation, type Paint } from "./define.js";
import { optionalText } from "./fields.js";
import { stateCard } from "./state.js";

export const demo = defineOperation({
  name: "demo",
  summary: "Watch scripted agents work through a task graph",
  description:
    "Needs no API key and no network. Three scripted agents in a private tmux share ten tasks, each in its own workspace. One asks for permission, one crashes and is replaced, and two change the same lines, which the radar predicts before they land. Everything is removed afterwards, unless --keep names a folder. Exits 0 if every task landed on main exactly once and the event chain is intact.",
  effect: "write",
  standalone: true,
  input: () => ({
    keep: optionalText("Keep the repository, the transcripts and mu.db in this new folder", { value: "folder" }),
  }),
  output: DEMO_OUTCOME,
  examples: [
    { command: "mu demo", shows: "the whole demo" },
    { command: "mu demo --keep shop", shows: "the demo, keeping everything it made" },
    { command: "mu demo --agents 5", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  run: ({ program, request }, { keep }) => program.playDemo({ keep }, request),
  render: (outcome, paint) => [stateCard(outcome.state as State, paint), "", summary(outcome, paint)],
  exitCode: ({ ok }) => (ok ? 0 : 1),
});

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
