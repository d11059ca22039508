import type { Crew } from "../agents/crew.js";
import type { Scene } from "../dispatch/facts.js";
import type { LoopResult } from "../dispatch/loop.js";
import { drainHere, type OnceOptions } from "../dispatch/once.js";

/** Loads what runs of jobs and intakes need, when the first one does. */
export const special = async () => (await import("./nodes.js")).nodeRuns;

/**
 * Starts every ready task that may start, in this process and without tmux, until nothing is ready and nothing runs: `mu
 * dispatch --once`. It may run beside other dispatchers. Agents call `mu` by `PATH`. Faults `dispatch.no_roles`, `settings.invalid`.
 */
export const dispatchOnce = (crew: Crew, scene: Scene, options: OnceOptions = {}): Promise<LoopResult> =>
  drainHere(crew, scene, { ...options, special });
