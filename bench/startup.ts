import { join } from "node:path";
import { seedGraph } from "./graph.js";
import { costOfNode, type Figure, inFolder, inTurns, MU, peakMemory, timesFloor } from "./measure.js";

const ROUNDS = 25;

/** `mu --version` and a list of 1,000 tasks, each a whole process, beside an empty one. */
export async function startup(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const env = await projectOf(folder, 1_000, 2_000);
    const list = [MU, "task", "list", "-w", "w", "--json"];
    costOfNode(list, env);
    const costs = await inTurns(ROUNDS, {
      empty: () => costOfNode(["-e", "0"]),
      version: () => costOfNode([MU, "--version"], env),
      list: () => costOfNode(list, env),
    });
    return [
      timesFloor("`mu task list --json`, 1,000 tasks", costs.empty, costs.list, 1.7),
      timesFloor("`mu --version`", costs.empty, costs.version, 1.06),
    ];
  });
}

/** The state of 10,000 tasks, a whole process, beside an empty one: its time and its memory. */
export async function state(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const env = await projectOf(folder, 10_000, 20_000);
    const args = [MU, "state", "-w", "w", "--json"];
    costOfNode(args, env);
    const costs = await inTurns(15, {
      empty: () => costOfNode(["-e", "0"]),
      state: () => costOfNode(args, env),
    });
    const floorMb = peakMemory(["-e", "0"]);
    const peakMb = peakMemory(args, env);
    return [
      timesFloor("`mu state --json`, 10,000 tasks, 20,000 edges", costs.empty, costs.state, 2.7),
      {
        what: "memory of the same",
        floor: `${Math.round(floorMb)} MB`,
        figure: `${Math.round(peakMb)} MB: floor + ${Math.round(peakMb - floorMb)} MB`,
        bar: "≤ floor + 60 MB",
        met: peakMb - floorMb <= 60,
      },
    ];
  });
}

async function projectOf(folder: string, tasks: number, edges: number): Promise<Record<string, string>> {
  const path = join(folder, "mu.db");
  await seedGraph(path, { tasks, edges, workstream: "w", closedPercent: 20 });
  return { MU_DB_PATH: path, XDG_CACHE_HOME: join(folder, "cache") };
}
