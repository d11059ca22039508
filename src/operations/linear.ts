import * as z from "zod";
import { exportTask, ISSUE, importIssue, planExport } from "../jobs/linear.js";
import { defineJobVerb, defineOperation, step } from "./define.js";
import { field, flag, taskField, workstreamField } from "./fields.js";

export const linearImport = defineOperation({
  name: "linear.import",
  summary: "Write an issue of Linear to the task.md of a job",
  description:
    "Needs LINEAR_API_KEY, in the environment or in the project's .env. A bare number gets linear.teamPrefix of .mu/settings.json. Without --job it is the job that has the issue already, or a new one named after it. The job remembers the issue, and mu linear export sends its task.md back.",
  effect: "write",
  outward: true,
  input: () => ({
    issue: field(z.string().trim().min(1).max(200), "Issue, as ENG-123 or 123", { value: "id" }),
    job: taskField("Job; a new one is made if there is none of that name").optional(),
    workstream: workstreamField(),
    force: flag("Replace a task.md that is there; it is kept in .history"),
  }),
  output: { job: "string", issue: ISSUE, path: "string", made: "boolean" },
  positional: ["issue"],
  examples: [
    { command: "mu linear import ENG-7", shows: "a job with the issue as its task" },
    { command: "mu linear import ENG-7 --job theme --force", shows: "the task of a job that is there" },
    { command: "mu linear import ENG-7 --job theme", shows: "a job that has a task.md", fault: "linear.task_exists" },
    { command: "mu linear import seven", shows: "no id of an issue", fault: "linear.invalid_issue" },
  ],
  async run(app, { issue, job, workstream, force }) {
    const { signal } = app.request;
    return importIssue(await app.crew(), workstream, { issue, job: job?.name }, { force, signal });
  },
  next: ({ job }, { workstream }) => [step("Plan it", `mu job run ${job} plan -w ${workstream}`)],
  render: ({ job, issue, path, made }, paint) => [
    `${made ? "Made the job" : "Imported into"} ${paint.bold(job)}: ${issue.identifier} ${issue.title}`,
    `  ${path}`,
  ],
});

export const linearExport = defineJobVerb({
  name: "linear.export",
  summary: "Send a job's task.md to its issue in Linear",
  description:
    "The title is the first heading, else the first line; the description is the rest. A job without an issue gets a new one in the team linear.teamId of .mu/settings.json. If the answer to that is lost, mu does not ask again by itself, as there would be two issues: look in Linear, then set --external-ref of the job, or repeat with --force.",
  effect: "write",
  outward: true,
  input: () => ({
    dryRun: flag("Only show what would be sent"),
    force: flag("Ask for a new issue although an earlier one may be there"),
  }),
  output: {
    title: "string",
    description: "string",
    /** Null in a dry run. */
    issue: [ISSUE, null],
    created: "boolean",
  },
  examples: [
    { command: "mu linear export theme --dry-run", shows: "the title and description" },
    { command: "mu linear export theme", shows: "a new issue" },
    { command: "mu linear export nothing", shows: "an unknown job", fault: "job.not_found" },
  ],
  async run(app, ref, { dryRun, force }) {
    const crew = await app.crew();
    if (!dryRun) return exportTask(crew, ref, { force, signal: app.request.signal });
    const { title, description } = await planExport(crew, ref);
    return { title, description, issue: null, created: false };
  },
  render: ({ title, description, issue, created }, paint) =>
    issue === null
      ? [paint.bold(title), description]
      : [
          `${created ? "Made" : "Updated"} ${paint.bold(issue.identifier)}: ${issue.title}`,
          issue.url && `  ${issue.url}`,
        ],
});
