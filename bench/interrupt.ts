import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Database from "better-sqlite3";
import { costOfNode, type Figure, inFolder, MU, median, ms } from "./measure.js";

const ROUNDS = 5;
const BAR_MS = 300;
/** How long a verb has been at work when the signal comes, in ms. */
const AT_WORK_MS = 1_000;
const ENDLESS = "with recursive n(x) as (select 1 union all select x + 1 from n where x < 1e11) select count(*) from n";

/** From the signal to the end of the process, by the clock, for what holds the thread and what waits. */
export async function interrupt(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const database = join(folder, "mu.db");
    const env = { PATH: process.env["PATH"] ?? "", HOME: folder, USER: "ann", MU_DB_PATH: database };
    costOfNode([MU, "workstream", "init", "w"], env);
    costOfNode([MU, "task", "add", "build", "--title", "Build", "-w", "w"], env);
    const tasks = Array.from({ length: 40_000 }, (_, n) => ({ name: `t${n}`, title: `Task number ${n} of the plan` }));
    writeFileSync(join(folder, "plan.json"), JSON.stringify({ tasks }));
    const mark = join(folder, "started");
    const check = `trap '' INT TERM; touch ${mark}; sleep 1000`;
    const kinds: Record<string, string[]> = {
      "a query without an end": ["sql", ENDLESS],
      "`task apply` of 40,000 tasks": ["task", "apply", join(folder, "plan.json"), "-w", "w"],
      "a check that ignores signals": ["task", "close", "build", "--check", check, "-w", "w"],
      "`task wait`": ["task", "wait", "build", "-w", "w"],
      "a wait for another process's lock": ["task", "add", "late", "--title", "Late", "-w", "w"],
    };
    const figures: Figure[] = [];
    for (const [what, words] of Object.entries(kinds)) {
      const lock = what.includes("lock") ? new Database(database) : undefined;
      lock?.exec("begin immediate");
      const times: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const child = spawn(process.execPath, [MU, ...words], { env, cwd: folder, stdio: "ignore" });
        const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
        await pause(AT_WORK_MS);
        while (words.includes("close") && !existsSync(mark)) await pause(10);
        const start = performance.now();
        child.kill(round % 2 === 0 ? "SIGINT" : "SIGTERM");
        await ended;
        times.push(performance.now() - start);
      }
      lock?.close();
      const figure = median(times);
      const spread = `${ms(figure)}, at most ${ms(Math.max(...times))}`;
      figures.push({
        what: `a signal to ${what}`,
        floor: "–",
        figure: spread,
        bar: `≤ ${BAR_MS} ms`,
        met: figure <= BAR_MS,
      });
    }
    return figures;
  });
}
