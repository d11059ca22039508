import { afterEach, beforeEach, expect, it } from "vitest";
import { agentRows } from "../../src/agents/agent.js";
import type { Crew } from "../../src/agents/crew.js";
import { closeAgent, isHalfSpawn } from "../../src/crew/close.js";
import { restartAgent } from "../../src/crew/restart.js";
import { spawnAgent } from "../../src/crew/spawn.js";
import { type Run, timedOut } from "../../src/tmux/run.js";
import { type PrivateCrew, privateCrew } from "../support/crew.js";
import { sample } from "../support/sample.js";
import { describeTmux } from "../support/tmux.js";

/** How a call of tmux goes wrong. `dies` takes the whole server along; `hangs` is no answer in time. */
type Failure = "refused" | "dies" | "hangs";

describeTmux("when tmux fails in the middle", () => {
  let crew: PrivateCrew;
  beforeEach(async () => {
    crew = await privateCrew();
  });
  afterEach(() => crew.dispose());

  const ref = { workstream: "demo", name: "worker-1" };
  const options = () => ({ command: "cat", cwd: crew.server.dir });

  /** A crew whose nth call fails, before or after tmux has done what it was asked. */
  const failing = (nth: number, failure: Failure, when: "before" | "after") => {
    let calls = 0;
    const run: Run = async (commands, input) => {
      calls++;
      if (calls !== nth) return crew.server.tmux.run(commands, input);
      if (when === "after") await crew.server.tmux.run(commands, input);
      if (failure === "hangs") throw timedOut("injected", 15_000);
      if (failure === "dies") await crew.server.raw("kill-server");
      return { stdout: "", refusal: failure === "refused" ? "injected" : "lost server" };
    };
    return { crew: crew.other({ run }), reached: () => calls >= nth };
  };

  /** Every open row has its living pane or is a half spawn, and every pane of ours has its open row. */
  const nothingHalf = async (what: string) => {
    const rows = await agentRows(crew.crew.context.store.db, "demo");
    const panes = await crew.panes();
    const later = new Date(Date.now() + 61_000);
    for (const row of rows) {
      const pane = panes.find(({ id, server }) => id === row.pane && server === row.server);
      const isGhost = row.pane !== null && pane === undefined;
      expect(row.pane === null ? isHalfSpawn(row, later) : isGhost || pane?.agentId === String(row.id), what).toBe(
        true,
      );
    }
    const open = new Set(rows.map((row) => String(row.id)));
    for (const pane of panes.filter((one) => one.agentId !== undefined)) expect(open, what).toContain(pane.agentId);
  };

  const FAILURES = [
    ["refused", "before"],
    ["refused", "after"],
    ["dies", "before"],
    ["dies", "after"],
    ["hangs", "before"],
    ["hangs", "after"],
  ] as const;

  const atEachCall = async (
    [failure, when]: (typeof FAILURES)[number],
    verb: (by: Crew) => Promise<unknown>,
    prepare: () => Promise<unknown>,
  ) => {
    for (let nth = 1; ; nth++) {
      await prepare();
      const world = failing(nth, failure, when);
      await verb(world.crew).catch(() => {});
      if (!world.reached()) return;
      await nothingHalf(`call ${nth}`);
      await closeAgent(crew.crew, ref, { graceMs: 100 }).catch(() => {});
      await nothingHalf(`closed after call ${nth}`);
      expect(await agentRows(crew.crew.context.store.db, "demo")).toEqual([]);
      expect((await crew.panes()).filter(({ agentId }) => agentId !== undefined)).toEqual([]);
    }
  };

  const nothingFirst = async () => {};
  const spawn = () => spawnAgent(crew.crew, ref, options());
  const VERBS = [
    ["a spawn", (by: Crew) => spawnAgent(by, ref, options()), nothingFirst],
    ["a close", (by: Crew) => closeAgent(by, ref, { graceMs: 100 }), spawn],
    ["a restart", (by: Crew) => restartAgent(by, ref), spawn],
  ] as const;
  const cases = VERBS.flatMap(([name, verb, prepare]) =>
    FAILURES.map((failure) => ({ name, how: failure.join(" "), failure, verb, prepare })),
  );

  it.each(sample(cases, 7))("$name leaves nothing half, and can be done again: $how each call", (one) =>
    atEachCall(one.failure, one.verb, one.prepare),
  );
});
