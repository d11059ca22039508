import type { Reader } from "../db/schema.js";
import { costsOf, likest, quantile, type Sample } from "../runs/learned.js";
import { CONTAINER_KINDS, LIVE_STATUSES } from "../tasks/task.js";
import { topologicalOrder } from "../topology.js";

/** A task that is to be done. */
export interface Ahead {
  name: string;
  /** Empty for a task without a role. */
  role: string;
  kind: string;
  impact: number;
  /** It waits for a person, or for what does, or is deferred. */
  stuck: boolean;
  /** Positions of the tasks that it waits for. */
  after: number[];
}

/** The tasks of a workstream, by its row id, that are to be done, blockers before what they block. */
export async function tasksAhead(db: Reader, workstreamId: number): Promise<Ahead[]> {
  const rows = await db
    .selectFrom("tasks")
    .select(["id", "name", "role", "kind", "impact", "hold", "status"])
    .where("workstream_id", "=", workstreamId)
    .where("status", "in", [...LIVE_STATUSES, "DEFERRED"])
    .orderBy("id")
    .execute();
  const places = new Map(rows.map(({ id }, at) => [id, at]));
  const edges = await db
    .selectFrom("task_edges as e")
    .innerJoin("tasks as t", "t.id", "e.blocked_id")
    .select(["e.blocker_id", "e.blocked_id"])
    .where("t.workstream_id", "=", workstreamId)
    .execute();
  const known = edges.flatMap(({ blocker_id, blocked_id }) => {
    const [from, to] = [places.get(blocker_id), places.get(blocked_id)];
    return from === undefined || to === undefined ? [] : [{ from, to }];
  });
  const { order } = topologicalOrder(
    rows.length,
    known.map(({ from }) => from),
    known.map(({ to }) => to),
  );
  const rank = new Map([...order].map((place, at) => [place, at]));
  const after: number[][] = rows.map(() => []);
  for (const { from, to } of known) after[rank.get(to) ?? 0]?.push(rank.get(from) ?? 0);
  const ahead: Ahead[] = [];
  for (const [at, place] of [...order].entries()) {
    const row = rows[place] as (typeof rows)[number];
    const waitsFor = after[at] ?? [];
    const stuck = row.hold !== null || row.status === "DEFERRED" || waitsFor.some((one) => ahead[one]?.stuck);
    ahead.push({ name: row.name, role: row.role ?? "", kind: row.kind, impact: row.impact, stuck, after: waitsFor });
  }
  return ahead;
}

/** Who works: at most `agents` at a time in all, and of a role at most as many as `roles` says. */
export interface Crowd {
  agents: number;
  roles: ReadonlyMap<string, number>;
}

export interface Forecast {
  /** Seconds until all is done: in half of the trials it was done by then, and in nine of ten. */
  p50Seconds: number;
  p90Seconds: number;
}

const TRIALS = 200;

/** When a crowd is through with the tasks that are not stuck, by trials that draw what each takes from the samples. */
export function forecast(tasks: readonly Ahead[], samples: readonly Sample[], crowd: Crowd): Forecast {
  const random = numbersFrom(1);
  const pools = tasks.map((task) => likest(samples, task).map(({ seconds }) => seconds));
  const ends = Array.from({ length: TRIALS }, () => {
    const takes = pools.map((pool, at) => (isWork(tasks[at]) ? draw(pool, random) : 0));
    return finish(tasks, takes, crowd);
  });
  return { p50Seconds: quantile(ends, 0.5), p90Seconds: quantile(ends, 0.9) };
}

/** What is nobody's to do takes no time: a container closes with its children. */
const isWork = (task: Ahead | undefined) => task !== undefined && !CONTAINER_KINDS.includes(task.kind);

/** Which agent more would save most time, and how much, in seconds of `p50Seconds`; null if none saves a twentieth. */
export function oneMore(
  tasks: readonly Ahead[],
  samples: readonly Sample[],
  crowd: Crowd,
): { role: string; savesSeconds: number } | null {
  const now = forecast(tasks, samples, crowd).p50Seconds;
  const roles = [...new Set(tasks.filter(({ stuck }) => !stuck).map(({ role }) => role))];
  const tried = roles.map((role) => {
    const more = new Map(crowd.roles);
    if (more.has(role)) more.set(role, (more.get(role) ?? 0) + 1);
    const then = forecast(tasks, samples, { agents: crowd.agents + 1, roles: more }).p50Seconds;
    return { role, savesSeconds: now - then };
  });
  const best = tried.sort((a, b) => b.savesSeconds - a.savesSeconds)[0];
  return best !== undefined && best.savesSeconds > now / 20 ? best : null;
}

