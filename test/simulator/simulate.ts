import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commandHeadless } from "../../src/agents/clis/command-result.js";
import { type Caller, requireActiveRun } from "../../src/agents/identity.js";
import type { Reader } from "../../src/db/schema.js";
import type { Store } from "../../src/db/store.js";
import { withParts } from "../../src/db/store.js";
import { write } from "../../src/db/write.js";
import { putBrakeOn, takeBrakeOff } from "../../src/dispatch/brake.js";
import { type DispatchWorld, explain } from "../../src/dispatch/dispatch.js";
import { listEscalations, requeueTask } from "../../src/dispatch/escalation.js";
import { brakeReason, type Scene } from "../../src/dispatch/facts.js";
import { dispatchLoop } from "../../src/dispatch/loop.js";
import { asFault, Fault } from "../../src/errors.js";
import type { Life } from "../../src/processes.js";
import { DEFAULT_ROLE, DEFAULT_SETTINGS, type ProjectSettings, type Role } from "../../src/project/settings.js";
import { billOf } from "../../src/runs/bill.js";
import { type Ending, outputPath, prepareRunFolder, runFolder, saveEnding } from "../../src/runs/files.js";
import { judge } from "../../src/runs/judge.js";
import { keptOf, takeOver } from "../../src/runs/perform.js";
import { MICROS, type RunRow } from "../../src/runs/run.js";
import { settleRun } from "../../src/runs/settle.js";
import { legalVerdicts } from "../../src/runs/verdict.js";
import { addTask, addTaskIn } from "../../src/tasks/add.js";
import { closeTask } from "../../src/tasks/lifecycle.js";
import { taskRow } from "../../src/tasks/task.js";
import { updateTask } from "../../src/tasks/update.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import { type Chance, chanceOf, FAULTS, type FaultName } from "./chance.js";
import { NightJob } from "./jobs.js";
import { Oracle, type Program, Violation } from "./oracle.js";
import { openEmpty } from "./store.js";
import { type Actor, Timeline } from "./timeline.js";

/** How one seed ended. */
export interface Story {
  seed: number;
  /** What must never be and was; undefined if all went well. */
  problem: string | undefined;
  faults: FaultName[];
  tasks: number;
  runs: number;
  /** Tasks that steps of jobs consisted of. */
  parts: number;
  /** How often a process was killed. */
  kills: number;
  /** Simulated. */
  hours: number;
  /** The same for two runs that were the same. */
  digest: string;
}

const NAME = "w";
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** So long the crew has to finish once nothing goes wrong any more, in ms. */
const PATIENCE = 40 * 24 * HOUR;
/** What tasks declare that they change: some of it overlaps. */
const TOUCHES = [["a/**"], ["a/b/**"], ["a/c.ts"], ["d/**"], ["a/b/e.ts", "d/e.ts"]];

