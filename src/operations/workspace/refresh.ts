import { Fault } from "../../errors.js";
import { counted } from "../../names.js";
import { REFRESH_ATTEMPT, refreshAll, refreshWorkspace } from "../../workspaces/refresh.js";
import { defineOperation, listed, listOf, step } from "../define.js";
import { agentField, flag, optionalText, workstreamField } from "../fields.js";
import { whileBusyField, whileBusyOf } from "./fields.js";
import { savedLines } from "./saved.js";

export const workspaceRefresh = defineOperation({
  name: "workspace.refresh",
  summary: "Rebase a workspace onto the target branch",
  description:
    "Unlanded commits are saved first. A workspace with uncommitted changes is refused. A conflict leaves everything as it was. With --all, mu lists the workspaces that could not be refreshed and exits 4.",
  effect: "write",
  input: () => ({
    agent: agentField().optional(),
    workstream: workstreamField(),
    all: flag("Refresh all workspaces of the workstream"),
    from: optionalText("Ref to rebase onto (default: the target branch)", { value: "ref" }),
    evenIfBusy: whileBusyField(),
  }),
  validate({ agent, all }) {
    if ((agent === undefined) === all) return;
    const list = step("List the workspaces", "mu workspace list");
    throw new Fault("usage", "usage.agent_or_all", "Name an agent, or pass --all.", [list]);
  },
  output: listOf(REFRESH_ATTEMPT),
  positional: ["agent"],
  examples: [
    { command: "mu workspace refresh helper", shows: "rebase onto what has landed since" },
    { command: "mu workspace refresh nobody", shows: "an agent without a workspace", fault: "workspace.not_found" },
    { command: "mu workspace refresh", shows: "neither an agent nor --all", fault: "usage.agent_or_all" },
  ],
  async run(app, { agent, workstream, from, evenIfBusy }) {
    const options = { onto: from, ...whileBusyOf(evenIfBusy) };
    const crew = await app.crew();
    const items =
      agent === undefined
        ? await refreshAll(crew, workstream, options)
        : [{ ...(await refreshWorkspace(crew, agent, options)), ...FINE }];
    return listed(items);
  },
  next: ({ items: [first] }) =>
    first ? [step("List the workspaces", `mu workspace list -w ${first.workspace.workstream}`)] : [],
  exitCode: ({ items }) => (items.some((item) => item.outcome === "refused") ? 4 : 0),
  render: ({ items }, paint) =>
    items.length === 0
      ? "No workspaces."
      : items.map(({ workspace, outcome, replayed, salvage, problem }) => [
          `${paint.bold(workspace.agent)}: ${OUTCOMES[outcome]({ base: workspace.baseRef, commits: replayed.length, problem })}`,
          savedLines(salvage),
        ]),
});

const FINE = { problem: null, code: null };

type RefreshOutcome = { base: string | null; commits: number; problem: string | null };

const OUTCOMES = {
  current: ({ base }: RefreshOutcome) => `is already on ${base?.slice(0, 12)}`,
  refreshed: ({ base, commits }: RefreshOutcome) =>
    `is now on ${base?.slice(0, 12)}${commits === 0 ? "" : `, with ${counted(commits, "commit")}`}`,
  refused: ({ problem }: RefreshOutcome) => `not refreshed. ${problem}`,
};
