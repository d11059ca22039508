import type { Claimant } from "../../agents/agent.js";
import { claimant } from "../../agents/identity.js";
import type { Context } from "../../db/context.js";
import { Fault } from "../../errors.js";
import type { TaskRef } from "../../names.js";
import { counted, qualifiedName } from "../../names.js";
import { deferTask, previewCascade, rejectTask, type Sweep, type SweepOptions } from "../../tasks/lifecycle.js";
import { getTask, TASK } from "../../tasks/task.js";
import { defineTaskVerb, type Operation, step } from "../define.js";
import { field, flag, textField, yesField } from "../fields.js";
import { overrideField } from "./status.js";

const WORDS = {
  reject: { summary: "Decide not to do a task", done: "Rejected" },
  defer: { summary: "Postpone a task", done: "Deferred" },
};

type SetAside = (context: Context, ref: TaskRef, claimant: Claimant, options: SweepOptions) => Promise<Sweep>;

/** `task reject` and `task defer`: the same but for the status they set. */
function defineSetAside(verb: "reject" | "defer", setAside: SetAside): Operation {
  return defineTaskVerb({
    name: `task.${verb}`,
    aliases: verb === "reject" ? ["task kill"] : [],
    summary: WORDS[verb].summary,
    description:
      "A task that is set aside still blocks its dependents, so the command fails if some are open. --cascade sets them aside, too; it is a dry run without --yes.",
    effect: "write",
    several: { order: "in turn" },
    input: () => ({
      cascade: flag("Include open dependents, transitively"),
      reason: field(textField().optional(), "Reason, kept as a note", { aliases: ["evidence"], lines: true }),
      override: overrideField(),
      yes: yesField(),
    }),
    output: { task: TASK, changed: "boolean", dryRun: "boolean", affected: "string[]" },
    examples: [
      { command: `mu task ${verb} deploy --reason 'Not this year'`, shows: "set one task aside" },
      { command: `mu task ${verb} build --cascade`, shows: "which dependents would follow" },
      { command: `mu task ${verb} build`, shows: "other tasks depend on it", fault: "task.has_open_dependents" },
    ],
    async run(app, ref, { cascade, yes, reason, override }) {
      const { db } = app.context.store;
      if (cascade && !yes) {
        const { affected } = await previewCascade(db, ref);
        const names = affected.map((one) => one.name);
        return { task: await getTask(db, ref), changed: false, dryRun: true, affected: names };
      }
      const options = { cascade, override, evidence: reason };
      const change = setAside(app.context, ref, claimant(app.caller), options).catch((error: unknown) => {
        throw withPreview(error, `mu task ${verb} ${qualifiedName(ref)} --cascade`);
      });
      const { task, changed, affected } = await change;
      return { task, changed, dryRun: false, affected };
    },
    next: ({ dryRun }, at, { workstream }) => [
      dryRun ? step("Apply it", `mu task ${verb} ${at} --cascade --yes`) : step("Undo it", `mu undo -w ${workstream}`),
    ],
    render: ({ task, changed, dryRun, affected }, paint) => {
      if (!dryRun && !changed) return `${paint.bold(task.name)} is already ${task.status}`;
      const head = dryRun ? "Would set aside" : WORDS[verb].done;
      return `${head} ${counted(affected.length, "task")}: ${affected.join(", ")}`;
    },
  });
}

/** Open dependents are refused with a way to see them. */
function withPreview(error: unknown, command: string): unknown {
  if (!(error instanceof Fault) || error.code !== "task.has_open_dependents") return error;
  const { kind, code, message, nextSteps, details } = error;
  return new Fault(kind, code, message, [step("Preview the cascade", command), ...nextSteps], details);
}

export const taskReject = defineSetAside("reject", rejectTask);

export const taskDefer = defineSetAside("defer", deferTask);
