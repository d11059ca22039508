import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { execProgram } from "../../src/exec.js";
import { VERBS } from "../../src/operations/manifest.js";
import { lineOf } from "../../src/web/verbs.js";
import { PROGRAM } from "../support/cli.js";
import { seededUi, startUi } from "../support/ui.js";

let seeded: Awaited<ReturnType<typeof seededUi>>;
beforeAll(async () => {
  seeded = await seededUi();
});
afterAll(() => seeded.end());

interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** A request with any header, also those that `fetch` does not let one set. */
function ask(path: string, { method = "GET", headers = {}, body }: Asked = {}, origin = seeded.ui.origin) {
  const { port } = new URL(origin);
  return new Promise<{ status: number; headers: Record<string, unknown>; text: string }>((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path, method, headers, agent: false }, (answer) => {
      let text = "";
      answer.on("data", (chunk) => {
        text += chunk;
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const bearer = () => ({ authorization: `Bearer ${seeded.ui.token}` });
const post = (headers: Record<string, string>, verb = "kill", body = "{}") =>
  ask(`/api/do/${verb}`, { method: "POST", headers: { "content-length": String(body.length), ...headers }, body });

describe("who is let in", () => {
  it("only the one with the token: by address, cookie or header, to read too", async () => {
    for (const path of ["/", "/page.js", "/demo/inbox", "/api/me", "/api/state", "/api/events", "/api/read/state"])
      expect([path, (await ask(path)).status]).toEqual([path, 401]);
    expect((await ask("/?token=wrong")).status).toBe(401);
    expect((await ask("/api/me", { headers: { cookie: "mu_5050=old" } })).status).toBe(401);
    expect((await ask("/api/me", { headers: { authorization: "Bearer " } })).status).toBe(401);
    const entered = await ask(`/demo/tasks?token=${seeded.ui.token}&filter=x`);
    expect([entered.status, entered.headers["location"]]).toEqual([302, "/demo/tasks?filter=x"]);
    const [cookie = ""] = entered.headers["set-cookie"] as string[];
    expect(cookie).toMatch(/HttpOnly/);
    expect(cookie).toMatch(/SameSite=Strict/);
    expect((await ask("/api/me", { headers: { cookie: cookie.split(";")[0] as string } })).status).toBe(200);
    expect((await ask("/api/me", { headers: bearer() })).status).toBe(200);
  });

  it("no page of another host, whatever it has: not by its name, its origin, or a name that leads here", async () => {
    for (const host of ["evil.example", `evil.example:${new URL(seeded.ui.origin).port}`, "127.0.0.1:1", "localhost"])
      expect([host, (await ask("/api/me", { headers: { ...bearer(), host } })).status]).toEqual([host, 403]);
    for (const origin of ["https://evil.example", "null", "http://127.0.0.1:1"])
      expect([origin, (await post({ ...bearer(), origin })).status]).toEqual([origin, 403]);
    const [cookie = ""] = (await ask(`/?token=${seeded.ui.token}`)).headers["set-cookie"] as string[];
    expect((await post({ cookie: cookie.split(";")[0] as string })).status).toBe(403);
  });

  it("is told how to load: nothing of another host, nothing inline, in no frame", async () => {
    const { headers } = await ask("/", { headers: bearer() });
    const policy = String(headers["content-security-policy"]);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    expect(headers["x-content-type-options"]).toBe("nosniff");
  });

  it("listens on loopback alone, takes the next free port, and names one that is taken", async () => {
    const other = await startUi(seeded.app);
    const port = Number(new URL(seeded.ui.origin).port);
    expect(Number(new URL(other.origin).port)).toBeGreaterThan(port);
    await other.end();
    await expect(startUi(seeded.app, ["--port", String(port)])).rejects.toThrow(
      `ended with 5: mu: Port ${port} is taken. Name a free one with --port.`,
    );
    const { stdout } = await execProgram("ss", ["-ltnH"], { env: process.env });
    const bound = stdout.split("\n").filter((line) => line.includes(`:${port} `));
    expect(bound.map((line) => line.trim().split(/\s+/)[3])).toEqual([`127.0.0.1:${port}`]);
  });
});

describe("what may be done", () => {
  it("is what the page has buttons for, by its verb, with the answer that every surface gives", async () => {
    const done = await post(bearer(), "task.add", JSON.stringify({ title: "Paint it", workstream: "demo" }));
    expect(JSON.parse(done.text)).toMatchObject({
      result: { task: { name: "paint_it" } },
      line: "mu task add --title 'Paint it' -w demo",
      undoable: true,
    });
    for (const [verb, status] of [
      ["sql", 409],
      ["agent.spawn", 409],
      ["snapshot.restore", 409],
      ["toString", 409],
    ] as const)
      expect([verb, (await post(bearer(), verb)).status]).toEqual([verb, status]);
    expect((await post(bearer(), "task.add", "{")).status).toBe(400);
    expect((await post(bearer(), "task.add", "[]")).status).toBe(400);
    const refused = await post(bearer(), "task.requeue", JSON.stringify({ task: "nothing", workstream: "demo" }));
    expect([refused.status, JSON.parse(refused.text).code]).toEqual([404, "task.not_found"]);
  });

  it("reads with verbs that change nothing, and with no others", async () => {
    const read = async (path: string) => (await ask(path, { headers: bearer() })).status;
    expect(await read("/api/read/task.list")).toBe(200);
    for (const verb of [
      "kill",
      "undo",
      "sql",
      "demo",
      "mcp",
      "ui",
      "agent.attach",
      "..%2f..%2fetc%2fpasswd",
      "constructor",
    ])
      expect([verb, await read(`/api/read/${verb}`)]).toEqual([verb, 404]);
    const given = (verb: string, input: object) =>
      read(`/api/read/${verb}?input=${encodeURIComponent(JSON.stringify(input))}`);
    expect(await given("job.modules", { job: "theme", workstream: "demo" })).toBe(200);
    expect(await given("job.modules", { job: "theme", workstream: "demo", all: true })).toBe(404);
    expect(await given("agent.explain", { agent: "helper", workstream: "demo", save: "kept" })).toBe(404);
    expect(await given("replay", { cast: "kept" })).toBe(404);
    expect(
      await read(`/api/read/job.show?input=${encodeURIComponent('{"job":"theme","artifact":"../../settings"}')}`),
    ).toBe(400);
    expect((await ask("/%2e%2e/%2e%2e/etc/passwd", { headers: bearer() })).text).toContain("<!doctype html>");
    expect(await read("/api/nothing")).toBe(404);
  });

  it("is nothing with --read-only, and a part with --allow", async () => {
    const status = async (words: string[], verb: string) => {
      const other = await startUi(seeded.app, words);
      const headers = { authorization: `Bearer ${other.token}`, "content-length": "2" };
      const { status: code } = await ask(`/api/do/${verb}`, { method: "POST", headers, body: "{}" }, other.origin);
      await other.end();
      return code;
    };
    expect(await status(["--read-only"], "kill")).toBe(409);
    expect(await status(["--allow", "answer,land"], "kill")).toBe(409);
    expect(await status(["--allow", "brake"], "resume")).toBe(200);
  });

  it("is not held up by a post of a gigabyte, of which no more than a megabyte is read", async () => {
    const { status } = await post({ ...bearer(), "content-length": "1073741824" }, "task.add", "{}").catch(() => ({
      status: 413,
    }));
    expect(status).toBe(413);
    expect((await post(bearer(), "task.add", JSON.stringify({ title: "x".repeat(2 << 20) }))).status).toBe(413);
    expect((await ask("/api/me", { headers: bearer() })).status).toBe(200);
  });

  it("scenario 13: the state has the queue, the budget, what happened and the brake, which a post puts on", async () => {
    const state = async () => JSON.parse((await ask("/api/state?w=demo", { headers: bearer() })).text);
    expect(await state()).toMatchObject({ kill: { on: false }, budget: { roles: [{ role: "code" }, { role: "qa" }] } });
    expect((await post(bearer(), "kill", '{"reason":"deploy","workstream":"demo"}')).status).toBe(200);
    expect(await state()).toMatchObject({ kill: { on: true, reason: "The brake is on: deploy" } });
    expect((await state()).queue.map(({ name }: { name: string }) => name)).toContain("build");
    expect((await post(bearer(), "resume", '{"workstream":"demo"}')).status).toBe(200);
  });
});

it("tells a page that another history begins, where the database is restored, and goes on with it", async () => {
  const own = await seededUi();
  try {
    const headers = { authorization: `Bearer ${own.ui.token}` };
    const stream = await fetch(`${own.ui.origin}/api/events?w=demo`, { headers });
    let told = "";
    const telling = (async () => {
      for await (const chunk of stream.body ?? []) told += Buffer.from(chunk).toString();
    })().catch(() => {});
    const mu = (...words: string[]) =>
      execProgram(process.execPath, [PROGRAM, ...words], { cwd: own.app.request.cwd, env: own.app.env });
    await own.app.store.close();
    expect(await mu("log", "write", "before", "-w", "demo")).toMatchObject({ code: 0 });
    await expect.poll(() => told, { timeout: 10_000 }).toContain("before");
    expect(await mu("snapshot", "restore", "kept.db", "--yes")).toMatchObject({ code: 0 });
    await expect.poll(() => told, { timeout: 10_000 }).toContain("event: gone");
    expect(await mu("log", "write", "after", "-w", "demo")).toMatchObject({ code: 0 });
    await expect.poll(() => told, { timeout: 10_000 }).toContain("after");
    await own.ui.end();
    await telling;
  } finally {
    await own.end();
  }
});

it("says the line that a person would have typed", () => {
  const verb = (name: string) => VERBS.find((one) => one.name === name) as (typeof VERBS)[number];
  expect(lineOf(verb("inbox.answer"), { id: "ada-1f2e", workstream: "shop", answer: ["it's fine"] })).toBe(
    "mu inbox answer ada-1f2e 'it'\\''s fine' -w shop",
  );
  expect(lineOf(verb("land"), { workstream: "shop", all: true, push: false })).toBe("mu land -w shop --all");
  expect(lineOf(verb("task.add"), { title: "A b", blockedBy: ["x", "y"], effortDays: 2 })).toBe(
    "mu task add --title 'A b' --blocked-by x --blocked-by y --effort-days 2",
  );
});
