import { systemClock } from "../../src/clock.js";
import { playAgent } from "../../src/demo/player.js";
import { execProgram } from "../../src/exec.js";

const { stdin, stdout, env } = process;
process.exitCode = await playAgent(process.argv.slice(2), {
  stdin,
  stdout,
  env,
  cwd: process.cwd(),
  clock: systemClock,
  exec: execProgram,
});
