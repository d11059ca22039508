import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { type Figure, MU, ms } from "./measure.js";
import { cpuOf, onStage, until } from "./stage.js";

const PANES = 50;
const PRINTING = 5;
const WATCH_MS = Number(process.env["MU_BENCH_WATCH_MS"] ?? 60_000);
const CHANGES = 10;

/** `mu agent list --follow` over 50 live panes, of which some print: its processor's time, and how soon it tells. */
export async function watch(): Promise<Figure[]> {
  return onStage(async ({ env, enter, tmux }) => {
    const printing = "i=0; while :; do i=$((i+1)); echo line $i; sleep 1; done";
    await enter("quiet", PANES - PRINTING - 1, () => ({ cli: "shell" }));
    await enter("loud", PRINTING, () => ({ command: printing }));
    await enter("changing", 1, () => ({ cli: "shell", ready: { timeoutMs: 20_000 } }));
    const child = spawn(process.execPath, [MU, "agent", "list", "-w", "w", "--follow", "--json"], {
      stdio: ["ignore", "pipe", "inherit"],
      env,
    });
    const end = () => child.kill("SIGKILL");
    process.once("exit", end);
    const seen: Record<string, string> = {};
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { agent, status } = JSON.parse(line) as { agent: string; status: string };
      seen[agent] = status;
    });
    try {
      await until("all are listed", () => Object.keys(seen).length === PANES);
      await pause(3_000);
      const pids = { mu: child.pid ?? 0, tmux: Number(tmux("display-message", "-p", "#{pid}")) };
      const before = { mu: cpuOf(pids.mu), tmux: cpuOf(pids.tmux) };
      await pause(WATCH_MS);
      const share = (who: "mu" | "tmux") => (cpuOf(pids[who]) - before[who]) / WATCH_MS;
      const [own, server] = [share("mu"), share("tmux")];
      const pane = tmux("list-panes", "-a", "-F", "#{window_name} #{pane_id}");
      const changing = /changing-0 (%\d+)/.exec(pane)?.[1] ?? "";
      const latencies: number[] = [];
      for (let n = 0; n < CHANGES; n++) {
        await until("it is idle", () => seen["changing-0"] === "idle");
        await pause(300 + n * 70);
        tmux("send-keys", "-t", changing, "sleep 2", "Enter");
        latencies.push(await until("it is busy", () => seen["changing-0"] === "busy"));
      }
      return figuresOf(own, server, latencies);
    } finally {
      end();
      process.removeListener("exit", end);
    }
  });
}

function figuresOf(own: number, server: number, latencies: readonly number[]): Figure[] {
  const percent = (share: number) => `${(share * 100).toFixed(2)} % of a processor`;
  const worst = Math.max(...latencies);
  return [
    {
      what: `\`mu agent list --follow\`, ${PANES} panes, ${PRINTING} of them printing, ${WATCH_MS / 1000} s`,
      floor: `tmux itself ${percent(server)}`,
      figure: percent(own),
      bar: "≤ 3 %",
      met: own <= 0.03,
    },
    {
      what: "from a change in a pane to the printed line",
      floor: "–",
      figure: `worst ${ms(worst)} of ${latencies.length} (wall)`,
      bar: "≤ 1,000 ms",
      met: worst <= 1_000,
    },
  ];
}
