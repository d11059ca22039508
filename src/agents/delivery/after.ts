import { pollUntil } from "../../clock.js";
import { Fault } from "../../errors.js";
import { type AgentRef, qualifiedName } from "../../names.js";
import type { Crew } from "../crew.js";
import { type Observation, observeAgents } from "../status/observe.js";
import { growing, type Patience } from "./type.js";

/** A prompt is taken before the pane says that it is: an agent is done when it keeps looking so for this long (ms). */
const QUIET_MS = 700;

/**
 * Waits until the agent has done what it was sent, or needs somebody. Faults `agent.not_ready` after the timeout,
 * `agent.gone`.
 */
export async function awaitReady(
  crew: Crew,
  ref: AgentRef,
  { timeoutMs, signal }: Pick<Patience, "timeoutMs" | "signal">,
): Promise<Observation> {
  let since: number | undefined;
  const once = async () => {
    const seen = (await observeAgents(crew, { workstream: ref.workstream })).find(({ agent }) => agent === ref.name);
    if (seen === undefined || seen.status === "terminated") throw gone(ref, seen);
    const now = crew.context.clock.now().getTime();
    if (seen.status === "busy" || seen.status === "spawning") since = undefined;
    else since ??= now;
    return since !== undefined && now - since >= QUIET_MS ? seen : undefined;
  };
  const ready = await pollUntil(crew.context.clock, once, growing(50, 400, timeoutMs, signal));
  if (ready !== undefined) return ready;
  const message = `${ref.name} took the prompt and is still at work after ${timeoutMs / 1000} s.`;
  throw new Fault("unavailable", "agent.not_ready", message, [
    { intent: "Wait for it", command: `mu agent wait ${ref.name} -w ${ref.workstream}` },
  ]);
}

function gone(ref: AgentRef, seen: Observation | undefined): Fault {
  const why = seen?.reason ?? "it was closed";
  return new Fault("unavailable", "agent.gone", `${qualifiedName(ref)} took the prompt and is gone: ${why}.`, [
    { intent: "See who is there", command: `mu agent list -w ${ref.workstream}` },
  ]);
}
