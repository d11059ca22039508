import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FlowNode } from "../../src/flow/advance.js";
import { advanceIntake, beginIntake, chooseIntake, INTAKE_KINDS, type IntakeFlow } from "../../src/flow/intake.js";
import { classify, type MonitorEvent, OUTCOME_OF, type RuntimeStatus } from "../../src/jobs/intake/status.js";
import { DEFAULT_MODE, parseDecision } from "../../src/jobs/intake/turns.js";

const PROOF = { kind: "arbiter_complete", workspace: "shop", reason: "all there", task: "x-verify-1", run: 4 };

/** An intake in whose first task somebody works. */
const status = (given: Partial<RuntimeStatus>): RuntimeStatus => ({
  ...{ workspace: "shop", root: "x", process_running: true, runtime_ownership_lock: "active", active_stage: "build" },
  ...{ active_run_count: 1, execution_queue_depth: 0, planning_queue_depth: 0, learning_queue_depth: 0 },
  ...{ blocked_idle: false, current_failure_class: null, closure_target_root_spec_id: "x", closure_target_open: true },
  ...{ last_terminal_stage: null, evidence: [], ...given },
});
const idle = { active_stage: "none", active_run_count: 0 };

describe("what a status means to whoever waits", () => {
  const rows: [string, Partial<RuntimeStatus>, MonitorEvent["kind"] | undefined, string?][] = [
    ["nothing while somebody works", {}, undefined],
    ["nothing while work is queued and a dispatcher runs", { ...idle, execution_queue_depth: 1 }, undefined],
    ["blocked: a failure class", { current_failure_class: "tests_failing" }, "blocked", "tests_failing"],
    ["blocked: idle", { blocked_idle: true }, "blocked", "blocked idle"],
    ["a restart: queued work that nothing runs", { process_running: false, planning_queue_depth: 1 }, "restart_needed"],
    [
      "a restart, and that the lock is stale",
      { process_running: false, execution_queue_depth: 1, runtime_ownership_lock: "stale" },
      "restart_needed",
      "work is queued and nothing runs it, and what a dispatcher left is stale",
    ],
    ["completed: evidence", { evidence: [PROOF] }, "arbiter_complete", "all there"],
    ["completed: its closure target is closed", { closure_target_open: false }, "arbiter_complete", "x is closed"],
    ["progress: a stage has ended, others go on", { last_terminal_stage: "build x-build-1" }, "stage_progress"],
    ["drained without evidence", { ...idle, last_terminal_stage: "build x-build-1" }, "idle_no_work"],
    ["crashed: runs that nothing runs", { process_running: false }, "crashed"],
  ];
  it.each(rows)("%s", (_title, given, kind, reason) => {
    const event = classify(status(given), { notify: true, seen: new Set() });
    expect(event?.kind).toBe(kind);
    if (reason !== undefined) expect(event).toEqual({ kind, workspace: "shop", reason });
  });

  it("tells a step once, and none where nobody wants to hear of it", () => {
    const at = status({ last_terminal_stage: "build x-build-1" });
    expect(classify(at, { notify: true, seen: new Set(["build x-build-1"]) })).toBeUndefined();
    expect(classify(at, { notify: false, seen: new Set() })).toBeUndefined();
  });

  it("takes the first row that applies, for every pair of them", () => {
    const order: Partial<RuntimeStatus>[] = [
      { blocked_idle: true },
      { process_running: false, execution_queue_depth: 2 },
      { evidence: [PROOF] },
      { closure_target_open: false },
      { last_terminal_stage: "build x-build-1" },
      { process_running: false, active_run_count: 1 },
    ];
    const kinds = order.map((one) => classify(status(one), { notify: true, seen: new Set() })?.kind);
    for (const [at, first] of order.entries())
      for (const later of order.slice(at + 1)) {
        const event = classify(status({ ...later, ...first }), { notify: true, seen: new Set() });
        expect(event?.kind).toBe(kinds[at]);
      }
  });

  it("has an outcome for every event that ends the wait, and completed for one alone", () => {
    const completed = Object.entries(OUTCOME_OF).filter(([, outcome]) => outcome === "completed");
    expect(completed).toEqual([["arbiter_complete", "completed"]]);
  });
});

