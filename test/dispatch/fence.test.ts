import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { newProject, type Project, type TestRole } from "../support/project.js";
import { eventually } from "../support/tmux.js";

let project: Project;
afterEach(() => project.end());

const begin = async (roles: Record<string, TestRole>, more?: Record<string, unknown>) => {
  project = await newProject(roles, more);
};
const add = (name: string, role: string) => project.json(`task add ${name} --title ${name} --role ${role}`);
const task = async (name: string) => (await project.json(`task show ${name}`)).task;
const inProject = (name: string) => join(project.project, name);

/** What a file with the output of `env` says of mu's own variables. */
function savedEnv(file: string): Record<string, string> {
  const lines = readFileSync(inProject(file), "utf8").split("\n");
  return Object.fromEntries(lines.filter((line) => /^MU_(AGENT|RUN|TASK)/.test(line)).map((line) => line.split("=")));
}

describe("what a run leaves running", () => {
  it("cannot write as its slot once the run was reaped, though the slot has the task again", async () => {
    const sh = `if [ -f first ]; then while [ ! -f go ]; do sleep 0.05; done; mu task note $MU_TASK ours && echo ok
      else env > first; kill -9 $PPID; exit 1; fi`;
    await begin({ code: { sh, access: "full" } });
    await add("build", "code");
    const drain = project.mu("dispatch --once --poll 0.2 --json");
    await eventually("the second run starts in the same slot", async () => {
      const [run] = (await project.json("runs list --state active")).items;
      return run?.attempt === 2 && run.agent === "code-1" && run.state === "running";
    });
    const env = savedEnv("first");
    for (const line of [
      "task close build --evidence mine",
      "task note build mine",
      "task add more --title More --role code",
      "task release build",
    ]) {
      const ran = await project.mu(`${line} --json`, { env });
      expect([ran.code, ran.fault().code], line).toEqual([4, "run.over"]);
      expect(ran.fault().message).toContain(`Run ${env["MU_RUN_ID"]} of code-1 is over`);
    }
    expect(
      (await project.mu("task note build mine --json", { env: { ...env, MU_RUN_ID: undefined } })).fault().code,
    ).toBe("run.over");
    // Reading is free, and says why writing is not.
    expect((await project.json("me", { env })).refusal).toContain("is over");
    expect((await task("build")).status).toBe("IN_PROGRESS");
    writeFileSync(inProject("go"), "");
    expect((await drain).code).toBe(0);
    expect((await task("build")).status).toBe("CLOSED");
    const { notes } = await project.json("task show build");
    expect(notes.map(({ text }: { text: string }) => text)).toContain("ours");
    expect(notes.map(({ text }: { text: string }) => text)).not.toContain("mine");
    expect((await project.mu("audit verify")).code).toBe(0);
  });
});

describe("a run that adds tasks", () => {
  it("is named in the task and in the event, and is warned of a title that it has used", async () => {
    const sh = `mu task add a --title Same --role code --json > a.json; mu task add b --title Same --role code --json > b.json
      mu task add c --title Other --role nobody --json 2> c.json
      mu asset add a.json --kind list --json > asset.json; echo ok`;
    await begin({ design: { sh, access: "full" }, code: { sh: "echo ok" } });
    await add("first", "design");
    await project.mu("dispatch --once --role design");
    const [run] = (await project.json("runs list")).items;
    expect(await task("a")).toMatchObject({ fromRun: run.id });
    expect(await task("first")).toMatchObject({ fromRun: null });
    const read = (file: string) => JSON.parse(readFileSync(inProject(file), "utf8"));
    expect(read("a.json").warnings).toEqual([]);
    expect(read("b.json").warnings).toMatchObject([{ code: "same_title" }]);
    expect(read("c.json")).toMatchObject({ code: "role.unknown" });
    expect(read("asset.json").asset).toMatchObject({ path: "a.json", task: "first", agent: "design-1", run: run.id });
    expect(read("c.json").message).toContain("design, code");
    const rows = await project.json(["sql", "select payload from events where op = 'task.add' and actor = 'design-1'"]);
    expect(rows.map(({ payload }: { payload: string }) => JSON.parse(payload).run)).toEqual([run.id, run.id]);
  });

  it("may add so many and no more, in one write or in several", async () => {
    const plan = "tasks: [{title: One}, {title: Two}]";
    const sh = `echo "${plan}" > plan.yaml; mu task apply plan.yaml || exit 1
      mu task add three --title Three || exit 1
      mu task add four --title Four --json 2> four.json; mu task apply plan.yaml || exit 1; echo ok`;
    await begin({ design: { sh, access: "full" } }, { dispatch: { maxChildrenPerRun: 3 } });
    await add("first", "design");
    expect((await project.mu("dispatch --once")).code).toBe(0);
    expect(JSON.parse(readFileSync(inProject("four.json"), "utf8"))).toMatchObject({ code: "run.too_many_tasks" });
    expect((await project.json("task list -n 0")).items.length).toBe(4);
  });

  it("may not grow deeper than the project allows", async () => {
    const sh = `mu task add --title "After $MU_TASK" --role design || { touch stopped; exit 0; }; echo ok`;
    await begin({ design: { sh, access: "full" } }, { dispatch: { maxDepth: 2 } });
    await add("first", "design");
    await project.mu("dispatch --once");
    expect(existsSync(inProject("stopped"))).toBe(true);
    expect((await project.json("task list -n 0")).items.length).toBe(3);
  });
});
