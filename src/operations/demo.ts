import * as z from "zod";
import { DEMO_OUTCOME, type DemoOutcome } from "../demo/demo.js";
import type { State } from "../state.js";
import { about } from "./fields.js";
import { defineOperation } from "./operation.js";
import type { Paint } from "./paint.js";
import { schemaOf } from "./shapes.js";
import { stateCard } from "./state.js";

export const demo = defineOperation({
  name: "demo",
  summary: "Watch a crew of scripted agents work through a graph of tasks",
  description:
    "Needs no key and no network: three scripted agents in panes of a private tmux share ten tasks, each in a workspace of its own; one asks for permission, one crashes and is replaced, and two change the same lines, which the radar sees before it lands. All of it is gone afterwards, unless --keep names a folder. Exit 0 says that every task landed on main exactly once and that the chain of events holds.",
  effect: "write",
  standalone: true,
  input: () =>
    z.strictObject({
      keep: z
        .string()
        .min(1)
        .optional()
        .meta(about("Leave the repository, the transcripts and mu.db in this new folder", { value: "folder" })),
    }),
  output: () => schemaOf(DEMO_OUTCOME),
  examples: [
    { command: "mu demo", shows: "the whole play" },
    { command: "mu demo --keep shop", shows: "the play, and everything it made afterwards" },
    { command: "mu demo --agents 5", shows: "a flag it does not have", fault: "usage.unknown_option" },
  ],
  run: ({ io }, { keep }) => io.playDemo({ keep }),
  render: (outcome, paint) => [stateCard(outcome.state as State, paint), "", ...summary(outcome, paint)].join("\n"),
  exitCode: ({ ok }) => (ok ? 0 : 1),
});

function summary(outcome: DemoOutcome, paint: Paint): string[] {
  const { ok, problems, seconds, tasks, crashes, warnings, returned, prompts, audit, kept } = outcome;
  const done = tasks.filter(({ landings }) => landings === 1).length;
  const chain = `${audit.ok ? "the chain holds" : "the chain is broken"}, ${audit.events} events, and the tables ${audit.tables === "same" ? "agree with it" : "differ from it"}`;
  return [
    paint.bold(ok ? "It went as it should." : "It did not go as it should."),
    `  ${done} of ${tasks.length} tasks landed on main exactly once, in ${seconds.toFixed(1)} s`,
    `  ${prompts.proved} of ${prompts.sent} prompts were proved to have arrived`,
    ...crashes.map(
      (crash) => `  ${crash.agent} crashed on ${crash.tasks.join(", ")}; ${crash.takenOverBy.join(", ")} took over`,
    ),
    ...warnings.map(({ agents, paths }) => `  the radar saw ${agents.join(" and ")} clash in ${paths.join(", ")}`),
    ...returned.map(({ task, agent }) => `  ${task} came back to ${agent}, who put it right, and then landed`),
    `  ${chain}`,
    ...(kept === null ? [] : [`  everything is in ${kept}: MU_STATE_DIR=${kept} mu log -w demo`]),
    ...problems.map((problem) => `  ${paint.bold("!")} ${problem}`),
  ];
}
