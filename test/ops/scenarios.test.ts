import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { sorted } from "../../src/operations/ops/contract.js";
import type { Ran } from "../support/cli.js";
import { piNotes, piStarts, STUB_PI } from "../support/pi.js";
import { newProject, type Project, type TestRole } from "../support/project.js";
import { describeTmux } from "../support/tmux.js";
import { ask } from "./recorded.js";

/** The scenarios by which the three ways in are accepted, with real processes and a stub of pi. */
let project: Project;
let pi: string;

const PASS = "cat > /dev/null; echo Fine.; echo '### PASS'";
const byTask = (...cases: [pattern: string, sh: string][]) =>
  `case $MU_TASK in ${cases.map(([pattern, sh]) => `${pattern}) ${sh};;`).join(" ")} esac`;

async function begin(roles: Record<string, string> = {}): Promise<void> {
  const sh = { builder: "cat > /dev/null; echo made", reviewer: PASS, tester: PASS, ...roles };
  const all = Object.entries(sh).map(([name, line]): [string, TestRole] => [name, { sh: line, concurrency: 2 }]);
  project = await newProject(Object.fromEntries(all), { jobs: { maxTests: 1 } });
  onTestFinished(() => project.end());
  pi = join(project.folder, "pi.log");
  Object.assign(project.env, { MU_PI_COMMAND: STUB_PI, STUB_PI_LOG: pi });
}

const json = async (line: string) => (await project.here(`${line} --json`)).json();
const sql = async (query: string) => json(`sql "${query}"`);
const count = async (table: string): Promise<number> => (await sql(`select count(*) as n from ${table}`))[0].n;
const ops = (request: unknown, flags = "--json"): Promise<Ran> =>
  project.mu(`ops ${flags}`, { input: typeof request === "string" ? request : JSON.stringify(request) });
const opsHere = (request: unknown, flags = "--json"): Promise<Ran> =>
  project.here(`ops ${flags}`, { input: typeof request === "string" ? request : JSON.stringify(request) });

const item = (id: string, more: Record<string, unknown> = {}) =>
  ask("enqueue", {
    ...{ route_preference: "millrace", intake_preference: "task", input: { text: `Do ${id}` } },
    ...{ scoped_work_item: { item_id: id, constraints: ["No other item."] }, ...more },
  });
const roots = async () =>
  sql("select name, external_ref as ref, status, outcome, hold from tasks where kind = 'intake' order by id");

/** The dispatcher that a request started has been told to end. */
const noDispatcher = () => expect.poll(() => count("dispatchers"), { timeout: 60_000 }).toBe(0);

