import * as z from "zod";
import { claimant } from "../../agents/identity.js";
import { Fault } from "../../errors.js";
import type { Exec } from "../../exec.js";
import { counted, duration } from "../../names.js";
import { CHECK } from "../../tasks/checks.js";
import { STATUS_CHANGE } from "../../tasks/lifecycle.js";
import { type Finish, finishTask } from "../../work/finish.js";
import { type App, type Drawing, defineTaskVerb, type Paint, step, WARNINGS, warningLines } from "../define.js";
import { field, flag, textField } from "../fields.js";
import { bookPanes } from "../runs/book.js";
import { overrideField, renderChange } from "./status.js";

export const taskClose = defineTaskVerb({
  name: "task.close",
  summary: "Close a task",
  description:
    "With --check, or the workstream's setting check, the command runs in the owner's workspace first. If it passes, the task is verified; if it fails, the task stays IN_PROGRESS and mu exits 1. mu warns about uncommitted changes, a task without a commit, and commits of no task. The setting closeRequires restricts agents to closing tasks that are committed, checked or landed.",
  effect: "write",
  several: { order: "in turn" },
  acts: ["runs"],
  input: () => ({
    evidence: field(textField().optional(), "Evidence that it is done, kept as a note", { lines: true }),
    check: field(
      z.string().trim().min(1).max(4096).optional(),
      "Command to run first; the task is closed, as verified, only if it passes",
      { value: "command" },
    ),
    noCheck: flag("Skip the workstream's check"),
    ifReady: flag("Close only if nothing blocks it; otherwise report that and exit 0"),
    include: flag("Take in commits of no task"),
    override: overrideField(),
  }),
  output: {
    ...STATUS_CHANGE,
    "skipped?": ["not_ready"],
    "blockers?": "string[]",
    check: [CHECK, null],
    warnings: WARNINGS,
    "was?": { owner: "string", commits: "number | null" },
  },
  examples: [
    { command: "mu task close build --evidence 'npm test: 212 passed'", shows: "finish with evidence" },
    { command: "mu task close build --check 'test -f plan.yaml'", shows: "close it once the check passes" },
    { command: "mu task close deploy --if-ready", shows: "skip a task that is still blocked" },
    { command: "mu task close nothing", shows: "an unknown task", fault: "task.not_found" },
    { command: "mu task close build --check true --no-check", shows: "both flags", fault: "usage.two_checks" },
  ],
  async run(app, ref, { check, noCheck, ...options }) {
    if (check !== undefined && noCheck) {
      throw new Fault("usage", "usage.two_checks", "Give --check or --no-check, not both.");
    }
    const finish = await finishTask(world(app), ref, claimant(app.caller), {
      ...options,
      check: noCheck ? null : check,
      cwd: app.request.cwd,
      signal: app.request.signal,
      onOutput: app.request.stream,
    });
    if (finish.changed) await bookPanes(app, ref.workstream);
    return finish;
  },
  next: ({ task, skipped, blockers = [] }, at) =>
    skipped
      ? [
          step("Wait for its blockers", `mu task wait ${blockers.join(" ")} -w ${task.workstream}`),
          step("Close it anyway", `mu task close ${at}`),
        ]
      : [
          step("Take another task", `mu task claim --next -w ${task.workstream}`),
          step("Reopen it", `mu task open ${at}`),
        ],
  render: (finish, paint) => [
    finish.skipped
      ? `Skipped ${paint.bold(finish.task.name)}: blocked by ${finish.blockers?.join(", ")}`
      : `${renderChange(finish, paint)}${previousOwner(finish)}`,
    levelLine(finish, paint),
    warningLines(finish.warnings),
  ],
});

/** ` (was ada's, 2 commits)`, if somebody else was working on it. */
function previousOwner({ was }: { was?: Finish["was"] | undefined }): string {
  if (was === undefined) return "";
  return ` (was ${was.owner}'s${was.commits === null ? "" : `, ${counted(was.commits, "commit")}`})`;
}

/** Programs are only run where there is a workspace or a check: a plain close loads none. */
function world({ context, request, crew }: App) {
  return { context, env: request.env, exec: async (...call: Parameters<Exec>) => (await crew()).exec(...call) };
}

function levelLine({ check, task }: Pick<Finish, "check" | "task">, paint: Paint): Drawing {
  if (check === null) return null;
  const at = check.commit === null ? "" : ` at ${check.commit.slice(0, 12)}`;
  const verdict = task.level === "claimed" ? "passed" : `passed, ${task.level}${at}`;
  return `  ${paint.dim("check")} ${check.command}: ${verdict}, ${duration(check.seconds * 1000)}`;
}