describe("what a text is", () => {
  it.each([
    ["Fix src/cart.ts and its test in test/cart.test.ts", "task", "high"],
    ["Find out why the large existing codebase starts so slowly", "probe", "high"],
    ["It is unclear which files are affected by the new tax", "probe", "medium"],
    ["Refactor the store", "probe", "medium"],
    ["Keep compatibility with the old API everywhere", "probe", "medium"],
    ["Build a new dashboard for operators", "idea", "high"],
    ["Rename total in src/cart.ts", "task", "medium"],
    ["Make it nicer", "probe", "low"],
  ] as const)("%s: %s", (text, kind, confidence) => {
    expect(chooseIntake(text)).toMatchObject({ kind, confidence });
  });

  it("is what the caller says, then what the agent decided", () => {
    const text = "Refactor the store";
    expect(chooseIntake(text, { forced: "idea", decided: "task" })).toMatchObject({ kind: "idea", confidence: "high" });
    expect(chooseIntake(text, { decided: "task" })).toMatchObject({ kind: "task", confidence: "medium" });
    expect(chooseIntake("Make it nicer").signals).toEqual(["uncertain delegated repo work"]);
  });
});

describe("how an intake goes on", () => {
  /** Plays an intake to its end; `verdicts` and `filed` say what comes of its tasks. */
  function play(kind: IntakeFlow["kind"], tests: number, verdicts: readonly string[], filed: number, base = 0) {
    const nodes: FlowNode[] = [];
    let made = 0;
    const add = ({ kind: of, round, index }: Pick<FlowNode, "kind" | "round" | "index">) =>
      nodes.push({ name: `n${++made}`, kind: of, round, index, state: "open", verdict: null });
    add({ ...beginIntake(kind), round: base + 1 });
    for (let ended = 0; ended < 1_000; ended++) {
      const node = nodes.find(({ state }) => state === "open");
      if (node === undefined) throw new Error("nothing is left, and it has no end");
      node.state = "done";
      node.verdict = verdicts[ended % verdicts.length] ?? "pass";
      const known = nodes.map(({ name }) => name);
      const move = advanceIntake({ kind, limits: { tests }, base, nodes }, node);
      for (const next of move.add) {
        for (const name of next.after) expect(known).toContain(name);
        add(next);
      }
      if (move.adopt) for (let index = 1; index <= Math.max(1, filed); index++) add({ kind: "build", round: 1, index });
      const ends = [move.close, move.hold, move.followUp].filter(Boolean);
      expect(ends.length).toBeLessThanOrEqual(1);
      if (ends.length === 1) {
        expect(move.add).toEqual([]);
        return { move, nodes, ended: ended + 1 };
      }
      if (move.add.length === 0 && !move.adopt) expect(nodes.some(({ state }) => state === "open")).toBe(true);
    }
    throw new Error("it has no end");
  }

  it("always comes to an end, in as many steps as the limit allows", () => {
    fc.assert(
      fc.property(
        ...[fc.constantFrom(...INTAKE_KINDS), fc.integer({ min: 0, max: 6 })],
        ...[
          fc.array(fc.constantFrom("pass", "fail", "done"), { minLength: 1, maxLength: 20 }),
          fc.integer({ min: 0, max: 5 }),
        ],
        (kind, tests, verdicts, filed) => {
          const { ended } = play(kind, tests, verdicts, filed);
          expect(ended).toBeLessThanOrEqual(2 + filed + 3 * Math.max(1, tests));
        },
      ),
    );
  });

  it("closes only what a verify has passed", () => {
    fc.assert(
      fc.property(
        ...[fc.constantFrom("idea", "task"), fc.integer({ min: 0, max: 4 })],
        fc.array(fc.constantFrom("pass", "fail"), { minLength: 1, maxLength: 20 }),
        (kind, tests, verdicts) => {
          const { move, nodes } = play(kind as "idea" | "task", tests, verdicts, 2);
          const last = nodes.at(-1);
          expect(move.close === "verified").toBe(last?.kind === "verify" && last.verdict === "pass");
        },
      ),
    );
  });

  it("builds, tests, verifies a task; a failed test or check has it built again", () => {
    const kinds = (of: ReturnType<typeof play>) => of.nodes.map(({ kind, round }) => `${kind} ${round}`);
    expect(kinds(play("task", 3, ["pass"], 0))).toEqual(["build 1", "test 1", "verify 1"]);
    expect(kinds(play("task", 0, ["pass"], 0))).toEqual(["build 1", "verify 1"]);
    const held = play("task", 2, ["fail"], 0);
    expect(kinds(held)).toEqual(["build 1", "test 1", "build 2", "test 2"]);
    expect(held.move.hold).toEqual({ outcome: "tests_failing", reason: "The tests still fail after 2 rounds." });
    expect(play("task", 0, ["done", "fail"], 0).move.hold?.outcome).toBe("not_verified");
    expect(kinds(play("probe", 2, ["done"], 0))).toEqual(["recon 1"]);
    expect(kinds(play("idea", 2, ["pass"], 3))).toEqual(["decompose 1", "build 1", "build 1", "build 1", "verify 1"]);
  });

  it("waits for a person where its verify was given up: nobody has verified it", () => {
    const nodes: FlowNode[] = [{ name: "v", kind: "verify", round: 1, index: 1, state: "dropped", verdict: null }];
    const { hold } = advanceIntake(
      { kind: "task", limits: { tests: 3 }, base: 0, nodes },
      { kind: "verify", round: 1 },
    );
    expect(hold?.outcome).toBe("not_verified");
  });

  it("goes on only when all of a round has ended", () => {
    const nodes: FlowNode[] = [1, 2].map((index) => ({
      ...{ name: `n${index}`, kind: "build", round: 1, index, verdict: null },
      state: index === 1 ? "done" : "open",
    }));
    const at: IntakeFlow = { kind: "idea", limits: { tests: 2 }, base: 0, nodes };
    expect(advanceIntake(at, { kind: "build", round: 1 })).toEqual({ add: [] });
    const both = nodes.map((node, at): FlowNode => ({ ...node, state: at === 0 ? "done" : "dropped" }));
    expect(advanceIntake({ ...at, nodes: both }, { kind: "build", round: 1 })).toEqual({
      add: [{ kind: "verify", round: 1, index: 1, after: ["n1"] }],
    });
  });
});