describe("mu ops", () => {
  it("scenarios 1 to 4: answers without a model, with the keys in order, and exits 1 where it failed", async () => {
    await begin();
    const status = await opsHere(ask("status"));
    expect([status.code, status.stderr]).toEqual([0, ""]);
    expect(status.stdout).toBe(`${JSON.stringify(sorted(status.json()), null, 2)}\n`);
    expect(status.json()).toMatchObject({ status: "succeeded", result: { workspace: "shop" } });

    const failed = async (ran: Promise<Ran>) => [(await ran).code, (await ran).json().errors[0].code];
    expect(await failed(opsHere(ask("approve")))).toEqual([1, "unsupported_action"]);
    expect(await failed(opsHere(ask("status"), "--stream-json"))).toEqual([1, "unsupported_transport"]);
    expect(await failed(opsHere("nope"))).toEqual([1, "invalid_request"]);
    expect((await opsHere(ask("status"), "")).code).toBe(2);
    const ref = { workspace_id: "nope" };
    expect(await failed(opsHere(ask("status", { workspace_ref: ref })))).toEqual([1, "workspace_unresolved"]);
    const both = ask("status", { workspace_ref: { ...ref, root_path: project.project } });
    expect((await opsHere(both)).json().status).toBe("succeeded");
    const frames = (await opsHere(ask("status"), "--stream-json --experimental")).stdout.trim().split("\n");
    expect(frames.map((frame) => JSON.parse(frame).event_type)).toEqual(["request.accepted", "result"]);
    expect(existsSync(pi)).toBe(false);
  });

  it("c: gives a result for 50 MB, and for what is no UTF-8", async () => {
    await begin();
    const long = await ops(`{"a":"${"x".repeat(50 << 20)}"}`);
    expect([long.code, long.json().errors]).toMatchObject([
      ...[1, [{ code: "invalid_request", message: "Standard input is larger than 32 MiB." }]],
    ]);
    const text = JSON.stringify(ask("status", { metadata: { name: "?" } }));
    writeFileSync(join(project.project, "latin1"), Buffer.from(text.replace("?", "\xe4"), "latin1"));
    const latin1 = await project.sh("mu ops --json < latin1");
    expect([latin1.code, latin1.json().errors]).toMatchObject([1, [{ code: "invalid_request" }]]);
  });

  it("scenarios 5 and 8, d, f, i: an item is done once, is known by its exact name, and is proved", async () => {
    await begin();
    const first = await ops(item("ITEM-1", { idempotency_key: "k1" }));
    expect([first.code, first.json()]).toMatchObject([
      0,
      {
        ...{ status: "succeeded", route: "millrace", intake_kind: "task", errors: [] },
        completion: {
          ...{ outcome: "completed", scoped_completion: true, missing_evidence: [] },
          ...{ evidence_summary: [expect.stringContaining("arbiter_complete")], verification_status: "verified" },
        },
        scoped_work_item: { item_id: "ITEM-1" },
        result: { output: "It ended.", event: { kind: "arbiter_complete" } },
      },
    ]);
    const { task_path } = first.json().result;
    expect(readFileSync(join(project.project, task_path), "utf8")).toMatch(
      /Do ITEM-1[\s\S]*This item only[\s\S]*No other item\./,
    );
    const runs = await count("runs");

    const again = await ops(item("ITEM-1", { idempotency_key: "k1" }));
    expect(again.stdout).toBe(first.stdout);
    const known = (await ops(item("ITEM-1"))).json();
    expect([known.completion, known.result.task_path]).toEqual([first.json().completion, task_path]);
    expect(await count("runs")).toBe(runs);

    const other = (await ops(item("ITEM-10"))).json();
    expect([other.completion.scoped_completion, other.result.task_path === task_path]).toEqual([true, false]);
    const closed = { status: "CLOSED", outcome: "verified", hold: null };
    expect(await roots()).toMatchObject([
      { ref: "ITEM-1", ...closed },
      { ref: "ITEM-10", ...closed },
    ]);
    await noDispatcher();
  });

  it("scenario 6, e: what nobody has verified is incomplete, also when other work was verified before", async () => {
    await begin({ tester: byTask(["*do_item_2-verify*", "mu task close $MU_TASK; echo closed"], ["*", PASS]) });
    expect((await ops(item("ITEM-1"))).json().completion.scoped_completion).toBe(true);
    const { code, json } = await ops(item("ITEM-2"));
    expect([code, json().status, json().completion]).toMatchObject([
      ...[0, "incomplete"],
      { outcome: "incomplete", scoped_completion: false, missing_evidence: ["positive scoped completion evidence"] },
    ]);
  });

  it("scenario 7: what is blocked waits for a person, and is not tried again", async () => {
    await begin({ builder: "cat > /dev/null; echo Which one?; echo '### BLOCKED'" });
    const { code, json: read } = await ops(item("ITEM-1"));
    expect([code, read().status, read().completion]).toMatchObject([0, "blocked", { outcome: "blocked" }]);
    expect((await project.mu("dispatch --once")).code).toBe(0);
    expect((await ops(item("ITEM-1"))).json().status).toBe("blocked");
    expect(await count("runs")).toBe(1);
  });
});

