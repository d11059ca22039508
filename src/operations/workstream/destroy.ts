import * as z from "zod";
import {
  CREW_DESTRUCTION,
  type CrewDestruction,
  destroyCrew,
  endStrays,
  listEmpty,
  previewCrewDestroy,
} from "../../crew/workstream.js";
import { Fault } from "../../errors.js";
import { describeWork } from "../../journal/sentences.js";
import { counted } from "../../names.js";
import { type App, defineOperation, NEXT_STEPS, type Paint, schemaOf, shape, step, type TypeOf } from "../define.js";
import { field, flag, namedWorkstreamField, optionalText, workstreamField, yesField } from "../fields.js";
import { outcomesOf, refusalLines, withEach, worstExitCode } from "../several.js";
import { whileBusyField, whileBusyOf } from "../workspace/fields.js";

const ONE = shape({ ...CREW_DESTRUCTION, destroyed: "boolean", dryRun: "boolean", nextSteps: NEXT_STEPS });

type One = TypeOf<typeof ONE>;

export const workstreamDestroy = defineOperation({
  name: "workstream.destroy",
  summary: "Destroy a workstream: its agents, session, tasks, edges and notes",
  description:
    "Its tasks are exported first, to a folder of mu's that mu workstream import reads. Every pane of its session is closed, even panes without an agent: the dry run lists them. Work in its workspaces is saved; if that or the export fails, nothing is destroyed. It is refused while an agent is busy. With --empty it is every workstream without tasks, agents, workspaces and panes, and every session mu-… of no workstream with nothing in it. `mu undo` brings the workstream back with its tasks, edges, notes and settings; panes, workspace folders and prompts are gone for good. Its events stay: `mu log` shows them, and a later workstream of the same name continues the chain.",
  effect: "destroy",
  input: () => ({
    name: namedWorkstreamField(),
    workstream: workstreamField("one or all"),
    yes: yesField(),
    evenIfBusy: whileBusyField("Destroy it even if agents are busy"),
    export: field(z.boolean().default(true), "Do not export its tasks first"),
    archive: optionalText("Add its tasks to this archive first", { value: "label" }),
    empty: flag("All workstreams that are empty", { everywhere: true }),
  }),
  validate({ archive, empty }) {
    if (archive === undefined || !empty) return;
    throw new Fault("usage", "usage.nothing_to_archive", "What is empty has no tasks: leave --archive or --empty out.");
  },
  output: () => z.union([schemaOf(ONE), outcomesOf(schemaOf(ONE)).extend({ strays: z.array(z.string()) })]),
  positional: ["name"],
  examples: [
    { command: "mu workstream destroy other", shows: "what would be deleted" },
    { command: "mu workstream destroy other --yes", shows: "remove it" },
    { command: "mu workstream destroy --empty", shows: "the workstreams with nothing in them" },
    { command: "mu workstream destroy --yes", shows: "no name", fault: "usage.missing_argument" },
    { command: "mu workstream destroy nothing --yes", shows: "an unknown name", fault: "workstream.not_found" },
  ],
  async run(app, { name, workstream: scope, yes, evenIfBusy, export: exports, archive }) {
    const options = { ...whileBusyOf(evenIfBusy), archive, ...(!exports && { export: "none" as const }) };
    if (scope === undefined) return destroyEmpty(app, yes);
    if (yes && name === undefined) throw unnamed(scope);
    const crew = await app.crew();
    return told(
      app,
      yes ? await destroyCrew(crew, scope, options) : await previewCrewDestroy(crew, scope, options),
      yes,
    );
  },
  exitCode: (result) => ("items" in result ? worstExitCode(result, () => 0) : 0),
  render: (result, paint) =>
    "items" in result
      ? [
          result.items.map((one) => lines(one, paint)),
          result.strays.map((session) => `Session ${session} of no workstream, with nothing in it`),
          result.items.length + result.strays.length === 0 && "Nothing is empty.",
          refusalLines(result),
        ]
      : [
          lines(result, paint),
          "Final: panes and their programs, workspace folders, prompts to agents. mu undo brings back the rest; the agents stay closed.",
        ],
});

/** Every empty workstream for itself, and the sessions of none. */
async function destroyEmpty(app: App, yes: boolean) {
  const crew = await app.crew();
  const { workstreams, strays } = await listEmpty(crew);
  const refs = workstreams.map((name) => ({ workstream: name, name }));
  const { items, ...outcomes } = await withEach(
    refs,
    ({ name }) => (yes ? destroyCrew(crew, name) : previewCrewDestroy(crew, name)),
    { order: "in turn", signal: app.request.signal },
  );
  if (yes) await endStrays(crew, strays);
  const isDue = !yes && items.length + strays.length > 0;
  const apply = isDue ? [step("Apply it", "mu workstream destroy --empty --yes")] : [];
  return {
    ...outcomes,
    items: items.map((one) => told(app, one, yes)),
    strays,
    nextSteps: [...outcomes.nextSteps, ...apply],
  };
}

function told({ context }: App, gone: CrewDestruction, destroyed: boolean): One {
  const { workstream, busy, salvages, archivedTo } = gone;
  const kept = archivedTo === null ? "" : ` --archive ${archivedTo}`;
  const options = gone.tasks > 0 && gone.exportedTo === null ? `${kept} --no-export` : kept;
  const next = destroyed
    ? step("Bring it back", `mu undo ${context.group ?? ""} --yes`)
    : busy.length > 0
      ? step("Apply it all the same", `mu workstream destroy ${workstream}${options} --yes --even-if-busy`)
      : step("Apply it", `mu workstream destroy ${workstream}${options} --yes`);
  const saves = salvages.length === 0 ? [] : [step("Show what was saved", "mu salvage list --all")];
  return { ...gone, destroyed, dryRun: !destroyed, nextSteps: [next, ...saves] };
}

const lines = ({ destroyed, ...gone }: One, paint: Paint) => [
  `${destroyed ? "Destroyed" : "Would destroy"} ${paint.bold(gone.workstream)}: ${counted(gone.tasks, "task")}, ${counted(gone.edges, "edge")}, ${counted(gone.notes, "note")}, ${counted(gone.agents, "agent")}`,
  gone.exportedTo !== null && `  ${destroyed ? "exported" : "export"} to ${gone.exportedTo}`,
  gone.archivedTo !== null && `  ${destroyed ? "kept" : "keep"} in the archive ${gone.archivedTo}`,
  gone.closing.length > 0 && `  agents: ${gone.closing.join(", ")}`,
  !destroyed && gone.busy.length > 0 && `  refused while busy: ${gone.busy.join(", ")}`,
  gone.sessionAlive && `  tmux session ${gone.session}`,
  gone.workspaces.map(({ agent, path, commits, files }) => `  workspace of ${agent}${workOf(commits, files)}: ${path}`),
  gone.salvages.map((name) => `  saved ${name}`),
  gone.strangers.map(({ pane, command }) => `  pane ${pane}, which is no agent's: ${command}`),
];

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
