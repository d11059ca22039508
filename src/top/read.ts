import { listAgents } from "../agents/agent.js";
import type { TmuxHost } from "../agents/crew.js";
import { timestamp } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { readBudget } from "../dispatch/budget.js";
import { brakeReason, type Scene } from "../dispatch/facts.js";
import { listInbox } from "../inbox.js";
import { readLog } from "../journal/log.js";
import { standOf, type Unlanded, unlandedTasks } from "../landing/rows.js";
import { dayOf, spendOfAgents } from "../runs/spend.js";
import { readBoard } from "../tasks/board.js";
import { countWork, selectReadyIds } from "../tasks/ready.js";
import { tasksUnder } from "../tasks/tree.js";
import { readTracks } from "../tracks.js";
import { readRadar } from "../workspaces/radar/radar.js";
import type { Data, Landing } from "./data.js";
import type { ViewName } from "./views.js";

/** Entries of the log that are shown. */
const LOG_LINES = 500;

type Ids = ReadonlySet<number>;

/** What stops all work is shown also where only one goal is. */
const WHOLE: ReadonlySet<string> = new Set(["brake", "budget"]);
/** Its subject is an agent. */
const ASKED: ReadonlySet<string> = new Set(["permission", "input"]);

/**
 * What the views show of a workstream, or of what is under one task, given by its row; unless somebody has looked at the
 * panes, by what was stored of them.
 */
export async function readData(
  host: TmuxHost,
  scene: Scene,
  { view, looked, under }: { view: ViewName; looked: boolean; under?: number | undefined },
): Promise<Data> {
  const { context, env, stateDir } = host;
  const { id, name } = scene.workstream;
  const now = timestamp(context.clock);
  const asking = await listInbox(looked ? host : { context, env, stateDir }, scene);
  const data = await context.store.read(async (db): Promise<Data> => {
    const { workspaces, collisions } = await readRadar(db, id);
    const within = under === undefined ? undefined : await tasksUnder(db, under);
    const names = new Set(within?.values());
    const isIn = (task: string) => within === undefined || names.has(task);
    const crew = (await listAgents(db, name)).filter(({ tasks }) => within === undefined || tasks.some(isIn));
    const works = (agent: string | null) => crew.some((one) => one.name === agent);
    const spend = await spendOfAgents(db, id, dayOf(now));
    const agents = crew.map((agent) => ({
      ...agent,
      workspace: workspaces.find((one) => one.agent === agent.name),
      conflicts: collisions.flatMap(({ a, b, branch }) =>
        a === agent.name ? [b ?? branch ?? "the branch"] : b === agent.name ? [a] : [],
      ),
      costUsd: spend.get(agent.name)?.usd ?? null,
    }));
    const bills = [...spend].flatMap(([agent, bill]) => (within && !works(agent) ? [] : bill));
    return {
      workstream: name,
      under: under === undefined ? null : (within?.get(under) ?? "a task that is gone"),
      now: context.clock.now().getTime(),
      agents,
      inbox: asking.filter(({ kind, subject }) => WHOLE.has(kind) || (ASKED.has(kind) ? works : isIn)(subject)),
      counts: await countWork(db, id, now, under),
      spent: {
        usd: bills.reduce((sum, { booked }) => sum + booked, 0),
        isSure: bills.every(({ usd }) => usd !== null),
      },
      collisions: within ? collisions.filter(({ a, b }) => works(a) || works(b)) : collisions,
      ...(await partsOf(db, scene, { view, now, isIn, among: within && new Set(within.keys()) })),
      budget: null,
    };
  });
  return view === "money" ? { ...data, budget: await readBudget(context, scene) } : data;
}

/** What only this view shows. */
async function partsOf(
  db: Reader,
  { workstream }: Scene,
  { view, now, isIn, among }: { view: ViewName; now: string; isIn(task: string): boolean; among: Ids | undefined },
) {
  const { id, name } = workstream;
  const hasTasks = view === "tasks" || view === "graph";
  const unlanded = view === "landing" ? await unlandedTasks(db, id) : [];
  return {
    tasks: hasTasks ? (await readBoard(db, id, now)).filter((task) => isIn(task.name)) : [],
    critical: view === "graph" ? await longestChain(db, id, now, among) : [],
    landings: unlanded.filter(({ task }) => isIn(task)).map(landingOf),
    log: view === "log" ? await readLog(db, { workstream: name, limit: LOG_LINES }) : [],
  };
}

async function longestChain(db: Reader, workstreamId: number, now: string, among: Ids | undefined): Promise<string[]> {
  const tracks = await readTracks(db, workstreamId, await selectReadyIds(db, { workstreamId, now }), among);
  const paths = tracks.map(({ criticalPath }) => criticalPath).sort((a, b) => b.days - a.days);
  return paths[0]?.tasks ?? [];
}

const landingOf = ({ landing, ...task }: Unlanded): Landing => ({ ...task, ...standOf({ landing }) });

/** Changes when something that the views show has changed. */
export async function versionOf(host: TmuxHost, scene: Scene): Promise<string> {
  const { db } = host.context.store;
  const agents = await listAgents(db, scene.workstream.name);
  const newest = await readLog(db, { workstream: scene.workstream.name, limit: 1 });
  const seen = agents.map(({ name, status, statusSince }) => `${name} ${status} ${statusSince}`);
  return [newest[0]?.id, brakeReason(scene), ...seen].join("\n");
}
