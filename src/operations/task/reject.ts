import type { Claimant } from "../../agents/agent.js";
import { claimant } from "../../agents/identity.js";
import type { Context } from "../../db/context.js";
import { Fault } from "../../errors.js";
import type { TaskRef } from "../../names.js";
import { counted, qualifiedName } from "../../names.js";
import { deferTask, previewCascade, rejectTask, type Sweep, type SweepOptions } from "../../tasks/lifecycle.js";
import { getTask, TASK } from "../../tasks/task.js";
import { field, flag, textField, yesField } from "../fields.js";
import { NEXT_STEPS, type Operation, step } from "../operation.js";
import { defineTaskVerb } from "../subject.js";
import { overrideField } from "./change.js";

const WORDS = {
  reject: { summary: "Decide not to do a task", done: "Rejected" },
  defer: { summary: "Postpone a task", done: "Deferred" },
};

type SetAside = (context: Context, ref: TaskRef, claimant: Claimant, options: SweepOptions) => Promise<Sweep>;

/** `task reject` and `task defer`: the same but for the status they set. */
function defineSetAside(verb: "reject" | "defer", setAside: SetAside): Operation {
  return defineTaskVerb({
    name: `task.${verb}`,
    summary: WORDS[verb].summary,
    description:
      "A task that is set aside still blocks its dependents, so the command fails if some are open. --cascade sets them aside, too; it is a dry run without --yes.",
    effect: "write",
    input: () => ({
      cascade: flag("Include open dependents, transitively"),
      reason: field(textField().optional(), "Reason, kept as a note", { aliases: ["evidence"], lines: true }),
      override: overrideField(),
      yes: yesField(),
    }),
    output: { task: TASK, changed: "boolean", dryRun: "boolean", affected: "string[]", nextSteps: NEXT_STEPS },
    examples: [
      { command: `mu task ${verb} deploy --reason 'Not this year'`, shows: "set one task aside" },
      { command: `mu task ${verb} build --cascade`, shows: "which dependents would follow" },
      { command: `mu task ${verb} build`, shows: "other tasks depend on it", fault: "task.has_open_dependents" },
    ],
    async run(app, ref, { cascade, yes, reason, override }) {
      const again = `mu task ${verb} ${qualifiedName(ref)} --cascade --yes`;
      if (cascade && !yes) {
        const { affected } = await previewCascade(app.context.store.db, ref);
        const root = await getTask(app.context.store.db, ref);
        const names = affected.map((one) => one.name);
        return { task: root, changed: false, dryRun: true, affected: names, nextSteps: [step("Apply it", again)] };
      }
      const change = await setAside(app.context, ref, claimant(app.caller), {
        cascade,
        override,
        evidence: reason,
      }).catch((error: unknown) => {
        throw error instanceof Fault && error.code === "task.has_open_dependents" ? offering(error, again) : error;
      });
      return {
        task: change.task,
        changed: change.changed,
        dryRun: false,
        affected: change.affected,
        nextSteps: [step("Undo it", `mu undo -w ${ref.workstream}`)],
      };
    },
    render: ({ task, changed, dryRun, affected }, paint) => {
      if (!dryRun && !changed) return `${paint.bold(task.name)} is already ${task.status}`;
      const head = dryRun ? "Would set aside" : WORDS[verb].done;
      return `${head} ${counted(affected.length, "task")}: ${affected.join(", ")}`;
    },
  });
}

function offering(fault: Fault, command: string): Fault {
  const preview = step("Preview the cascade", command.replace(" --yes", ""));
  return new Fault(fault.kind, fault.code, fault.message, [preview, ...fault.nextSteps], fault.details);
}

export const taskReject = defineSetAside("reject", rejectTask);

export const taskDefer = defineSetAside("defer", deferTask);
