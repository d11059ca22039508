/**
 * `npm run test:agents`: installs the real agent CLIs, then runs their suite where only loopback exists. With
 * `-- --cli <name> …`, `--rounds <n>` or `--all` (all five CLIs, ten rounds in a row) it runs the story of each CLI alone.
 * What stands behind a second `--` is for vitest.
 */
import { spawn } from "node:child_process";
import { parseArgs } from "node:util";
import { ALL_CLIS, EVERY_TIME, installAgentClis, type RealCli } from "./install-agent-clis.js";
import { confineToLoopback } from "./loopback.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    all: { type: "boolean", default: false },
    cli: { type: "string", multiple: true },
    rounds: { type: "string" },
  },
});
const { all, cli: named, rounds = all ? "10" : "1" } = values;
const clis = all ? ALL_CLIS : ((named ?? EVERY_TIME) as RealCli[]);
const unknown = clis.find((cli) => !ALL_CLIS.includes(cli));
if (unknown !== undefined) throw new Error(`There is no agent CLI ${unknown} among ${ALL_CLIS.join(", ")}.`);

const { state, line } = await installAgentClis(clis);
console.log(line);
process.exitCode = state === "failed" ? 5 : await runSuite();

async function runSuite(): Promise<number> {
  const { network, prefix, env } = await confineToLoopback();
  console.log(network === "loopback" ? "network: loopback only" : "network: open, telemetry and updates switched off");
  const files = Object.values(values).some(Boolean) ? ["each.test.ts"] : [];
  const vitest = ["npx", "vitest", "run", "--config", "vitest.agents.config.ts", ...files, ...positionals];
  const [program = "", ...args] = [...prefix, ...vitest];
  const story = { MU_TEST_CLIS: clis.join(","), MU_TEST_ROUNDS: rounds };
  const child = spawn(program, args, { stdio: "inherit", env: { ...process.env, ...env, ...story } });
  return new Promise((resolve) => child.on("close", (code) => resolve(code ?? 1)));
}