describe("mu run", () => {
  const KEYS = [
    ...["route", "intake_kind", "intake_signals", "decision", "output", "event", "task_path", "status", "warnings"],
    ...["outcome", "scoped_completion", "completion_evidence", "scoped_work_item", "progress_events"],
  ];
  const run = (line: string, input = "") => project.mu(`run --output json ${line}`, { input });

  it("scenario 9: does it directly, also where the decision is none", async () => {
    await begin();
    const direct = await run("--route direct 'Summarize README.md'");
    expect([direct.code, Object.keys(direct.json()), direct.json()]).toMatchObject([
      ...[0, KEYS],
      {
        outcome: "completed",
        scoped_completion: false,
        output: "done: Summarize README.md",
        event: null,
        status: null,
      },
    ]);
    const auto = (await run("'Summarize README.md'")).json();
    expect([auto.route, auto.decision.route]).toEqual(["direct", "direct"]);
    expect(piStarts(pi)).toHaveLength(2);
    expect((await project.mu("run --route direct Hello there")).stdout).toBe("done: Hello there\n");
    const legacy = { prompt: "Old", metadata: { intake_kind: "idea" }, work_item: { id: "I-1" } };
    const old = await run("--benchmark-json --route direct", JSON.stringify(legacy));
    expect(old.json()).toMatchObject({ output: "done: Old", scoped_work_item: { item_id: "I-1" } });
    expect((await run("--benchmark-json", "nope")).code).toBe(1);
    expect((await run("--route direct", " ")).code).toBe(1);
  });

  it("scenario 10: a probe finds out, its idea is taken apart, and the parts are verified together", async () => {
    await begin({
      reviewer: byTask(["*recon*", "cat > /dev/null; echo src only; echo 'route: idea'; echo '### DONE'"]),
      builder: byTask(
        ["*decompose*", "cat > /dev/null; mu task add 'First part'; mu task add 'Second part' --blocked-by first_part"],
        ["*", "cat > /dev/null; echo made"],
      ),
    });
    const { code, json: read } = await run("--route millrace --intake probe 'Make it nicer'");
    expect([code, read()]).toMatchObject([0, { intake_kind: "probe", outcome: "completed", scoped_completion: true }]);
    expect(read().progress_events.length).toBeGreaterThanOrEqual(1);
    expect(
      (await roots()).map(({ status, outcome }: { status: string; outcome: string }) => [status, outcome]),
    ).toEqual([
      ["CLOSED", "verified"],
      ["CLOSED", "verified"],
    ]);
    const parts = await sql("select name, status from tasks where title like '%part' order by id");
    expect(parts).toEqual(["first_part", "second_part"].map((name) => ({ name, status: "CLOSED" })));
    expect(readFileSync(join(project.project, ".mu/intake/make_it_nicer.recon.md"), "utf8")).toContain("src only");
  });

  it("scenario 14: tells the agent what ends before the rest, unless nobody wants that", async () => {
    await begin();
    const quiet = (await run("--route millrace --intake task --no-notify-terminal-stages 'One thing'")).json();
    expect([quiet.scoped_completion, quiet.progress_events]).toEqual([true, []]);
    const told = (await run("--route millrace --intake task 'Other thing'")).json();
    expect(told.scoped_completion).toBe(true);
    expect(told.progress_events).toMatchObject(told.progress_events.map(() => ({ kind: "stage_progress" })));
    expect(told.progress_events.length).toBeGreaterThanOrEqual(1);
    expect(piNotes(pi).filter(({ prompt }) => prompt?.startsWith("A part of"))).toHaveLength(
      told.progress_events.length,
    );
  });

  it.each([
    ["run", 1, "completed", 0],
    ["run", 0, "restart_needed", 0],
    ["ops", 0, "restart_needed", 1],
  ] as const)(
    "scenario 12, h, k: mu %s starts a dispatcher that is killed %s times again: %s",
    async (way, restarts, outcome, exit) => {
      await begin({ builder: "cat > /dev/null; touch begun; while ! test -e go; do sleep 0.05; done; echo made" });
      const running =
        way === "run"
          ? run(`--route millrace --intake task --max-daemon-restarts ${restarts} 'One thing'`)
          : ops(item("ITEM-1", { options: { max_daemon_restarts: restarts } }));
      const begun = join(project.project, "begun");
      await expect.poll(() => existsSync(begun), { timeout: 60_000 }).toBe(true);
      const [{ process: dispatcher }] = await sql("select process from dispatchers");
      process.kill(Number.parseInt(dispatcher, 10), "SIGKILL");
      writeFileSync(join(project.project, "go"), "");
      const { code, json: read } = await running;
      expect([code, (read().completion ?? read()).outcome]).toEqual([exit, outcome]);
      if (restarts === 0) return;
      await noDispatcher();
    },
  );

  it.each(["SIGINT", "SIGTERM"] as const)("ends pi and all that it started at %s in a turn", async (signal) => {
    await begin();
    const running = project.start("run --route direct [hang]", { env: { STUB_PI_STUBBORN: "1" } });
    const ended = new Promise<number | null>((resolve) => running.once("exit", resolve));
    running.stdin?.end();
    await expect.poll(() => piNotes(pi).some(({ prompt }) => prompt !== undefined), { timeout: 60_000 }).toBe(true);
    running.kill(signal);
    expect(await ended).toBe(signal === "SIGINT" ? 130 : 143);
    const pids = piNotes(pi).flatMap(({ pid, child }) => [pid, child ?? pid]);
    const isRunning = (pid: number) =>
      existsSync(`/proc/${pid}/stat`) && !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
    await expect.poll(() => pids.filter(isRunning), { timeout: 60_000 }).toEqual([]);
  });
});

