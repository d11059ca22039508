import { existsSync } from "node:fs";
import { CompiledQuery } from "kysely";
import type { Store } from "../../src/db/store.js";
import { auditAll } from "../../src/demo/verdict.js";
import type { ProjectSettings } from "../../src/project/settings.js";
import { micros } from "../../src/runs/run.js";

/** What a simulated program is known to have done, whatever mu has heard of it. */
export interface Program {
  run: number;
  task: string;
  isRunning: boolean;
  /** What it says that it cost, in millionths of a dollar; null if it says nothing. */
  cost: number | null;
  /** It did its work and said so. */
  isGood: boolean;
  /** How much of its output is on the disk, and whether its end is. */
  kept: "nothing" | "part" | "all" | "all and its end";
}

/** Something that must never be. */
export class Violation extends Error {}

interface RunLine {
  id: number;
  task: string;
  task_id: number;
  role: string;
  agent: string;
  state: string;
  writes: string | null;
  day: string;
  reserved_micros: number;
  cost_micros: number | null;
  failure: string | null;
  retry_at: string | null;
  verdict: string | null;
  created_at: string;
  finished_at: string | null;
}

interface TaskLine {
  id: number;
  name: string;
  status: string;
  hold: string | null;
  hold_reason: string | null;
  attempts: number;
  max_retries: number;
}

export interface OracleWorld {
  store: Store;
  killFile: string;
  max: number;
  settings(): ProjectSettings;
  programs: ReadonlyMap<number, Program>;
}

/** Looks after every step whether all that must hold does, from the rows and from what the programs really did. */
export class Oracle {
  readonly #finished = new Map<number, string>();
  readonly #requeuedAt = new Map<string, number>();
  readonly #closedByItself = new Set<string>();
  #newest = 0;
  #braked = false;

  constructor(readonly world: OracleWorld) {}

  /** Attempts are counted anew from here. */
  requeued(task: string): void {
    this.#requeuedAt.set(task, this.#newest);
  }

  closedByItself(task: string): void {
    this.#closedByItself.add(task);
  }

