import type { ListedAgent } from "../agents/agent.js";
import type { Budget } from "../dispatch/budget.js";
import type { InboxItem } from "../inbox.js";
import type { LogEntry } from "../journal/log.js";
import type { BoardTask } from "../tasks/board.js";
import type { WorkCounts } from "../tasks/ready.js";
import type { Collision, SeenWorkspace } from "../workspaces/radar/radar.js";

/** An agent as the view of the crew shows it. */
export interface CrewAgent
  extends Pick<
    ListedAgent,
    "name" | "cli" | "role" | "status" | "statusReason" | "statusSince" | "tasks" | "idleAssigned" | "pane"
  > {
  workspace: SeenWorkspace | undefined;
  /** With whom its work will conflict. */
  conflicts: readonly string[];
  /** Today, in USD; null where it is not known. */
  costUsd: number | null;
}

/** Finished work that is not on the target branch yet. */
export interface Landing {
  task: string;
  title: string;
  owner: string | null;
  /** How far its proof goes: `claimed` or `verified`. */
  level: string;
  /** What happens to it now, or what it waits for. */
  state: string;
  /** Tasks that are checked together have one batch. */
  batch: string | null;
}

/** What is known of a workstream; what only some views show is read when one of them is open. */
export interface Data {
  workstream: string;
  /** The task that all is about, if it is about one goal. */
  under: string | null;
  /** The moment of the reading, in ms. */
  now: number;
  agents: readonly CrewAgent[];
  inbox: readonly InboxItem[];
  counts: WorkCounts;
  /** Today; not sure where the cost of a run is unknown and what it reserved counts. */
  spent: { usd: number; isSure: boolean };
  collisions: readonly Collision[];
  tasks: readonly BoardTask[];
  /** The longest chain of work, by days, first one first. */
  critical: readonly string[];
  landings: readonly Landing[];
  budget: Budget | null;
  log: readonly LogEntry[];
}
