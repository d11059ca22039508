import { systemClock } from "../clock.js";
import { playAgent } from "../demo/player.js";
import { Fault } from "../errors.js";
import { execProgram } from "../exec.js";

/** The scripted agent as a program of its own: what a pane of `mu demo` runs. */
async function run(): Promise<number> {
  const { stdin, stdout, env } = process;
  try {
    const io = { stdin, stdout, env, cwd: process.cwd(), clock: systemClock, exec: execProgram };
    return await playAgent(process.argv.slice(2), io);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    process.stderr.write(`player: ${error.message}\n`);
    return error.exitCode;
  }
}

void run().then((code) => {
  process.exitCode = code;
});
