import type { Context } from "../../src/db/context.js";
import { write } from "../../src/db/write.js";
import { Fault } from "../../src/errors.js";
import { STEP_NAMES, STEPS, type StepName } from "../../src/flow/steps.js";
import type { JobRow } from "../../src/jobs/job.js";
import { planStep, queueSteps, resumeStep } from "../../src/jobs/steps.js";
import type { ProjectSettings } from "../../src/project/settings.js";
import { addTaskIn } from "../../src/tasks/add.js";
import { claimTask } from "../../src/tasks/claim.js";
import { taskRow } from "../../src/tasks/task.js";
import type { Chance } from "./chance.js";
import { Violation } from "./oracle.js";

/** A job of a simulated night, and what a person does with it. */
export class NightJob {
  /** How often its judges refuse. */
  readonly refusals: number;
  readonly #first: readonly StepName[];
  #more: number;

  constructor(
    readonly ref: { workstream: string; name: string },
    readonly folder: string,
    readonly settings: ProjectSettings,
    readonly chance: Chance,
  ) {
    this.refusals = chance.of([0.1, 0.4, 0.8]);
    const turns = chance.of([["plan"], ["work"], ["plan", "work"]]);
    this.#first = STEP_NAMES.filter((step) => turns.includes(step) || chance.in(0.2));
    this.#more = chance.whole(0, 2);
  }

  /** About how many runs its first steps take. */
  get size(): number {
    return this.#first.reduce((sum, step) => sum + (STEPS[step].loop === null ? 1 : 6), 0);
  }

  async begin(context: Context): Promise<void> {
    const { workstream, name } = this.ref;
    const payload = { job: { modules: [], workspace: this.chance.in(0.5) } };
    await write(context, { op: "job.new", scope: workstream, subject: `${workstream}/${name}` }, (tx) =>
      addTaskIn(tx, workstream, { name, title: name, kind: "job", priority: this.chance.whole(1, 4), payload }),
    );
    await this.#claim(context, name);
    await this.#queue(context, this.#first);
  }

  /** Nobody may. */
  async #claim(context: Context, name: string): Promise<void> {
    const claim = await claimTask(context, { ...this.ref, name }, { person: "person" }).catch(ignore);
    if (claim !== undefined) throw new Violation(`${name} was claimed`);
  }

  async #row({ store }: Context): Promise<JobRow> {
    const row = await taskRow(store.db, this.ref);
    const { workspace } = JSON.parse(row.payload ?? "").job;
    return { row, plan: { modules: [], workspace }, root: this.folder, folder: `.mu/jobs/${this.ref.name}` };
  }

  async #queue(context: Context, steps: readonly StepName[]): Promise<void> {
    const { chance, settings } = this;
    const job = await this.#row(context);
    const plans = steps.map((step) => {
      const limits = {
        ...{ revisions: chance.whole(0, 2), branches: chance.whole(1, 3) },
        ...{ tests: chance.whole(0, 2), reviewers: chance.whole(1, 2) },
      };
      return { step, plan: planStep(step, settings, job, { instructions: "Dark mode", limits }) };
    });
    await queueSteps(context, job, plans, { router: chance.in(0.5) });
  }

  /** Tries to claim what nobody may claim, asks for one more step, or has one go on; gives the one that does. */
  async meddle(context: Context): Promise<string | undefined> {
    const { chance, ref } = this;
    const { db } = context.store;
    const row = await taskRow(db, ref);
    const steps = await db
      .selectFrom("tasks")
      .select("name")
      .where("root_id", "=", row.id)
      .where("kind", "=", "step")
      .execute();
    const container = chance.of([ref.name, ...steps.map(({ name }) => name)]);
    await this.#claim(context, container);
    if (chance.in(0.2) && this.#more-- > 0) {
      await this.#queue(context, [chance.of(STEP_NAMES)]);
      return undefined;
    }
    const step = chance.of(this.#first);
    const from = STEPS[step].loop !== null && chance.in(0.5) ? "judge" : "make";
    return (await resumeStep(context, await this.#row(context), step, from).catch(ignore))?.step;
  }
}

function ignore(error: unknown): undefined {
  if (!(error instanceof Fault)) throw error;
  return undefined;
}
