import { CREW_DESTRUCTION, destroyCrew, previewCrewDestroy } from "../../crew/workstream.js";
import { Fault } from "../../errors.js";
import { describeWork } from "../../journal/sentences.js";
import { counted } from "../../names.js";
import { defineOperation, step } from "../define.js";
import { namedWorkstreamField, workstreamField, yesField } from "../fields.js";
import { whileBusyField, whileBusyOf } from "../workspace/fields.js";

export const workstreamDestroy = defineOperation({
  name: "workstream.destroy",
  summary: "Destroy a workstream: its agents, session, tasks, edges and notes",
  description:
    "Every pane of its session is closed, even panes without an agent: the dry run lists them. Work in its workspaces is saved first; if that fails, nothing is destroyed. It is refused while an agent is busy. `mu undo` brings the workstream back with its tasks, edges, notes and settings; panes, workspace folders and prompts are gone for good. Its events stay: `mu log` shows them, and a later workstream of the same name continues the chain.",
  effect: "destroy",
  input: () => ({
    name: namedWorkstreamField(),
    workstream: workstreamField(),
    yes: yesField(),
    evenIfBusy: whileBusyField("Destroy it even if agents are busy"),
  }),
  output: { ...CREW_DESTRUCTION, destroyed: "boolean", dryRun: "boolean" },
  positional: ["name"],
  examples: [
    { command: "mu workstream destroy other", shows: "what would be deleted" },
    { command: "mu workstream destroy other --yes", shows: "remove it" },
    { command: "mu workstream destroy --yes", shows: "no name", fault: "usage.missing_argument" },
    { command: "mu workstream destroy nothing --yes", shows: "an unknown name", fault: "workstream.not_found" },
  ],
  async run(app, { name, workstream: scope, yes, evenIfBusy }) {
    if (yes && name === undefined) throw unnamed(scope);
    const crew = await app.crew();
    const gone = yes ? await destroyCrew(crew, scope, whileBusyOf(evenIfBusy)) : await previewCrewDestroy(crew, scope);
    return { ...gone, destroyed: yes, dryRun: !yes };
  },
  next: ({ destroyed, busy, salvages }, { workstream }, { context }) => [
    destroyed
      ? step("Bring it back", `mu undo ${context.group ?? ""} --yes`)
      : busy.length > 0
        ? step("Apply it all the same", `mu workstream destroy ${workstream} --yes --even-if-busy`)
        : step("Apply it", `mu workstream destroy ${workstream} --yes`),
    ...(salvages.length === 0 ? [] : [step("Show what was saved", "mu salvage list --all")]),
  ],
  render: ({ destroyed, ...gone }, paint) => [
    `${destroyed ? "Destroyed" : "Would destroy"} ${paint.bold(gone.workstream)}: ${counted(gone.tasks, "task")}, ${counted(gone.edges, "edge")}, ${counted(gone.notes, "note")}, ${counted(gone.agents, "agent")}`,
    gone.closing.length > 0 && `  agents: ${gone.closing.join(", ")}`,
    !destroyed && gone.busy.length > 0 && `  refused while busy: ${gone.busy.join(", ")}`,
    gone.sessionAlive && `  tmux session ${gone.session}`,
    gone.workspaces.map(
      ({ agent, path, commits, files }) => `  workspace of ${agent}${workOf(commits, files)}: ${path}`,
    ),
    gone.salvages.map((name) => `  saved ${name}`),
    gone.strangers.map(({ pane, command }) => `  pane ${pane}, which is no agent's: ${command}`),
    `Final: panes and their programs, workspace folders, prompts to agents. mu undo brings back the rest; the agents stay closed.`,
  ],
});

function unnamed(workstream: string): Fault {
  return new Fault("usage", "usage.missing_argument", "Name the workstream to destroy.", [
    step("See what would go", `mu workstream destroy ${workstream}`),
    step("Destroy it", `mu workstream destroy ${workstream} --yes`),
  ]);
}

function workOf(commits: number | null, files: number | null): string {
  if (commits === null && files === null) return "";
  const work = { commits: commits ?? 0, files: files ?? 0 };
  return work.commits + work.files === 0 ? " (nothing to save)" : ` (${describeWork(work)} to save)`;
}
