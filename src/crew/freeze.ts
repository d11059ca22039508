import { type AgentRow, agentRows, currentTasks, PANELESS } from "../agents/agent.js";
import { cliOfWords } from "../agents/clis/programs.js";
import type { Crew } from "../agents/crew.js";
import { drainDeliveries } from "../agents/delivery/drain.js";
import { queueForAgent } from "../agents/delivery/send.js";
import { interruptAgent, isOwnPane, kickAgent } from "../agents/pane.js";
import { write } from "../db/write.js";
import { asFault } from "../errors.js";
import { callersIn, commandLines, listProcesses, type Process, pidOf, treeOf } from "../processes.js";
import { activeRuns } from "../runs/run.js";
import { shape, type TypeOf } from "../shape.js";

/** What became of one agent or run. */
export const FROZEN = shape({
  agent: "string",
  /** `stopped`: by a signal; `interrupted`: its turn was ended; `idle`: it did nothing; `spared`: the caller. */
  as: ["stopped", "interrupted", "idle", "spared"],
  /** How many processes were stopped. */
  processes: "number",
});

type Frozen = TypeOf<typeof FROZEN>;

interface Workstream {
  id: number;
  name: string;
}

/**
 * An agent with a pane, or a run, and its processes but for the first: tmux does not let that of a pane be stopped, and a
 * runner knows that a stopped program needs no time.
 */
interface Target {
  agent: string;
  row?: AgentRow;
  processes: Process[];
}

/**
 * Stops every process of a workstream's agents and runs by SIGSTOP. tmux continues the first process of a pane at once, so an
 * agent CLI that is it has its turn ended by its own keys instead. What descends to the caller is spared.
 */
export async function freezeCrew(crew: Crew, workstream: Workstream, reason: string): Promise<Frozen[]> {
  const found = await targets(crew, workstream);
  const spared = new Set(callersIn(await listProcesses(crew)).map(({ pid }) => pid));
  const frozen: Frozen[] = [];
  let isNew = false;
  for (const { agent, row, processes } of found) {
    if (processes.some(({ pid }) => spared.has(pid))) {
      frozen.push({ agent, as: "spared", processes: 0 });
      continue;
    }
    const all = processes.filter(({ zombie }) => !zombie);
    const lines = await commandLines(
      crew,
      all.map(({ pid }) => pid),
    );
    const isCliBelow = [...lines.values()].some((words) => cliOfWords(words, crew.env) !== undefined);
    const mayTalk = row !== undefined && row.cli !== "shell" && !isCliBelow;
    const isInterrupted = mayTalk && (await endTurn(crew, workstream, agent));
    for (const { pid } of all) signal(pid, "SIGSTOP");
    await stopLateChildren(crew, all);
    isNew ||= isInterrupted || all.some(({ stopped }) => !stopped);
    const as = isInterrupted ? "interrupted" : all.length > 0 ? "stopped" : "idle";
    frozen.push({ agent, as, processes: all.length });
  }
  if (isNew) await note(crew, workstream, "crew.freeze", { reason, agents: frozen.map(({ agent }) => agent) });
  return frozen;
}

/**
 * Continues what was stopped, and tells the agents that hold tasks since when they stood still, if that is known. Gives the
 * agents in which something was continued or told.
 */
export async function thawCrew(crew: Crew, workstream: Workstream, since: string | null): Promise<string[]> {
  const told: string[] = [];
  const held = await currentTasks(crew.context.store.db);
  for (const { agent, row, processes } of await targets(crew, workstream)) {
    const stopped = processes.filter((one) => one.stopped);
    for (const { pid } of stopped) signal(pid, "SIGCONT");
    const ref = { workstream: workstream.name, name: agent };
    // A shell has put what was stopped behind its prompt.
    if (row?.cli === "shell" && stopped.length > 0) await kickAgent(crew, ref).catch(() => {});
    const tasks = row === undefined || row.cli === "shell" || since === null ? [] : (held.get(row.id) ?? []);
    if (tasks.length > 0) await queueForAgent(crew, ref, thawed(tasks, since ?? ""), { sender: "thaw" });
    if (tasks.length > 0 || stopped.length > 0) told.push(agent);
  }
  if (told.length > 0) await note(crew, workstream, "crew.thaw", { agents: told });
  await drainDeliveries(crew, { workstream: workstream.name });
  return told;
}

/** Stops what these had started before they were stopped, and after they were listed. */
async function stopLateChildren(crew: Crew, listed: readonly Process[]): Promise<void> {
  for (let look = 0; look < MOST_LOOKS; look++) {
    const running = treeOf(await listProcesses(crew), listed).filter(({ stopped, zombie }) => !stopped && !zombie);
    if (running.length === 0) return;
    for (const { pid } of running) signal(pid, "SIGSTOP");
  }
}

const MOST_LOOKS = 10;

function thawed(tasks: readonly string[], since: string): string {
  return `The crew stood still since ${since} and goes on now. Time has passed: commands that were waiting may have failed, others may have changed files. Go on with ${tasks.join(", ")}.`;
}

async function endTurn(crew: Crew, { name: workstream }: Workstream, name: string): Promise<boolean> {
  try {
    await interruptAgent(crew, { workstream, name });
    return true;
  } catch (error) {
    if (["agent.not_busy", "pane.not_found"].includes(asFault(error).code)) return false;
    throw error;
  }
}

async function targets(crew: Crew, { id, name }: Workstream): Promise<Target[]> {
  const { db } = crew.context.store;
  const rows = (await agentRows(db, name)).filter(({ cli, pane }) => !PANELESS.includes(cli) && pane !== null);
  const panes = await crew.tmux.listPanes();
  const all = await listProcesses(crew);
  const inPanes = rows.flatMap((row): Target[] => {
    const pane = panes.find((one) => isOwnPane(row, one) && !one.dead);
    return pane === undefined ? [] : [target(all, row.name, pane.pid, row)];
  });
  const runs = (await activeRuns(db, id)).filter(({ state }) => state === "running");
  return [...inPanes, ...runs.map(({ agent, process }) => target(all, agent, pidOf(process)))];
}

const target = (all: readonly Process[], agent: string, root: number, row?: AgentRow): Target => ({
  ...{ agent, processes: treeOf(all, [{ pid: root }]).filter(({ pid }) => pid !== root) },
  ...(row && { row }),
});

function signal(pid: number, name: "SIGSTOP" | "SIGCONT"): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}

function note({ context }: Crew, { name }: Workstream, op: string, payload: Record<string, unknown>): Promise<void> {
  return write(context, { op, scope: name, subject: name }, async (tx) => tx.addPayload(payload));
}
