import * as z from "zod";
import { Fault } from "../../errors.js";
import { STEP_NAMES, type StepName } from "../../flow/steps.js";
import { ARCHIVE, readVersion } from "../../jobs/folder.js";
import {
  archiveJob,
  createJob,
  deleteJob,
  getJob,
  JOB,
  type Job,
  type JobStep,
  jobRow,
  listJobs,
  renameJob,
  setModules,
} from "../../jobs/job.js";
import { findModules, scanModules } from "../../jobs/modules.js";
import { counted } from "../../names.js";
import {
  type Drawing,
  defineJobVerb,
  defineOperation,
  listed,
  listOf,
  type Paint,
  step,
  WARNINGS,
  warningLines,
} from "../define.js";
import { field, flag, optionalText, workstreamField, yesField } from "../fields.js";

const nameField = (about: string) => field(z.string().min(1), about, { value: "name" });

export const jobNew = defineOperation({
  name: "job.new",
  aliases: ["session new"],
  summary: "Make a job: a folder and a task for one unit of work",
  description:
    "Its folder is .mu/jobs/<name>; commit it to share it. One whose name begins with local- is for scratch work and is not committed. With --workspace its agents work in a checkout of their own, on the branch mu/<workstream>/<job>, which mu land lands when the job is done; without, in the project folder, one at a time.",
  effect: "write",
  acts: ["runs"],
  input: () => ({
    name: nameField("Name: lowercase letters, digits, _ or -, at most 32"),
    workstream: workstreamField(),
    title: optionalText("What it is about, in one line", { short: "t" }),
    workspace: flag("A checkout of its own", { aliases: ["branch"] }),
    clean: flag("Refuse if files of the project are not committed"),
  }),
  output: { job: JOB, warnings: WARNINGS },
  positional: ["name"],
  examples: [
    { command: "mu job new dark-mode", shows: "a job in the project folder" },
    { command: "mu job new build", shows: "a name that a task has", fault: "task.exists" },
  ],
  async run(app, { workstream, ...wanted }) {
    return createJob(await app.crew(), workstream, wanted);
  },
  next: ({ job: { name, workstream } }) => [
    step("Say what you want", `mu job run ${name} task -i '…' -w ${workstream}`),
    step("Run all six steps", `mu job run ${name} all -i '…' --wait -w ${workstream}`),
  ],
  render: ({ job, warnings }, paint) => [
    `Made the job ${paint.bold(job.name)} in ${job.folder}`,
    job.checkout !== null && `  its agents work in ${job.checkout}`,
    warningLines(warnings),
  ],
});

export const jobList = defineOperation({
  name: "job.list",
  aliases: ["session list"],
  summary: "List the jobs",
  effect: "read",
  input: () => ({ workstream: workstreamField(), archived: flag("Archived ones, too") }),
  output: { ...listOf(JOB), folders: "string[]" },
  examples: [
    { command: "mu job list", shows: "the jobs of this workstream" },
    { command: "mu job list -w nowhere", shows: "an unknown workstream", fault: "workstream.not_found" },
  ],
  async run({ context }, { workstream, archived }) {
    const { jobs, folders } = await listJobs(context.store.db, workstream, { archived });
    return { ...listed(jobs), folders };
  },
  next: ({ folders: [folder] }, { workstream }) =>
    folder === undefined ? [] : [step("Adopt a folder", `mu job adopt ${folder} -w ${workstream}`)],
  render: ({ items, folders }, paint) => [
    paint.list(items, "No jobs.", [
      { head: "job", text: ({ name }) => paint.bold(name), max: 32 },
      { head: "steps", text: (job) => job.steps.map((one) => `${markOf(one)} ${one.step}`).join("  ") || "none yet" },
      { head: "cost", text: ({ costUsd }) => (costUsd === 0 ? "" : `$${costUsd.toFixed(2)}`), align: "right" },
      { head: "title", text: ({ name, title }) => (title === name ? "" : title), max: 40 },
    ]),
    folders.length > 0 && `Folders without a job: ${folders.join(", ")}`,
  ],
});

/** How a step stands, in one letter of the trade. */
function markOf({ status, hold, outcome }: JobStep): string {
  if (status === "CLOSED") return outcome === "unreviewed" ? "!" : "✓";
  if (status === "REJECTED") return "×";
  return hold === null ? "•" : "!";
}