  async #rows<T>(text: string): Promise<T[]> {
    return (await this.world.store.db.executeQuery(CompiledQuery.raw(text))).rows as T[];
  }

  readonly runs = () =>
    this.#rows<RunLine>(
      `select id, task, task_id, role, agent, state, writes, day, reserved_micros, cost_micros, failure, retry_at,
        verdict, created_at, finished_at from runs order by id`,
    );

  readonly tasks = () =>
    this.#rows<TaskLine>(
      "select id, name, status, hold, hold_reason, attempts, max_retries from tasks where role is not null order by id",
    );

  /** After a step in which something was committed. */
  async look(): Promise<void> {
    const runs = await this.runs();
    const active = runs.filter(({ finished_at }) => finished_at === null);
    this.#once(active, "task", ({ task }) => task);
    this.#once(active, "slot", ({ agent }) => agent);
    this.#once(active, "writer", ({ writes }) => writes);
    const { roles } = this.world.settings();
    for (const [name, { concurrency }] of Object.entries(roles)) {
      const own = active.filter(({ role }) => role === name).length;
      if (own > concurrency) throw new Violation(`${own} runs of ${name} at once, of ${concurrency}`);
    }
    if (active.length > this.world.max) throw new Violation(`${active.length} runs at once, of ${this.world.max}`);
    const running = [...this.world.programs.values()].filter(({ isRunning }) => isRunning);
    this.#once(running, "program", ({ task }) => task);
    for (const run of runs.filter(({ id }) => id > this.#newest)) await this.#begun(run, runs);
    for (const run of runs) this.#ended(run);
    this.#newest = runs.at(-1)?.id ?? 0;
    this.#braked = existsSync(this.world.killFile);
    const busy = new Set(active.map(({ task }) => task));
    for (const task of await this.tasks()) this.#sane(task, busy, runs);
  }

  /** The brake was put on or taken off since the last look. */
  braked(isOn: boolean): void {
    this.#braked = isOn;
  }

  #once<T>(all: readonly T[], what: string, key: (one: T) => string | null): void {
    const keys = all.flatMap((one) => key(one) ?? []);
    const twice = keys.find((one, at) => keys.indexOf(one) !== at);
    if (twice !== undefined) throw new Violation(`two runs at once of the ${what} ${twice}`);
  }

  async #begun(run: RunLine, runs: readonly RunLine[]): Promise<void> {
    if (this.#braked) throw new Violation(`run ${run.id} began although the brake was on`);
    if (run.day !== run.created_at.slice(0, 10)) throw new Violation(`run ${run.id} is booked on ${run.day}`);
    const { roles, budget } = this.world.settings();
    const ofDay = runs.filter(({ day, id }) => day === run.day && id <= run.id);
    const spent = (of: readonly RunLine[]) =>
      of.reduce((sum, one) => sum + Number(one.finished_at === null ? one.reserved_micros : costOf(one)), 0);
    const cap = roles[run.role]?.dailyCapUsd ?? Number.POSITIVE_INFINITY;
    const own = spent(ofDay.filter(({ role }) => role === run.role));
    if (own > micros(cap)) throw new Violation(`${run.role} reserves ${own} on ${run.day}, its cap is ${cap}`);
    const ceiling = budget.projectCeilingUsd ?? Number.POSITIVE_INFINITY;
    if (spent(ofDay) > micros(ceiling)) throw new Violation(`${spent(ofDay)} on ${run.day}, the ceiling is ${ceiling}`);
    const before = runs.filter(({ id }) => id < run.id);
    const limit = before.find(({ failure, retry_at }) => failure === "rate_limit" && (retry_at ?? "") > run.created_at);
    if (limit) throw new Violation(`run ${run.id} began before the limit of run ${limit.id} ended`);
    const done = before.find(
      ({ task, state, verdict }) => task === run.task && state === "done" && verdict !== "blocked",
    );
    if (done) throw new Violation(`run ${run.id} of ${run.task}, which run ${done.id} had done`);
    const early = await this.#rows<{ name: string }>(
      `select b.name from task_edges e join tasks b on b.id = e.blocker_id
        where e.blocked_id = ${run.task_id} and b.status <> 'CLOSED'`,
    );
    if (early[0]) throw new Violation(`run ${run.id} of ${run.task} began before ${early[0].name} was closed`);
  }

  /** The first end of a run is its last, and its cost what its program said. */
  #ended(run: RunLine): void {
    if (run.finished_at === null) return;
    const image = `${run.state} ${run.cost_micros} ${run.finished_at} ${run.failure} ${run.verdict}`;
    const known = this.#finished.get(run.id);
    if (known !== undefined && known !== image) throw new Violation(`run ${run.id} ended twice: ${known}, ${image}`);
    if (known !== undefined) return;
    this.#finished.set(run.id, image);
    const program = this.world.programs.get(run.id);
    if (program?.isRunning) throw new Violation(`run ${run.id} ended (${run.state}) while its program goes on`);
    const isWhole = program?.kept.startsWith("all") ?? false;
    const cost = program === undefined || !isWhole ? null : program.cost;
    if ((run.cost_micros ?? null) !== cost)
      throw new Violation(`run ${run.id} cost ${cost}, booked as ${run.cost_micros}`);
    const isGood = program?.isGood === true && program.kept === "all and its end";
    if (isGood && run.state !== "done") throw new Violation(`the result of run ${run.id} was lost: ${run.state}`);
  }

  #sane(task: TaskLine, busy: ReadonlySet<string>, runs: readonly RunLine[]): void {
    const { name, status, hold, hold_reason, attempts, max_retries } = task;
    if (status === "IN_PROGRESS" && !busy.has(name)) throw new Violation(`${name} is in progress without a run`);
    if (hold !== null && !hold_reason) throw new Violation(`${name} is held without a reason`);
    if (attempts > max_retries + 1) throw new Violation(`${name} was tried ${attempts} times`);
    if (status === "CLOSED" || this.#closedByItself.has(name)) return;
    const since = this.#requeuedAt.get(name) ?? 0;
    const failed = runs.filter((run) => run.id > since && run.task === name && ["failed", "lost"].includes(run.state));
    if (failed.length !== attempts) {
      throw new Violation(`${name} has ${attempts} attempts, but ${failed.length} of its runs failed`);
    }
  }

  /** When all is over. */
  async end(): Promise<void> {
    const open = (await this.tasks()).filter(({ status }) => status !== "CLOSED");
    if (open.length > 0) throw new Violation(`not closed: ${open.map(({ name }) => name).join(", ")}`);
    const twice = await this.#rows<{ run: number }>(
      `select json_extract(payload, '$.run') as run from events where op = 'run.settle' group by 1 having count(*) > 1`,
    );
    if (twice[0]) throw new Violation(`run ${twice[0].run} was settled twice`);
    const [spend] = await this.#rows<{ sum: number }>("select coalesce(sum(cost_micros), 0) as sum from runs");
    const known = [...this.world.programs.values()].filter(({ kept }) => kept.startsWith("all"));
    const sum = known.reduce((all, { cost }) => all + (cost ?? 0), 0);
    if (Number(spend?.sum) !== sum) throw new Violation(`${spend?.sum} is booked, and the programs cost ${sum}`);
    const audit = await this.world.store.read(auditAll);
    if (!audit.ok || audit.tables !== "same") throw new Violation("the chain of events does not hold");
  }
}

const costOf = ({ cost_micros, reserved_micros }: RunLine) => cost_micros ?? reserved_micros;
