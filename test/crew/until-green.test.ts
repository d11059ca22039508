import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { workUntilGreen } from "../../src/crew/until-green.js";
import { addTask } from "../../src/tasks/add.js";
import { getTask } from "../../src/tasks/task.js";
import { openStage, PLAYER, type Stage } from "../support/stage.js";
import { describeTmux } from "../support/tmux.js";

const REF = { workstream: "demo", name: "build" };

describeTmux("a task that one agent works on until its check is green", () => {
  let stage: Stage;
  let said: string[];
  beforeEach(async () => {
    stage = await openStage();
    said = [];
    // Each prompt is a line in a file, so that the second mending is the one that helps.
    const script = {
      acts: [{ steps: [{ run: 'echo "$prompt" | tr "\\n" " " >> turns; echo >> turns' }, { say: "Done." }] }],
    };
    const env = { MU_PLAYER_SCRIPT: JSON.stringify(script) };
    await stage.enter("ada", { cli: "player", argv: PLAYER, env });
    await addTask(stage.crew.context, "demo", { name: "build", title: "Build it" });
  });
  afterEach(() => stage.end());

  const turns = () => readFileSync(join(stage.server.dir, "turns"), "utf8").trim().split("\n");
  const work = (maxChecks: number, check: string) =>
    workUntilGreen(stage.crew, REF, "ada", {
      ...{ sender: "ann", check, maxChecks, timeoutMs: 20_000, cwd: stage.server.dir, say: (text) => said.push(text) },
    });
  const needs = (n: number) =>
    `cd ${stage.server.dir}; echo "$(wc -l < turns) of ${n}"; test "$(wc -l < turns)" -ge ${n}`;

  it("is told the end of each red check, and has its task closed by the first green one", async () => {
    expect(await work(5, needs(3))).toBe(3);
    expect(await getTask(stage.crew.context.store.db, REF)).toMatchObject({ status: "CLOSED", owner: "ada" });
    const [first, second, third, ...more] = turns();
    expect(first).toContain("Work on the task demo/build: Build it.");
    expect(second).toContain("1 of 3");
    expect(third).toContain("2 of 3");
    expect(more).toEqual([]);
    expect(said.map((text) => /\(\d of \d\)/.exec(text)?.[0])).toEqual(["(1 of 5)", "(2 of 5)"]);
  });

  it("stays its own when the check is still red after the last time", async () => {
    await expect(work(1, needs(9))).rejects.toMatchObject({ code: "task.check_failed", kind: "negative" });
    expect(turns().length).toBe(2);
    expect(await getTask(stage.crew.context.store.db, REF)).toMatchObject({ status: "IN_PROGRESS", owner: "ada" });
  });
});
