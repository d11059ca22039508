import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hookLine } from "../src/agents/clis/hook-kit.js";
import { prepareSpool, readSpool, spoolPath } from "../src/agents/spool.js";

/** What a hook costs an agent: its line of sh beside an empty line, with small and large events. */
const RUNS = 200;

const stateDir = mkdtempSync(join(tmpdir(), "mu-bench-hook-"));
await prepareSpool(stateDir);
const env = { PATH: process.env.PATH ?? "", HOME: tmpdir(), MU_STATE_DIR: stateDir, MU_AGENT_ID: "1" };

function median(line: string, shell: string, input: string): number {
  const times = Array.from({ length: RUNS }, () => {
    const start = performance.now();
    spawnSync(shell, ["-c", line], { env, input });
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[RUNS / 2] ?? Number.NaN;
}

console.log("shell  bytes     floor (exit 0)   hook      on top");
for (const shell of ["dash", "bash"]) {
  for (const bytes of [500, 20_000, 1_000_000]) {
    const input = JSON.stringify({ hook_event_name: "PostToolUse", fill: "x".repeat(bytes) });
    const [floor, hook] = [median("exit 0", shell, ""), median(hookLine("PostToolUse"), shell, input)];
    const cells = [floor, hook, hook - floor].map((ms) => `${ms.toFixed(2)} ms`.padEnd(12));
    console.log(shell.padEnd(6), String(bytes).padEnd(9), cells.join("   "));
  }
}
const start = performance.now();
const { events } = await readSpool(spoolPath(stateDir, "1"));
console.log(`tail of the spool: ${events.length} events in ${(performance.now() - start).toFixed(2)} ms`);
rmSync(stateDir, { recursive: true });