export const jobShow = defineJobVerb({
  name: "job.show",
  aliases: ["session show"],
  summary: "Show a job with its steps, or what a step has made",
  effect: "read",
  input: () => ({
    artifact: field(z.enum(STEP_NAMES).optional(), "Print what this step has made"),
    version: field(z.number().int().min(1).optional(), "An older version of it, by number"),
  }),
  output: {
    ...JOB,
    /** What a step has made; `version` is null for what is there now. */
    shown: [{ step: STEP_NAMES, path: "string", version: "number | null", versions: "number[]", text: "string" }, null],
  },
  validate: ({ artifact, version }) => {
    if (version === undefined || artifact !== undefined) return;
    throw new Fault("usage", "usage.invalid_input", "--version is about an artifact: say which with --artifact.");
  },
  examples: [
    { command: "mu job show theme", shows: "its steps, artifacts and cost" },
    { command: "mu job show theme --artifact task", shows: "the text of its task.md" },
    { command: "mu job show theme --artifact plan", shows: "an artifact that is not there", fault: "job.no_artifact" },
    { command: "mu job show build", shows: "a task that is no job", fault: "job.not_found" },
  ],
  async run({ context }, ref, { artifact, version }) {
    const job = await getJob(context.store.db, ref);
    if (artifact === undefined) return { ...job, shown: null };
    const { root, folder } = await jobRow(context.store.db, ref);
    const shown = await readVersion(root, folder, artifact, version);
    if (shown === undefined) throw noArtifact(job, artifact, version);
    return { ...job, shown };
  },
  next: ({ steps, name, workstream, status, hold, checkout, landed, shown }) => {
    if (shown !== null) return [];
    if (hold !== null) return [step("Have it mended", `mu job run ${name} work --from builder -w ${workstream}`)];
    if (status === "CLOSED" && checkout !== null && !landed)
      return [step("Land it", `mu land ${name} -w ${workstream}`)];
    const held = steps.find(({ heldTask }) => heldTask !== null);
    return held === undefined
      ? [step("See its tasks", `mu task tree ${name} -w ${workstream}`)]
      : [
          step("See what happened", `mu task show ${held.heldTask} -w ${workstream}`),
          held.heldTask === held.task
            ? step("Have it go on", `mu job run ${name} ${held.step} --from builder -w ${workstream}`)
            : step("Have it tried again", `mu task requeue ${held.heldTask} -w ${workstream}`),
        ];
  },
  render: (job, paint) => job.shown?.text.trimEnd() ?? drawJob(job, paint),
});

function noArtifact({ name, workstream }: Job, artifact: StepName, version: number | undefined): Fault {
  const what = version === undefined ? `no ${artifact}.md yet` : `no version ${version} of ${artifact}.md`;
  return new Fault("missing", "job.no_artifact", `${name} has ${what}.`, [
    step("See what it has", `mu job show ${name} -w ${workstream}`),
  ]);
}

function drawJob(job: Job, paint: Paint): Drawing {
  return [
    `${paint.bold(job.name)}  ${paint.status(job.status)}${job.title === job.name ? "" : `  ${job.title}`}`,
    `  ${paint.dim("folder")} ${job.folder}${job.artifacts.length > 0 ? `: ${job.artifacts.join(", ")}` : ", no artifact yet"}`,
    job.checkout !== null && `  ${paint.dim("checkout")} ${job.checkout}`,
    `  ${paint.dim("modules")} ${job.modules === null ? "not chosen yet" : job.modules.join(", ") || "none"}`,
    paint.list(job.steps, "No step yet.", [
      { head: "step", text: (one) => `${markOf(one)} ${one.step}` },
      { head: "task", text: ({ task }) => task, max: 40 },
      { head: "status", text: ({ status }) => paint.status(status) },
      { head: "outcome", text: ({ outcome, hold }) => outcome ?? hold ?? "" },
      { head: "runs", text: ({ runs }) => String(runs), align: "right" },
      { head: "cost", text: ({ costUsd }) => (costUsd === 0 ? "" : `$${costUsd.toFixed(2)}`), align: "right" },
    ]),
    job.hold !== null && `  ! ${job.holdReason ?? job.hold}`,
    job.steps
      .filter(({ heldTask }) => heldTask !== null)
      .map((one) => `  ! ${one.heldTask}: ${one.holdReason ?? one.hold}`),
  ];
}

export const jobRename = defineJobVerb({
  name: "job.rename",
  aliases: ["session rename"],
  summary: "Rename a job and its folder",
  effect: "write",
  input: () => ({ name: nameField("New name") }),
  output: { job: JOB },
  positional: ["name"],
  examples: [
    { command: "mu job rename theme colours", shows: "another name" },
    { command: "mu job rename nothing else", shows: "an unknown job", fault: "job.not_found" },
  ],
  run: async ({ context }, ref, { name }) => ({ job: await renameJob(context, ref, name) }),
  render: ({ job }, paint) => `It is ${paint.bold(job.name)} now, in ${job.folder}`,
});

export const jobArchive = defineJobVerb({
  name: "job.archive",
  aliases: ["session archive"],
  summary: "Put a job away: its files go to the archive, its task is closed",
  description: `The files go to ${ARCHIVE}. Steps that are still open are cancelled; while an agent works on one it is refused.`,
  effect: "write",
  output: { job: JOB },
  examples: [
    { command: "mu job archive theme", shows: "put it away" },
    { command: "mu job archive nothing", shows: "an unknown job", fault: "job.not_found" },
  ],
  run: async ({ context }, ref) => ({ job: await archiveJob(context, ref) }),
  render: ({ job }, paint) => `Archived ${paint.bold(job.name)} in ${job.folder}`,
});

