import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { processCrew } from "../agents/crew.js";
import { systemClock } from "../clock.js";
import { openStore } from "../db/open.js";
import { type DemoChoice, type DemoOutcome, playDemo } from "../demo/demo.js";
import type { CrewPlace } from "../demo/stage.js";
import { execProgram } from "../exec.js";
import type { Request } from "../operations/app.js";

/** The demo, with the programs that this one was built with. */
export function playDemoHere(options: DemoChoice, request: Request): Promise<DemoOutcome> {
  const keep = options.keep === undefined ? undefined : resolve(request.cwd, options.keep);
  const beside = (name: string) => join(import.meta.dirname, name);
  const signal = endingOf(request);
  const programs = { node: process.execPath, mu: beside("main.cjs"), player: beside("player.cjs") };
  return playDemo(
    {
      exec: execProgram,
      clock: systemClock,
      env: request.env,
      temporary: tmpdir(),
      programs,
      openCrew,
      report: (line) => {
        if (!signal.aborted) request.remark(line);
      },
      signal,
    },
    { ...options, keep },
  );
}

/** A terminal that is closed, or a pipe that nobody reads, ends the demo, too: nobody would come back for its tmux server. */
function endingOf({ signal, remark }: Request): AbortSignal {
  const hangup = new AbortController();
  process.once("SIGHUP", () => {
    process.exitCode = 129;
    hangup.abort();
  });
  process.stderr.on("error", () => hangup.abort());
  signal.addEventListener("abort", () => remark("\nEnding: the agents are closed and everything is removed."), {
    once: true,
  });
  return AbortSignal.any([signal, hangup.signal]);
}

async function openCrew({ database, stateDir, env }: CrewPlace) {
  const store = await openStore({ path: database });
  const context = { store, clock: systemClock, actor: "demo" };
  const crew = processCrew(context, { ...env, MU_DB_PATH: database, MU_STATE_DIR: stateDir });
  return { crew, close: () => store.close() };
}