/** When the last task is done, in seconds: who is free takes what most work waits for. */
function finish(tasks: readonly Ahead[], takes: readonly number[], { agents, roles }: Crowd): number {
  const behind = chainBehind(tasks, takes);
  const left = tasks.map(({ after }) => after.length);
  const next: number[][] = tasks.map(() => []);
  for (const [at, { after }] of tasks.entries()) for (const one of after) next[one]?.push(at);
  const ready = tasks.flatMap(({ stuck }, at) => (left[at] === 0 && !stuck ? [at] : []));
  const running: { at: number; ends: number }[] = [];
  const busy = new Map<string, number>();
  let now = 0;
  for (;;) {
    ready.sort((a, b) => (behind[b] ?? 0) - (behind[a] ?? 0));
    for (let slot = 0; slot < ready.length && running.length < agents; ) {
      const at = ready[slot] as number;
      const { role } = tasks[at] as Ahead;
      if ((busy.get(role) ?? 0) >= (roles.get(role) ?? Number.POSITIVE_INFINITY)) {
        slot++;
        continue;
      }
      ready.splice(slot, 1);
      busy.set(role, (busy.get(role) ?? 0) + 1);
      running.push({ at, ends: now + (takes[at] ?? 0) });
    }
    const done = running.reduce<(typeof running)[number] | undefined>(
      (first, one) => (first === undefined || one.ends < first.ends ? one : first),
      undefined,
    );
    if (done === undefined) return now;
    running.splice(running.indexOf(done), 1);
    now = done.ends;
    const { role } = tasks[done.at] as Ahead;
    busy.set(role, (busy.get(role) ?? 1) - 1);
    for (const at of next[done.at] ?? []) {
      left[at] = (left[at] ?? 1) - 1;
      if (left[at] === 0 && !tasks[at]?.stuck) ready.push(at);
    }
  }
}

/** The longest chain from the start of each task on. */
function chainBehind(tasks: readonly Ahead[], takes: readonly number[]): number[] {
  const chain = [...takes];
  for (let at = tasks.length - 1; at >= 0; at--) {
    for (const one of tasks[at]?.after ?? []) {
      chain[one] = Math.max(chain[one] ?? 0, (takes[one] ?? 0) + (chain[at] ?? 0));
    }
  }
  return chain;
}

/** A goal, and what it costs on top of the goals before it. */
export interface GoalPlan {
  goal: string;
  /** Tasks that only it adds. */
  tasks: number;
  p50Usd: number;
  p90Usd: number;
  /** It fits into the budget, after those before it, in nine of ten trials. */
  fits: boolean;
  /** It waits for a person. */
  stuck: boolean;
}

/** The goals in the order in which a budget is best spent: most impact for its cost first. Null where no cost is known. */
export function planGoals(tasks: readonly Ahead[], samples: readonly Sample[], budgetUsd: number): GoalPlan[] | null {
  if (costsOf(samples).length === 0) return null;
  const random = numbersFrom(1);
  const costs = tasks.map((task) => {
    if (!isWork(task)) return Array<number>(TRIALS).fill(0);
    const own = costsOf(likest(samples, task));
    const pool = own.length > 0 ? own : costsOf(samples);
    return Array.from({ length: TRIALS }, () => draw(pool, random));
  });
  const waitedFor = new Set(tasks.flatMap(({ after }) => after));
  const goals = tasks.flatMap((_, at) => (waitedFor.has(at) ? [] : [{ at, needs: ancestors(tasks, at) }]));
  const spent = Array<number>(TRIALS).fill(0);
  const bought = new Set<number>();
  const plans: GoalPlan[] = [];
  while (goals.length > 0) {
    const priced = goals.map(({ at, needs }) => {
      const adds = [...needs].filter((one) => !bought.has(one));
      const sums = spent.map((_, trial) => adds.reduce((sum, one) => sum + (costs[one]?.[trial] ?? 0), 0));
      return { at, adds, sums, p50: quantile(sums, 0.5), stuck: tasks[at]?.stuck ?? false };
    });
    const worth = ({ at, p50 }: (typeof priced)[number]) => (tasks[at]?.impact ?? 0) / Math.max(p50, 0.000001);
    priced.sort((a, b) => Number(a.stuck) - Number(b.stuck) || worth(b) - worth(a));
    const best = priced[0] as (typeof priced)[number];
    const all = spent.map((sum, trial) => sum + (best.sums[trial] ?? 0));
    const fits = !best.stuck && quantile(all, 0.9) <= budgetUsd;
    plans.push({
      ...{ goal: tasks[best.at]?.name ?? "", tasks: best.adds.length, fits, stuck: best.stuck },
      ...{ p50Usd: best.p50, p90Usd: quantile(best.sums, 0.9) },
    });
    if (fits) {
      for (const one of best.adds) bought.add(one);
      for (const [trial, sum] of all.entries()) spent[trial] = sum;
    }
    goals.splice(
      goals.findIndex(({ at }) => at === best.at),
      1,
    );
  }
  return plans;
}

function ancestors(tasks: readonly Ahead[], goal: number): Set<number> {
  const found = new Set([goal]);
  for (const at of found) for (const one of tasks[at]?.after ?? []) found.add(one);
  return found;
}

const draw = (pool: readonly number[], random: () => number) => pool[Math.floor(random() * pool.length)] ?? 0;

/** Evenly spread numbers from 0 up to 1, the same ones for the same seed: the same question has the same answer. */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
