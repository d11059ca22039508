import type { AgentRef } from "../names.js";
import type { AttachCommand } from "../tmux/tmux.js";
import { type Agent, openPaneAgent, toAgent } from "./agent.js";
import type { Crew } from "./crew.js";
import { ownPane } from "./own-pane.js";

/** Makes the agent's pane the one that its session shows. Faults `agent.not_found`, `agent.is_person`, `pane.not_found`. */
export async function focusAgent(crew: Crew, ref: AgentRef): Promise<Agent> {
  const row = await openPaneAgent(crew.context.store.db, ref);
  await crew.tmux.focusPane((await ownPane(crew, row)).id);
  return toAgent(row);
}

/**
 * The program that shows the agent on the caller's terminal: it attaches, or moves the client over when the caller
 * sits in the same tmux. Faults as `focusAgent`.
 */
export async function attachCommand(crew: Crew, ref: AgentRef): Promise<{ agent: Agent; command: AttachCommand }> {
  const row = await openPaneAgent(crew.context.store.db, ref);
  const pane = await ownPane(crew, row);
  await crew.tmux.focusPane(pane.id);
  return { agent: toAgent(row), command: await crew.tmux.attachCommand(pane.session, pane.id) };
}
