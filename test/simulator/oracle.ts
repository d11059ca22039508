import { existsSync } from "node:fs";
import { CompiledQuery } from "kysely";
import { type Change, sidesOf } from "../../src/db/events.js";
import type { Store } from "../../src/db/store.js";
import type { RowOf } from "../../src/db/write.js";
import { auditAll } from "../../src/demo/verdict.js";
import { placeOf, stepPlanOf } from "../../src/flow/payload.js";
import { isStepName, STEPS } from "../../src/flow/steps.js";
import type { ProjectSettings } from "../../src/project/settings.js";
import { micros } from "../../src/runs/run.js";
import { CONTAINER_KINDS } from "../../src/tasks/task.js";
import { mostNodes } from "../support/jobs.js";

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

/** Columns of the oracle's own copies; it reads `hold_reason` only for whether there is one. */
const RUN = [
  ...(["id", "task", "task_id", "role", "agent", "state", "writes", "day", "reserved_micros", "cost_micros"] as const),
  ...(["failure", "retry_at", "verdict", "created_at", "finished_at"] as const),
] as const;
const TASK = [
  ...(["id", "name", "status", "role", "hold", "hold_reason", "attempts", "max_retries"] as const),
  ...(["budget_usd", "touches", "from_run", "depth"] as const),
  ...(["kind", "step", "root_id", "outcome", "payload"] as const),
] as const;

type RunLine = Pick<RowOf<"runs">, (typeof RUN)[number]>;
type TaskLine = Pick<RowOf<"tasks">, (typeof TASK)[number]>;

export interface OracleWorld {
  store: Store;
  killFile: string;
  max: number;
  settings(): ProjectSettings;
  programs: ReadonlyMap<number, Program>;
}

/** So many looks go by the events alone before one reads the whole tables. */
const WHOLE_EVERY = 100;

/**
 * Looks after every step whether all that must hold does, from the rows and from what the programs really did. What a
 * step changed, it reads in the events; now and then it compares its copies with the tables.
 */
export class Oracle {
  readonly #runs = new Map<number, RunLine>();
  readonly #tasks = new Map<number, TaskLine>();
  readonly #active = new Set<RunLine>();
  readonly #runsOf = new Map<number, RunLine[]>();
  readonly #finished = new Map<number, string>();
  readonly #requeuedAt = new Map<string, number>();
  readonly #requeues = new Map<string, number>();
  readonly #parts = new Map<number, number[]>();
  readonly #stepOf = new Map<number, number>();
  readonly #closedByItself = new Set<string>();
  #open = 0;
  #newest = 0;
  #event = 0;
  #looks = 0;
  #braked = false;

  constructor(readonly world: OracleWorld) {}

  /** Attempts are counted anew from here. */
  requeued(task: string): void {
    this.#requeuedAt.set(task, this.#newest);
    this.#requeues.set(task, (this.#requeues.get(task) ?? 0) + 1);
  }

  closedByItself(task: string): void {
    this.#closedByItself.add(task);
  }

  get isDone(): boolean {
    return this.#open === 0 && this.#active.size === 0;
  }

  get isAnyHeld(): boolean {
    return [...this.#tasks.values()].some(({ status, hold }) => status === "OPEN" && hold !== null);
  }

  get runs(): number {
    return this.#runs.size;
  }

  get tasks(): number {
    return this.#tasks.size;
  }

  /** Tasks that steps of jobs consist of. */
  get parts(): number {
    return this.#stepOf.size;
  }

  async #rows<T>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    return (await this.world.store.db.executeQuery(CompiledQuery.raw(text, [...values]))).rows as T[];
  }

