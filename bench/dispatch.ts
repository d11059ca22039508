import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../src/clock.js";
import { timestamp } from "../src/db/context.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { decide } from "../src/dispatch/decide.js";
import { readFacts, type Scene } from "../src/dispatch/facts.js";
import { DEFAULT_ROLE, DEFAULT_SETTINGS } from "../src/project/settings.js";
import { workstreamRow } from "../src/workstreams/workstream.js";
import { seedGraph } from "./graph.js";
import { costOf, costOfNode, costOfScript, type Figure, inFolder, inTurns, MU, timesFloor } from "./measure.js";

const TASKS = 500;
const AT_ONCE = 8;

/** Tasks that do nothing, each a run of its own, beside as many empty processes; and one decision. */
export async function dispatch(): Promise<Figure[]> {
  return [await drained(), await decided(), await idle()];
}

function drained(): Promise<Figure> {
  return inFolder(async (folder) => {
    const role = { cli: "command", command: "true", access: "read-only", workspace: false, concurrency: AT_ONCE };
    mkdirSync(join(folder, ".mu"));
    writeFileSync(join(folder, ".mu", "settings.json"), JSON.stringify({ roles: { qa: role } }));
    const tasks = Array.from({ length: TASKS }, (_, n) => ({ name: `t${n}`, title: `Task ${n}`, role: "qa" }));
    writeFileSync(join(folder, "plan.json"), JSON.stringify({ tasks }));
    const env = {
      MU_STATE_DIR: join(folder, "state"),
      HOME: folder,
      XDG_CACHE_HOME: join(folder, "cache"),
      MU_NO_TMUX: "1",
    };
    const tmux = { ...env, TMUX_TMPDIR: folder };
    costOfScript(
      `cd ${folder} && node ${MU} workstream init bench && tmux kill-server && node ${MU} task apply plan.json`,
      tmux,
    );
    const floor = costOfScript(`seq ${TASKS} | xargs -P ${AT_ONCE} -I{} node -e 0`);
    const cost = costOfNode([MU, "dispatch", "--once", "-w", "bench", "--json"], env);
    return timesFloor(`\`mu dispatch --once\` of ${TASKS} tasks, ${AT_ONCE} at a time`, floor, cost, 4);
  });
}

const IDLE_MS = 30_000;

/** A dispatcher that has nothing to do, beside a node that has one timer: their processor's time, by /proc. */
function idle(): Promise<Figure> {
  return inFolder(async (folder) => {
    const role = { cli: "command", command: "true", access: "read-only", workspace: false };
    mkdirSync(join(folder, ".mu"));
    writeFileSync(join(folder, ".mu", "settings.json"), JSON.stringify({ roles: { qa: role } }));
    const env = { ...process.env, MU_STATE_DIR: join(folder, "state"), HOME: folder, MU_NO_TMUX: "1" };
    costOfScript(`cd ${folder} && node ${MU} workstream init bench && tmux kill-server`, {
      ...env,
      TMUX_TMPDIR: folder,
    });
    const programs = [
      ["-e", "setInterval(() => {}, 10_000)"],
      [MU, "dispatch", "-w", "bench"],
    ].map((args) => spawn(process.execPath, args, { env, cwd: folder, stdio: "ignore" }));
    try {
      await pause(5_000);
      const before = programs.map(({ pid }) => ticksOf(pid));
      await pause(IDLE_MS);
      const parts = programs.map(({ pid }, at) => (ticksOf(pid) - (before[at] ?? 0)) / (IDLE_MS / 10));
      const [floor = 0, part = 0] = parts;
      const percent = (value: number) => `${(value * 100).toFixed(2)} %`;
      return {
        what: "`mu dispatch` with nothing to do",
        ...{ floor: `node with one timer: ${percent(floor)} of a core`, figure: `${percent(part)} of a core` },
        ...{ bar: "≤ 1 % of a core", met: part <= 0.01 },
      };
    } finally {
      for (const program of programs) program.kill("SIGKILL");
    }
  });
}

/** The processor's time of a process, in hundredths of a second. Linux only; a process that is gone throws. */
function ticksOf(pid = 0): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** 10,000 ready tasks of 20 roles, none of which writes, in process. */
function decided(): Promise<Figure> {
  return inFolder(async (folder) => {
    const path = join(folder, "mu.db");
    await seedGraph(path, { tasks: 10_000, edges: 0, workstream: "w" });
    const store = await openSqlite(path, { missing: "empty" });
    try {
      await store.write((db) =>
        db
          .updateTable("tasks")
          .set((e) => ({ role: e.val("role-1") }))
          .execute(),
      );
      const names = Array.from({ length: 20 }, (_, n) => `role-${n}`);
      const roles = names.map((name) => [
        name,
        { ...DEFAULT_ROLE, name, access: "read-only" as const, concurrency: 4 },
      ]);
      const { id, name, root } = await workstreamRow(store.db, "w");
      const settings = { ...DEFAULT_SETTINGS, roles: Object.fromEntries(roles) };
      const scene: Scene = { workstream: { id, name, root }, settings, stateDir: folder, max: 100 };
      const now = timestamp(systemClock);
      const facts = () => readFacts(store.db, scene, now);
      await facts();
      const costs = await inTurns(9, {
        floor: () => costOf(facts),
        decision: () => costOf(async () => decide(await facts())),
      });
      return timesFloor("reading the facts and deciding, 10,000 ready tasks, 20 roles", costs.floor, costs.decision, 3);
    } finally {
      await store.close();
    }
  });
}