describe("mu operator", () => {
  it("scenario 11: keeps one conversation, and begins another one when it has died", async () => {
    await begin();
    const talk = await project.mu("operator --route direct", { input: "one\n\ntwo\n/status\n/nope\n/exit\nthree\n" });
    expect([talk.code, talk.stdout.split("\n").slice(0, 2)]).toEqual([0, ["done: one", "done: two"]]);
    expect(talk.stdout).toContain("shop: no dispatcher runs");
    expect(talk.stderr).toContain("The operator is ready");
    expect(talk.stdout).not.toContain("The operator is ready");
    expect(piStarts(pi)).toHaveLength(1);
    expect(
      piNotes(pi)
        .map(({ prompt }) => prompt?.split("\n").at(-1))
        .filter(Boolean),
    ).toEqual(["one", "two"]);

    const died = await project.mu("operator --route direct", { input: "one\n[die]\ntwo" });
    expect([died.code, died.stdout]).toEqual([0, "done: one\ndone: two\n"]);
    expect(died.stderr).toContain("The next request begins a new conversation.");
    expect(piStarts(pi)).toHaveLength(3);
  });

  it("says that nobody can answer, and goes on", async () => {
    await begin();
    const none = { MU_PI_COMMAND: "/no/such/pi", MU_CLAUDE_COMMAND: "/no/such/claude" };
    const talk = await project.mu("operator --route direct", { input: "one\n/help\n", env: none });
    expect(talk.code).toBe(0);
    expect(talk.stderr).toContain("Neither pi nor Claude Code is installed");
    expect(talk.stdout).toContain("/exit");
  });
});

describe("a folder without a workstream", () => {
  it("gets one, which is said; a folder or a name that is not there is refused", async () => {
    await begin();
    const env = { MU_WORKSTREAM: undefined };
    const made = await project.mu("run --route direct Hello", { cwd: project.folder, env });
    expect([made.code, made.stdout]).toEqual([0, "done: Hello\n"]);
    expect(made.stderr).toContain("had no workstream: made ");
    const gone = await project.mu("run --route direct --workspace nowhere Hello --json", { env });
    expect([gone.code, gone.fault().code]).toEqual([1, "workspace_unresolved"]);
    const wrong = await project.mu("run --route direct Hello --json", { env: { MU_WORKSTREAM: "nope" } });
    expect([wrong.code, wrong.fault().code]).toEqual([1, "workstream.not_found"]);
    expect(await count("workstreams")).toBe(2);
  });
});

describeTmux("in tmux", () => {
  it("j: the dispatcher that a request starts, and its runs, are panes", async () => {
    await begin();
    Object.assign(project.env, { MU_NO_TMUX: "" });
    const { code, json: read } = await ops(item("ITEM-1"));
    expect([code, read().completion.scoped_completion]).toEqual([0, true]);
    expect(
      (await sql("select distinct transport from runs")).map(({ transport }: { transport: string }) => transport),
    ).toEqual(["pane"]);
  });
});
