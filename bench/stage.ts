import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Crew, processCrew } from "../src/agents/crew.js";
import { systemClock } from "../src/clock.js";
import { type SpawnOptions, spawnAgent } from "../src/crew/spawn.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { quoteWord } from "../src/tmux/run.js";
import { initWorkstream } from "../src/workstreams/workstream.js";
import { type Cost, MU } from "./measure.js";

/** A crew in a folder, a database and a tmux server of its own, with the workstream `w`. */
export interface Stage {
  folder: string;
  env: Record<string, string>;
  crew: Crew;
  /** tmux as a person types it, on this server. */
  tmux(...args: string[]): string;
  /** Starts so many agents `<prefix>-<n>` in the workstream, a few at a time. */
  enter(prefix: string, count: number, options: (n: number) => Omit<SpawnOptions, "cwd">): Promise<void>;
}

const AT_ONCE = 5;

/** Runs `work` on a stage that is ended and removed in any case. */
export async function onStage<T>(work: (stage: Stage) => Promise<T>): Promise<T> {
  // Not the system's own temporary folder: the path of a socket may have about 100 bytes.
  const folder = realpathSync(mkdtempSync("/tmp/mu-b-"));
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    TMUX: "",
    TMUX_PANE: "",
    TMUX_TMPDIR: folder,
    SHELL: "/bin/sh",
    TERM: "xterm-256color",
    LANG: "C.UTF-8",
    XDG_CACHE_HOME: join(folder, "cache"),
    MU_TMUX_SOCKET: "b",
    MU_STATE_DIR: join(folder, "state"),
    MU_DB_PATH: join(folder, "mu.db"),
  };
  const end = () => {
    spawnSync("tmux", ["-L", "b", "kill-server"], { env });
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  process.once("exit", end);
  const store = await openSqlite(env.MU_DB_PATH, { missing: "create" });
  const crew = processCrew({ store, clock: systemClock, actor: "bench" }, env);
  await initWorkstream(crew.context, "w", { root: folder });
  try {
    return await work({
      folder,
      env,
      crew,
      tmux: (...args) => execFileSync("tmux", ["-u", "-L", "b", ...args], { env, encoding: "utf8" }),
      async enter(prefix, count, options) {
        for (let n = 0; n < count; n += AT_ONCE) {
          const some = Array.from({ length: Math.min(AT_ONCE, count - n) }, (_, m) => n + m);
          await Promise.all(
            some.map((m) =>
              spawnAgent(crew, { workstream: "w", name: `${prefix}-${m}` }, { cwd: folder, ...options(m) }),
            ),
          );
        }
      },
    });
  } finally {
    await store.close();
    end();
    process.removeListener("exit", end);
  }
}

/** What a script for bash costs from its start to its end; `$NODE` is this node. A failure throws. */
export function costOfScript(script: string, env: Record<string, string>): Cost {
  const timed = `set -e; TIMEFORMAT="%3R %3U %3S"; time { ${script}; } >/dev/null`;
  const run = spawnSync("bash", ["-c", timed], { encoding: "utf8", env: { ...env, NODE: process.execPath } });
  if (run.status !== 0) throw new Error(`${script} ended with ${run.status}: ${run.stderr}`);
  const [wall = 0, user = 0, system = 0] = (run.stderr.trim().split("\n").at(-1) ?? "").split(" ").map(Number);
  return { wallMs: wall * 1000, cpuMs: (user + system) * 1000 };
}

/** What `mu …words` costs, in exactly this environment: one that names more certificates costs Node 60 ms a start. */
export function costOfMu(words: readonly string[], env: Record<string, string>): Cost {
  // 8 is a prompt that a shell was typed.
  return costOfScript(`"$NODE" ${[MU, ...words].map(quoteWord).join(" ")} || [ $? = 8 ]`, env);
}

/** The scripted agent in one file. */
export async function buildPlayer(folder: string): Promise<string> {
  const outfile = join(folder, "player.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("../test/demo/player-main.ts", import.meta.url))],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "error",
    banner: { js: 'import { createRequire as r } from "node:module"; const require = r(import.meta.url);' },
  });
  return outfile;
}

/** The processor's time of a process and of its children that have ended, in ms. */
export function cpuOf(pid: number): number {
  const line = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return ticks * 10;
}

/** Waits until `once` is true, at most 30 s; gives the ms that it took. */
export async function until(what: string, once: () => boolean | Promise<boolean>): Promise<number> {
  const start = performance.now();
  while (!(await once())) {
    if (performance.now() - start > 30_000) throw new Error(`never happened: ${what}`);
    await pause(10);
  }
  return performance.now() - start;
}
