import * as z from "zod";
import { destroyCrew, previewCrewDestroy } from "../../crew/workstream.js";
import { counted } from "../../names.js";
import { tellWork } from "../../workspaces/salvage.js";
import { workstreamField, yesField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { resolveWorkstream } from "../resolve.js";
import { NEXT_STEPS, schemaOf } from "../shapes.js";

export const workstreamDestroy = defineOperation({
  name: "workstream.destroy",
  summary: "End a workstream's agents and session, and remove it with its tasks, edges and notes",
  description:
    "Every pane of its session goes, those that are no agent's too: the dry run names them. The work in its workspaces is saved first, and nothing goes when that fails. Its events stay: the log, the audit and a later namesake go on with their chain.",
  effect: "destroy",
  input: () =>
    z.strictObject({
      name: z.string().optional().meta({ completes: "workstream" }),
      workstream: workstreamField(),
      yes: yesField(),
    }),
  output: () =>
    schemaOf({
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
    }),
  positional: ["name"],
  examples: [
    { command: "mu workstream destroy other", shows: "what would go" },
    { command: "mu workstream destroy other --yes", shows: "remove it" },
    { command: "mu workstream destroy nothing --yes", shows: "a name that is none", fault: "workstream.not_found" },
  ],
  async run(app, { name, workstream, yes }) {
    const scope = await resolveWorkstream(app, name ?? workstream);
    const crew = await app.crew();
    const gone = yes ? await destroyCrew(crew, scope) : await previewCrewDestroy(crew, scope);
    const next = yes
      ? { intent: "See what is left", command: "mu workstream list" }
      : { intent: "Do it", command: `mu workstream destroy ${scope} --yes` };
    const saved = gone.salvages.length === 0 ? [] : [BRING_BACK];
    return { ...gone, destroyed: yes, dryRun: !yes, nextSteps: [...saved, next] };
  },
  render: ({ destroyed, ...gone }, paint) =>
    [
      `${destroyed ? "Destroyed" : "Would destroy"} ${paint.bold(gone.workstream)}: ${counted(gone.tasks, "task")}, ${counted(gone.edges, "edge")}, ${counted(gone.notes, "note")}, ${counted(gone.agents, "agent")}`,
      ...(gone.closing.length > 0 ? [`  agents at work: ${gone.closing.join(", ")}`] : []),
      ...(gone.sessionAlive ? [`  tmux session ${gone.session}`] : []),
      ...gone.workspaces.map(
        ({ agent, path, commits, files }) => `  workspace of ${agent}${workOf(commits, files)}: ${path}`,
      ),
      ...gone.salvages.map((name) => `  saved ${name}`),
      ...gone.strangers.map(({ pane, command }) => `  pane ${pane}, which is no agent's: ${command}`),
    ].join("\n"),
});

const BRING_BACK = { intent: "See what was saved and bring it back", command: "mu salvage list --all" };

function workOf(commits: number | null, files: number | null): string {
  if (commits === null && files === null) return "";
  const work = { commits: commits ?? 0, files: files ?? 0 };
  return work.commits + work.files === 0 ? " (nothing to save)" : ` (${tellWork(work)} to save)`;
}
