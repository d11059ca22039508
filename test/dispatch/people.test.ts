import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { fakeNtfy, type Ntfy } from "../support/ntfy.js";
import { ended, newProject, type Project, type TestRole } from "../support/project.js";

let project: Project;
let ntfy: Ntfy | undefined;
afterEach(async () => {
  project.end();
  await ntfy?.end();
  ntfy = undefined;
});

const TOPIC = "shop-7f3k9q2m";
const DISPATCH = { pollSeconds: 0.1, idleThresholdPolls: 3 };
const OK: TestRole = { sh: "echo ok" };

async function begin(roles: Record<string, TestRole>, notifications: Record<string, unknown> = {}): Promise<void> {
  project = await newProject(roles, { dispatch: DISPATCH, notifications });
}

const withServer = async (roles: Record<string, TestRole>, more: Record<string, unknown> = {}) => {
  ntfy = await fakeNtfy();
  await begin(roles, { ntfyTopic: TOPIC, ntfyUrl: ntfy.url, ...more });
  return ntfy;
};
const add = (name: string, role: string, flags = "") =>
  project.json(`task add ${name} --title ${name} --role ${role} ${flags}`);
const file = (...names: string[]) => join(project.project, ".mu", ...names);
const attention = () =>
  existsSync(file("needs-attention.md")) ? readFileSync(file("needs-attention.md"), "utf8") : null;
const ops = async () => (await project.json("log -n 0")).items.map(({ op }: { op: string }) => op);
const notices = async () => (await ops()).filter((op: string) => op.startsWith("notify."));
const titles = (of: Ntfy) => of.posted.map(({ json }) => json.title);

async function stopped(loop: ChildProcess): Promise<void> {
  await project.json("dispatch stop");
  await ended(loop);
}

const soon = { timeout: 10_000 };

describe("an idle dispatcher", () => {
  it("says so once, by one push and a file, and once more when work goes on", async () => {
    const server = await withServer({ qa: OK }, { subjectPrefix: "[né]" });
    const loop = project.start("dispatch");
    await expect.poll(() => titles(server), soon).toEqual(["[né] shop is idle"]);
    expect(server.posted[0]).toMatchObject({ path: "POST /", json: { topic: TOPIC, priority: 3, tags: ["zzz"] } });
    await expect.poll(attention, soon).toContain("Idle: nothing is ready and nothing runs.");
    await add("more", "qa");
    await expect.poll(() => titles(server), soon).toContain("[né] shop is back online");
    await expect.poll(async () => (await project.json("task show more")).task.status, soon).toBe("CLOSED");
    await expect.poll(() => titles(server).slice(2), soon).toEqual(["[né] shop is idle"]);
    await stopped(loop);
    expect(await notices()).toEqual(["notify.idle", "notify.back", "notify.idle"]);
  });

  it("removes the file while it works", async () => {
    await begin({ qa: { sh: "echo begun; while [ ! -f go ]; do sleep 0.05; done; echo ok" } });
    const loop = project.start("dispatch");
    await expect.poll(attention, soon).toContain("Idle");
    await add("long", "qa");
    await expect.poll(attention, soon).toBe(null);
    writeFileSync(join(project.project, "go"), "");
    await expect.poll(attention, soon).toContain("Idle");
    await stopped(loop);
  });

  it("writes the file without a topic, and says nothing again after it was replaced", async () => {
    await begin({ qa: OK });
    const loop = project.start("dispatch");
    await expect.poll(attention, soon).toContain("Idle");
    loop.kill("SIGKILL");
    await new Promise((resolve) => loop.once("exit", resolve));
    const next = project.start("dispatch");
    await expect.poll(async () => (await ops()).filter((op: string) => op === "dispatch.start").length, soon).toBe(2);
    await add("one", "qa");
    await expect.poll(notices, soon).toEqual(["notify.idle", "notify.back", "notify.idle"]);
    await stopped(next);
  });

  it("is stalled, if what waits needs a person", async () => {
    const server = await withServer({ qa: OK });
    await add("one", "qa");
    await add("two", "qa", "--blocked-by one");
    await project.json("kill maintenance");
    const loop = project.start("dispatch");
    await expect.poll(() => titles(server), soon).toEqual(["shop is stalled"]);
    expect(server.posted[0]?.json.message).toBe("1 task cannot start.\none: the brake is on: maintenance");
    await expect.poll(attention, soon).toContain("Stalled: 1 task cannot start.");
    expect(attention()).toContain("The brake is on: maintenance. Take it off: `mu resume -w shop`");
    await project.json("resume");
    await expect.poll(() => titles(server).slice(1), soon).toEqual(["shop is back online", "shop is idle"]);
    await stopped(loop);
  });
});

