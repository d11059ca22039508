import { type ChildProcess, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { ended, newProject, type Project, type TestRole } from "../support/project.js";

let project: Project;
afterEach(() => project.end());

async function begin(roles: Record<string, TestRole>, more?: Record<string, unknown>): Promise<void> {
  project = await newProject(roles, more);
}

const add = (name: string, role: string, flags = "") =>
  project.json(`task add ${name} --title ${name} --role ${role} ${flags}`);
const drain = (flags = "") => project.mu(`dispatch --once --json ${flags}`);
const task = async (name: string) => (await project.json(`task show ${name}`)).task;
const runs = async (flags = "") => (await project.json(`runs list -n 0 ${flags}`)).items;
const escalation = (name: string) => join(project.project, ".mu", "escalations", `${name}.md`);
const killFile = () => join(project.project, ".mu", "kill_switch");

/** Whether a process runs; one that nobody has reaped does not. */
function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

async function killed(loop: ChildProcess): Promise<void> {
  loop.kill("SIGKILL");
  await new Promise((resolve) => loop.once("exit", resolve));
}

const endOf = ({ state, attempt }: { state: string; attempt: number }): [string, number] => [state, attempt];

/** Ends with a result object, as a program that knows what it cost does. */
const costing = (usd: number) => `cat > /dev/null; echo '{"text":"ok","cost_usd":${usd}}'`;

describe("a drain", () => {
  it("runs every ready task once, books its cost, closes it, and leaves the chain whole", async () => {
    await begin({ code: { sh: costing(0.25), concurrency: 2 } });
    await add("one", "code");
    await add("two", "code", "--blocked-by one");
    const { code, json } = await drain();
    expect(code).toBe(0);
    expect(json().started.map((run: { task: string }) => run.task)).toEqual(["one", "two"]);
    expect((await task("two")).status).toBe("CLOSED");
    expect((await task("two")).owner).toBe("code-1");
    expect(
      (await runs()).map(({ state, costUsd, costBasis }: Record<string, unknown>) => [state, costUsd, costBasis]),
    ).toEqual([
      ["done", 0.25, "cli"],
      ["done", 0.25, "cli"],
    ]);
    expect((await project.json("budget")).project).toMatchObject({ settledUsd: 0.5, reservedUsd: 0, runs: 2 });
    expect((await project.mu("audit verify")).code).toBe(0);
  });

  it("lets an agent close its own task, whatever its program says in the end", async () => {
    await begin({ code: { sh: `mu task close $MU_TASK --evidence 'all green'; exit 3` } });
    await add("own", "code");
    await drain();
    expect(await task("own")).toMatchObject({ status: "CLOSED", attempts: 0 });
    expect((await runs()).map(({ state }: { state: string }) => state)).toEqual(["failed"]);
  });

  it("lands what a run has committed in a workspace of its own", async () => {
    await begin({
      code: {
        sh: `echo made >> made && git add made && git commit -qm made && echo done`,
        access: "full",
        workspace: true,
      },
    });
    await add("make", "code");
    expect((await drain()).code).toBe(0);
    expect(await task("make")).toMatchObject({ status: "CLOSED", level: "landed", owner: "code-1" });
    expect((await project.json("agent list")).items).toEqual([]);
    const made = () => readFileSync(join(project.project, "made"), "utf8");
    expect(made()).toBe("made\n");
    await add("again", "code");
    expect((await drain()).code).toBe(0);
    expect([(await task("again")).level, made()]).toEqual(["landed", "made\nmade\n"]);
  });

  it("hands a red check back as an attempt that failed, with its last lines for the next one", async () => {
    await begin({
      code: {
        sh: `cat > seen; if grep -q 'not yet' seen; then touch ready; fi; echo done`,
        workspace: false,
        access: "full",
      },
    });
    await project.json(`workstream set check "test -f ready || { echo not yet; exit 1; }"`);
    await add("gated", "code");
    expect((await drain()).code).toBe(0);
    expect(await task("gated")).toMatchObject({ status: "CLOSED", level: "verified" });
    expect((await runs()).map(({ state, failure }: Record<string, unknown>) => [state, failure])).toEqual([
      ["done", null],
      ["failed", "check_failed"],
    ]);
  });

  it("hands a red check back to the same conversation, as often as the task allows and its budget pays for", async () => {
    const result = (usd: number) =>
      JSON.stringify({
        type: "result",
        subtype: "success",
        is_error: false,
        result: "did it",
        session_id: "s-1",
        total_cost_usd: usd,
      });
    const fake = (usd: number) =>
      `cat >> seen; echo >> turns; echo "$@" >> flags; echo "${result(usd).replaceAll('"', '\\"')}"`;
    const claude = (usd: number) => ({ sh: fake(usd), cli: "claude", access: "full", reservationUsd: 0.1 });
    await begin({ code: claude(0.1) }, { auth: { mode: "inherit" } });
    await project.json(`workstream set check "test $(wc -l < turns) -ge 3 || { echo too few; exit 1; }"`);
    await add("dear", "code", "--budget 0.2 --max-retries 0");
    expect((await project.mu("task work dear --until-green")).code).toBe(1);
    expect(await task("dear")).toMatchObject({ hold: "escalated", maxChecks: 3 });
    const turns = () => readFileSync(join(project.project, "turns"), "utf8").length;
    expect(turns()).toBe(2);
    writeFileSync(join(project.project, "turns"), "");
    await add("build", "code");
    const worked = await project.json("task work build --until-green --max-checks 2");
    expect(worked).toMatchObject({ task: { status: "CLOSED", level: "verified" }, turns: 1, waiting: null });
    expect(turns()).toBe(3);
    expect(readFileSync(join(project.project, "seen"), "utf8")).toContain("too few");
    expect(readFileSync(join(project.project, "flags"), "utf8")).toContain("--resume s-1");
    expect((await runs("--task build")).length).toBe(1);
    expect((await project.mu("task work build --check true --json")).fault().code).toBe("task.no_worker");
  });
});

describe("a budget", () => {
  it("refuses before anything is spent, and says so once", async () => {
    await begin({ code: { sh: costing(0.2), dailyCapUsd: 0.3, reservationUsd: 0.2, concurrency: 2 } });
    await add("one", "code");
    await add("two", "code");
    expect((await drain()).json().waiting).toMatchObject([{ task: "two", code: "role_cap" }]);
    await Promise.all([drain(), drain("--poll 0.05")]);
    expect((await task("two")).status).toBe("OPEN");
    expect((await runs()).length).toBe(1);
    const said = await project.json(["sql", "select op, subject from events where op like 'budget.%' order by id"]);
    expect(said).toEqual([{ op: "budget.refused", subject: "shop/code" }]);
    const [line] = (await project.json("budget")).roles;
    expect([line.state, line.softAt, line.refusedAt === null]).toEqual(["ok", null, false]);
    project.settings({ code: { sh: costing(0.2), dailyCapUsd: 0.4, reservationUsd: 0.2 } });
    await drain();
    expect((await task("two")).status).toBe("CLOSED");
  });

  it("caps one task over all its runs, and frees it when it is raised", async () => {
    await begin({ code: { sh: `${costing(0.3)}; exit 1`, reservationUsd: 0.2 } });
    await add("dear", "code", "--budget 0.45");
    expect((await drain()).json().waiting).toMatchObject([{ task: "dear", code: "task_budget" }]);
    expect((await project.json("task show dear")).spent).toEqual({ usd: 0.3, runs: 1, leftUsd: 0.15 });
    const { waiting } = await project.json("dispatch --explain");
    expect(waiting[0].why).toContain("has $0.15 left of $0.45");
    await project.json("task update dear --budget 0.5");
    project.settings({ code: { sh: costing(0.2), reservationUsd: 0.2 } });
    await drain();
    expect(await task("dear")).toMatchObject({ status: "CLOSED", budgetUsd: 0.5 });
    expect((await project.mu("task show dear")).stdout).toContain("$0.50 in 2 runs, $0.00 left");
  });

  it("keeps the result of a run that cost too much, and starts no other", async () => {
    await begin({ code: { sh: costing(5), dailyCapUsd: 1 } });
    await add("dear", "code");
    await add("next", "code");
    await drain();
    expect((await task("dear")).status).toBe("CLOSED");
    expect((await task("next")).status).toBe("OPEN");
    const [line] = (await project.json("budget")).roles;
    expect(line).toMatchObject({ role: "code", settledUsd: 5, state: "hit" });
    expect([line.softAt, line.refusedAt, line.breachedAt].every(Boolean)).toBe(true);
    await drain();
    const said = (await project.json("log -n 0")).items.filter(({ op }: { op: string }) => op === "budget.breached");
    expect(said.map(({ text }: { text: string }) => text)).toEqual([
      "warned: code has spent $5.00 of $1.00 today; results are kept",
    ]);
    expect((await project.mu("budget")).stdout).toMatch(/CAP HIT over it since .* refused since /);
    const { anomalies } = await project.json("report");
    expect(anomalies).toContain("code has spent $5.00, over its cap of $1.00; the results are kept.");
  });
});

describe("what a run may cost", () => {
  const result = (usd: number) => `echo '{"type":"result","result":"ok","session_id":"s-1","total_cost_usd":${usd}}'`;
  const claude = (more: object = {}) => ({
    code: { sh: `echo "$0 $@" > args-$MU_TASK; ${result(0.25)}`, cli: "claude", access: "full", ...more },
  });
  const given = (name: string) =>
    /--max-budget-usd (\S+)/.exec(readFileSync(join(project.project, `args-${name}`), "utf8"))?.[1];

  it("is what its role's cap and the project's ceiling leave of the day, and is told to a CLI that can keep it", async () => {
    const inherit = { auth: { mode: "inherit" } };
    await begin(claude(), inherit);
    await add("free", "code");
    await drain();
    expect(given("free")).toBeUndefined();
    project.settings(claude({ dailyCapUsd: 1, reservationUsd: 0.1 }), inherit);
    await add("capped", "code");
    await drain();
    expect(given("capped")).toBe("0.75");
    project.settings(claude({ dailyCapUsd: 5 }), { ...inherit, budget: { projectCeilingUsd: 0.6 } });
    await add("under", "code");
    await drain();
    expect(given("under")).toBe("0.1");
  });

  it("is less by what its first turn has cost", async () => {
    await begin(claude({ dailyCapUsd: 1 }), { auth: { mode: "inherit" } });
    await add("asked", "code", "--kind review --max-retries 0");
    await drain();
    expect(given("asked")).toBe("0.75");
  });
});

describe("a provider's limit without an end", () => {
  it("keeps other tasks from the provider until it has rested", async () => {
    await begin({ code: { sh: `echo '429 Too Many Requests' >&2; exit 1`, cli: "pi", access: "full" } });
    await add("limited", "code", "--priority 1");
    await add("next", "code");
    const { json } = await project.mu("dispatch --once --json", { env: { MU_RETRY_BACKOFF: "9" } });
    expect(json().waiting.map(({ task, code }: Record<string, unknown>) => [task, code])).toEqual([
      ["limited", "back_off"],
      ["next", "provider_limit"],
    ]);
  });
});

describe("a failure", () => {
  it("is retried three times and then held, with a file that says what to do", async () => {
    await begin({ code: { sh: "echo broken; exit 1" } });
    await add("bad", "code", `--payload '{"feature":"etching"}'`);
    const { code, json } = await drain();
    expect(code).toBe(1);
    expect(json().held).toEqual(["bad"]);
    expect((await runs()).map(({ attempt }: { attempt: number }) => attempt)).toEqual([4, 3, 2, 1]);
    const text = readFileSync(escalation("bad"), "utf8");
    for (const part of ["etching", "mu task requeue shop/bad", "| 1 |", "broken"]) expect(text).toContain(part);
    expect((await project.json("escalations")).items).toMatchObject([{ task: "bad", hold: "escalated", attempts: 4 }]);

    project.settings({ code: { sh: "echo mended" } });
    expect((await project.json("task requeue bad")).task).toMatchObject({ hold: null, attempts: 0 });
    expect((await drain()).code).toBe(0);
    expect((await task("bad")).status).toBe("CLOSED");
    expect(existsSync(escalation("bad"))).toBe(false);
    expect(existsSync(escalation("resolved/bad"))).toBe(true);
  });

  it("is an agent that said, made and changed nothing, but not a program that ended well without a word", async () => {
    await begin({ idle: { sh: `cat > /dev/null; echo '{"text":""}'` }, quiet: { sh: "true" } });
    await add("nothing", "idle", "--max-retries 0");
    await add("done", "quiet");
    await drain();
    expect(await task("nothing")).toMatchObject({
      hold: "escalated",
      holdReason: expect.stringContaining("no_output"),
    });
    expect((await task("done")).status).toBe("CLOSED");
  });

  it("that no other attempt can mend holds the task at once", async () => {
    await begin({ code: { sh: "echo never", prompt: "agents/code/missing.md" } });
    await add("lost", "code");
    await drain();
    expect(await task("lost")).toMatchObject({ hold: "failed" });
    expect((await task("lost")).holdReason).toContain("agents/code/missing.md");
    expect((await runs()).length).toBe(1);
  });

  it("is not a settings file that breaks between two runs: the last good one holds, and the damage is said", async () => {
    await begin({ qa: { sh: "echo '{' > .mu/settings.json; echo ok" } });
    await add("breaks", "qa");
    await add("next", "qa", "--blocked-by breaks");
    const { code, stderr } = await drain();
    expect([code, (await task("next")).status]).toEqual([0, "CLOSED"]);
    expect(stderr).toContain(".mu/settings.json is not valid");
    expect((await drain()).code).toBe(2);
  });

  it("to sign in holds the task at once", async () => {
    await begin({ code: { sh: "echo never", cli: "claude" } }, { auth: { mode: "api" } });
    await add("locked", "code");
    await drain();
    expect(await task("locked")).toMatchObject({
      hold: "failed",
      holdReason: expect.stringContaining("ANTHROPIC_API_KEY"),
    });
    expect((await runs()).length).toBe(1);
  });

  it("of a program that is not installed holds the task at once, too", async () => {
    await begin({ code: { sh: "exec no-such-program" } });
    await add("bare", "code");
    await drain();
    expect(await task("bare")).toMatchObject({
      hold: "failed",
      holdReason: expect.stringContaining("no-such-program"),
    });
  });

  it("is not what an agent says that it is blocked", async () => {
    await begin({ code: { sh: `echo 'Which region?'; echo '### BLOCKED'` } });
    await add("asks", "code");
    await drain();
    expect(await task("asks")).toMatchObject({ hold: "blocked", outcome: "blocked" });
    expect((await runs()).length).toBe(1);
  });
});

describe("the brake", () => {
  it("keeps its first reason, starts nothing, and is a file", async () => {
    await begin({ qa: { sh: "echo ok" } });
    await add("one", "qa");
    expect(await project.json("kill 'deploy in progress'")).toMatchObject({ changed: true });
    expect(await project.json("kill again")).toMatchObject({ changed: false, reason: "deploy in progress" });
    expect((await drain()).json()).toMatchObject({ started: [], waiting: [{ code: "killed" }] });
    expect(await project.json("resume")).toMatchObject({ changed: true, stillOn: null });
    expect(await project.json("resume")).toMatchObject({ changed: false });
    writeFileSync(killFile(), "");
    expect((await drain()).json().waiting[0].why).toContain("no reason given");
  });

  it("of a freeze is off in the log too, where a thaw died behind its file", async () => {
    await begin({ qa: { sh: "echo ok" } });
    await project.json("freeze 'look at the bill'");
    rmSync(killFile());
    await project.json("thaw");
    const { items } = await project.json("log --kind event");
    const brakes = items.filter(({ op }: { op: string }) => /^dispatch\.(kill|resume)$/.test(op));
    expect(brakes.map(({ op }: { op: string }) => op)).toEqual(["dispatch.kill", "dispatch.resume"]);
  });

  it("that is taken off after a freeze leaves word that the agents still stand", async () => {
    await begin({ qa: { sh: "echo ok" } });
    await project.json("freeze");
    const { items } = await project.json("inbox");
    expect(items).toMatchObject([{ kind: "brake", command: "mu thaw -w shop" }]);
    const { frozen, nextSteps } = await project.json("resume");
    expect(frozen).toBe(true);
    expect(nextSteps[0]).toMatchObject({ command: "mu thaw -w shop" });
    expect(await project.json("thaw")).toMatchObject({ stillOn: null });
  });

  it("for the machine holds every workstream", async () => {
    await begin({ qa: { sh: "echo ok" } });
    await add("one", "qa");
    await project.json("kill --machine maintenance");
    expect((await drain()).json().waiting[0].why).toContain("maintenance");
    expect(await project.json("resume")).toMatchObject({ changed: false, stillOn: "maintenance" });
    await project.json("resume --machine");
    expect((await drain()).json().started.length).toBe(1);
  });
});

describe("a dispatcher", () => {
  it("is the only one of its workstream, and ends when it is asked to", async () => {
    await begin({ qa: { sh: "echo ok" } });
    const loop = project.start("dispatch --poll 0.1");
    const end = ended(loop);
    const said = new Promise<void>((resolve) =>
      loop.stderr?.on("data", (text) => /starts one/.test(String(text)) && resolve()),
    );
    await add("one", "qa");
    await said;
    const second = await project.mu("dispatch --json");
    expect(second.code).toBe(4);
    expect(second.fault().code).toBe("dispatch.runs_already");
    expect((await project.json("dispatch stop --drain")).stopped).toBe(true);
    expect(await end).toBe(0);
    expect((await task("one")).status).toBe("CLOSED");
    expect((await project.json("dispatch stop")).stopped).toBe(false);
  });

  it("that is killed loses no run: it goes on by itself, and the next dispatcher finds it", async () => {
    await begin({ qa: { sh: "echo working; while [ ! -f go ]; do sleep 0.05; done; echo '### DONE'" } });
    await add("long", "qa");
    const loop = project.start("dispatch --poll 0.1");
    await expect.poll(async () => (await runs("--state running")).length, { timeout: 10_000 }).toBe(1);
    await killed(loop);
    writeFileSync(join(project.project, "go"), "");
    expect((await drain()).code).toBe(0);
    expect((await runs()).map(endOf)).toEqual([["done", 1]]);
    expect((await task("long")).status).toBe("CLOSED");
  });

  it("closes the slots of its runs as it ends, but not one whose run goes on", async () => {
    await begin({ qa: { sh: "echo working; while [ ! -f go ]; do sleep 0.05; done; echo done", concurrency: 2 } });
    await add("long", "qa");
    const loop = project.start("dispatch --poll 0.1");
    await expect.poll(async () => (await runs("--state running")).length, { timeout: 10_000 }).toBe(1);
    await project.json("dispatch stop");
    await ended(loop);
    const slots = async () => (await project.json("agent list")).items.map(({ name }: { name: string }) => name);
    expect(await slots()).toEqual(["qa-1"]);
    writeFileSync(join(project.project, "go"), "");
    await add("next", "qa");
    expect((await drain()).code).toBe(0);
    expect(await slots()).toEqual([]);
    expect((await task("next")).owner).toMatch(/^qa-/);
    const { text } = (await project.json("log -n 0")).items.find(({ op }: { op: string }) => op === "dispatch.idle");
    expect(text).toMatch(/^closed the idle slots? /);
  });

  it("that is killed before its run has begun costs the task no attempt", async () => {
    await begin({ qa: { sh: "echo ok" } });
    await add("short", "qa");
    const loop = project.start("dispatch --poll 0.1");
    await new Promise<void>((resolve) =>
      loop.stderr?.on("data", (text) => /starts short/.test(String(text)) && resolve()),
    );
    await killed(loop);
    expect((await drain()).code).toBe(0);
    const ends: [string, number][] = (await runs()).map(endOf);
    expect(ends[0]).toEqual(["done", 1]);
    expect(ends.slice(1).every(([state]) => state === "cancelled")).toBe(true);
    expect(await task("short")).toMatchObject({ status: "CLOSED", attempts: 0 });
  });

  it("settles a run whose runner was killed, ends its program, and tries again", async () => {
    await begin({
      qa: { sh: `echo $$ > "pid-$MU_RUN_ID"; if [ $MU_RUN_ID = 1 ]; then exec sleep 600; fi; echo done` },
    });
    await add("shot", "qa");
    const loop = project.start("dispatch --poll 0.1");
    const pidFile = join(project.project, "pid-1");
    await expect.poll(() => existsSync(pidFile) && readFileSync(pidFile, "utf8"), { timeout: 10_000 }).toMatch(/\d/);
    const program = Number(readFileSync(pidFile, "utf8"));
    const runner = Number(/^\d+ \(.*\) \S (\d+)/.exec(readFileSync(`/proc/${program}/stat`, "utf8"))?.[1]);
    process.kill(runner, "SIGKILL");
    await expect.poll(async () => (await task("shot")).status, { timeout: 10_000 }).toBe("CLOSED");
    await project.json("dispatch stop");
    await ended(loop);
    expect((await runs()).map(({ state }: { state: string }) => state)).toEqual(["done", "lost"]);
    expect(isAlive(program)).toBe(false);
  });
});

describe("a run", () => {
  it("is cancelled with its program, and its task is free with no attempt counted", async () => {
    await begin({ qa: { sh: "echo working; exec sleep 600" } });
    await add("long", "qa");
    const loop = project.start("dispatch --poll 0.1");
    await expect.poll(async () => (await runs("--state running")).length, { timeout: 10_000 }).toBe(1);
    await project.json("kill 'stop here'");
    const { run } = await project.json("runs cancel 1");
    expect(run).toMatchObject({ state: "cancelled", task: "long" });
    expect(await task("long")).toMatchObject({ status: "OPEN", attempts: 0, owner: null });
    expect((await project.json("runs log 1")).text).toBe("working\n");
    expect((await project.json("runs cancel 1")).changed).toBe(false);
    await project.json("dispatch stop");
    await ended(loop);
  });

  it("keeps no secret of its environment, whether it prints one or answers with it", async () => {
    await begin({ qa: { sh: `echo "the key is $SHOP_API_KEY"; echo "again $SHOP_API_KEY" >&2` } });
    await add("leaky", "qa");
    expect((await project.mu("dispatch --once --json", { env: { SHOP_API_KEY: "s3cr3t-of-the-shop" } })).code).toBe(0);
    expect((await project.json("runs log 1")).text).toBe("the key is [redacted]\n");
    expect((await project.json("runs log 1 --stderr")).text).toBe("again [redacted]\n");
    const kept = spawnSync("grep", ["-rl", "s3cr3t-of-the-shop", project.folder], { encoding: "utf8" });
    expect(kept.stdout).toBe("");
  });
});

describe("what dispatches nothing", () => {
  it("is a project without roles, and it says what to do", async () => {
    await begin({});
    const { code, fault } = await drain();
    expect(code).toBe(4);
    expect(fault()).toMatchObject({
      code: "dispatch.no_roles",
      nextSteps: [{ command: "mu init" }, { command: "mu role list -w shop" }],
    });
  });

  it("says why each task waits", async () => {
    await begin({ qa: { sh: "echo ok" } });
    await add("ready", "qa");
    await add("later", "qa", "--blocked-by ready");
    await add("strange", "nobody");
    const found = await project.json("dispatch --explain");
    expect(found.starting).toEqual([{ task: "ready", role: "qa", agent: "qa-1" }]);
    expect(found.waiting.map(({ task: name, code }: Record<string, string>) => [name, code])).toEqual([
      ["later", "blocked"],
      ["strange", "unknown_role"],
    ]);
    expect((await runs()).length).toBe(0);
  });
});
