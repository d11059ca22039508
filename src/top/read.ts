import { listAgents } from "../agents/agent.js";
import type { TmuxHost } from "../agents/crew.js";
import { timestamp } from "../db/context.js";
import type { Reader } from "../db/schema.js";
import { readBudget } from "../dispatch/budget.js";
import { brakeReason, type Scene } from "../dispatch/facts.js";
import { listInbox } from "../inbox.js";
import { readLog } from "../journal/log.js";
import { type Unlanded, unlandedTasks } from "../landing/rows.js";
import { dayOf, spendOfAgents } from "../runs/spend.js";
import { readBoard } from "../tasks/board.js";
import { countWork, selectReadyIds } from "../tasks/ready.js";
import { readTracks } from "../tracks.js";
import { readRadar } from "../workspaces/radar/radar.js";
import type { Data, Landing } from "./data.js";
import type { ViewName } from "./views.js";

/** Entries of the log that are shown. */
const LOG_LINES = 500;

/** What the views show of a workstream; unless somebody has looked at the panes, by what was stored of them. */
export async function readData(
  host: TmuxHost,
  scene: Scene,
  { view, looked }: { view: ViewName; looked: boolean },
): Promise<Data> {
  const { context, env, stateDir } = host;
  const { id, name } = scene.workstream;
  const now = timestamp(context.clock);
  const inbox = await listInbox(looked ? host : { context, env, stateDir }, scene);
  const data = await context.store.read(async (db): Promise<Data> => {
    const { workspaces, collisions } = await readRadar(db, id);
    const spend = await spendOfAgents(db, id, dayOf(now));
    const agents = (await listAgents(db, name)).map((agent) => ({
      ...agent,
      workspace: workspaces.find((one) => one.agent === agent.name),
      conflicts: collisions.flatMap(({ a, b, branch }) =>
        a === agent.name ? [b ?? branch ?? "the branch"] : b === agent.name ? [a] : [],
      ),
      costUsd: spend.get(agent.name) ?? null,
    }));
    return {
      workstream: name,
      now: context.clock.now().getTime(),
      agents,
      inbox,
      counts: await countWork(db, id, now),
      spentUsd: [...spend.values()].reduce<number>((sum, usd) => sum + (usd ?? 0), 0),
      collisions,
      ...(await partsOf(db, scene, view, now)),
      budget: null,
    };
  });
  return view === "money" ? { ...data, budget: await readBudget(context, scene) } : data;
}

/** What only this view shows. */
async function partsOf(db: Reader, { workstream }: Scene, view: ViewName, now: string) {
  const { id, name } = workstream;
  const hasTasks = view === "tasks" || view === "graph";
  return {
    tasks: hasTasks ? await readBoard(db, id, now) : [],
    critical: view === "graph" ? await longestChain(db, id, now) : [],
    landings: view === "landing" ? (await unlandedTasks(db, id)).map(landingOf) : [],
    log: view === "log" ? await readLog(db, { workstream: name, limit: LOG_LINES }) : [],
  };
}

async function longestChain(db: Reader, workstreamId: number, now: string): Promise<string[]> {
  const tracks = await readTracks(db, workstreamId, await selectReadyIds(db, { workstreamId, now }));
  const paths = tracks.map(({ criticalPath }) => criticalPath).sort((a, b) => b.days - a.days);
  return paths[0]?.tasks ?? [];
}

const UNDER_WAY: Readonly<Record<string, string>> = { taken: "being checked", stacked: "moving the branch" };

function landingOf({ landing, ...task }: Unlanded): Landing {
  const active = landing === null ? undefined : UNDER_WAY[landing.state];
  if (landing === null || active === undefined)
    return { ...task, state: landing?.reason ?? "not asked for yet", batch: null };
  return { ...task, state: active, batch: landing.batch };
}

/** Changes when something that the views show has changed. */
export async function versionOf(host: TmuxHost, scene: Scene): Promise<string> {
  const { db } = host.context.store;
  const agents = await listAgents(db, scene.workstream.name);
  const newest = await readLog(db, { workstream: scene.workstream.name, limit: 1 });
  const seen = agents.map(({ name, status, statusSince }) => `${name} ${status} ${statusSince}`);
  return [newest[0]?.id, brakeReason(scene), ...seen].join("\n");
}
