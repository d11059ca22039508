import { expect, it } from "vitest";
import { claimNext, claimTask } from "../../src/tasks/claim.js";
import { onEachDialect } from "../support/database.js";
import { add, at, DEMO, plan, spawn } from "../support/tasks.js";

onEachDialect("claiming beside agents at work", (bench) => {
  const next = async (agent: string) => {
    const { task, passedOver } = await claimNext(bench.context, DEMO, { agent });
    return [task.name, ...passedOver.map((one) => `${one.task}: ${one.agent} ${one.by} ${one.paths.join(" ")}`)];
  };
  const crewAtWork = async (touches: string[]) => {
    await plan(bench.context);
    for (const name of ["ann", "bob"]) await spawn(bench.context, name);
    await add(bench.context, { name: "taken", title: "Taken", touches });
    await claimTask(bench.context, at("taken"), { agent: "ann" });
  };

  it("passes over those that touch what another's task declares", async () => {
    await crewAtWork(["src/auth/**"]);
    await add(bench.context, { name: "a", title: "A", touches: ["src/**/*.ts"] });
    await add(bench.context, { name: "b", title: "B", touches: ["src/auth/login.ts"] });
    await add(bench.context, { name: "c", title: "C" });
    expect(await next("bob")).toEqual(["c", "a: ann taken src/auth/**", "b: ann taken src/auth/**"]);
  });

  it("keeps the order if no other task is as good", async () => {
    await crewAtWork(["src/**"]);
    await add(bench.context, { name: "a", title: "A", touches: ["src/a.ts"], impact: 60 });
    await add(bench.context, { name: "b", title: "B", impact: 59 });
    await add(bench.context, { name: "c", title: "C", impact: 60, priority: 6 });
    expect(await next("bob")).toEqual(["a"]);
  });

  it("keeps the order if all equally good tasks are contested", async () => {
    await crewAtWork(["src/**"]);
    await add(bench.context, { name: "a", title: "A", touches: ["src/a.ts"] });
    await add(bench.context, { name: "b", title: "B", touches: ["src/b.ts"] });
    expect(await next("bob")).toEqual(["a"]);
  });

  it("takes impact by effort as it is, not impact", async () => {
    await crewAtWork(["src/**"]);
    await add(bench.context, { name: "a", title: "A", touches: ["src/a.ts"], impact: 50, effortDays: 1 });
    await add(bench.context, { name: "b", title: "B", impact: 100, effortDays: 2 });
    expect(await next("bob")).toEqual(["b", "a: ann taken src/**"]);
  });

  it("ignores the claimant's own changes", async () => {
    await crewAtWork(["src/**"]);
    await add(bench.context, { name: "a", title: "A", touches: ["src/a.ts"] });
    await add(bench.context, { name: "b", title: "B" });
    expect(await next("ann")).toEqual(["a"]);
  });
});
