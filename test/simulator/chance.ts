import { mulberry32 } from "../support/random.js";

/** Choices that follow from a seed. */
export interface Chance {
  /** True in `part` of the cases. */
  in(part: number): boolean;
  whole(least: number, most: number): number;
  of<T>(all: readonly T[]): T;
}

export function chanceOf(seed: number): Chance {
  const random = mulberry32(seed);
  return {
    in: (part) => random() < part,
    whole: (least, most) => least + Math.floor(random() * (most - least + 1)),
    of: (all) => all[Math.floor(random() * all.length)] as never,
  };
}

/** What may go wrong in a simulation; the seed says which of it does. */
export const FAULTS = [
  "crash",
  "hang",
  "silence",
  "rate_limit",
  "no_login",
  "blocked",
  "wrong_verdict",
  "prose",
  "overspend",
  "unknown_cost",
  "closes_itself",
  "adds_tasks",
  "torn_result",
  "kill_runner",
  "kill_dispatcher",
  "launch_fails",
  "slow_start",
  "twin",
  "clock_jump",
  "midnight",
  "person",
  "no_watch",
  "budget",
  "contest",
] as const;

export type FaultName = (typeof FAULTS)[number];
