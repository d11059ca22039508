import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { spawnAgent } from "../../src/crew/spawn.js";
import type { Store } from "../../src/db/store.js";
import { execProgram } from "../../src/exec.js";
import { PROGRAM } from "../support/cli.js";
import { type FakeLinear, fakeLinear } from "../support/linear.js";
import { fakeNtfy, type Ntfy } from "../support/ntfy.js";
import { type Seeded, seededApp, seedRun } from "../support/seeded.js";
import { PLAYER } from "../support/stage.js";
import { noBrowser, openBrowser, startUi, type Ui } from "../support/ui.js";

/** Every button that page.test.ts does not press, each with what is in the database and outside of it afterwards. */
describe.skipIf(noBrowser !== undefined)(`what the page does (${noBrowser ?? "in Chromium"})`, () => {
  let browser: Browser;
  let app: Seeded;
  let ui: Ui;
  let linear: FakeLinear;
  let ntfy: Ntfy;
  let store: Store;
  let project: string;
  const problems: string[] = [];

  beforeAll(async () => {
    [browser, app, linear, ntfy] = await Promise.all([
      openBrowser(),
      seededApp("with panes", "with workspaces"),
      fakeLinear(),
      fakeNtfy(),
    ]);
    store = app.store;
    project = app.request.cwd;
    const settings = {
      roles: { code: {}, qa: {} },
      linear: { teamId: "team-1" },
      notifications: { ntfyTopic: "crew-7", ntfyUrl: ntfy.url },
    };
    writeFileSync(join(project, ".mu/settings.json"), JSON.stringify(settings));
    for (const name of ["web", "pay"]) {
      mkdirSync(join(project, name));
      writeFileSync(join(project, name, `_${name}.md`), `# ${name}\n`);
    }
    ui = await startUi(app, [], { LINEAR_API_KEY: "lin_api_0123456789abcdef", MU_LINEAR_URL: linear.url });
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await ui?.end();
    await Promise.all([app?.end(), linear?.end(), ntfy?.end()]);
  });
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    expect(problems.splice(0)).toEqual([]);
  });

  async function open(path: string): Promise<Page> {
    const page = await (await browser.newContext()).newPage();
    page.on("pageerror", (error) => problems.push(error.message));
    page.setDefaultTimeout(20_000);
    await page.goto(`${ui.origin}/demo/${path}?token=${ui.token}`);
    await page.locator("nav").waitFor();
    return page;
  }
  const press = (page: Page, name: string | RegExp) => page.getByRole("button", { name, exact: true }).first().click();
  const said = (page: Page, text: string | RegExp) => page.locator(".said").getByText(text).first().waitFor();
  const card = (page: Page, name: string) => page.locator(".card", { hasText: name }).first();
  const mu = (words: string[], cwd = project) =>
    execProgram(process.execPath, [PROGRAM, ...words], { cwd, env: app.env });
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: project, env: { ...process.env, ...app.env }, encoding: "utf8" }).trim();
  const task = (name: string) =>
    store.db.selectFrom("tasks").selectAll().where("name", "=", name).executeTakeFirstOrThrow();
  const events = async (...ops: string[]) => {
    const rows = await store.db
      .selectFrom("events")
      .select(["op", "subject"])
      .where("op", "in", ops)
      .orderBy("id")
      .execute();
    return rows.map(({ op, subject }) => `${op} ${subject}`);
  };

  it("answers a dialog by its key, ends a turn, and stops and continues a whole crew", {
    timeout: 120_000,
  }, async () => {
    const acts = [
      { when: "tidy", steps: [{ permission: "rm -rf build" }] },
      { when: "think", steps: [{ work: 600_000 }] },
    ];
    const crew = await app.world.openCrew(app.context, app.request);
    await spawnAgent(
      crew,
      { workstream: "demo", name: "ada" },
      {
        ...{ cli: "player", command: PLAYER.join(" "), cwd: project, ready: {} },
        env: { MU_PLAYER_SCRIPT: JSON.stringify({ acts }) },
      },
    );
    const page = await open("crew/ada");
    const prompt = async (text: string) => {
      await page.getByLabel("Send ada a prompt").fill(text);
      await press(page, "Send");
      await said(page, `'${text}'`);
    };
    await prompt("tidy up");
    const inbox = await open("inbox");
    await card(inbox, "rm -rf build").getByRole("button", { name: "y · yes" }).click();
    await said(inbox, "Typed into its pane.");
    await card(inbox, "rm -rf build").waitFor({ state: "detached" });
    expect(await events("inbox.answer")).toEqual(["inbox.answer demo/ada"]);

    await prompt("think hard");
    await page.locator("h1", { hasText: "busy" }).waitFor();
    await press(page, "Interrupt");
    await page.locator("h1", { hasText: "idle" }).waitFor();

    await press(page, "Freeze");
    await press(page, "Stop every agent where it stands?");
    await page.getByText("frozen", { exact: true }).waitFor();
    expect(await events("dispatch.kill", "crew.freeze")).toEqual(["dispatch.kill demo", "crew.freeze demo"]);
    await inbox.locator(".card", { hasText: "the brake is on" }).getByRole("button", { name: "Thaw" }).click();
    await page.getByText("frozen", { exact: true }).waitFor({ state: "detached" });
    expect(await events("dispatch.resume", "crew.thaw")).toEqual(["crew.thaw demo", "dispatch.resume demo"]);
  });

  it("has a held task and one with a red check tried again, and stops a run", async () => {
    await mu(["task", "claim", "docs"]);
    expect((await mu(["task", "close", "docs", "--check", "echo wrong; false"])).code).not.toBe(0);
    const page = await open("inbox");
    await card(page, "The check failed").getByText("wrong").waitFor();
    await card(page, "The check failed").getByRole("button", { name: "Have it tried again" }).click();
    await said(page, "mu task open docs -w demo");
    expect(await task("docs")).toMatchObject({ status: "OPEN", owner_id: null });
    await page.goto(`${ui.origin}/demo/tasks/region`);
    await press(page, "Requeue");
    await said(page, "mu task requeue region -w demo");
    expect(await task("region")).toMatchObject({ hold: null, status: "OPEN" });
    expect(await events("task.open", "task.requeue")).toEqual(["task.open demo/docs", "task.requeue demo/region"]);

    await seedRun(app.context, { state: "reserved", finished_at: null, cost_micros: null, actual_micros: null });
    await page.goto(`${ui.origin}/demo/tasks/done`);
    await press(page, "Stop its run");
    await press(page, "Really stop it?");
    await said(page, /^mu runs cancel/);
    const runs = await store.db.selectFrom("runs").select("state").orderBy("id").execute();
    expect(runs.map(({ state }) => state)).toEqual(["done", "cancelled"]);
  });

  it("chooses modules, shows revisions side by side, and takes jobs from Linear and back", async () => {
    mkdirSync(join(project, ".mu/jobs/theme/.history"));
    writeFileSync(join(project, ".mu/jobs/theme/.history/task.1.md"), "# An older theme\n");
    const page = await open("jobs/theme");
    await page.getByLabel("Beside it").selectOption("1");
    await page.locator(".beside h1", { hasText: "An older theme" }).waitFor();
    expect(await page.locator(".beside h1").allTextContents()).toEqual(["An older theme", "Themes"]);
    await page.getByText("Modules").click();
    await press(page, "☐ web");
    await page.getByRole("button", { name: "☑ web" }).waitFor();
    expect(JSON.parse((await task("theme")).payload ?? "").job.modules).toEqual(["web"]);
    await press(page, "Let the router choose");
    await page.getByText("the router chooses").waitFor();
    expect(JSON.parse((await task("theme")).payload ?? "").job.modules).toBe(null);

    await press(page, "Send task.md to Linear");
    await said(page, "mu linear export theme -w demo");
    await page.goto(`${ui.origin}/demo/jobs`);
    await page.getByLabel("Linear issue").fill("ENG-12");
    await press(page, "Import from Linear");
    await page.getByRole("link", { name: "eng-12" }).waitFor();
    expect(linear.asked.map(({ query }) => query.split(/\W/, 1)[0])).toEqual(["mutation", "query"]);
    expect(await task("eng-12")).toMatchObject({ kind: "job", title: "Add a dark mode" });
  });

  it("cancels what is queued, archives a job, and pushes one that has its report", async () => {
    git("init", "-q", "--bare", "-b", "main", join(app.folder, "remote.git"));
    git("remote", "add", "origin", join(app.folder, "remote.git"));
    git("push", "-qu", "origin", "main");
    const page = await open("jobs");
    const make = async (name: string) => {
      await page.goto(`${ui.origin}/demo/jobs`);
      await page.getByLabel("Name of a new job").fill(name);
      await press(page, "New job");
      await page.getByRole("heading", { name }).waitFor();
    };
    await make("later");
    const file = await page.evaluateHandle<unknown>(
      `(() => { const all = new DataTransfer(); all.items.add(new File(["Later, from a file"], "wishes.txt")); return all; })()`,
    );
    await page.getByLabel("Instructions").dispatchEvent("drop", { dataTransfer: file });
    await expect.poll(() => page.getByLabel("Instructions").inputValue()).toBe("Later, from a file");
    await press(page, "Run all steps");
    await said(page, /'Later, from a file'/);
    await press(page, "Cancel what is queued");
    await said(page, "mu job cancel later -w demo --queued");
    const steps = await store.db.selectFrom("tasks").select("status").where("name", "like", "later_%").execute();
    expect(steps.filter(({ status }) => status === "OPEN" || status === "IN_PROGRESS")).toEqual([]);
    await press(page, "Archive");
    await said(page, "mu job archive later -w demo");
    expect(existsSync(join(project, ".mu/jobs/later"))).toBe(false);
    await page.getByLabel("archived too").check();
    await page.getByRole("link", { name: "later" }).waitFor();

    await make("shipped");
    writeFileSync(join(project, ".mu/jobs/shipped/report.md"), "feat: ship it\n");
    await page.goto(`${ui.origin}/demo/jobs`);
    await press(page, "Push what has a report");
    await press(page, "Commit and push them?");
    await said(page, /^shipped pushed, /);
    expect(git("log", "-1", "--format=%s", "origin/main")).toBe("feat: ship it");
    expect(await events("job.push")).toContain("job.push demo/shipped");
  });

  it("approves and lands a task, and has comments of a review handled", async () => {
    const own = join(app.folder, "workspaces/demo/ann");
    await mu(["review", "return", "cart", "--comment", "cart.txt:1 Why?"]);
    await mu(["task", "claim", "cart"], own);
    writeFileSync(join(own, "cart.txt"), "Because.\n");
    git("-C", own, "commit", "-qam", "Say why");
    await mu(["task", "close", "cart"], own);
    const page = await open("landing/cart");
    await press(page, "Handled");
    await page.getByText(/handled by ann/).waitFor();
    await page.goto(`${ui.origin}/demo/landing`);
    await card(page, "cart").getByRole("button", { name: "Approve" }).click();
    await page.getByText(/approved by ann/).waitFor();
    await card(page, "cart").getByRole("button", { name: "Land", exact: true }).click();
    await said(page, "It has landed.");
    expect(await task("cart")).toMatchObject({ level: "landed" });
    expect(git("log", "--format=%s", "main").split("\n")).toContain("cart.txt");
    await press(page, "Land all that is finished");
    await said(page, /^0 landed, 0 returned/);
    expect(await events("review.approve", "review.handled", "land")).toEqual([
      "review.handled demo/cart",
      "review.approve demo/cart",
      "land demo/cart",
    ]);
  });

  it("writes the report of the day, and sends a test notice", async () => {
    const page = await open("money");
    await press(page, "Report now");
    await said(page, /It is in .*morning-report-\d{8}\.md/);
    const [, path = ""] = /It is in (\S+\.md)\./.exec((await page.locator(".said").textContent()) ?? "") ?? [];
    expect(readFileSync(path, "utf8")).toContain("demo");
    await press(page, "Send a test notice");
    await said(page, "Sent.");
    expect(ntfy.posted).toMatchObject([{ json: { topic: "crew-7" } }]);
  });
});