  /** After a step in which something was committed. */
  async look(): Promise<void> {
    const { runs, tasks } = await this.#follow();
    const { roles } = this.world.settings();
    if (runs.size > 0) {
      this.#once(this.#active, "task", ({ task }) => task);
      this.#once(this.#active, "slot", ({ agent }) => agent);
      this.#once(this.#active, "writer", ({ writes }) => writes);
    }
    const begun = [...runs].filter(({ id }) => id > this.#newest);
    if (begun.length > 0) {
      for (const [name, { concurrency }] of Object.entries(roles)) {
        const own = [...this.#active].filter(({ role }) => role === name).length;
        if (own > concurrency) throw new Violation(`${own} runs of ${name} at once, of ${concurrency}`);
      }
      const { size } = this.#active;
      if (size > this.world.max) throw new Violation(`${size} runs at once, of ${this.world.max}`);
    }
    this.#once(
      [...this.world.programs.values()].filter(({ isRunning }) => isRunning),
      "program",
      ({ task }) => task,
    );
    for (const run of begun) await this.#begun(run);
    for (const run of runs) this.#ended(run);
    this.#newest = begun.at(-1)?.id ?? this.#newest;
    this.#braked = existsSync(this.world.killFile);
    for (const task of tasks) this.#sane(task);
    if (++this.#looks % WHOLE_EVERY === 0) await this.#whole();
  }

  /** Brings the copies up to date; gives what was touched. */
  async #follow(): Promise<{ runs: Set<RunLine>; tasks: Set<TaskLine> }> {
    const runs = new Set<RunLine>();
    const tasks = new Set<TaskLine>();
    const fresh = await this.#rows<{ id: number; changes: string }>(
      "select id, changes from events where id > ? order by id",
      [this.#event],
    );
    for (const { id, changes } of fresh) {
      this.#event = id;
      for (const change of JSON.parse(changes) as Change[]) {
        if (change.table === "runs") runs.add(this.#followRun(change));
        if (change.table === "tasks") tasks.add(this.#followTask(change));
        if (change.table === "task_edges" && "insert" in change) this.#followEdge(change.insert);
      }
    }
    for (const { task_id } of runs) {
      const task = this.#tasks.get(task_id ?? 0);
      if (task) tasks.add(task);
    }
    if (tasks.size > 0) this.#open = [...this.#tasks.values()].filter(isOpen).length;
    return { runs, tasks };
  }

  #followTask(change: Change): TaskLine {
    const task = followed(this.#tasks, TASK, change);
    const isOver = (run: number) => this.#runs.get(run)?.finished_at !== null;
    if ("insert" in change && task.from_run !== null && isOver(task.from_run))
      throw new Violation(`run ${task.from_run}, which was over, added ${task.name}`);
    return task;
  }

  /** A step waits for its parts, and for the step before it. */
  #followEdge({ blocker_id, blocked_id }: Record<string, unknown>): void {
    const [part, step] = [this.#tasks.get(Number(blocker_id)), this.#tasks.get(Number(blocked_id))];
    if (step?.kind !== "step" || part === undefined || part.kind === "step") return;
    this.#stepOf.set(part.id, step.id);
    this.#parts.set(step.id, [...(this.#parts.get(step.id) ?? []), part.id]);
  }

  #followRun(change: Change): RunLine {
    const run = followed(this.#runs, RUN, change);
    if ("insert" in change) this.#runsOf.set(run.task_id ?? 0, [...this.#ofTask(run.task_id), run]);
    if (run.finished_at === null) this.#active.add(run);
    else this.#active.delete(run);
    return run;
  }

  #ofTask(id: number | null): readonly RunLine[] {
    return this.#runsOf.get(id ?? 0) ?? [];
  }

  /** The tables are what the events say, and all is well with rows that no event named. */
  async #whole(): Promise<void> {
    for (const [table, columns, own] of [["runs", RUN, this.#runs] as const, ["tasks", TASK, this.#tasks] as const]) {
      const rows = await this.#rows<{ id: number }>(`select ${columns.join(", ")} from ${table} order by id`);
      if (rows.length !== own.size) throw new Violation(`${table} has ${rows.length} rows, ${own.size} by the events`);
      for (const row of rows) {
        const [there, said] = [JSON.stringify(row), JSON.stringify(own.get(row.id))];
        if (there !== said) throw new Violation(`${table} has ${there}, and the events say ${said}`);
      }
    }
    for (const run of this.#runs.values()) this.#ended(run);
    for (const task of this.#tasks.values()) this.#sane(task);
  }

  /** The brake was put on or taken off since the last look. */
  braked(isOn: boolean): void {
    this.#braked = isOn;
  }

  #once<T>(all: Iterable<T>, what: string, key: (one: T) => string | null): void {
    const seen = new Set<string>();
    for (const one of all) {
      const found = key(one);
      if (found === null) continue;
      if (seen.has(found)) throw new Violation(`two runs at once of the ${what} ${found}`);
      seen.add(found);
    }
  }

  async #begun(run: RunLine): Promise<void> {
    if (this.#braked) throw new Violation(`run ${run.id} began although the brake was on`);
    if (run.day !== run.created_at.slice(0, 10)) throw new Violation(`run ${run.id} is booked on ${run.day}`);
    this.#affordable(run);
    const { kind = "" } = this.#tasks.get(run.task_id ?? 0) ?? {};
    if (CONTAINER_KINDS.includes(kind)) throw new Violation(`run ${run.id} began of ${run.task}, a ${kind}`);
    const before = [...this.#runs.values()].filter(({ id }) => id < run.id);
    const limit = before.find(({ failure, retry_at }) => failure === "rate_limit" && (retry_at ?? "") > run.created_at);
    if (limit) throw new Violation(`run ${run.id} began before the limit of run ${limit.id} ended`);
    const done = this.#ofTask(run.task_id).find(
      ({ id, state, verdict }) => id < run.id && state === "done" && verdict !== "blocked",
    );
    if (done) throw new Violation(`run ${run.id} of ${run.task}, which run ${done.id} had done`);
    const early = await this.#rows<{ name: string }>(
      `select b.name from task_edges e join tasks b on b.id = e.blocker_id
        where e.blocked_id = ? and b.status <> 'CLOSED'`,
      [run.task_id],
    );
    if (early[0]) throw new Violation(`run ${run.id} of ${run.task} began before ${early[0].name} was closed`);
    const rival = [...this.#active].find((one) => one.id < run.id && this.#contests(run, one));
    if (rival) throw new Violation(`run ${run.id} of ${run.task} may change files of ${rival.task}`);
  }

  #affordable(run: RunLine): void {
    const { roles, budget } = this.world.settings();
    const ofDay = [...this.#runs.values()].filter(({ day, id }) => day === run.day && id <= run.id);
    const cap = roles[run.role]?.dailyCapUsd ?? Number.POSITIVE_INFINITY;
    const own = spent(ofDay.filter(({ role }) => role === run.role));
    if (own > micros(cap)) throw new Violation(`${run.role} reserves ${own} on ${run.day}, its cap is ${cap}`);
    const ceiling = budget.projectCeilingUsd ?? Number.POSITIVE_INFINITY;
    if (spent(ofDay) > micros(ceiling)) throw new Violation(`${spent(ofDay)} on ${run.day}, the ceiling is ${ceiling}`);
    const most = this.#tasks.get(run.task_id ?? 0)?.budget_usd ?? Number.POSITIVE_INFINITY;
    const ofTask = spent(this.#ofTask(run.task_id).filter(({ id }) => id <= run.id));
    if (ofTask > micros(most)) throw new Violation(`${run.task} reserves ${ofTask}, its budget is ${most}`);
  }

  /** Whether both may write and declare files that one glob can cover; an agent that closed its task has let go of them. */
  #contests(run: RunLine, other: RunLine): boolean {
    const [task, rival] = [this.#tasks.get(run.task_id ?? 0), this.#tasks.get(other.task_id ?? 0)];
    if (run.writes === null || other.writes === null || rival?.status !== "IN_PROGRESS") return false;
    const [some, others] = [task, rival].map((one) => JSON.parse(one?.touches ?? "[]") as string[]);
    const folder = (glob: string) => glob.replace(/\*\*$/, "");
    const meet = (a: string, b: string) => folder(a).startsWith(folder(b)) || folder(b).startsWith(folder(a));
    return (some ?? []).some((one) => (others ?? []).some((two) => meet(one, two)));
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
    // Of what a tester said, nobody can tell whether its command was run as well.
    const mayBeLost = this.#tasks.get(run.task_id ?? 0)?.kind === "test" && run.state === "lost";
    if (isGood && run.state !== "done" && !mayBeLost)
      throw new Violation(`the result of run ${run.id} was lost: ${run.state}`);
  }

  #sane(task: TaskLine): void {
    const { id, name, status, role, hold, hold_reason, attempts, max_retries, from_run, depth } = task;
    const step = this.#tasks.get(task.kind === "step" ? id : (this.#stepOf.get(id) ?? 0));
    if (step !== undefined) this.#steady(step);
    if (CONTAINER_KINDS.includes(task.kind) && status === "IN_PROGRESS") throw new Violation(`${name} was claimed`);
    if (role === null) return;
    const runs = this.#ofTask(id);
    const isBusy = runs.some(({ finished_at }) => finished_at === null);
    if (status === "IN_PROGRESS" && !isBusy) throw new Violation(`${name} is in progress without a run`);
    if (hold !== null && !hold_reason) throw new Violation(`${name} is held without a reason`);
    if (attempts > max_retries + 1) throw new Violation(`${name} was tried ${attempts} times`);
    if (from_run !== null) this.#fewChildren(from_run, depth);
    if (status === "CLOSED" || this.#closedByItself.has(name)) return;
    const since = this.#requeuedAt.get(name) ?? 0;
    const failed = runs.filter((run) => run.id > since && ["failed", "lost"].includes(run.state));
    if (failed.length !== attempts) {
      throw new Violation(`${name} has ${attempts} attempts, but ${failed.length} of its runs failed`);
    }
  }

  /** A step has something to do, or is held or closed, with no more parts than its limits allow. */
  #steady({ id, name, status, hold, step, payload, outcome }: TaskLine): void {
    if (!isStepName(step)) return;
    const parts = (this.#parts.get(id) ?? []).flatMap((part) => this.#tasks.get(part) ?? []);
    const open = parts.filter((part) => ["OPEN", "IN_PROGRESS"].includes(part.status));
    const isOver = status === "CLOSED" || hold !== null;
    if (isOver && open[0]) throw new Violation(`${name} is ${hold ?? status}, and ${open[0].name} is not done`);
    if (!isOver && open.length === 0) throw new Violation(`${name} is open and none of its parts is`);
    const { limits } = stepPlanOf(payload);
    const most = mostNodes(step, limits);
    const more = (this.#requeues.get(name) ?? 0) * mostNodes(step, { ...limits, branches: 1 });
    if (parts.length > most + more) throw new Violation(`${name} has ${parts.length} parts, of ${most} and ${more}`);
    if (status !== "CLOSED") return;
    const { loop } = STEPS[step];
    const rounds = parts.map((part) => placeOf(part.payload).round);
    const last = parts.filter((part, at) => part.kind === loop?.kind && rounds[at] === Math.max(...rounds));
    const isRefused = last.some((part) => part.outcome === "fail");
    const due = !isRefused ? "done" : loop?.spent === "accept" ? "unreviewed" : "held";
    if (outcome !== due) throw new Violation(`${name} is closed as ${outcome}, and should be ${due}`);
  }

  #fewChildren(run: number, depth: number): void {
    const { maxChildrenPerRun, maxDepth } = this.world.settings().dispatch;
    const children = [...this.#tasks.values()].filter(({ from_run }) => from_run === run).length;
    if (children > maxChildrenPerRun) throw new Violation(`run ${run} added ${children} tasks`);
    if (depth > maxDepth) throw new Violation(`run ${run} added a task of depth ${depth}`);
  }

  /** When all is over. */
  async end(): Promise<void> {
    await this.#follow();
    await this.#whole();
    const open = [...this.#tasks.values()].filter(isOpen);
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

/** The row that a change leads to, in the columns that the oracle looks at. */
function followed<C extends string, L extends Record<C, unknown>>(
  known: Map<number, L>,
  columns: readonly C[],
  change: Change,
): L {
  const { after } = sidesOf(change);
  const row = known.get(change.id) ?? (Object.fromEntries(columns.map((column) => [column, null])) as L);
  for (const column of columns) if (after !== null && column in after) row[column] = after[column] as never;
  return Object.assign(known.set(change.id, row).get(change.id) as L, { id: change.id });
}

const isOpen = ({ role, kind, status }: TaskLine) =>
  (role !== null || kind === "step") && status !== "CLOSED" && status !== "REJECTED";

const spent = (runs: readonly RunLine[]) =>
  runs.reduce((sum, { finished_at, cost_micros, reserved_micros: reserved }) => {
    return sum + Number(finished_at === null ? reserved : (cost_micros ?? reserved));
  }, 0);
