import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../src/clock.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { writeMessage } from "../src/journal/log.js";
import { initWorkstream } from "../src/workstreams/workstream.js";
import { type Figure, inFolder, MU, median, ms, probed } from "./measure.js";

const MESSAGES = 60;
const IDLE_MS = 15_000;

/** How soon \`mu log --follow\` prints what is written, and what it costs while nothing is. */
export async function follow(): Promise<Figure[]> {
  return inFolder(async (folder) => {
    const path = join(folder, "mu.db");
    const store = await openSqlite(path, { missing: "create" });
    const context = { store, clock: systemClock, actor: "ann" };
    await initWorkstream(context, "w");
    const child = spawn(process.execPath, [MU, "log", "--follow", "-w", "w", "--json"], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...probed, MU_DB_PATH: path, XDG_CACHE_HOME: join(folder, "cache") },
    });
    const end = () => child.kill("SIGKILL");
    process.once("exit", end);
    try {
      const latencies = await latenciesOf(child, (text) => writeMessage(context, "w", { text }));
      const used = await cpuWhile(child, IDLE_MS);
      return figuresOf(latencies, used / IDLE_MS);
    } finally {
      end();
      process.removeListener("exit", end);
      await store.close();
    }
  });
}

function figuresOf(latencies: readonly number[], share: number): Figure[] {
  const worst = Math.max(...latencies);
  return [
    {
      what: "`mu log --follow`: from the commit to the printed line",
      floor: "–",
      figure: `median ${ms(median(latencies))}, worst ${ms(worst)} of ${latencies.length} (wall)`,
      bar: "≤ 200 ms",
      met: worst <= 200,
    },
    {
      what: "`mu log --follow` while nothing happens",
      floor: "–",
      figure: `${(share * 100).toFixed(2)} % of a processor`,
      bar: "≤ 0.5 %",
      met: share <= 0.005,
    },
  ];
}

async function latenciesOf(child: ChildProcess, write: (text: string) => Promise<unknown>): Promise<number[]> {
  const arrivals = new Map<string, number>();
  const wakers = new Map<string, () => void>();
  if (child.stdout === null) throw new Error("the follower has no output");
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { text } = JSON.parse(line) as { text: string };
    const key = /ping\d+/.exec(text)?.[0] ?? "";
    arrivals.set(key, performance.now());
    wakers.get(key)?.();
  });
  const arrival = (key: string, most: number) =>
    Promise.race([new Promise<void>((resolve) => wakers.set(key, resolve)), pause(most)]);

  for (let n = 0; arrivals.size === 0 && n < 100; n++) {
    const key = `ping${n}`;
    const arrived = arrival(key, 300);
    await write(key);
    await arrived;
  }
  const latencies: number[] = [];
  for (let n = 1_000; n < 1_000 + MESSAGES; n++) {
    const key = `ping${n}`;
    const arrived = arrival(key, 5_000);
    await write(key);
    const committed = performance.now();
    if (!arrivals.has(key)) await arrived;
    latencies.push(Math.max(0, (arrivals.get(key) ?? Number.POSITIVE_INFINITY) - committed));
    await pause(20 + (n % 7) * 30);
  }
  return latencies;
}

/** The processor's time, in ms, that the child uses during so many ms. */
async function cpuWhile(child: ChildProcess, wallMs: number): Promise<number> {
  const before = await probe(child);
  await pause(wallMs);
  return (await probe(child)) - before;
}

function probe(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.stderr?.once("data", (text: Buffer) => resolve(JSON.parse(text.toString()).cpuMs));
    child.kill("SIGUSR2");
  });
}
