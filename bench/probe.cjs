// Loaded into a measured process: tells on stderr, at its end or at SIGUSR2, what it has used so far.
const { readFileSync, writeSync } = require("node:fs");

const tell = () => {
  const { user, system } = process.cpuUsage();
  writeSync(2, `\n${JSON.stringify({ peakMb: peakMb(), cpuMs: (user + system) / 1000 })}\n`);
};

function peakMb() {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) / 1024;
  } catch {
    return process.resourceUsage().maxRSS / 1024;
  }
}

process.on("exit", tell);
process.on("SIGUSR2", tell);
