import { inject } from "vitest";
import { mulberry32 } from "./random.js";

declare module "vitest" {
  interface ProvidedContext {
    /** What chooses the samples of this run; the run prints it, and `MU_TEST_SEED` sets it. */
    seed: number;
    /** Whether everything is run instead of a sample: `npm run soak`. */
    soak: boolean;
  }
}

/** The seed of this run. */
export const seed = inject("seed");

const soak = inject("soak");

/** `few` in `npm test`, `all` in `npm run soak`. */
export function fewOf(few: number, all: number): number {
  return soak ? all : few;
}

/** At most `count` of `all` in their order, spread evenly; all of them in `npm run soak`. */
export function sample<T>(all: readonly T[], count: number): T[] {
  if (soak || all.length <= count) return [...all];
  const random = mulberry32(seed);
  return Array.from({ length: count }, (_, n) => all[Math.floor(((n + random()) * all.length) / count)] as T);
}

/** Numbers in 0…1 that follow from the seed of this run. */
export const random = mulberry32(seed);