/** A night of a crew whose agents, clock and accidents all follow from the seed; then a time without accidents. */
export async function simulate(seed: number, { tasks }: { tasks: number }): Promise<Story> {
  const base = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const folder = mkdtempSync(join(base, "mu-sim-"));
  const store = await openEmpty();
  try {
    return await new Simulation(seed, tasks, folder, store).play();
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

class Simulation {
  readonly #chance: Chance;
  readonly #faults: ReadonlySet<FaultName>;
  readonly #timeline: Timeline;
  readonly #oracle: Oracle;
  readonly #programs = new Map<number, Program>();
  readonly #actors: Actor[] = [];
  readonly #watchers = new Set<{ actor: Actor; isTold: boolean; onChange: () => void }>();
  readonly #stop = new AbortController();
  readonly #pollMs: number;
  /** How long a dispatcher is busy elsewhere at most before it hears of a change. */
  readonly #lagMs: number;
  /** The project's folder; without one there are no files for people. */
  readonly #root: string | undefined;
  readonly #job: NightJob | undefined;
  #settings: ProjectSettings;
  #scene: Scene | undefined;
  #commits = 0;
  #kills = 0;
  #isHealthy = false;
  #children = 0;
  #over = false;

  constructor(
    readonly seed: number,
    readonly tasks: number,
    readonly folder: string,
    readonly store: Store,
  ) {
    this.#chance = chanceOf(seed);
    const part = this.#chance.of([0.15, 0.4, 0.7]);
    this.#faults = new Set(FAULTS.filter(() => this.#chance.in(part)));
    const hour = this.#faults.has("midnight") ? "23:40" : "09:00";
    this.#timeline = new Timeline(Date.parse(`2027-03-01T${hour}:00Z`));
    this.#settings = this.#chosenSettings();
    this.#lagMs = this.#chance.of([200, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE]);
    this.#pollMs = this.#chance.of([15 * MINUTE, HOUR]);
    this.#root = this.#chance.in(0.2) ? folder : undefined;
    const job = { workstream: NAME, name: "job" };
    this.#job = this.#chance.in(0.4) ? new NightJob(job, folder, this.#settings, this.#chance) : undefined;
    this.#oracle = new Oracle({
      store,
      killFile: this.#root === undefined ? join(folder, "kill_switch") : join(folder, ".mu", "kill_switch"),
      max: 6,
      settings: () => this.#settings,
      programs: this.#programs,
    });
  }

  async play(): Promise<Story> {
    const begin = this.#timeline.now;
    let problem: string | undefined;
    try {
      await this.#begin();
      await this.#timeline.run(() => this.#afterStep());
      await this.#oracle.end();
    } catch (error) {
      problem = error instanceof Violation ? error.message : String((error as Error).stack ?? error);
    }
    const { db } = this.store;
    const events = await db.selectFrom("events").select(["at", "actor", "op", "subject"]).orderBy("n").execute();
    const hash = createHash("sha256").update(JSON.stringify(events));
    const { runs, tasks, parts } = this.#oracle;
    return {
      ...{ seed: this.seed, problem, faults: [...this.#faults], tasks, runs, parts },
      ...{ kills: this.#kills, hours: Math.round((this.#timeline.now - begin) / HOUR) },
      digest: hash.digest("hex").slice(0, 12),
    };
  }

  #has(fault: FaultName, part: number): boolean {
    return !this.#isHealthy && this.#faults.has(fault) && this.#chance.in(part);
  }

  #chosenSettings(): ProjectSettings {
    const chance = this.#chance;
    const role = (name: string, given: Partial<Role>): [string, Role] => [
      name,
      {
        ...DEFAULT_ROLE,
        ...{ name, cli: "command", reservationUsd: chance.of([0.05, 0.1, 0.2]), timeoutSeconds: 1800 },
        dailyCapUsd: chance.in(0.6) ? chance.of([1, 2, 3.3]) : null,
        ...given,
      },
    ];
    return {
      ...DEFAULT_SETTINGS,
      dispatch: {
        ...DEFAULT_SETTINGS.dispatch,
        reportHours: chance.in(0.1) ? 6 : 0,
        maxChildrenPerRun: 2,
        maxDepth: 2,
      },
      notifications: { ...DEFAULT_SETTINGS.notifications, desktop: false, bell: false },
      roles: Object.fromEntries([
        role("code", { access: "full", workspace: chance.in(0.5), concurrency: chance.whole(1, 3) }),
        role("edit", { access: "full", workspace: false, concurrency: 2 }),
        role("qa", { access: "read-only", workspace: false, concurrency: chance.whole(1, 4) }),
        ...["builder", "tester"].map((name) => role(name, { access: "full", concurrency: chance.whole(1, 3) })),
        ...["reviewer", "router", "merger"].map((name) => role(name, { access: "read-only", workspace: false })),
      ]),
      budget: { projectCeilingUsd: chance.in(0.5) ? chance.of([3, 5]) : null, softCapRatio: 0.8 },
    };
  }

  async #begin(): Promise<void> {
    const chance = this.#chance;
    const author = this.#actor("author");
    const length = Math.max(5, this.tasks - (this.#job?.size ?? 0));
    const tasks = Array.from({ length }, (_, n) => ({
      ...{ name: `t${n}`, title: `Task ${n}`, priority: chance.whole(1, 9), maxRetries: chance.whole(0, 3) },
      ...chance.of([{ role: "code" }, { role: "edit" }, { role: "qa" }, { role: "qa", kind: "review" }]),
      blockedBy: n > 0 && chance.in(0.5) ? [`t${chance.whole(Math.max(0, n - 12), n - 1)}`] : [],
      ...(this.#faults.has("budget") && chance.in(0.3) && { budgetUsd: chance.of([0.15, 0.3, 0.5]) }),
      ...(this.#faults.has("contest") && chance.in(0.5) && { touches: chance.of(TOUCHES) }),
    }));
    const context = { store: this.store, clock: this.#timeline.clockOf(author), actor: "author" };
    await initWorkstream(context, NAME, { root: this.#root });
    await write(context, { op: "task.add", scope: NAME, subject: NAME }, async (tx) => {
      for (const task of tasks) await addTaskIn(tx, NAME, task);
    });
    await this.#job?.begin(context);
    const { id, name, root } = await workstreamRow(this.store.db, NAME);
    await this.#oracle.look();
    this.#scene = { workstream: { id, name, root }, settings: this.#settings, stateDir: this.folder, max: 6 };
    this.#startDispatcher(1_000);
    const night = chance.whole(2, 10) * HOUR;
    const person = this.#actor("person");
    this.#timeline.start(person, 0, () => this.#person(person, this.#timeline.now + night));
    if (this.#faults.has("twin")) {
      const job = this.#job && (await taskRow(this.store.db, this.#job.ref)).id;
      for (let n = 0; n < 4; n++) {
        this.#startDispatcher(chance.whole(0, night), { once: true, job: chance.in(0.5) ? job : undefined });
      }
    }
    if (this.#faults.has("clock_jump")) {
      const clock = this.#actor("clock");
      for (let n = chance.whole(1, 3); n > 0; n--) {
        const by = chance.of([-40 * MINUTE, -5 * MINUTE, 10 * MINUTE, 3 * HOUR, 26 * HOUR]);
        this.#timeline.soon(clock, chance.whole(0, night), () => {
          this.#timeline.skew += by;
        });
      }
    }
  }

  /** After every step: what must hold, and whether it is over. */
  async #afterStep(): Promise<boolean> {
    if (this.#commits === 0) return this.#over;
    this.#commits = 0;
    await this.#oracle.look();
    return this.#over;
  }

  #actor(name: string): Actor {
    const actor = { name, identity: `${this.#actors.length + 2} 1 simulated`, isAlive: true };
    this.#actors.push(actor);
    return actor;
  }

  /** A world in which an actor can be killed, or overtaken, before and after everything that it does. */
  #worldOf(actor: Actor, gate: () => Promise<void>, job?: number): DispatchWorld & { life: Life } {
    const store = withParts(this.store, {
      write: async (work, options) => {
        await gate();
        const before = await this.store.write(work, options);
        this.#commits++;
        if (!this.#faults.has("no_watch")) this.#tellWatchers();
        await gate();
        return before;
      },
      watch: (onChange) => {
        const watcher = { actor, isTold: false, onChange };
        this.#watchers.add(watcher);
        return () => this.#watchers.delete(watcher);
      },
    });
    const context = { store, clock: this.#timeline.clockOf(actor), actor: actor.name };
    const life: Life = {
      identity: () => actor.identity,
      isAlive: (identity) => this.#actors.some((one) => one.isAlive && one.identity === identity),
      endMarked: async (marks) => {
        await gate();
        for (const program of this.#programs.values()) {
          if (marks.includes(`MU_RUN_ID=${program.run}`)) program.isRunning = false;
        }
        await gate();
      },
    };
    return {
      ...{ context, life, exec: undefined as never, tmux: undefined as never, databaseEnv: {}, env: {} },
      ...{ stateDir: this.folder, transport: "child" },
      scene: async () => ({ ...(this.#scene as Scene), settings: this.#settings, job }),
      launch: async (run) => {
        await gate();
        const fails = this.#has("launch_fails", 0.1);
        if (!fails || this.#chance.in(0.5)) this.#startRunner(run);
        await gate();
        if (fails) throw new Fault("unavailable", "tmux.failed", "the pane is not there");
      },
    };
  }

  #tellWatchers(): void {
    for (const watcher of this.#watchers) {
      if (watcher.isTold || !watcher.actor.isAlive) continue;
      watcher.isTold = true;
      this.#timeline.soon(watcher.actor, this.#chance.whole(1, this.#lagMs), () => {
        watcher.isTold = false;
        watcher.onChange();
      });
    }
  }

  /** Where an actor may be overtaken by the others, or killed. */
  #gateOf(actor: Actor, isKilled: () => boolean, onKill: () => void): () => Promise<void> {
    return async () => {
      if (isKilled()) {
        this.#kills++;
        onKill();
        await this.#timeline.die(actor);
      }
      if (!this.#isHealthy && this.#chance.in(0.3)) await this.#timeline.pause(actor, this.#chance.whole(0, 1_500));
    };
  }

  #startDispatcher(inMs: number, { once = false, job }: { once?: boolean; job?: number | undefined } = {}): void {
    const actor = this.#actor("dispatcher");
    let steps = this.#faults.has("kill_dispatcher") ? this.#chance.whole(1, 80) : Number.POSITIVE_INFINITY;
    const again = () => {
      if (!once) this.#startDispatcher(this.#chance.whole(500, 3 * MINUTE));
    };
    const gate = this.#gateOf(actor, () => !this.#isHealthy && --steps === 0, again);
    const world = this.#worldOf(actor, gate, job);
    this.#timeline.start(actor, inMs, async () => {
      const { signal } = this.#stop;
      try {
        await dispatchLoop(world, { once, pollMs: this.#pollMs, signal, say: () => {} });
      } catch (error) {
        if (asFault(error).code !== "dispatch.runs_already") throw error;
        again();
      }
    });
  }

  #startRunner(run: RunRow): void {
    const actor = this.#actor(run.agent);
    let program: Program | undefined;
    const isKilled = () => this.#has("kill_runner", 0.08);
    const gate = this.#gateOf(actor, isKilled, () => {
      if (program?.isRunning) this.#orphan(run, program);
    });
    const world = this.#worldOf(actor, gate);
    const late = this.#has("slow_start", 0.3) ? this.#chance.whole(20_000, 200_000) : this.#chance.whole(200, 3_000);
    this.#timeline.start(actor, late, async () => {
      const own = await takeOver(world, run);
      if (own === undefined) return;
      const kind = await this.#kindOf(run);
      const act = this.#actOf(run, kind);
      const began: Program = { run: run.id, task: run.task, isRunning: true, ...act.truth, kept: "nothing" };
      program = began;
      this.#programs.set(run.id, began);
      this.#keep(run, began, "part", "");
      await this.#timeline.pause(actor, act.ms / 2);
      await gate();
      await this.#meanwhile(actor, run, act);
      await this.#timeline.pause(actor, act.ms / 2);
      await gate();
      if (!began.isRunning) return this.#timeline.die(actor);
      began.isRunning = false;
      const ending: Ending = { ...act.ending, endedAt: world.context.clock.now().toISOString() };
      this.#keep(run, began, "all", act.stdout);
      await gate();
      await this.#keepEnding(run, began, ending);
      const { stdout, stderr } = act;
      const report = commandHeadless.read({ stdout, stderr, exitCode: ending.exitCode, ...endOf(ending) });
      await settleRun(world.context, own, {
        outcome: judge(report, ending, kind),
        bill: await billOf(world, own, [report]),
        ...{ exitCode: ending.exitCode, sessionRef: null, answer: report.text },
      });
    });
  }

  /** A program whose runner was killed goes on by itself, unless somebody ends it; what it left running may still write. */
  #orphan(run: RunRow, program: Program): void {
    const actor = this.#actor(`orphan of ${run.id}`);
    this.#timeline.start(actor, this.#chance.whole(0, 20 * MINUTE), async () => {
      program.isRunning = false;
      if (this.#has("adds_tasks", 0.5)) await this.#meanwhile(actor, run, { does: "add" });
    });
  }

  #keep(run: RunRow, program: Program, kept: Program["kept"], stdout: string): void {
    const place = keptOf(this.folder, run);
    if (kept === "part") prepareRunFolder(place);
    writeFileSync(outputPath(place, "stdout"), stdout);
    program.kept = kept;
  }

  async #keepEnding(run: RunRow, program: Program, ending: Ending): Promise<void> {
    const place = keptOf(this.folder, run);
    if (this.#has("torn_result", 0.3)) {
      writeFileSync(join(runFolder(place), "1.json"), JSON.stringify(ending).slice(0, 9));
      return;
    }
    if (this.#faults.has("kill_runner")) await saveEnding(place, ending);
    program.kept = "all and its end";
  }

  async #kindOf({ task_id }: RunRow): Promise<string> {
    const { db } = this.store;
    return (await db.selectFrom("tasks").select("kind").where("id", "=", task_id).executeTakeFirstOrThrow()).kind;
  }

  /** What the agent of a run does. */
  #actOf({ reserved_micros }: RunRow, kind: string): Act {
    const chance = this.#chance;
    const ms = chance.whole(MINUTE, 25 * MINUTE);
    const cost = this.#has("overspend", 0.1) ? reserved_micros * 4 : chance.whole(0, reserved_micros);
    const isUnknown = this.#has("unknown_cost", 0.3);
    const ends = legalVerdicts(kind).filter((verdict) => verdict !== "blocked");
    const act = (result: Record<string, unknown>, given: Partial<Act> = {}): Act => {
      const { exitCode = 0, timedOut = false } = given.ending ?? {};
      const isGood = exitCode === 0 && !timedOut && ends.includes(String(result["verdict"]));
      return {
        ...{ ms, stderr: "", does: null },
        ending: { exitCode, timedOut, interrupted: false },
        stdout: `${JSON.stringify({ ...result, ...(!isUnknown && { cost_usd: cost / MICROS }) })}\n`,
        ...given,
        truth: { cost: isUnknown ? null : cost, isGood },
      };
    };
    const failed = { exitCode: 1, timedOut: false, interrupted: false };
    const [word] = ends;
    if (this.#has("crash", 0.3)) return act({ text: "half of it" }, { ending: failed });
    if (this.#has("hang", 0.15)) {
      const ending = { exitCode: null, timedOut: true, interrupted: false };
      return act({ text: "thinking" }, { ms: 1800 * 1000, ending });
    }
    if (this.#has("silence", 0.2)) return act({ text: "" });
    if (this.#has("rate_limit", 0.15)) {
      return act(
        { text: "" },
        { ending: failed, stderr: `429 too many requests, retry-after: ${chance.whole(60, 7200)}` },
      );
    }
    if (this.#has("no_login", 0.05)) return act({}, { ending: failed, stderr: "401 unauthorized" });
    if (this.#has("blocked", 0.1)) return act({ verdict: "blocked", text: "which one?" });
    const isRefused = ends.includes("fail") && !this.#isHealthy && chance.in(this.#job?.refusals ?? 0);
    if (isRefused) return act({ verdict: "fail", text: "not yet" });
    if (this.#has("prose", 0.3)) return act({ text: chance.of(["It looks fine.", "> ### FAIL", '"verdict": "pass"']) });
    if (this.#has("wrong_verdict", 0.3)) return act({ verdict: chance.of(["maybe", "fail", ""]), text: "hm" });
    if (this.#has("closes_itself", 0.1)) return act({ text: "closed" }, { does: "close", ending: failed });
    if (this.#has("adds_tasks", 0.2)) return { ...act({ text: "more", verdict: word }), does: "add" };
    return act({ text: "made it", verdict: word });
  }

  /** What an agent does with mu in the middle of its run. */
  async #meanwhile(actor: Actor, { id, agent, agent_id, task }: RunRow, { does }: Pick<Act, "does">): Promise<void> {
    if (does === null) return;
    const { maxChildrenPerRun: children, maxDepth: depth } = this.#settings.dispatch;
    const caller = { run: id, incarnation: agent_id, name: agent } as Caller;
    const acting = { id, requireActive: (db: Reader) => requireActiveRun(db, caller), limits: { children, depth } };
    const clock = this.#timeline.clockOf(actor);
    const context = { store: this.store, clock, actor: agent, incarnation: agent_id, run: acting };
    if (does === "close") {
      const ref = { workstream: NAME, name: task };
      const closing = await closeTask(context, ref, { agent, incarnation: agent_id }).catch(ignoreFault);
      if (closing !== undefined) this.#oracle.closedByItself(task);
    }
    for (let more = does === "add" ? this.#chance.whole(1, 3) : 0; more > 0 && this.#children < 10; more--) {
      const name = `c${this.#children + 1}`;
      const role = this.#chance.of(["code", "qa"]);
      const added = await addTask(context, NAME, { name, title: `Child ${name}`, role }).catch(ignoreFault);
      if (added !== undefined) this.#children++;
    }
    this.#commits++;
    if (!this.#faults.has("no_watch")) this.#tellWatchers();
  }

  /** Goes by now and then; after the night nothing goes wrong any more, and the person helps until all is done. */
  async #person(actor: Actor, morning: number): Promise<void> {
    const world = this.#worldOf(actor, async () => {});
    const scene = this.#scene as Scene;
    while (this.#timeline.now < morning && !this.#oracle.isDone) {
      const resumed = this.#job && this.#chance.in(0.5) ? await this.#job.meddle(world.context) : undefined;
      if (resumed !== undefined) this.#oracle.requeued(resumed);
      await this.#timeline.pause(actor, this.#chance.whole(5 * MINUTE, 90 * MINUTE));
      if (this.#has("person", 0.3)) await this.#brake(putBrakeOn(world, scene, "lunch"), true);
      if (this.#has("person", 0.7)) await this.#brake(takeBrakeOff(world, scene), false);
      if (this.#has("person", 0.3)) await this.#requeueHeld(world, 2);
      if (this.#has("person", 0.2)) this.#raiseCaps();
    }
    this.#isHealthy = true;
    const end = this.#timeline.now + PATIENCE;
    while (!this.#oracle.isDone) {
      if (this.#timeline.now > end) throw new Violation(`starved: ${await this.#whyNot(world)}`);
      if (brakeReason(scene) !== null) await this.#brake(takeBrakeOff(world, scene), false);
      if (this.#oracle.isAnyHeld) await this.#requeueHeld(world, 1_000);
      if (this.#faults.has("budget")) await this.#raiseBudgets(world);
      await this.#timeline.pause(actor, 20 * MINUTE);
    }
    this.#stop.abort();
    this.#over = true;
  }

  async #brake(done: Promise<boolean>, isOn: boolean): Promise<void> {
    if (await done) this.#oracle.braked(isOn);
  }

  async #requeueHeld(world: DispatchWorld, most: number): Promise<void> {
    for (const { task } of (await listEscalations(this.store.db, this.#scene as Scene)).slice(0, most)) {
      const requeued = await requeueTask(world.context, { workstream: NAME, name: task }, { person: "person" }, {});
      if (requeued.changed) this.#oracle.requeued(task);
    }
  }

  async #raiseBudgets(world: DispatchWorld): Promise<void> {
    const { wait } = await explain(world);
    for (const { task } of wait.filter(({ code }) => code === "task_budget"))
      await updateTask(world.context, { workstream: NAME, name: task }, { budgetUsd: 10 });
  }

  #raiseCaps(): void {
    const more = (cap: number | null) => cap && cap + 1;
    const roles = Object.entries(this.#settings.roles).map(([name, role]) => [
      name,
      { ...role, dailyCapUsd: more(role.dailyCapUsd) },
    ]);
    const { budget } = this.#settings;
    this.#settings = {
      ...this.#settings,
      roles: Object.fromEntries(roles),
      budget: { ...budget, projectCeilingUsd: more(budget.projectCeilingUsd) },
    };
  }

  async #whyNot(world: DispatchWorld): Promise<string> {
    const { start, wait } = await explain(world);
    return JSON.stringify({
      start: start.map(({ task }) => task),
      wait: wait.map(({ task, why }) => `${task}: ${why}`),
    });
  }
}

interface Act {
  ms: number;
  stdout: string;
  stderr: string;
  ending: Ending;
  does: "close" | "add" | null;
  truth: Pick<Program, "cost" | "isGood">;
}

const endOf = ({ endedAt }: Ending) => (endedAt === undefined ? {} : { endedAt: new Date(endedAt) });

function ignoreFault(error: unknown): undefined {
  if (!(error instanceof Fault)) throw error;
  return undefined;
}
