import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { ended, newProject } from "../support/project.js";
import { describeTmux, eventually } from "../support/tmux.js";

/** Waits for the file `go` if there is a file `hold`, and notes when it begins and ends. */
const BUILDER = [
  "cat > /dev/null",
  'echo "$MU_TASK" >> begun',
  "while [ -f hold ] && [ ! -f go ]; do sleep 0.05; done",
  'echo "made in run $MU_RUN_ID"',
  'echo "$MU_TASK" >> over',
].join("; ");

describeTmux("a job whose panes are taken away", () => {
  it("goes on after the end of its tmux server, or of a runner alone, before, during and after a part's work", async () => {
    const roles = { builder: { sh: BUILDER }, reviewer: { sh: "cat > /dev/null; echo '### PASS'" } };
    const project = await newProject(roles, { dispatch: { pollSeconds: 0.1 } });
    onTestFinished(() => project.end());
    project.env["MU_NO_TMUX"] = "";
    const at = (...names: string[]) => join(project.project, ...names);
    const loop = project.start("dispatch");
    onTestFinished(async () => {
      await project.json("dispatch stop");
      await ended(loop);
    });
    await project.json("job new theme");
    type Run = { id: number; task: string; state: string; process: string };
    const runs = async () => (await project.json("runs list -n 0")).items as Run[];
    const lines = (file: string) => (existsSync(at(file)) ? readFileSync(at(file), "utf8").trim().split("\n") : []);
    const takenOver = () =>
      eventually("a run is taken over", async () => (await runs()).some(({ state }) => state === "running"));
    const endServer = () => project.sh("tmux kill-server");
    const endRunner = async () => {
      const [{ process: id }] = await project.json(
        "sql 'select process from runs where started_at is not null and finished_at is null'",
      );
      process.kill(Number(String(id).split(" ")[0]), "SIGKILL");
    };
    const begun = (task: string) => eventually(`${task} has begun`, async () => lines("begun").includes(task));
    const over = (task: string) => eventually(`${task} is over`, async () => lines("over").includes(task));
    const KILLS: [
      step: string,
      when: (task: string) => Promise<unknown>,
      kill: () => Promise<unknown>,
      isHeld: boolean,
    ][] = [
      ["task", takenOver, endServer, true],
      ["plan", begun, endServer, true],
      ["update", begun, endRunner, true],
      ["upgrade", over, endServer, false],
    ];
    for (const [step, when, kill, isHeld] of KILLS) {
      const task = `theme-${step}-draft-1`;
      rmSync(at("go"), { force: true });
      if (isHeld) writeFileSync(at("hold"), "");
      else rmSync(at("hold"), { force: true });
      await project.json(`job run theme ${step} -i 'Make it dark'`);
      await when(task);
      await kill();
      writeFileSync(at("go"), "");
      const steps = async () => (await project.json("job show theme")).steps as { step: string; status: string }[];
      await eventually(`${step} is done`, async () => (await steps()).at(-1)?.status === "CLOSED");
      const done = (await runs()).filter((run) => run.task === task && run.state === "done");
      expect(done).toHaveLength(1);
      const file = at(".mu", "jobs", "theme", `${step}.md`);
      await eventually(`${step}.md`, async () => existsSync(file));
      expect(readFileSync(file, "utf8")).toContain(`made in run ${done[0]?.id}`);
    }
    expect((await project.mu("audit verify --tables")).code).toBe(0);
  });
});
