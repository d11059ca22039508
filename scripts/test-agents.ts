/** `npm run test:agents`: installs the real agent CLIs, then runs their suite where only loopback exists. */
import { spawn } from "node:child_process";
import { installAgentClis } from "./install-agent-clis.js";
import { confineToLoopback } from "./loopback.js";

const { state, line } = await installAgentClis();
console.log(line);
process.exitCode = state === "failed" ? 5 : await runSuite();

async function runSuite(): Promise<number> {
  const { network, prefix, env } = await confineToLoopback();
  console.log(network === "loopback" ? "network: loopback only" : "network: open, telemetry and updates switched off");
  const vitest = ["npx", "vitest", "run", "--config", "vitest.agents.config.ts", ...process.argv.slice(2)];
  const [program = "", ...args] = [...prefix, ...vitest];
  const child = spawn(program, args, { stdio: "inherit", env: { ...process.env, ...env } });
  return new Promise((resolve) => child.on("close", (code) => resolve(code ?? 1)));
}
