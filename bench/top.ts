import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import type { ReadStream, WriteStream } from "node:tty";
import { readScene } from "../src/dispatch/scene.js";
import { addTask } from "../src/tasks/add.js";
import { showTop } from "../src/top/top.js";
import { type Cost, type Figure, inTurns, MU, median, ms, timesFloor } from "./measure.js";
import { cpuOf, onStage, type Stage, until } from "./stage.js";

const AGENTS = 25;
const PRINTING = 5;
const WATCH_MS = Number(process.env["MU_BENCH_WATCH_MS"] ?? 60_000) / 2;

/** `mu top`: its first frame, its processor's time while a crew works, and how soon it answers a key. */
export async function top(): Promise<Figure[]> {
  return onStage(async (stage) => {
    const { enter, crew } = stage;
    const printing = "i=0; while :; do i=$((i+1)); echo line $i; sleep 1; done";
    await enter("quiet", AGENTS - PRINTING, () => ({ cli: "shell" }));
    await enter("loud", PRINTING, () => ({ command: printing }));
    await addTasks(stage, 0, 1_000);
    const figures = [await firstFrame(stage), await atWork(stage)];
    await addTasks(stage, 1_000, 10_000);
    figures.push(await keyToFrame(crew, "200×50, 10,000 tasks"));
    return figures;
  });
}

async function addTasks({ crew }: Stage, from: number, until: number): Promise<void> {
  for (let n = from; n < until; n++) await addTask(crew.context, "w", { name: `task-${n}`, title: `Do number ${n}` });
}

/** By the clock, from the start of a program on a terminal of its own until it shows the crew, or ends. */
async function firstFrame({ env }: Stage): Promise<Figure> {
  const timeUntil = (line: string, shown: string) =>
    new Promise<Cost>((resolve) => {
      const start = performance.now();
      const child = spawn("script", ["-qfec", line, "/dev/null"], { env, stdio: ["pipe", "pipe", "inherit"] });
      let [seen, wallMs] = ["", 0];
      child.stdout.on("data", (chunk) => {
        seen += chunk;
        if (wallMs > 0 || !seen.includes(shown)) return;
        wallMs = performance.now() - start;
        child.stdin.write("q");
      });
      child.on("close", () => {
        wallMs ||= performance.now() - start;
        resolve({ wallMs, cpuMs: wallMs });
      });
    });
  const costs = await inTurns(25, {
    empty: () => timeUntil(`exec ${process.execPath} -e 0`, "never"),
    top: () => timeUntil(`exec ${process.execPath} ${MU} top -w w`, "[1 Crew]"),
  });
  const what = `\`mu top\`: to its first frame, by the clock, ${AGENTS} agents, 1,000 tasks`;
  return timesFloor(what, costs.empty, costs.top, 5);
}

async function atWork({ env, tmux }: Stage): Promise<Figure> {
  const words = ["-qfec", `exec ${process.execPath} ${MU} top -w w`, "/dev/null"];
  const child = spawn("script", words, { env, stdio: ["pipe", "pipe", "inherit"] });
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  try {
    let shown = "";
    child.stdout.on("data", (chunk) => {
      shown = `${shown}${chunk}`.slice(-100_000);
    });
    await until("it shows the crew", () => shown.includes("quiet-0"));
    await pause(3_000);
    const pids = {
      mu: Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8")),
      tmux: Number(tmux("display-message", "-p", "#{pid}")),
    };
    const before = { mu: cpuOf(pids.mu), tmux: cpuOf(pids.tmux) };
    await pause(WATCH_MS);
    const share = (who: "mu" | "tmux") => (cpuOf(pids[who]) - before[who]) / WATCH_MS;
    const [own, server] = [share("mu"), share("tmux")];
    const percent = (part: number) => `${(part * 100).toFixed(2)} % of a processor`;
    return {
      what: `\`mu top\`, ${AGENTS} agents, ${PRINTING} of them printing, ${WATCH_MS / 1000} s`,
      floor: `${percent(server)} (tmux)`,
      figure: `${percent(own)}: ${(own / server).toFixed(2)} ×`,
      bar: "≤ 3 ×",
      met: own <= 3 * server,
    };
  } finally {
    end();
    process.removeListener("exit", end);
  }
}

async function keyToFrame(crew: Stage["crew"], what: string): Promise<Figure> {
  const input = Object.assign(new PassThrough(), { setRawMode: () => input }) as unknown as ReadStream;
  let written: (() => void) | undefined;
  let seen = "";
  const output = Object.assign(new PassThrough(), {
    ...{ columns: 200, rows: 50 },
    write(text: string) {
      seen = `${seen}${text}`.slice(-100_000);
      written?.();
      return true;
    },
  }) as unknown as WriteStream;
  const leaving = new AbortController();
  const nothing = async () => ({ code: 0, text: "" });
  const over = showTop({
    ...{ host: crew, scene: () => readScene(crew, "w"), run: nothing, onTerminal: nothing, complete: async () => [] },
    ...{ signal: leaving.signal, colour: true, input, output },
  });
  const press = (key: string) => (input as unknown as PassThrough).write(key);
  await until("it shows the crew", () => seen.includes("quiet-0"));
  press("2");
  await until("it shows the tasks", () => seen.includes("task-1"));
  await pause(1_000);
  const times: number[] = [];
  for (let n = 0; n < 60; n++) {
    const start = performance.now();
    const changed = new Promise<void>((resolve) => {
      written = resolve;
    });
    press(n % 2 === 0 ? "j" : "\x1b[6~");
    await changed;
    times.push(performance.now() - start);
  }
  leaving.abort();
  await over;
  const middle = median(times);
  return {
    what: `\`mu top\`: from a key to the changed frame, ${what}`,
    floor: "–",
    figure: `median ${ms(middle)}, worst ${ms(Math.max(...times))} (wall)`,
    bar: "≤ 50 ms",
    met: middle <= 50,
  };
}
