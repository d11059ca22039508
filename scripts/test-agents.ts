/**
 * `npm run test:agents`: installs the real agent CLIs, then runs their suite where only loopback exists. With
 * `-- --cli <name> …`, `--rounds <n>` or `--all` (all five CLIs, ten rounds in a row) it runs the story of each CLI alone.
 * `--recover <n>` recovers so many agents of all CLIs instead, and `--busy` keeps two processors busy meanwhile. What stands
 * behind a second `--` is for vitest.
 */
import { spawn } from "node:child_process";
import { type AgentsOptions, readAgentsOptions } from "./agents-options.js";
import { installAgentClis } from "./install-agent-clis.js";
import { confineToLoopback } from "./loopback.js";

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}

async function main(): Promise<number> {
  const options = readAgentsOptions(process.argv.slice(2));
  const { state, line } = await installAgentClis(options.clis);
  console.log(line);
  return state === "failed" ? 5 : runSuite(options);
}

async function runSuite(options: AgentsOptions): Promise<number> {
  const { network, prefix, env } = await confineToLoopback();
  console.log(network === "loopback" ? "network: loopback only" : "network: open, telemetry and updates switched off");
  const files = options.recover > 0 ? ["recover.test.ts"] : options.onlyStories ? ["each.test.ts"] : [];
  const vitest = ["npx", "vitest", "run", "--config", "vitest.agents.config.ts", ...files, ...options.vitest];
  const [program = "", ...args] = [...prefix, ...vitest];
  const { clis, rounds, recover, busy } = options;
  const story = { MU_TEST_CLIS: clis.join(","), MU_TEST_ROUNDS: String(rounds), MU_TEST_RECOVER: String(recover) };
  const loops = busy ? [1, 2].map(() => spawn("nice", [process.execPath, "-e", "for (;;);"])) : [];
  const child = spawn(program, args, { stdio: "inherit", env: { ...process.env, ...env, ...story } });
  return new Promise((resolve) => {
    child.on("close", (code) => {
      for (const loop of loops) loop.kill();
      resolve(code ?? 1);
    });
  });
}