describe("a notice", () => {
  it("is sent for each task that comes to need a person, again if it comes back, and for the brake", async () => {
    const server = await withServer({ code: { sh: "exit 1" } });
    await add("bad", "code", "--max-retries 0");
    await project.mu("dispatch --once");
    expect(titles(server)).toEqual(["shop/bad needs you (escalated)"]);
    expect(attention()).toContain("bad is held (escalated)");
    await project.mu("dispatch --once");
    expect(server.posted.length).toBe(1);
    await project.json("task requeue bad");
    await project.mu("dispatch --once");
    expect(titles(server).length).toBe(2);
    await add("worse", "code");
    await project.mu("dispatch --once");
    expect(titles(server).slice(2)).toContain("shop: the brake is on");
    expect(server.posted.at(-1)?.json).toMatchObject({ priority: 5 });
  });

  it("of a long reason is cut to what ntfy takes for a message, and keeps no secret", async () => {
    const server = await withServer({ qa: OK });
    await add("asks", "qa");
    const reason = `key s3cr3t-of-the-shop ${'ä😀"\n'.repeat(300)}`;
    expect((await project.mu(["task", "escalate", "asks", reason])).code).toBe(0);
    await project.mu("dispatch --once", { env: { SHOP_API_KEY: "s3cr3t-of-the-shop" } });
    expect(Buffer.byteLength(server.posted[0]?.body ?? "")).toBeLessThanOrEqual(4096);
    expect(server.posted[0]?.json.message).toMatch(/^key \[redacted\]/);
  });

  it("that cannot be pushed is an event, and dispatch goes on", async () => {
    ntfy = await fakeNtfy((response) => response.writeHead(507).end());
    await begin({ code: { sh: "exit 1" }, qa: OK }, { ntfyTopic: TOPIC, ntfyUrl: ntfy.url });
    await add("bad", "code", "--max-retries 0");
    await add("good", "qa");
    await project.mu("dispatch --once");
    expect((await project.json("task show good")).task.status).toBe("CLOSED");
    const failed = (await project.json("log -n 0")).items.find(({ op }: { op: string }) => op === "notify.failed");
    expect(failed.payload).toEqual({ kind: "escalated", problem: "the server answered 507" });
    expect(JSON.stringify((await project.json("log -n 0")).items)).not.toContain(TOPIC);
  });

  it("is tried by hand, and the topic is never printed whole", async () => {
    const server = await withServer({ qa: OK });
    const sent = await project.mu("notify test");
    expect([sent.code, sent.stdout]).toEqual([0, `Pushed to shop… at ${server.url}.\n`]);
    expect(titles(server)).toEqual(["shop: test"]);
    await server.end();
    ntfy = undefined;
    const failed = await project.mu("notify test --json");
    expect([failed.code, failed.json()]).toMatchObject([5, { pushed: false, problem: "ECONNREFUSED", topic: "shop…" }]);
    for (const line of ["workstream show shop", "notify test"])
      expect((await project.mu(line)).stdout).not.toContain(TOPIC);
  });

  it("is shown on the desktop, if the settings say so and there is one", async () => {
    await begin({ qa: OK }, { desktop: true });
    const bin = join(project.folder, "bin");
    writeFileSync(join(bin, "notify-send"), `#!/bin/sh\nprintf '%s\\n' "$@" > "${project.folder}/shown"\n`, {
      mode: 0o755,
    });
    writeFileSync(join(bin, "osascript"), `#!/bin/sh\nprintf '%s\\n' "$@" > "${project.folder}/shown"\n`, {
      mode: 0o755,
    });
    const sent = await project.json("notify test", { env: { DISPLAY: ":9" } });
    expect(sent).toMatchObject({ pushed: false, desktop: true, bell: false, topic: "" });
    expect(readFileSync(join(project.folder, "shown"), "utf8")).toContain("shop: test\nNotices of mu arrive here.\n");
    if (process.platform === "linux") expect((await project.json("notify test")).desktop).toBe(false);
  });
});

