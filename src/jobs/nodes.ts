import { INTAKE_STEP } from "../flow/intake.js";
import type { Special } from "../runs/special.js";
import { taskRow } from "../tasks/task.js";
import { intakeRuns } from "./intake/special.js";
import { jobRuns } from "./special.js";

const specialOf = ({ step }: { step: string | null }) => (step === INTAKE_STEP ? intakeRuns : jobRuns);

/** Runs of tasks that are a part of a job or of an intake. */
export const nodeRuns: Special = {
  begin: (about) => specialOf(about.task).begin(about),
  judge: (about, ...rest) => specialOf(about.task).judge(about, ...rest),
  async after(about) {
    const { run, world } = about;
    const task = await taskRow(world.context.store.db, { workstream: run.workstream, name: run.task });
    await specialOf(task).after(about);
  },
  async catchUp(...about) {
    for (const special of [jobRuns, intakeRuns]) await special.catchUp(...about);
  },
};
