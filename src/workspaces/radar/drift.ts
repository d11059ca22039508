import { coveredBy } from "../../tasks/touches.js";
import type { Changed } from "./predict.js";
import type { WorkInProgress } from "./work.js";

/** Files that an agent changes although none of its tasks says that it touches them. */
export interface Drift {
  agent: string;
  /** The tasks that the agent is at, by name. */
  tasks: string[];
  /** The globs that they declare. */
  declared: string[];
  /** Outside of them. */
  paths: string[];
}

/**
 * Who changes what it did not declare, by agent. A task that declares nothing may touch anything, so an agent that is
 * at such a one does not drift; and what was declared and never touched is no drift.
 */
export function driftOf(
  changed: readonly Pick<Changed, "agent" | "recent">[],
  work: readonly WorkInProgress[],
): Drift[] {
  return changed.flatMap(({ agent, recent }) => {
    const own = work.filter((one) => one.agent === agent);
    if (own.length === 0 || own.some(({ touches }) => touches.length === 0)) return [];
    const declared = [...new Set(own.flatMap(({ touches }) => touches))];
    const covers = own.map(({ touches }) => coveredBy(touches));
    const paths = recent.filter((path) => !covers.some((cover) => cover(path)));
    return paths.length === 0 ? [] : [{ agent, tasks: own.map(({ task }) => task), declared, paths }];
  });
}