export const jobDelete = defineJobVerb({
  name: "job.delete",
  aliases: ["session delete"],
  summary: "Delete a job's tasks and put its files aside",
  effect: "destroy",
  input: () => ({ yes: yesField() }),
  output: { tasks: "string[]", files: "string | null", dryRun: "boolean" },
  examples: [
    { command: "mu job delete theme", shows: "what would go" },
    { command: "mu job delete nothing", shows: "an unknown job", fault: "job.not_found" },
  ],
  async run({ context }, ref, { yes }) {
    if (yes) return { ...(await deleteJob(context, ref)), dryRun: false };
    const { steps, folder, name } = await getJob(context.store.db, ref);
    return { tasks: [...steps.map(({ task }) => task), name], files: folder, dryRun: true };
  },
  render: ({ tasks, files, dryRun: isDry }) => [
    isDry
      ? `Would delete ${counted(tasks.length, "task")} and put ${files} aside. Repeat with --yes.`
      : `Deleted ${counted(tasks.length, "task")}`,
    !isDry && files !== null && `  its files are in ${files}`,
  ],
});

export const jobAdopt = defineOperation({
  name: "job.adopt",
  aliases: ["session adopt"],
  summary: "Make a job of a folder that is there already",
  description: "For a folder in .mu/jobs that came with a pull. Its artifacts are what the next step goes by.",
  effect: "write",
  input: () => ({ name: nameField("Name of the folder"), workstream: workstreamField() }),
  output: { job: JOB },
  positional: ["name"],
  examples: [
    { command: "mu job adopt icons", shows: "a folder that came with a pull" },
    { command: "mu job adopt nothing", shows: "no such folder", fault: "job.no_such_folder" },
  ],
  run: async (app, { name, workstream }) => ({
    job: (await createJob(await app.crew(), workstream, { name, adopt: true })).job,
  }),
  next: ({ job: { name, workstream } }) => [step("See what it has", `mu job show ${name} -w ${workstream}`)],
  render: ({ job }, paint) => `Adopted ${paint.bold(job.name)}: ${job.artifacts.join(", ") || "no artifact yet"}`,
});

export const jobModules = defineJobVerb({
  name: "job.modules",
  aliases: ["session modules"],
  summary: "Show or set the modules whose documents a job's agents get",
  description: "Until somebody sets them, the router chooses when the next step runs. --auto has it choose again.",
  effect: "write",
  repeatable: true,
  writes: ({ set, all, none, auto }) => set.length > 0 || all || none || auto,
  input: () => ({
    set: field(z.array(z.string().min(1)).default([]), "These modules", { commas: true, value: "modules" }),
    all: flag("All modules"),
    none: flag("No module"),
    auto: flag("Whatever the router chooses"),
  }),
  output: { modules: [{ name: "string", path: "string", chosen: "boolean" }], chosen: "boolean", warnings: WARNINGS },
  examples: [
    { command: "mu job modules theme", shows: "which there are, and which are chosen" },
    { command: "mu job modules theme --none", shows: "no documents" },
    { command: "mu job modules theme --set nothing", shows: "an unknown module", fault: "module.not_found" },
  ],
  async run(app, ref, { set, all, none, auto }) {
    if ([set.length > 0, all, none, auto].filter(Boolean).length > 1) {
      throw new Fault("usage", "usage.two_choices", "Give one of --set, --all, --none and --auto.");
    }
    const crew = await app.crew();
    const job = await jobRow(crew.context.store.db, ref);
    const { modules, warnings } = await scanModules(crew, job.root);
    const names = modules.map(({ name }) => name);
    const wanted = all
      ? names
      : none
        ? []
        : set.length > 0
          ? findModules(modules, set).map(({ name }) => name)
          : undefined;
    const next = wanted ?? (auto ? null : job.plan.modules);
    if (String(next) !== String(job.plan.modules) || (next === null) !== (job.plan.modules === null)) {
      await setModules(crew.context, job, next);
    }
    const items = modules.map(({ name, path }) => ({ name, path, chosen: next?.includes(name) ?? false }));
    return { modules: items, chosen: next !== null, warnings };
  },
  render: ({ modules, chosen, warnings }, paint) => [
    !chosen && "Nobody has chosen yet: the router does when a step runs.",
    paint.list(modules, "The project has no module: a folder with a file _name.md is one.", [
      { head: "module", text: ({ name, chosen: isChosen }) => `${isChosen ? "[x]" : "[ ]"} ${name}` },
      { head: "document", text: ({ path }) => path, cut: "front" },
    ]),
    warningLines(warnings),
  ],
});
