import type { Delivery } from "../agents/delivery/outbox.js";
import { Fault } from "../errors.js";
import type { AgentRef } from "../names.js";
import type { App } from "./app.js";
import type { Paint } from "./paint.js";

/** 0 if the receiver itself shows that it has the prompt; 8 if it is only known to have been typed or handed over. */
export const sentExitCode = ({ state }: Delivery) => (state === "proved" ? 0 : 8);

/** What is known of a prompt that was sent, in a line for people. */
export function sentLine({ id, agent, state, reason }: Delivery, paint: Paint): string {
  const to = paint.bold(agent);
  if (state === "typed")
    return `Typed to ${to}: ${reason}. That does not show who read it; see its pane before you send it again`;
  if (state === "handed") return `Handed to ${to}: ${reason}. Check with mu delivery show ${id}`;
  return `Delivered to ${to} (${reason ?? state})`;
}

/** For `.catch`: a prompt that stays queued is typed by a process of its own, where the surface can start one. */
export function drainLater(app: App, ref: AgentRef): (error: unknown) => Promise<never> {
  return async (error) => {
    if (error instanceof Fault && error.code === "delivery.pending") await startDrain(app, ref);
    throw error;
  };
}

/** Starts the process that types what waits for the agent, for an hour at most. */
export async function startDrain({ program, request }: App, { workstream, name }: AgentRef): Promise<void> {
  await program.startApart?.(["delivery", "drain", "--agent", name, "-w", workstream, "--wait", "1h"], request);
}
