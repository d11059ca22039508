// Runs every `check:…` of package.json, two at a time, and with `--build` the build among them. Says how each ended.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";

const AT_ONCE = 2;

const { scripts } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const names = Object.keys(scripts).filter((name) => name.startsWith("check:"));
const waiting = process.argv.includes("--build") ? ["build", ...names] : names;
await Promise.all(Array.from({ length: AT_ONCE }, runWaiting));

async function runWaiting() {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await run(name);
}

/** Runs one of them to its end. Its output is held back, so that two do not mix. */
async function run(name) {
  const start = performance.now();
  const child = spawn(scripts[name], { shell: true, stdio: ["ignore", "pipe", "pipe"] });
  const parts = [];
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => parts.push(part));
  const code = await new Promise((resolve) => child.on("close", resolve));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  process.stdout.write(`${code === 0 ? "✓" : "✗"} ${name} (${seconds} s)\n`);
  if (code === 0) return;
  process.exitCode = 1;
  process.stdout.write(Buffer.concat(parts));
}