describe("what an agent decided", () => {
  const json =
    '{"decision":"millrace","intake_kind":"idea","why":"big","mode":"deep_pi","signals":["a",1],"notes":"n"}';
  const read = { route: "millrace", intake_kind: "idea", why: "big", mode: "deep_pi", signals: ["a"], notes: "n" };

  it.each([
    ["an object", json],
    ["an object in a fence, before another one", `{"decision":"direct"}\n\`\`\`json\n${json}\n\`\`\`\nDone.`],
    ["an object in words", `I think so: ${json} — that is all.`],
    ["an object with its older name", json.replace("decision", "route")],
  ])("is read from %s", (_title, text) => {
    expect(parseDecision(text)).toEqual({ ...read, custom_loop_needed: false });
  });

  it("is read from lines", () => {
    expect(parseDecision("Well.\n Decision: MILLRACE\nwhy: it is big")).toMatchObject({
      ...{ route: "millrace", why: "it is big", intake_kind: null, mode: DEFAULT_MODE },
    });
  });

  it.each(["", "Hm.", "{", "[1]", "null", '{"decision":"sideways","intake_kind":"epic","mode":7}', "```json\n{\n```"])(
    "is direct where it says nothing that is known: %j",
    (text) => {
      const { route, intake_kind, mode } = parseDecision(text);
      expect({ route, intake_kind, mode }).toEqual({ route: "direct", intake_kind: null, mode: DEFAULT_MODE });
    },
  );

  it("has all its keys whatever the text is", () => {
    const keys = Object.keys(parseDecision(""));
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(Object.keys(parseDecision(text))).toEqual(keys);
      }),
    );
  });
});
