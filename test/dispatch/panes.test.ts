import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { newProject } from "../support/project.js";

it("a run works in a pane of its slot's name, which closes with it; one whose pane is closed ends with it and is tried again", async () => {
  const wait = "while [ ! -f go ]; do sleep 0.05; done";
  const project = await newProject({
    qa: { sh: `echo "run $MU_RUN_ID of $MU_AGENT, pane [$TMUX_PANE]"; ${wait}; mu me --json` },
  });
  try {
    const env = { MU_NO_TMUX: "" };
    await project.json("task add watched --title Watch --role qa");
    const loop = project.start("dispatch --poll 0.1", { env });
    const windows = async () =>
      (await project.sh("tmux list-windows -t mu-shop -F '#{window_name}'")).stdout.trim().split("\n");
    await expect.poll(windows, { timeout: 10_000 }).toContain("qa-1");
    const screen = async () => (await project.sh("tmux capture-pane -p -t mu-shop:qa-1")).stdout;
    await expect.poll(screen, { timeout: 10_000 }).toContain("run 1 of qa-1, pane []");
    const [first] = (await project.json("runs list --state running")).items;
    await project.sh("tmux kill-window -t mu-shop:qa-1");
    await expect
      .poll(async () => (await project.json(`runs show ${first.id}`)).run.state, { timeout: 10_000 })
      .toBe("cancelled");
    await expect.poll(screen, { timeout: 10_000 }).toContain("run 2 of qa-1");
    writeFileSync(join(project.project, "go"), "");
    await expect
      .poll(async () => (await project.json("task show watched")).task.status, { timeout: 10_000 })
      .toBe("CLOSED");
    await project.json("dispatch stop");
    await new Promise((resolve) => (loop.exitCode === null ? loop.once("exit", resolve) : resolve(undefined)));
    await expect.poll(windows, { timeout: 10_000 }).not.toContain("qa-1");
    const { items } = await project.json("runs list");
    expect(items.map(({ state, transport }: Record<string, string>) => [state, transport])).toEqual([
      ["done", "pane"],
      ["cancelled", "pane"],
    ]);
    // The agent's own calls of mu are the slot's, although it sits in no pane that mu knows.
    expect((await project.json("runs log 2")).text).toContain('"name":"qa-1"');
    expect(existsSync(join(project.project, ".mu", "kill_switch"))).toBe(false);
  } finally {
    project.end();
  }
});
