import { readFileSync } from "node:fs";
import { followAgents } from "../src/agents/status/observe.js";
import { openStage } from "../test/support/stage.js";

/** CPU of `agent list --follow` over 50 panes, some of which work at any time. Usage: follow.ts [seconds] [panes]. */
const [seconds = "60", panes = "50", busyTenths = "3"] = process.argv.slice(2);
const AGENT = `
n=$1; beat() { printf '\\033[H\\033[2Jtranscript of %s\\n────────────\\n> \\nplayer · %s' "$n" "$1"; }
i=0; while :; do
  if [ $((($(date +%s) + n) % 10)) -lt ${busyTenths} ]; then i=$((i+1)); beat "working (esc to interrupt)"; printf '\\033[1;1H%s' "$i"; sleep 0.2
  else beat ready; sleep 1; while [ $((($(date +%s) + n) % 10)) -ge ${busyTenths} ]; do sleep 0.5; done; fi
done`;

const stage = await openStage();
for (let n = 0; n < Number(panes); n++) {
  await stage.enter(`a${n}`, { cli: "player", argv: ["sh", "-c", AGENT, "sh", String(n)] });
}
const server = (await stage.crew.tmux.listPanes())[0]?.server.split("@")[0] ?? "";
const ticks = (pid: string, children: boolean) => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const at = children ? [11, 12, 13, 14] : [11, 12];
  return at.reduce((sum, field) => sum + Number(fields[field]), 0) / 100;
};
const end = new AbortController();
setTimeout(() => end.abort(), Number(seconds) * 1000);
let changes = 0;
let lag = 0;
const start = [ticks("self", true), ticks(server, false)];
for await (const one of followAgents(stage.crew, "demo", end.signal)) {
  changes++;
  const n = Number(one.agent.slice(1));
  const phase = (Date.now() / 1000 + n) % 10;
  if (one.status === "busy") lag = Math.max(lag, phase);
}
const [own = 0, tmux = 0] = [ticks("self", true) - (start[0] ?? 0), ticks(server, false) - (start[1] ?? 0)];
const calls = 20;
const idle = ticks("self", true);
for (let n = 0; n < calls; n++) await stage.crew.tmux.listPanes();
const perCall = `${((1000 * (ticks("self", true) - idle)) / calls).toFixed(1)} ms`;
const share = (cpu: number) => `${((100 * cpu) / Number(seconds)).toFixed(1)} %`;
console.log({
  seconds,
  panes,
  changes,
  cpuOfOneListPanes: perCall,
  mu: share(own),
  tmux: share(tmux),
  latestBusySeenAfterS: lag.toFixed(2),
});
await stage.end();
