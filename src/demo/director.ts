import type { Crew } from "../agents/crew.js";
import { sendToAgent } from "../agents/delivery/send.js";
import { readAgent } from "../agents/files.js";
import type { Observation } from "../agents/status/observe.js";
import { pollUntil } from "../clock.js";
import type { Reaped } from "../crew/reconcile.js";
import { reconcile } from "../crew/reconcile.js";
import { timestamp } from "../db/context.js";
import { Fault } from "../errors.js";
import { type LogEntry, readLog } from "../journal/log.js";
import { landTasks } from "../landing/land.js";
import { shape, type TypeOf } from "../shape.js";
import { listReady } from "../tasks/ready.js";
import { listTasks, type Task } from "../tasks/task.js";
import { refreshRadar } from "../workspaces/radar/radar.js";
import { CAST, PLAN, PROMPTS } from "./cast.js";
import { enter, refOf, type Scaffold, WORKSTREAM } from "./stage.js";

/** What happened, as it is written down while it happens. */
export const SCRIPT = shape({
  /** Agents that died, the last line that each printed, and its tasks. */
  crashes: [{ agent: "string", reason: "string", lastWords: "string", tasks: "string[]" }],
  /** Dialogs that agents opened and the director answered. */
  permissions: [{ agent: "string", command: "string", answer: ["yes"] }],
  /** Agents whose work would conflict, as the radar predicted before any of it landed. */
  warnings: [{ agents: "string[]", paths: "string[]" }],
  /** Tasks that did not land, because of what landed before them. */
  returned: [{ task: "string", agent: "string | null", files: "string[]" }],
  /** Prompts that did not arrive, and why. */
  mishaps: "string[]",
  /** All tasks had landed and all agents were idle before the time was over. */
  finished: "boolean",
});

export type Script = TypeOf<typeof SCRIPT>;

export interface Direction {
  crew: Crew;
  scaffold: Scaffold;
  /** A line about one agent. */
  report(who: string, what: string): void;
}

/** What main must pass with every batch that lands. */
const CHECK = 'for page in *.md; do test -s "$page" || exit 1; done';

const BEAT_MS = 200;
/** The whole play takes a fraction of this. */
const LIMIT_MS = 150_000;
/** How long a dialog stays on the screen before it is answered, for people who watch. */
const THINKING_MS = 1200;
const MOST_LIVES = 4;

interface Play extends Direction {
  script: Script;
  /** How often each agent was started. */
  lives: Map<string, number>;
  greeted: Set<string>;
  /** The dialogs that are open, and since when. */
  asking: Map<string, number>;
  lastEvent: number;
  landed: number;
}

/** Directs the crew, which is on stage already, until all its work is done or the time is over. */
export async function direct(direction: Direction): Promise<Script> {
  const { clock } = direction.crew.context;
  const script: Script = { crashes: [], permissions: [], warnings: [], returned: [], mishaps: [], finished: false };
  const lives = new Map(CAST.map(({ name }) => [name, 1]));
  const play = {
    ...direction,
    script,
    lives,
    greeted: new Set(),
    asking: new Map(),
    lastEvent: 0,
    landed: 0,
  } satisfies Play;
  const beat = async () => ((await directOnce(play)) ? true : undefined);
  script.finished = (await pollUntil(clock, beat, { everyMs: BEAT_MS, timeoutMs: LIMIT_MS })) ?? false;
  return script;
}

/** One look at the crew, and what it calls for; true when there is nothing left to do. */
async function directOnce(play: Play): Promise<boolean> {
  const { agents, reaped, deliveries } = await reconcile(play.crew, WORKSTREAM);
  await tellEvents(play);
  for (const ghost of reaped) await replace(play, ghost);
  for (const agent of agents) await answer(play, agent);
  const idle = agents.filter(({ status }) => status === "idle");
  const tasks = await listTasks(play.crew.context.store.db, { workstream: WORKSTREAM });
  if (deliveries.length > 0 || isComingBack(play, tasks)) return false;
  if (await wake(play, idle)) return false;
  if (idle.length < CAST.length) return false;
  await watch(play);
  if (await land(play, tasks)) return false;
  return tasks.every(({ level }) => level === "landed");
}

/** A returned task goes to its owner before anyone else is sent to work. */
function isComingBack({ script }: Play, tasks: readonly Task[]): boolean {
  return tasks.some(({ name, status }) => status === "OPEN" && script.returned.some(({ task }) => task === name));
}

/** Looks for work that will conflict, before it lands. */
async function watch(play: Play): Promise<void> {
  const { collisions } = await refreshRadar(play.crew, WORKSTREAM);
  for (const { a, b, paths } of collisions) {
    const agents = b === null ? [a] : [a, b];
    if (play.script.warnings.some((known) => known.agents.join() === agents.join())) continue;
    play.script.warnings.push({ agents, paths });
    play.report("radar", `${agents.join(" and ") || a} will conflict in ${paths.join(", ")}`);
  }
}

