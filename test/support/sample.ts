import { inject } from "vitest";

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

/** A small generator of numbers in 0…1 that is the same for the same seed. */
function mulberry32(from: number): () => number {
  let state = from;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