describe("the morning report", () => {
  const today = () => new Date().toISOString().slice(0, 10);
  const reportFile = () => file(`morning-report-${today().replaceAll("-", "")}.md`);
  const costing = (usd: number) => `cat > /dev/null; echo '{"text":"ok","cost_usd":${usd}}'`;

  it("renders all sections of an empty day, refuses a future one, and is the same when it is written again", async () => {
    await begin({ qa: OK });
    const first = await project.json("report");
    expect(first.text).toBe(
      `# shop: ${today()}\n\n${["Shipped", "Escalations awaiting sign-off", "Hard-failed", "Spend", "Assets registered", "Anomalies"].map((title) => `## ${title}\n\nnone\n`).join("\n")}`,
    );
    expect(readFileSync(reportFile(), "utf8")).toBe(first.text);
    expect((await project.json(`report --date ${today()}`)).text).toBe(first.text);
    expect((await project.mu("report --date 9999-12-31 --json")).code).toBe(2);
    expect((await project.json("report --date 2020-02-29")).path).toContain("morning-report-20200229.md");
  });

  it.each([
    ["without tmux", "1"],
    ["in tmux", ""],
  ])("says what shipped and that a cap was hit, and the next task is refused (%s)", async (_where, MU_NO_TMUX) => {
    await begin({ code: { sh: costing(5), dailyCapUsd: 1 }, qa: { sh: costing(0.85), dailyCapUsd: 1 } });
    await add("dear", "code");
    await add("next", "code");
    await add("near", "qa");
    await project.json("dispatch --once", { env: { MU_NO_TMUX } });
    expect((await project.json("task show dear")).task.status).toBe("CLOSED");
    expect((await project.json("task show next")).task.status).toBe("OPEN");
    const { text, spend } = await project.json("report");
    expect(text).toContain("- code-1: 1 task\n  - dear: dear");
    expect(text).toContain("- code: $5.00 of $1.00 in 1 run [CAP HIT]");
    expect(text).toContain("- qa: $0.85 of $1.00 in 1 run (soft cap)");
    expect(text).toContain("qa is near its cap.");
    expect(text).toContain("Together $5.85.");
    expect(spend.map(({ state }: { state: string }) => state)).toEqual(["hit", "soft"]);
    expect((await project.json("budget")).roles.map(({ state }: { state: string }) => state)).toEqual(["hit", "soft"]);
  });

  it("lists what waits, what failed for good, the brake, and runs whose cost is unknown", async () => {
    await begin({ code: { sh: "exit 1" }, bare: { sh: "exec no-such-program" } });
    await add("bad", "code", "--max-retries 0");
    await add("lost", "bare");
    await project.json("dispatch --once").catch(() => {});
    await project.json("kill 'deploy in progress'");
    await project.json("asset add .gitignore --kind plan");
    const { escalations, failed, anomalies, text } = await project.json("report");
    expect(text).toContain("- .gitignore version 1 (plan) by ann");
    expect(escalations).toMatchObject([{ task: "bad", hold: "escalated", file: file("escalations", "bad.md") }]);
    expect(failed).toMatchObject([{ task: "lost", role: "bare" }]);
    expect(anomalies).toContain("The brake is on: deploy in progress");
    expect(anomalies.join("\n")).toMatch(/The brake was put on at \d\d:\d\d UTC: deploy in progress/);
    expect(anomalies.join("\n")).toMatch(/The cost of runs? [\d, ]+ is unknown/);
    const before = await project.json("report --date 2020-01-01");
    expect([before.escalations.length, before.anomalies]).toEqual([1, []]);
  });

  it("is written by the dispatcher, unless the settings say never", async () => {
    await begin({ qa: OK });
    const loop = project.start("dispatch");
    await expect.poll(() => existsSync(reportFile()), soon).toBe(true);
    await stopped(loop);
  });
});

describe("old prices", () => {
  const PRICES = { input: 1, output: 2, cache_write_5m: 1, cache_write_1h: 1, cache_read: 1 };
  const models = Object.fromEntries(["acme-1", "acme-2", "acme-3"].map((name) => [name, PRICES]));
  const table = (updated_at: unknown) => {
    mkdirSync(join(project.folder, "state"), { recursive: true });
    writeFileSync(join(project.folder, "state", "pricing.json"), JSON.stringify({ updated_at, models }));
  };
  const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();

  it.each([
    ["a date that is none", "the other day", "The price table has no valid date."],
    ["no date", undefined, "The price table has no valid date."],
    ["a date in the future", daysAgo(-400), null],
    ["no age to speak of", daysAgo(89), null],
  ])("are those with %s: %j", async (_what, date, said) => {
    await begin({ qa: OK });
    table(date);
    expect((await project.json("report")).stalePrices?.split(" Update")[0] ?? null).toBe(said);
  });
});

