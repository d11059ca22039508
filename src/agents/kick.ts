import { Fault } from "../errors.js";
import { type AgentRef, quote } from "../names.js";
import { foregroundGroup, signalGroup } from "../processes.js";
import { type Agent, openPaneAgent, toAgent } from "./agent.js";
import type { Crew } from "./crew.js";
import { ownPane } from "./own-pane.js";

export interface Kick {
  agent: Agent;
  tty: string;
  signal: NodeJS.Signals;
  /** The process group that was signalled. */
  group: number;
  /** The programs in it. */
  programs: string[];
}

/**
 * Signals the program that has the agent's terminal, when it is not the agent's own CLI. Faults
 * `agent.nothing_to_kick`, `agent.not_found`, `agent.is_person`, `pane.not_found`.
 */
export async function kickAgent(
  crew: Crew,
  ref: AgentRef,
  { signal = "SIGINT" }: { signal?: NodeJS.Signals | undefined } = {},
): Promise<Kick> {
  const row = await openPaneAgent(crew.context.store.db, ref);
  const pane = await ownPane(crew, row);
  const group = await foregroundGroup(crew, pane.tty);
  const [leader] = group;
  const isItself = group.some((one) => one.pid === pane.pid || one.group === pane.pid);
  if (leader === undefined || isItself || !signalGroup(leader.group, signal)) throw nothingToKick(ref, pane.command);
  const programs = group.map((one) => one.name);
  return { agent: toAgent(row), tty: pane.tty, signal, group: leader.group, programs };
}

function nothingToKick({ workstream, name }: AgentRef, command: string): Fault {
  return new Fault(
    "negative",
    "agent.nothing_to_kick",
    `${quote(name)} runs nothing in front of itself${command === "" ? "" : ` (${command})`}: nothing was signalled.`,
    [
      { intent: "See what it does", command: `mu agent read ${name} -w ${workstream}` },
      { intent: "End it", command: `mu agent close ${name} -w ${workstream}` },
    ],
  );
}
