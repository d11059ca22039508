import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Store } from "../../src/db/store.js";
import { write } from "../../src/db/write.js";
import { escalateTask } from "../../src/dispatch/escalation.js";
import { addTask, addTaskIn } from "../../src/tasks/add.js";
import { noBrowser, openBrowser, seededUi, startUi } from "../support/ui.js";

const LONG = { timeout: 120_000 };
const VIEWS = ["inbox", "crew", "tasks", "graph", "jobs", "landing", "money", "log"];

describe.skipIf(noBrowser !== undefined)(`the page (${noBrowser ?? "in Chromium"})`, () => {
  let browser: Browser;
  let seeded: Awaited<ReturnType<typeof seededUi>>;
  let store: Store;
  const problems: string[] = [];
  beforeAll(async () => {
    browser = await openBrowser();
    seeded = await seededUi("with panes", "with workspaces");
    store = seeded.app.store;
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await seeded?.end();
  });
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    expect(problems.splice(0)).toEqual([]);
  });

  async function open(path: string, { width = 1_200, height = 800 } = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width, height } });
    const page = await context.newPage();
    page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
    page.on("dialog", (dialog) => problems.push(`dialog: ${dialog.message()}`));
    page.setDefaultTimeout(20_000);
    await page.goto(`${seeded.ui.origin}${path}${path.includes("?") ? "&" : "?"}token=${seeded.ui.token}`);
    await page.locator("nav").waitFor();
    return page;
  }
  const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).first().click();
  const said = (page: Page, text: string | RegExp) => page.locator(".said").getByText(text).first().waitFor();
  const taskRow = async (name: string) =>
    store.db.selectFrom("tasks").selectAll().where("name", "=", name).executeTakeFirstOrThrow();

  it(
    "has each view at an address of its own, which the eye, the keyboard and a screen reader can use",
    LONG,
    async () => {
      for (const size of [
        { width: 1_600, height: 1_000 },
        { width: 390, height: 800 },
      ]) {
        const page = await open("/demo/inbox", size);
        for (const view of [...VIEWS, "crew/helper", "tasks/build", "jobs/theme", "landing/cart"]) {
          await page.goto(`${seeded.ui.origin}/demo/${view}`);
          await page.locator("main :is(h1, .card, table, .empty, section, li)").first().waitFor();
          const tab = page.locator("nav [aria-current]");
          const right = async () => ((await tab.boundingBox())?.x ?? 0) + ((await tab.boundingBox())?.width ?? 0);
          await expect.poll(right, { message: `the tab of ${view}` }).toBeLessThanOrEqual(size.width);
          const wide = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth",
          );
          expect([view, size.width, wide]).toEqual([view, size.width, 0]);
          await page.evaluate(axe.source);
          const found = (await page.evaluate("axe.run()")) as {
            violations: { id: string; impact: string; nodes: { html: string }[] }[];
          };
          const serious = found.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
          expect([view, serious.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)]).toEqual([view, []]);
        }
      }
    },
  );

  it("begins with the inbox on a phone, and with the crew on a desk", async () => {
    const phone = await open("/demo", { width: 390, height: 800 });
    await phone.locator('nav a[aria-current="page"]', { hasText: "Inbox" }).waitFor();
    const desk = await open("/demo");
    await desk.locator('nav a[aria-current="page"]', { hasText: "Crew" }).waitFor();
  });

  it("answers what is asked, once: the second person hears that somebody has", async () => {
    await addTask(seeded.app.context, "demo", { name: "colour", title: "Choose a colour" });
    const [one, two] = [await open("/demo/tasks/colour"), await open("/demo/inbox")];
    await one.getByLabel("Why").fill("Red or **blue**?");
    await press(one, "Hold");
    await said(one, "mu task escalate colour 'Red or **blue**?' -w demo");
    await two.locator(".card", { hasText: "colour" }).locator("strong", { hasText: "blue" }).waitFor();
    const three = await open("/demo/inbox");
    const card = (page: Page) => page.locator(".card", { hasText: "colour" });
    await card(three).getByLabel("Answer colour").fill("red");
    await three.route("**/api/read/inbox*", (route) => route.abort());
    await card(two).getByLabel("Answer colour").fill("blue");
    await card(two).getByRole("button", { name: "Answer", exact: true }).click();
    await card(two).waitFor({ state: "detached" });
    await card(three).getByRole("button", { name: "Answer", exact: true }).click();
    await said(three, /: ann answered "blue" at /);
    expect(await taskRow("colour")).toMatchObject({ hold: null });
    const notes = await store.db
      .selectFrom("task_notes as n")
      .innerJoin("tasks as t", "t.id", "n.task_id")
      .select("n.text")
      .where("t.name", "=", "colour")
      .execute();
    expect(notes.filter(({ text }) => /^(blue|red)$/.test(text)).map(({ text }) => text)).toEqual(["blue"]);
  });

  it("adds, holds, routes, rejects and opens tasks, shows the line of each, and takes back what can be", async () => {
    const page = await open("/demo/tasks");
    await page.getByText("Add a task").click();
    await page.getByLabel("Title").fill("Paint the door");
    await page.getByLabel("Role").selectOption("qa");
    await page.getByLabel("Waits for").fill("build");
    await press(page, "Add");
    await said(page, "mu task add -w demo --title 'Paint the door' --role qa --blocked-by build");
    await page
      .getByRole("link", { name: /^paint_/ })
      .first()
      .click();
    await page.getByText("waits for").waitFor();
    const [, , name = ""] = new URL(page.url()).pathname.split("/").slice(1);
    expect(await taskRow(name)).toMatchObject({ role: "qa", status: "OPEN" });
    await press(page, "Give to code");
    await page.getByText(/^role code/).waitFor();
    await said(page, /^mu task route/);
    await page.getByRole("button", { name: "Undo" }).last().click();
    await page.getByText(/^role qa/).waitFor();
    await page.getByLabel("Note", { exact: true }).fill("Green, not red");
    await press(page, "Add the note");
    await page.getByText("Green, not red").first().waitFor();
    await press(page, "Reject");
    await press(page, "Really reject it?");
    await press(page, "Open again");
    await page.getByRole("button", { name: "Reject" }).waitFor();
    expect(await taskRow(name)).toMatchObject({ status: "OPEN" });
  });

  it("filters by the words of mu top, and completes them", async () => {
    const page = await open("/demo/tasks");
    await page.locator("#filter").waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("status:closed !review");
    await page.getByRole("link", { name: "done", exact: true }).waitFor();
    await page.getByRole("link", { name: "build", exact: true }).waitFor({ state: "detached" });
    expect(new URL(page.url()).searchParams.get("filter")).toBe("status:closed !review");
    await page.getByLabel("Filter").fill("status:cl");
    await page.locator('#completions option[value="status:closed "]').waitFor({ state: "attached" });
  });

  it("shows the other page's change, and stops everything by one button on every page", async () => {
    const [one, two] = [await open("/demo/graph"), await open("/demo/money")];
    await press(one, "Stop");
    await press(one, "Stop everything?");
    await two.getByText("stopped", { exact: true }).waitFor();
    await press(two, "Resume");
    await one.getByRole("button", { name: "Stop", exact: true }).waitFor();
    const brakes = store.db.selectFrom("events").select("op").where("op", "in", ["dispatch.kill", "dispatch.resume"]);
    const ops = async () => (await brakes.orderBy("id").execute()).map(({ op }) => op);
    await expect.poll(ops).toEqual(["dispatch.kill", "dispatch.resume"]);
  });

  it("shows what an agent prints as text, however wild, and sends it a prompt", LONG, async () => {
    const page = await open("/demo/crew/helper");
    const bomb =
      "printf '<script>alert(1)</script><img src=x onerror=alert(2)>\\033[31mred\\033[0m\\033]0;x\\007\\033[2J%s\\n' end; seq 3000";
    await page.getByLabel("Send helper a prompt").fill(bomb);
    await press(page, "Send");
    await said(page, /Prompt \d+ is/);
    await page.locator(".screen").getByText("3000").first().waitFor();
    expect(await page.locator(".screen script, .screen img").count()).toBe(0);
    await page.goto(`${seeded.ui.origin}/demo/crew`);
    await page.locator(".card", { hasText: "helper" }).locator(".screen").waitFor();
  });

  it("makes, fills, renames, archives and deletes a job, and shows what its steps have made", async () => {
    const page = await open("/demo/jobs");
    await page.getByLabel("Name of a new job").fill("sounds");
    await press(page, "New job");
    await page.getByRole("heading", { name: "sounds", exact: false }).waitFor();
    await page.getByLabel("New name").fill("noises");
    await press(page, "Rename");
    await page.getByRole("heading", { name: "noises" }).waitFor();
    await page.getByRole("checkbox", { name: "plan" }).check();
    await page.getByLabel("Instructions").fill("Quiet ones");
    await press(page, "Run plan");
    await said(page, /mu job run noises plan .*--instructions 'Quiet ones'/);
    await page.locator("td", { hasText: "plan" }).first().waitFor();
    await press(page, "Stop");
    await page.goto(`${seeded.ui.origin}/demo/jobs/theme`);
    await page.locator(".markdown h1", { hasText: "Themes" }).waitFor();
    await page.goto(`${seeded.ui.origin}/demo/jobs/noises`);
    await press(page, "Delete");
    await press(page, "Really delete it?");
    await page.getByRole("link", { name: "theme" }).waitFor();
    const jobs = await store.db.selectFrom("tasks").select("name").where("kind", "=", "job").execute();
    expect(jobs.map(({ name }) => name)).toEqual(["theme"]);
  });

  it(
    "shows the riskiest first, sends one back with comments on lines, and lands one that is approved",
    LONG,
    async () => {
      const page = await open("/demo/landing/cart");
      await page.getByRole("button", { name: /^Comment on cart.txt line 1/ }).click();
      await page.getByLabel("Comment on cart.txt:1").fill("Say what is in it");
      await press(page, "Comment");
      await press(page, "Send back with 1 comment");
      await said(page, "mu review return cart -w demo --comment 'cart.txt:1 Say what is in it'");
      await expect.poll(async () => (await taskRow("cart")).status).not.toBe("CLOSED");
      await page.goto(`${seeded.ui.origin}/demo/landing`);
      await page.getByText("Nothing waits to land.").waitFor();
    },
  );

  it("tells of a new question while it is behind another window, and leads to it", async () => {
    const page = await open("/demo/crew");
    // What a page behind another window has, with a notice that the test can press.
    await page.addInitScript(`
      window.notices = [];
      window.Notification = class { static permission = "granted"; constructor(title, options) { Object.assign(this, { title, ...options }); window.notices.push(this); } };
      document.hasFocus = () => false;
    `);
    await page.reload();
    await page.getByRole("link", { name: /^Inbox/ }).waitFor();
    await page.locator(".card").first().waitFor();
    await addTask(seeded.app.context, "demo", { name: "door", title: "Choose a door" });
    await escalateTask(
      seeded.app.context,
      { workstream: "demo", name: "door" },
      { person: "ann" },
      { reason: "Oak or pine?" },
    );
    const told = () => page.evaluate("window.notices.map(({ title, body }) => [title, body])");
    await expect.poll(told).toEqual([["demo: door", expect.stringContaining("Oak or pine?")]]);
    await page.evaluate("window.notices[0].onclick()");
    await page.locator(".card.chosen", { hasText: "Oak or pine?" }).waitFor();
    expect(new URL(page.url()).pathname).toBe("/demo/inbox/door");
  });

  it("says at once that events have stopped, and catches up on what it has missed", LONG, async () => {
    const own = await seededUi();
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${own.ui.address}`.replace("/?", "/demo/tasks?"));
    await page.getByRole("link", { name: "build" }).waitFor();
    await context.setOffline(true);
    await own.ui.end();
    await page.getByText(/no news for/).waitFor();
    const { port } = new URL(own.ui.origin);
    const again = await startUi(own.app, ["--port", port]);
    await addTask(own.app.context, "demo", { name: "missed", title: "Added meanwhile" });
    await context.setOffline(false);
    await page.goto(again.address.replace("/?", "/demo/tasks?"));
    await page.getByRole("link", { name: "missed" }).waitFor();
    await context.close();
    await again.end();
    await own.end();
  });

  it("draws 2,000 tasks", LONG, async () => {
    await write(seeded.app.context, { op: "task.apply", scope: "other", subject: "other" }, async (tx) => {
      for (let n = 0; n < 2_000; n++)
        await addTaskIn(tx, "other", {
          name: `t${n}`,
          title: `Task ${n}`,
          ...(n >= 40 && { blockedBy: [`t${n - 40}`] }),
        });
    });
    const page = await open("/other/graph");
    await page.getByText("2000 tasks, 40 tracks").waitFor();
    expect(await page.locator(".graph .task").count()).toBe(2_000);
  });

  it("is used by keyboard alone, and the log goes back in time", async () => {
    const page = await open("/demo/crew");
    for (const [letter, view] of [
      ["t", "Tasks"],
      ["e", "Log"],
    ]) {
      await page.keyboard.press("g");
      await page.keyboard.press(letter as string);
      await page.locator('nav a[aria-current="page"]', { hasText: view as string }).waitFor();
    }
    await page.getByLabel("Moment").focus();
    await page.keyboard.press("Home");
    await page.getByText(/^As it was at #/).waitFor();
    await page.getByRole("link", { name: "Now", exact: true }).click();
    await page.getByText(/^As it was at #/).waitFor({ state: "detached" });
    await page.keyboard.press("?");
    await page.getByRole("dialog").getByRole("button", { name: "Light" }).click();
    expect(await page.evaluate("document.documentElement.dataset.theme")).toBe("light");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  });

  it.runIf(process.env["MU_PICTURES"])("is pictured for the README", LONG, async () => {
    const page = await open("/demo/crew", { width: 1_200, height: 640 });
    await page.locator(".screen").first().waitFor();
    await page.emulateMedia({ colorScheme: "dark" });
    await page.screenshot({ path: "docs/pictures/ui.png" });
  });
});
