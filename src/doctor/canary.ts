import { openPaneAgent } from "../agents/agent.js";
import { getAgentCli } from "../agents/clis/table.js";
import type { Delivery } from "../agents/delivery/outbox.js";
import { sendToAgent } from "../agents/delivery/send.js";
import { type AgentRef, duration, qualifiedName } from "../names.js";
import type { Found, Patient, Probe } from "./finding.js";

const TEXT = "This is a test of mu's delivery. Change nothing and start nothing: answer with the one word ok.";
/** The same for a shell, which would run it. */
const NOTHING = ": a test of the delivery of mu";

/** Sends a harmless prompt as any other is sent, and measures how long it took. */
export const canary = (ref: AgentRef): Probe => ({
  name: "canary",
  needs: "database",
  run: (patient, signal) => send(patient, ref, signal),
});

async function send({ crew, caller }: Patient, ref: AgentRef, signal: AbortSignal): Promise<Found[]> {
  const { clock, store } = crew.context;
  const { cli } = await openPaneAgent(store.db, ref);
  const text = getAgentCli(cli).reading.by === "shell" ? NOTHING : TEXT;
  const began = clock.now().getTime();
  const { delivery } = await sendToAgent(crew, ref, text, { sender: caller.name, signal });
  return [judge(ref, cli, delivery, { began, ended: clock.now().getTime() })];
}

function judge(
  ref: AgentRef,
  cli: string,
  delivery: Delivery,
  { began, ended }: { began: number; ended: number },
): Found {
  const { state, reason, pastedAt, id } = delivery;
  const ready = pastedAt === null ? null : Date.parse(pastedAt) - began;
  const took = [ready !== null && `ready after ${duration(ready)}`, `${state} after ${duration(ended - began)}`];
  const detail = `${cli}: ${took.filter(Boolean).join(", ")}${reason ? ` (${reason})` : ""}`;
  const step = { intent: "See the prompt", command: `mu delivery show ${id}` };
  // A shell says nothing of what it was given: that it was typed is all there is to know.
  const severity = state === "proved" || state === "typed" ? "ok" : "note";
  return { severity, subject: qualifiedName(ref), detail, step: severity === "ok" ? undefined : step };
}
