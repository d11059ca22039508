import { PUSH, PUSH_SKIPPED, type Push } from "../../jobs/push/group.js";
import { planPush } from "../../jobs/push/plan.js";
import { pushJobs } from "../../jobs/push/push.js";
import { counted, enumerate, shellWord } from "../../names.js";
import { defineOperation, step, WARNINGS, warningLines } from "../define.js";
import { flag, tasksField, workstreamField, yesField } from "../fields.js";

export const jobPush = defineOperation({
  name: "job.push",
  aliases: ["session push"],
  summary: "Commit jobs that have a report, archive them, and push the branch",
  description:
    "The report is the commit's message. Jobs in the project folder are one commit of everything that is changed there and not ignored: the subject of the oldest report, then the rest of the reports. A job with a checkout of its own is committed there, on its own branch; mu land then lands it. The folders move to the archive in the same commit. Without names, all jobs that have a report.md and no open step. Never pushes with force. If the remote does not take the push, mu exits 5, the commit stays, and the next push only pushes. If a hook or a signature refuses, everything is as before.",
  effect: "destroy",
  acts: ["runs"],
  outward: true,
  input: () => ({
    jobs: tasksField("Only these jobs").default([]),
    job: tasksField("The same").default([]),
    workstream: workstreamField(),
    includeLocal: flag("Also jobs whose names begin with local-"),
    yes: yesField(),
  }),
  output: { pushes: [PUSH], skipped: [PUSH_SKIPPED], warnings: WARNINGS, dryRun: "boolean" },
  positional: ["jobs"],
  examples: [
    { command: "mu job push", shows: "what would be committed, and where it would be pushed" },
    { command: "mu job push --yes", shows: "all jobs with a report" },
    { command: "mu job push theme", shows: "a job without a report", fault: "job.no_report" },
    { command: "mu job push nothing", shows: "an unknown job", fault: "job.not_found" },
  ],
  async run(app, { jobs, job, workstream, includeLocal, yes }) {
    const crew = await app.crew();
    const names = [...jobs, ...job].map(({ name }) => name);
    const wish = { jobs: names.length === 0 ? undefined : names, includeLocal };
    const { signal, remark } = app.request;
    const done = yes
      ? await pushJobs(crew, workstream, wish, { signal, remark })
      : await planPush(crew, workstream, wish);
    return { ...done, dryRun: !yes };
  },
  next: ({ pushes, dryRun }, { jobs, job, workstream, includeLocal }) => {
    const own = pushes.find(({ branch }) => branch.startsWith("mu/"));
    if (!dryRun) return own === undefined ? [] : [step("Land it", `mu land ${own.jobs[0]} -w ${workstream}`)];
    if (pushes.length === 0) return [step("See the jobs", `mu job list -w ${workstream}`)];
    const names = [...jobs, ...job].map(({ name }) => shellWord(name));
    const words = ["mu job push", ...names, ...(includeLocal ? ["--include-local"] : []), "--yes"];
    return [step("Apply it", `${words.join(" ")} -w ${workstream}`)];
  },
  render: ({ pushes, skipped, warnings, dryRun }, paint) => [
    pushes.length === 0 && "Nothing to push.",
    pushes.map((one) => {
      const where = `${one.branch} to ${one.remote}`;
      const names = paint.bold(enumerate(one.jobs));
      if (!dryRun) return `Pushed ${where}: ${names}${one.commit === null ? "" : ` in ${one.commit.slice(0, 8)}`}`;
      return one.subject === null
        ? `Would push ${where}: ${names}`
        : [`Would commit and push ${where}: ${names}`, `  ${one.subject}`, filesOf(one)];
    }),
    skipped.map(({ job, reason }) => `  • ${job} ${reason}`),
    warningLines(warnings),
    dryRun && pushes.length > 0 && "Repeat with --yes.",
  ],
  exitCode: ({ skipped }) => (skipped.some(({ why }) => why === "refused") ? 4 : 0),
});

/** So many files are shown to a person. */
const MOST_FILES = 20;

function filesOf({ path, files }: Push): string[] {
  const more = files.length - MOST_FILES;
  return [
    `  ${counted(files.length, "changed file")} in ${path}`,
    ...files.slice(0, MOST_FILES).map((file) => `    ${file}`),
    ...(more > 0 ? [`    and ${more} more: mu job push --json names all`] : []),
  ];
}
