import type { PaneLabels } from "../../tmux/look.js";
import type { Crew } from "../crew.js";
import { type Observation, observeOnce } from "./observe.js";

/** A change is seen within this and the time of one look, in ms. */
const BEAT_MS = 900;

/**
 * The agents of a workstream, or of all: first each as it is, then each change of a status or of the rule behind it,
 * until `signal` aborts. An agent that was closed is told once as `terminated`. Each beat costs one tmux call, and a
 * second one for the screens of the panes that printed something. Faults `tmux.*`.
 */
export async function* followAgents(
  crew: Crew,
  workstream: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Observation> {
  let known = new Map<string, Observation>();
  let labels: readonly PaneLabels[] = [];
  for (; !signal.aborted; await crew.context.clock.sleep(BEAT_MS, signal)) {
    const look = await observeOnce(crew, { workstream, labels });
    labels = look.labels;
    const seen = new Map(look.seen.map((one) => [keyOf(one), one]));
    for (const [key, one] of seen) if (!isSame(known.get(key), one)) yield one;
    for (const [key, one] of known) if (!seen.has(key) && one.status !== "terminated") yield ended(crew, one);
    known = seen;
  }
}

function keyOf({ workstream, agent }: Observation): string {
  return `${workstream}/${agent}`;
}

function isSame(before: Observation | undefined, now: Observation): boolean {
  return before?.status === now.status && before.rule === now.rule && before.since === now.since;
}

function ended(crew: Crew, one: Observation): Observation {
  const since = crew.context.clock.now().toISOString();
  return { ...one, status: "terminated", reason: "it was closed", by: "process", rule: null, since, pane: null };
}
