import type { RunWish } from "../flow/payload.js";
import { type ProjectSettings, type Role, roleOf } from "../project/settings.js";
import { micros } from "../runs/run.js";
import type { Spend } from "../runs/spend.js";
import { coveredBy, mayOverlap } from "../tasks/touches.js";

/** An OPEN task that has a role. */
export interface Waiting {
  name: string;
  role: string;
  /** Why it is not ready, if it is not. */
  unready: { code: "held" | "back_off" | "blocked"; why: string; until?: string } | null;
  /** Whether it is a part of a job's step. */
  isNode?: boolean;
  wish?: RunWish;
  /** What its run would write to, beside the checkout that all share. */
  track: string;
  /** Globs of the files that it is expected to change, if it declares any. */
  touches: readonly string[] | null;
  /** What all its runs may cost and what they do, in millionths of a dollar; null without a budget. */
  budget: { most: number; used: number } | null;
}

/** A task under way whose owner may change files. */
export interface Claim {
  task: string;
  touches: readonly string[];
  /** Files that its owner's checkout changes, as last seen. */
  paths: readonly string[];
}

/** A run that is under way. */
export interface Under {
  role: string;
  agent: string;
  task: string;
  writes: string | null;
}

/** All that a decision depends on. */
export interface Facts {
  settings: Pick<ProjectSettings, "roles" | "budget" | "jobs">;
  /** Best first. */
  tasks: readonly Waiting[];
  active: readonly Under[];
  claims: readonly Claim[];
  /** Of the day. */
  spend: readonly Pick<Spend, "role" | "settled" | "reserved">[];
  /** Names of open agents, which no new slot may have, and of the slots that exist. */
  taken: ReadonlySet<string>;
  /** Why nothing starts at all. */
  halted: string | null;
  /** Providers whose limit is reached, each with when that ends. */
  limits: ReadonlyMap<string, string>;
  /** At most so many runs at a time. */
  max: number;
  /** Only tasks of these roles; all without it. */
  roles?: ReadonlySet<string> | undefined;
}

export type WaitCode =
  | "killed"
  | "unknown_role"
  | "other_role"
  | "role_disabled"
  | "held"
  | "back_off"
  | "blocked"
  | "provider_limit"
  | "role_busy"
  | "writer"
  | "contested"
  | "task_budget"
  | "role_cap"
  | "project_ceiling"
  | "most_runs";

export interface Start {
  task: string;
  role: string;
  agent: string;
  writes: string | null;
}

export interface Wait {
  task: string;
  role: string;
  code: WaitCode;
  why: string;
}

