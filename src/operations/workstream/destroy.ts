import * as z from "zod";
import { destroyCrew, previewCrewDestroy } from "../../crew/workstream.js";
import { counted } from "../../names.js";
import { describeWork } from "../../workspaces/salvage.js";
import { workstreamField, yesField } from "../fields.js";
import { defineOperation, NEXT_STEPS, step } from "../operation.js";
import { resolveWorkstream } from "../resolve.js";

export const workstreamDestroy = defineOperation({
  name: "workstream.destroy",
  summary: "Destroy a workstream: its agents, session, tasks, edges and notes",
  description:
    "Every pane of its session is closed, even panes without an agent: the dry run lists them. Work in its workspaces is saved first; if that fails, nothing is destroyed. Its events stay: the log, the audit and a later workstream of the same name continue the chain.",
  effect: "destroy",
  input: () => ({
    name: z.string().optional().meta({ completes: "workstream" }),
    workstream: workstreamField(),
    yes: yesField(),
  }),
  output: {
    workstream: "string",
    destroyed: "boolean",
    dryRun: "boolean",
    tasks: "number",
    edges: "number",
    notes: "number",
    agents: "number",
    session: "string",
    sessionAlive: "boolean",
    closing: "string[]",
    strangers: [{ pane: "string", command: "string" }],
    workspaces: [{ agent: "string", path: "string", commits: "number | null", files: "number | null" }],
    salvages: "string[]",
    nextSteps: NEXT_STEPS,
  },
  positional: ["name"],
  examples: [
    { command: "mu workstream destroy other", shows: "what would be deleted" },
    { command: "mu workstream destroy other --yes", shows: "remove it" },
    { command: "mu workstream destroy nothing --yes", shows: "an unknown name", fault: "workstream.not_found" },
  ],
  async run(app, { name, workstream, yes }) {
    const scope = await resolveWorkstream(app, name ?? workstream);
    const crew = await app.crew();
    const gone = yes ? await destroyCrew(crew, scope) : await previewCrewDestroy(crew, scope);
    const next = yes
      ? step("Show the remaining tasks", "mu workstream list")
      : step("Apply it", `mu workstream destroy ${scope} --yes`);
    const saved = gone.salvages.length === 0 ? [] : [BRING_BACK];
    return { ...gone, destroyed: yes, dryRun: !yes, nextSteps: [...saved, next] };
  },
  render: ({ destroyed, ...gone }, paint) =>
    [
      `${destroyed ? "Destroyed" : "Would destroy"} ${paint.bold(gone.workstream)}: ${counted(gone.tasks, "task")}, ${counted(gone.edges, "edge")}, ${counted(gone.notes, "note")}, ${counted(gone.agents, "agent")}`,
      ...(gone.closing.length > 0 ? [`  agents: ${gone.closing.join(", ")}`] : []),
      ...(gone.sessionAlive ? [`  tmux session ${gone.session}`] : []),
      ...gone.workspaces.map(
        ({ agent, path, commits, files }) => `  workspace of ${agent}${workOf(commits, files)}: ${path}`,
      ),
      ...gone.salvages.map((name) => `  saved ${name}`),
      ...gone.strangers.map(({ pane, command }) => `  pane ${pane}, which is no agent's: ${command}`),
    ].join("\n"),
});

const BRING_BACK = step("Show what was saved", "mu salvage list --all");

function workOf(commits: number | null, files: number | null): string {
  if (commits === null && files === null) return "";
  const work = { commits: commits ?? 0, files: files ?? 0 };
  return work.commits + work.files === 0 ? " (nothing to save)" : ` (${describeWork(work)} to save)`;
}
