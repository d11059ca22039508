import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Home, newHome, outcome } from "../support/cli.js";
import { describeTmux } from "../support/tmux.js";

const TASKS = 10;
const PLAY = 180_000;

describeTmux("mu demo", () => {
  let home: Home;
  let env: Record<string, string>;
  beforeEach(() => {
    home = newHome();
    env = { TMUX_TMPDIR: join(home.folder, "sockets") };
    mkdirSync(join(home.folder, "sockets"), { mode: 0o700 });
  });
  afterEach(() => home.end());

  /** No folder, no socket, no process of a demo, and nothing in the user's own database. */
  function expectNothingLeft(attach: string) {
    const socket = /tmux -L (mu-demo-\w+) attach/.exec(attach)?.[1] ?? attach;
    expect(socket).toMatch(/^mu-demo-\w+$/);
    expect(readdirSync(home.folder).filter((name) => name.startsWith("mu-demo-"))).toEqual([]);
    const sockets = readdirSync(join(home.folder, "sockets"), { recursive: true, encoding: "utf8" });
    expect(sockets.filter((name) => name.includes("mu-demo"))).toEqual([]);
    expect(execFileSync("ps", ["-eo", "args"], { encoding: "utf8" })).not.toContain(socket);
    expect(readdirSync(home.folder)).not.toContain("state");
  }

  it("lands every task exactly once, foresees a clash, replaces an agent that crashes, and leaves nothing", {
    timeout: PLAY,
  }, async () => {
    const { code, stderr, json } = await home.mu("demo --json", { env });
    const played = json();
    const said = stderr.replace(/^.*\n/gm, (line) => `${JSON.parse(line).remark}\n`);
    expect(`${code} ${played.problems}`).toBe("0 ");
    expect(played).toMatchObject({ ok: true, kept: null, audit: { ok: true, tables: "same" } });

    expect(played.tasks).toHaveLength(TASKS);
    for (const { name, landings } of played.tasks) expect([name, landings]).toEqual([name, 1]);
    const returns = played.tasks.filter((task: { returns: number }) => task.returns > 0);
    expect(returns).toMatchObject([{ name: played.returned[0].task, returns: 1, closings: { length: 2 } }]);
    expect(["prices", "sketch"]).toContain(played.returned[0].task);
    expect(played.warnings[0]).toMatchObject({ paths: ["README.md"], agents: { length: 2 } });
    expect(played.warnings[0].agents).toContain(played.returned[0].agent);
    expect(played.main).toMatchObject({ clean: true, subjects: { length: TASKS } });
    expect(played.state.recentlyClosed.total).toBe(TASKS);
    expect(played.state.agents).toMatchObject(
      ["ann", "bob", "cleo"].map((name) => ({ name, cli: "player", status: "idle" })),
    );

    const [crash] = played.crashes;
    expect(played.crashes).toHaveLength(1);
    expect(crash).toMatchObject({ agent: "bob", lastWords: "FATAL ERROR: out of memory" });
    const [lost] = crash.tasks;
    const story = played.tasks.find((task: { name: string }) => task.name === lost);
    expect(story.claims.slice(0, 2)).toEqual(["bob", crash.takenOverBy[0]]);
    expect(played.permissions).toEqual([
      { agent: "ann", command: expect.stringMatching(/^git commit -m /), answer: "yes" },
    ]);
    expect(played.prompts.proved).toBe(played.prompts.sent);

    expect(said).toContain(`    ${played.attach}\n`);
    expect(said).toMatch(/ann +needs_permission: git commit/);
    const told = said.indexOf("will conflict in README.md");
    expect([told > 0, told < said.indexOf("landed ")]).toEqual([true, true]);
    expectNothingLeft(played.attach);
  });

  it("leaves repository, transcripts and database where --keep says", { timeout: PLAY }, async () => {
    const { code, stdout, stderr } = await home.mu("demo --keep kept", { env });
    expect(`${code} ${stderr.includes("mu: ")}`).toBe("0 false");
    expect(stdout).toContain("10 of 10 tasks landed on main exactly once");
    expectNothingLeft(stderr);

    const kept = join(home.project, "kept");
    expect(readdirSync(kept).sort()).toEqual(expect.arrayContaining(["mu.db", "repository", "transcripts"]));
    const authors = execFileSync("git", ["log", "--format=%an"], { cwd: join(kept, "repository"), encoding: "utf8" });
    expect(authors.trim().split("\n")).toHaveLength(TASKS + 1);
    expect(new Set(authors.trim().split("\n"))).toContain("cleo");
    const transcripts = readdirSync(join(kept, "transcripts")).filter((name) => name.endsWith(".log"));
    expect(transcripts).toHaveLength(4);
    const texts = transcripts.map((name) => readFileSync(join(kept, "transcripts", name), "utf8"));
    expect(texts.filter((text) => text.includes("FATAL ERROR"))).toHaveLength(1);

    const own = { MU_STATE_DIR: kept, MU_DB_PATH: join(kept, "mu.db") };
    expect((await home.mu("audit verify --tables --json", { env: own })).json()).toMatchObject({ ok: true });
    expect((await home.mu("agent list -w demo --json", { env: { ...own, ...env } })).json()).toMatchObject({
      count: 0,
    });
  });

  it("with --night lets roles work through eight tasks: one fails for good, one has no money left", {
    timeout: PLAY,
  }, async () => {
    const { code, stderr, json } = await home.mu("demo --night --json", { env });
    const { problems, night, audit, attach } = json();
    expect(`${code} ${problems}`).toBe("0 ");
    expect(night).toMatchObject({ runs: 10, spentUsd: 0.93, closed: { length: 6 }, unpaid: ["rivals"] });
    expect(night.held).toMatchObject([{ task: "flyer", hold: "escalated" }]);
    expect(night.report).toContain("mu task requeue demo/flyer");
    expect(audit).toMatchObject({ ok: true, tables: "same" });
    expect(stderr).toContain("press-1 starts flyer (run ");
    expectNothingLeft(attach);
  });

  it("with --job takes one job through six steps: its plan is refused once, its test fails once, its work lands", {
    timeout: PLAY,
  }, async () => {
    const { code, stderr, json } = await home.mu("demo --job --json", { env });
    const { problems, job, audit, attach, main } = json();
    expect(`${code} ${problems}`).toBe("0 ");
    expect(job.steps.map(({ step, runs }: { step: string; runs: number }) => `${step} ${runs}`).join()).toBe(
      "task 1,plan 4,work 4,update 1,upgrade 1,report 1",
    );
    expect(job).toMatchObject({ landed: true, refused: ["dark-mode-plan-review-1", "dark-mode-work-test-1"] });
    expect(job.report).toMatch(/^feat: add a dark mode\n/);
    expect(main.subjects).toHaveLength(4);
    expect(audit).toMatchObject({ ok: true, tables: "same" });
    expect(stderr).toContain("reviewer-1 fail dark-mode-plan-review-1");
    expectNothingLeft(attach);
  });

  it("cleans up when it is interrupted at work", { timeout: PLAY }, async () => {
    const child = home.start("demo", { env });
    let said = "";
    let isAsked = false;
    child.stderr?.on("data", (part) => {
      said += part;
      if (!isAsked && /claimed/.test(said)) isAsked = child.kill("SIGINT");
    });
    expect((await outcome(child)).code).toBe(130);
    expectNothingLeft(said);
  });

  it.each(["SIGTERM", "SIGHUP"] as const)("cleans up after %s", { timeout: PLAY }, async (signal) => {
    const child = home.start("demo", { env });
    let said = "";
    let isAsked = false;
    child.stderr?.on("data", (part) => {
      said += part;
      if (!isAsked && /is ready in its pane/.test(said)) isAsked = child.kill(signal);
    });
    await outcome(child);
    expectNothingLeft(said);
  });

  it("cleans up when nobody reads what it says any more", { timeout: PLAY }, async () => {
    const { stdout } = await home.sh("mu demo 2>&1 | head -3", { env });
    expect(stdout).toContain("Three scripted agents");
    expect(readdirSync(home.folder).filter((name) => name.startsWith("mu-demo-"))).toEqual([]);
    expect(readdirSync(join(home.folder, "sockets"), { recursive: true, encoding: "utf8" }).join()).not.toContain(
      "mu-demo",
    );
    expect(execFileSync("ps", ["-eo", "args"], { encoding: "utf8" })).not.toContain(join(home.folder, "mu-demo-"));
  });

  it("never writes into a folder that holds something", async () => {
    mkdirSync(join(home.project, "full"));
    writeFileSync(join(home.project, "full", "mine"), "");
    const { code, fault } = await home.mu("demo --keep full --json", { env });
    expect([code, fault().code]).toEqual([4, "demo.folder_not_empty"]);
    expect(readdirSync(join(home.project, "full"))).toEqual(["mine"]);
  });
});