describe("why nothing happened", () => {
  const why = async (flags = "") => (await project.json(`dispatch --why ${flags}`)).account;
  const texts = async () => (await why()).timeline.map(({ text }: { text: string }) => text);

  it("is that no dispatcher ran, that it died, or that it was stopped", async () => {
    await begin({ qa: OK });
    await add("one", "qa");
    expect((await why()).headline).toBe("Nothing was started: no dispatcher ran; 1 task could start now.");
    await project.json("kill first");
    const loop = project.start("dispatch");
    await expect.poll(ops, soon).toContain("notify.stalled");
    loop.kill("SIGKILL");
    await new Promise((resolve) => loop.once("exit", resolve));
    await project.json("resume");
    expect((await why()).headline).toMatch(
      /^Nothing was started: the dispatcher that began at [-\d]+ [:\d]+ UTC has died; 1 task could start now\.$/,
    );
    await project.mu("dispatch --once");
    const next = project.start("dispatch");
    await expect.poll(async () => (await ops()).filter((op: string) => op === "dispatch.start").length, soon).toBe(2);
    await stopped(next);
    expect((await why()).headline).toMatch(/^1 run started, 1 done, 0 failed: no task with a role is open\.$/);
  });

  it("is the brake, a budget, or a person who is waited for, and the timeline says when", async () => {
    await begin({ code: { sh: "exit 1" }, qa: { sh: "echo ok", dailyCapUsd: 0.05, reservationUsd: 0.1 } });
    await add("poor", "qa");
    await project.mu("dispatch --once");
    expect((await why()).headline).toContain("1 task cannot start (poor: qa has $0.05 left of $0.05 today)");
    await add("bad", "code", "--max-retries 0");
    await project.mu("dispatch --once");
    await project.json("kill 'deploy in progress'");
    const { headline, started, failed } = await why("--since 00:00");
    expect(headline).toBe("1 run started, 0 done, 1 failed: the brake is on: deploy in progress.");
    expect([started, failed]).toEqual([1, 1]);
    expect(await texts()).toEqual([
      "Refused a run: poor did not start: qa has $0.05 left of $0.05 today",
      expect.stringMatching(/^1 run started, 1 crash, until /),
      "Sent a notice: shop/bad needs you (escalated)",
      "Put the brake on: deploy in progress",
    ]);
    const { stdout } = await project.mu("dispatch --why");
    expect(stdout.split("\n")[0]).toBe(headline);
    expect(stdout).toContain("Put the brake on: deploy in progress");
    const wrong = await project.mu("dispatch --why --since noon --json");
    expect([wrong.code, wrong.fault().code]).toEqual([2, "usage.invalid_input"]);
    expect((await why("--since 2999-01-01")).headline).toMatch(/^Nothing was started: the brake is on/);
  });
});

describe("the inbox", () => {
  const inbox = async () => (await project.json("inbox")).items;

  it("lists held tasks, the brake, red checks and budgets, and takes the answer to a task that is blocked", async () => {
    await begin({
      code: { sh: `if grep -q 'The EU'; then echo ok; else echo 'Which region?'; echo '### BLOCKED'; fi` },
      qa: { sh: "echo ok", dailyCapUsd: 0.05, reservationUsd: 0.1 },
    });
    await add("asks", "code");
    await add("poor", "qa");
    await project.json("task add red --title Red");
    await project.json("task claim red");
    await project.mu("task close red --check 'echo 3 tests failed; false'");
    await project.mu("dispatch --once");
    await project.json("kill maintenance");
    const items = await inbox();
    expect(items.map(({ kind, subject }: Record<string, string>) => [kind, subject])).toEqual([
      ["brake", "shop"],
      ["held", "asks"],
      ["check", "red"],
    ]);
    expect(items[0]).toMatchObject({ question: "The brake is on: maintenance", command: "mu resume -w shop" });
    expect(items[2].question).toBe("The check failed: echo 3 tests failed; false\n3 tests failed");
    expect(items.every(({ since }: { since: string }) => since.startsWith("20"))).toBe(true);
    const other = await project.mu(`inbox answer ${items[0].id} off --json`);
    expect(other.fault()).toMatchObject({ code: "inbox.other_way", nextSteps: [{ command: "mu resume -w shop" }] });

    await project.json("resume");
    const [held, check, budget] = await inbox();
    expect([held.id, check.id]).toEqual([items[1].id, items[2].id]);
    expect(budget).toMatchObject({ kind: "budget", subject: "qa" });
    expect(budget.question).toBe("qa has $0.05 left of $0.05 today; 1 task cannot start");
    const { stdout } = await project.mu("inbox --all");
    expect(stdout).toContain(`${held.id}  held of shop/asks for`);
    expect(
      await project.json(["inbox", "answer", held.id, "The EU"].map((word) => `'${word}'`).join(" ")),
    ).toMatchObject({
      how: "requeued",
    });
    expect((await project.mu(`inbox answer ${held.id} again --json`)).fault().code).toBe("inbox.not_found");
    expect((await project.json("task show asks")).task).toMatchObject({ hold: null, attempts: 0 });
    await project.mu("dispatch --once");
    expect((await project.json("task show asks")).task.status).toBe("CLOSED");
  });

  it("is answered by people only", async () => {
    await begin({ bot: { sh: "mu inbox answer bot-0000 y --json 2>&1; echo asked" } });
    await add("sly", "bot");
    await project.mu("dispatch --once");
    expect((await project.json("runs log 1")).text).toContain('"code":"inbox.needs_person"');
  });
});
