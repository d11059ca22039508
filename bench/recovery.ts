import { spawnSync } from "node:child_process";
import { addTask } from "../src/tasks/add.js";
import { claimTask } from "../src/tasks/claim.js";
import { listTasks } from "../src/tasks/task.js";
import { type Figure, MU, ms } from "./measure.js";
import { buildPlayer, onStage } from "./stage.js";

const AGENTS = 20;

/** A crew of scripted agents, each at its own task, whose tmux is killed, and `mu recover --yes`. */
export async function recovery(): Promise<Figure[]> {
  return onStage(async ({ crew, env, enter, folder, tmux }) => {
    const player = await buildPlayer(folder);
    const command = `${process.execPath} ${player}`;
    await enter("p", AGENTS, () => ({ cli: "player", command, ready: { timeoutMs: 30_000 } }));
    for (let n = 0; n < AGENTS; n++) {
      await addTask(crew.context, "w", { name: `task_${n}`, title: `Task ${n}` });
      await claimTask(crew.context, { workstream: "w", name: `task_${n}` }, { agent: `p-${n}` });
    }
    tmux("kill-server");
    const start = performance.now();
    const run = spawnSync(process.execPath, [MU, "recover", "-w", "w", "--yes", "--json"], { env, encoding: "utf8" });
    const wallMs = performance.now() - start;
    if (run.status !== 0) throw new Error(run.stderr);
    const { items } = JSON.parse(run.stdout) as { items: { agent: string; primed: string }[] };
    const marks = tmux("list-panes", "-a", "-F", "#{@mu_agent} #{pane_dead}").trim().split("\n");
    const back = new Set(marks.filter((mark) => mark.endsWith(" 0")));
    const tasks = await listTasks(crew.context.store.db, { workstream: "w", status: ["IN_PROGRESS"] });
    const own = tasks.filter((task) => task.owner === task.name.replace("task_", "p-")).length;
    const primed = items.filter((item) => item.primed === "proved").length;
    return [
      {
        what: `\`mu recover --yes\` of ${AGENTS} scripted agents after kill-server`,
        floor: "–",
        figure: `${ms(wallMs)} (wall): ${back.size} back, ${marks.length - back.size} twice, ${own} with their own task, ${primed} told so`,
        bar: "≤ 10 s, all, none twice, each with its own task",
        met: wallMs <= 10_000 && back.size === AGENTS && marks.length === AGENTS && own === AGENTS,
      },
    ];
  });
}