/** Which tasks start now, each in which slot, and why every other one waits. */
export function decide(facts: Facts): { start: Start[]; wait: Wait[] } {
  const { budget } = facts.settings;
  const busy = new Set(facts.active.map(({ agent }) => agent));
  const writers = new Map(
    facts.active.flatMap(({ writes, task }) => (writes === null ? [] : [[writes, task] as const])),
  );
  const running = countBy(facts.active, ({ role }) => role);
  const spent = new Map(facts.spend.map(({ role, settled, reserved }) => [role, settled + reserved]));
  let all = [...spent.values()].reduce((sum, one) => sum + one, 0);
  const claims = [...facts.claims];
  let count = facts.active.length;
  const ceiling = budget.projectCeilingUsd === null ? Number.POSITIVE_INFINITY : micros(budget.projectCeilingUsd);
  const start: Start[] = [];
  const wait: Wait[] = [];
  for (const { name, role: roleName, unready, track, touches, budget: own, isNode = false, wish = {} } of facts.tasks) {
    const role = roleOf(facts.settings, roleName, isNode);
    const writes = role === undefined ? null : writesTo(role, wish, track);
    const cli = role && (wish.cli ?? role.cli);
    const writer = writes === null ? undefined : writers.get(writes);
    const reserve = micros(role?.reservationUsd ?? 0);
    const ofRole = spent.get(roleName) ?? 0;
    const cap = role?.dailyCapUsd === null || role === undefined ? Number.POSITIVE_INFINITY : micros(role.dailyCapUsd);
    const reason = ((): [WaitCode, string] | undefined => {
      if (facts.roles !== undefined && !facts.roles.has(roleName)) return ["other_role", "not of the roles asked for"];
      if (role === undefined) return ["unknown_role", `the settings have no role ${roleName}`];
      if (unready !== null) return [unready.code, unready.why];
      if (facts.halted !== null) return ["killed", `the brake is on: ${facts.halted}`];
      if (cap === 0) return ["role_disabled", `${roleName} may spend nothing`];
      const until = facts.limits.get(cli ?? role.cli);
      if (until !== undefined) return ["provider_limit", `the limit of ${cli} is reached until ${until}`];
      if ((running.get(roleName) ?? 0) >= role.concurrency) {
        return ["role_busy", `${roleName} has ${role.concurrency} under way, its most`];
      }
      if (count >= facts.max) return ["most_runs", `${facts.max} runs are under way, the most`];
      if (writer !== undefined) {
        return ["writer", `${writer} writes to the same ${writes?.split(" ")[0]}`];
      }
      if (own !== null && own.used + reserve > own.most) {
        const left = `its budget has ${dollars(own.most - own.used)} left of ${dollars(own.most)}`;
        return ["task_budget", `${left}, and a run of ${roleName} reserves ${dollars(reserve)}`];
      }
      if (ofRole + reserve > cap)
        return ["role_cap", `${roleName} has ${dollars(cap - ofRole)} left of ${dollars(cap)} today`];
      if (all + reserve > ceiling) {
        return ["project_ceiling", `the project has ${dollars(ceiling - all)} left of ${dollars(ceiling)} today`];
      }
      const claim = writes === null || touches === null ? undefined : contesting(touches, claims);
      return claim && ["contested", `${claim.task} may change the same files: ${claim.files.slice(0, 3).join(", ")}`];
    })();
    if (reason !== undefined) {
      wait.push({ task: name, role: roleName, code: reason[0], why: reason[1] });
      continue;
    }
    const agent = freeSlot(roleName, busy, facts.taken);
    start.push({ task: name, role: roleName, agent, writes });
    busy.add(agent);
    if (writes !== null) writers.set(writes, name);
    if (writes !== null && touches !== null) claims.push({ task: name, touches, paths: [] });
    running.set(roleName, (running.get(roleName) ?? 0) + 1);
    spent.set(roleName, ofRole + reserve);
    all += reserve;
    count++;
  }
  return { start, wait };
}

/** What a run of the role may write to; null if it only reads. */
function writesTo({ access, workspace }: Role, wish: RunWish, track: string): string | null {
  if (access !== "full" || wish.access === "read-only") return null;
  if (wish.workspace !== undefined) return `workspace ${wish.workspace}`;
  return workspace && !wish.here ? `track ${track}` : "checkout";
}

/** The first task under way that may change a file that `touches` covers, and its files that say so. */
function contesting(touches: readonly string[], claims: readonly Claim[]) {
  if (claims.length === 0) return undefined;
  const covers = coveredBy(touches);
  for (const { task, touches: declared, paths } of claims) {
    const met = paths.filter(covers);
    if (met.length > 0) return { task, files: met };
    if (mayOverlap(touches, declared)) return { task, files: declared };
  }
  return undefined;
}

/** The first slot of a role that is free: `code-1`, `code-2` … */
function freeSlot(role: string, busy: ReadonlySet<string>, taken: ReadonlySet<string>): string {
  for (let n = 1; ; n++) {
    const name = `${role}-${n}`;
    if (!busy.has(name) && !taken.has(name)) return name;
  }
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(key(item), (counts.get(key(item)) ?? 0) + 1);
  return counts;
}

/** An amount in millionths of a dollar as people read it. */
export const dollars = (amount: number) => `$${(Math.max(0, amount) / 1_000_000).toFixed(2)}`;