/** Lands what is finished; true when there was something. What comes back goes to its owner by itself. */
async function land(play: Play, tasks: readonly Task[]): Promise<boolean> {
  const finished = tasks.filter(({ status, level }) => status === "CLOSED" && level !== "landed");
  if (finished.length === 0) return false;
  const { returned } = await landTasks(play.crew, { workstream: WORKSTREAM }, { check: CHECK });
  for (const { task, agent, files } of returned) play.script.returned.push({ task, agent, files });
  return true;
}

async function tellEvents(play: Play): Promise<void> {
  const entries = await readLog(play.crew.context.store.db, { workstream: WORKSTREAM, sinceId: play.lastEvent });
  play.lastEvent = entries.at(-1)?.id ?? play.lastEvent;
  for (const entry of entries) {
    const line = lineOf(play, entry);
    if (line !== undefined) play.report(entry.source, line);
  }
}

function lineOf(play: Play, { op, subject, source }: LogEntry): string | undefined {
  const task = subject.slice(subject.indexOf("/") + 1);
  if (op === "task.claim") {
    const crash = play.script.crashes.find(({ tasks }) => tasks.includes(task));
    return crash === undefined ? `claimed ${task}` : `claimed ${task}, taking over from ${crash.agent}`;
  }
  if (op === "land.refuse") return `returned ${task}: it conflicts with what has landed`;
  if (op === "land") {
    play.landed += 1;
    return `landed ${task} on main (${play.landed} of ${PLAN.length})`;
  }
  return op === "task.close" && source !== "demo" ? `closed ${task}; its check passed` : undefined;
}

/** An agent died and reconcile released its work: start a replacement. */
async function replace(play: Play, { agent, reason, tasks }: Reaped): Promise<void> {
  const { lines } = await readAgent(play.crew, refOf(agent), { lines: 20 });
  const lastWords = lines.at(-1)?.trim() ?? "";
  play.script.crashes.push({ agent, reason, lastWords, tasks });
  play.report(agent, `crashed: ${lastWords}`);
  play.report("reaper", `closed ${agent}, ${reason}; ${tasks.join(", ") || "no task"} is OPEN again`);
  const life = play.lives.get(agent) ?? 0;
  const part = CAST.find(({ name }) => name === agent);
  if (part === undefined || life >= MOST_LIVES) return;
  play.lives.set(agent, life + 1);
  play.greeted.delete(agent);
  const { pane } = await enter(play.crew, play.scaffold, part, life);
  play.report(agent, `is replaced by a new incarnation in pane ${pane}`);
}

/** Answers a dialog with yes after a moment. The key is sent only while the cursor is in the dialog. */
async function answer(play: Play, { agent, status, pane }: Observation): Promise<void> {
  if (status !== "needs_permission" || pane?.agentId === undefined) {
    play.asking.delete(agent);
    return;
  }
  const { clock } = play.crew.context;
  const now = clock.now().getTime();
  const since = play.asking.get(agent);
  if (since === undefined) {
    play.asking.set(agent, now);
    play.report(agent, `needs_permission: ${await askedIn(play, pane.id)}`);
    return;
  }
  if (now - since < THINKING_MS) return;
  const command = await askedIn(play, pane.id);
  const cursor = { x: pane.cursorX, y: pane.cursorY };
  try {
    await play.crew.tmux.sendKeys({ pane: pane.id, keys: ["y"], as: "characters", agentId: pane.agentId, cursor });
  } catch (error) {
    if (error instanceof Fault && error.code.startsWith("pane.")) return;
    throw error;
  }
  play.script.permissions.push({ agent, command, answer: "yes" });
  play.asking.set(agent, now);
  play.report("demo", `pressed y in the pane of ${agent}`);
}

/** The line above the dialog's question. */
async function askedIn({ crew }: Play, pane: string): Promise<string> {
  return (await crew.tmux.readPane(pane, 2))[0]?.trim() ?? "";
}

/** Sends idle agents to work, at most one per ready task; true if any was sent. */
async function wake(play: Play, idle: readonly Observation[]): Promise<boolean> {
  if (idle.length === 0) return false;
  const { store, clock } = play.crew.context;
  const ready = await listReady(store.db, WORKSTREAM, { now: timestamp(clock) });
  const wanted = idle.slice(0, ready.length);
  await Promise.all(wanted.map(({ agent }) => send(play, agent)));
  return wanted.length > 0;
}

async function send(play: Play, agent: string): Promise<void> {
  const text = play.greeted.has(agent) ? PROMPTS.again : PROMPTS.first;
  try {
    const { delivery } = await sendToAgent(play.crew, refOf(agent), text, { sender: "demo", timeoutMs: 10_000 });
    play.greeted.add(agent);
    play.report(agent, `took the prompt of delivery ${delivery.id} (${delivery.state})`);
  } catch (error) {
    if (!(error instanceof Fault) || !/^(delivery|agent|pane)\./.test(error.code)) throw error;
    play.script.mishaps.push(`${agent}: ${error.message}`);
  }
}
