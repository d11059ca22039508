import * as z from "zod";
import { Fault } from "../../errors.js";
import { counted } from "../../names.js";
import { REFRESH_ATTEMPT, refreshAll, refreshWorkspace } from "../../workspaces/refresh.js";
import { about, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveAgent, resolveWorkstream } from "../resolve.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";
import { ownerField, whileBusyField, whileBusyOf } from "./fields.js";
import { savedLines } from "./saved.js";

export const workspaceRefresh = defineOperation({
  name: "workspace.refresh",
  summary: "Put a workspace's commits on the newest state of the branch that work lands on",
  description:
    "Unlanded commits are saved first. Uncommitted changes are refused. After a conflict everything is as it was. With --all those that cannot be refreshed are told, and the exit code is 4.",
  effect: "write",
  input: () =>
    z.strictObject({
      agent: ownerField().optional(),
      workstream: workstreamField(),
      all: z.boolean().default(false).meta(about("All workspaces of the workstream")),
      from: z
        .string()
        .min(1)
        .optional()
        .meta(about("What to put the work on, in place of the branch", { value: "ref" })),
      evenIfBusy: whileBusyField(),
    }),
  output: () => schemaOf({ items: [REFRESH_ATTEMPT], count: "number", nextSteps: NEXT_STEPS }),
  positional: ["agent"],
  examples: [
    { command: "mu workspace refresh helper", shows: "on top of what has landed meanwhile" },
    { command: "mu workspace refresh nobody", shows: "somebody without one", fault: "workspace.not_found" },
    { command: "mu workspace refresh", shows: "whose?", fault: "usage.agent_or_all" },
  ],
  async run(app, { agent, workstream, all, from, evenIfBusy }) {
    if ((agent === undefined) !== all) throw agentOrAll();
    const options = { ...(from !== undefined && { onto: from }), ...whileBusyOf(evenIfBusy) };
    const crew = await app.crew();
    const items =
      agent === undefined
        ? await refreshAll(crew, await resolveWorkstream(app, workstream), options)
        : [{ ...(await refreshWorkspace(crew, await resolveAgent(app, agent, workstream), options)), ...FINE }];
    const [first] = items;
    const nextSteps = first
      ? [{ intent: "See how they stand", command: `mu workspace list -w ${first.workspace.workstream}` }]
      : [];
    return { items, count: items.length, nextSteps };
  },
  exitCode: ({ items }) => (items.some((item) => item.outcome === "refused") ? 4 : 0),
  render: ({ items }, paint) =>
    items.length === 0
      ? "No workspaces."
      : items
          .flatMap(({ workspace, outcome, replayed, salvage, problem }) => [
            `${paint.bold(workspace.agent)}: ${OUTCOMES[outcome]({ base: workspace.baseRef, commits: replayed.length, problem })}`,
            ...savedLines(salvage),
          ])
          .join("\n"),
});

const FINE = { problem: null, code: null };

type Told = { base: string | null; commits: number; problem: string | null };

const OUTCOMES = {
  current: ({ base }: Told) => `is on ${base?.slice(0, 12)} already`,
  refreshed: ({ base, commits }: Told) =>
    `is on ${base?.slice(0, 12)} now${commits === 0 ? "" : `, with ${counted(commits, "commit")} of its own`}`,
  refused: ({ problem }: Told) => `left as it is. ${problem}`,
};

function agentOrAll(): Fault {
  return new Fault("usage", "usage.agent_or_all", "Name an agent, or say --all.", [
    { intent: "See the workspaces", command: "mu workspace list" },
  ]);
}
