import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { type Browser, chromium, type Page } from "playwright-core";
import { insertAgentIn } from "../src/agents/agent.js";
import { systemClock } from "../src/clock.js";
import type { Context } from "../src/db/context.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { write } from "../src/db/write.js";
import { addTask, addTaskIn } from "../src/tasks/add.js";
import { initWorkstream, workstreamRow } from "../src/workstreams/workstream.js";
import { type Figure, inFolder, MU, median, ms } from "./measure.js";

const CHROMIUM = "/usr/bin/chromium";
const [WRITES, PAINTS, PAGES, IDLE_MS] = [30, 9, 20, 15_000];

/** The page of `mu ui`: from a write in another process to the changed page, its first paint, and 20 idle pages. */
export async function ui(): Promise<Figure[]> {
  if (!existsSync(CHROMIUM)) return [];
  return inFolder(async (folder) => {
    const path = join(folder, "mu.db");
    const store = await openSqlite(path, { missing: "create" });
    const context = { store, clock: systemClock, actor: "ann" };
    await fill(context);
    const env = {
      ...process.env,
      ...{ MU_DB_PATH: path, MU_STATE_DIR: folder, MU_TMUX_SOCKET: join(folder, "tmux") },
      XDG_CACHE_HOME: join(folder, "cache"),
    };
    const start = (...words: string[]) =>
      spawn(process.execPath, [MU, ...words], { env, stdio: ["ignore", "pipe", "pipe"] });
    const [server, follower] = [
      start("ui", "--no-browser", "-w", "crew"),
      start("log", "--follow", "-w", "crew", "--json"),
    ];
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
    try {
      const address = await addressOf(server);
      const page = await browser.newPage();
      await page.goto(address.replace("/?", "/crew/tasks?"));
      const [line, shown] = await latencies(context, follower, page);
      const paints = await paintsOf(page, new URL(address).origin);
      const used = await idleShare(server, { browser, first: page }, address.replace("/?", "/crew/tasks?"));
      return figuresOf({ line, shown, paints, used });
    } finally {
      await browser.close();
      for (const child of [server, follower]) child.kill("SIGKILL");
      await store.close();
    }
  });
}

/** 25 agents in `crew`, 2,000 tasks in `graph`, nothing in `empty`. */
async function fill(context: Context): Promise<void> {
  for (const name of ["crew", "graph", "empty"]) await initWorkstream(context, name);
  await write(context, { op: "agent.spawn", scope: "crew", subject: "crew" }, async (tx) => {
    const { id } = await workstreamRow(tx.db, "crew");
    for (let n = 0; n < 25; n++) await insertAgentIn(tx, { workstream_id: id, name: `a${n}`, cli: "shell" });
  });
  await write(context, { op: "task.apply", scope: "graph", subject: "graph" }, async (tx) => {
    for (let n = 0; n < 2_000; n++)
      await addTaskIn(tx, "graph", {
        name: `t${n}`,
        title: `Task ${n}`,
        ...(n >= 40 && { blockedBy: [`t${n - 40}`] }),
      });
  });
}

function addressOf({ stderr }: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    stderr?.on("data", (chunk) => {
      text += chunk;
      const [found] = /http:\/\/\S+/.exec(text) ?? [];
      if (found !== undefined) resolve(found);
    });
  });
}

/** Medians, in ms, from a write to the line of a follower and to the page that shows it. */
async function latencies(context: Context, follower: ChildProcess, page: Page): Promise<[number, number]> {
  const lines = new Map<string, (at: number) => void>();
  createInterface({ input: follower.stdout as NodeJS.ReadableStream }).on("line", (line) => {
    const [name = ""] = /ping\d+/.exec(line) ?? [];
    lines.get(name)?.(performance.now());
  });
  const [printed, shown]: number[][] = [[], []];
  await pause(1_000);
  for (let n = 0; n < WRITES; n++) {
    const name = `ping${n}`;
    const line = new Promise<number>((resolve) => lines.set(name, resolve));
    const seen = page
      .locator(`a[href$="/tasks/${name}"]`)
      .waitFor()
      .then(() => performance.now());
    await addTask(context, "crew", { name, title: name });
    const began = performance.now();
    printed?.push((await line) - began);
    shown?.push((await seen) - began);
    await pause(400);
  }
  return [median(printed ?? []), median(shown ?? [])];
}

/** Medians, in ms, from asking for a view to its content. */
async function paintsOf(page: Page, origin: string) {
  const views = {
    empty: ["/empty/inbox", ".empty"],
    crew: ["/crew/crew", ".card >> nth=24"],
    graph: ["/graph/graph", ".task >> nth=1999"],
  };
  const times: Record<string, number[]> = { empty: [], crew: [], graph: [] };
  for (let n = 0; n < PAINTS; n++) {
    for (const [name, [path, sign]] of Object.entries(views)) {
      const began = performance.now();
      await page.goto(`${origin}${path}`);
      await page.locator(sign as string).waitFor();
      times[name]?.push(performance.now() - began);
    }
  }
  return {
    empty: median(times["empty"] ?? []),
    crew: median(times["crew"] ?? []),
    graph: median(times["graph"] ?? []),
  };
}

/** The server's share of a processor while 20 pages are open and nothing happens. */
async function idleShare(
  server: ChildProcess,
  { browser, first }: { browser: Browser; first: Page },
  address: string,
): Promise<number> {
  await first.goto("about:blank");
  // A browser opens six connections to a host: each page is in a profile of its own, as those of 20 people are.
  for (let n = 0; n < PAGES; n++) await (await (await browser.newContext()).newPage()).goto(address);
  await pause(3_000);
  const ticks = () => {
    const fields = readFileSync(`/proc/${server.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return Number(fields[11]) + Number(fields[12]);
  };
  const before = ticks();
  await pause(IDLE_MS);
  return ((ticks() - before) * 10) / IDLE_MS;
}

interface Measured {
  line: number;
  shown: number;
  paints: { empty: number; crew: number; graph: number };
  used: number;
}

function figuresOf({ line, shown, paints, used }: Measured): Figure[] {
  const over = (what: string, floor: number, figure: number, most: number): Figure => ({
    ...{ what, floor: ms(floor), figure: `${ms(figure)}: floor + ${ms(figure - floor)} (wall)` },
    ...{ bar: `≤ floor + ${most.toLocaleString("en")} ms`, met: figure - floor <= most },
  });
  return [
    over("`mu ui`: from a write in another process to the changed page", line, shown, 100),
    over("`mu ui`: first paint of Crew with 25 agents", paints.empty, paints.crew, 300),
    over("`mu ui`: first paint of the graph of 2,000 tasks", paints.empty, paints.graph, 1_500),
    {
      ...{ what: "`mu ui` with 20 pages open while nothing happens", floor: "–" },
      ...{ figure: `${(used * 100).toFixed(2)} % of a processor`, bar: "≤ 1 %", met: used <= 0.01 },
    },
  ];
}
