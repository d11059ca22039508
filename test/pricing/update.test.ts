import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { EXIT_CODES, type Fault } from "../../src/errors.js";
import type { Request } from "../../src/operations/app.js";
import { execute, type World } from "../../src/operations/execute.js";
import { loadOperations } from "../../src/operations/index.js";
import { isOffered } from "../../src/operations/tools.js";
import { temporaryFolder } from "../support/database.js";

const operations = await loadOperations();
let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const prices = (input: number, output: number) => ({
  ...{ input, output, cache_write_5m: input, cache_write_1h: input, cache_read: input },
});
const MODELS = { "acme-1": prices(1, 2), "acme-2": prices(2, 4), "acme-3": prices(3, 6) };
const kept = () => join(folder.path, "pricing.json");
const file = (content: unknown) => {
  const path = join(folder.path, "new.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
};

// biome-ignore lint/suspicious/noExplicitAny: each test knows what its verb returns
async function mu(name: string, input: Record<string, unknown> = {}, env: Request["env"] = {}): Promise<any> {
  const operation = operations.find((found) => found.name === name);
  if (operation === undefined) throw new Error(name);
  const world = { clock: { now: () => new Date("2026-11-30T00:00:00Z") }, program: {} } as unknown as World;
  const request = {
    env: { MU_STATE_DIR: folder.path, ...env },
    cwd: folder.path,
    signal: new AbortController().signal,
    readFile: async (path: string) => readFileSync(path, "utf8"),
  } as unknown as Request;
  return execute(operation, input, world, request);
}

const update = (input: Record<string, unknown>, env?: Request["env"]) => mu("pricing.update", input, env);
const refused = async (answer: Promise<unknown>) => {
  const fault = (await answer.then(
    () => ({ kind: "negative", code: "none" }),
    (error: unknown) => error,
  )) as Fault;
  return [fault.code, EXIT_CODES[fault.kind]];
};

/** A server that gives every request this answer. */
async function serve(status: number, body: string): Promise<string> {
  const server = createServer((_, response) => response.writeHead(status).end(body));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/prices.json`;
}

describe("mu pricing update", () => {
  it("shows what would change and writes nothing, then keeps it, then has no changes", async () => {
    const from = file({ updated_at: "2026-11-01T00:00:00Z", source: "a contract", models: MODELS });
    const preview = await update({ from, dryRun: true });
    expect(preview).toMatchObject({ written: false, models: 3, source: "a contract" });
    expect(preview.changes).toContainEqual({ model: "acme-1", price: "output", before: null, after: 2 });
    expect(existsSync(kept())).toBe(false);
    expect(await update({ from })).toMatchObject({ written: true });
    expect(JSON.parse(readFileSync(kept(), "utf8"))).toMatchObject({ models: MODELS, source: "a contract" });
    expect(await update({ from })).toMatchObject({ written: false, changes: [] });
    expect(readdirSync(folder.path).sort()).toEqual(["new.json", "pricing.json"]);
  });

  it.each([
    ["no JSON", "{"],
    ["no table", "[]"],
    ["too few models", { models: { a: prices(1, 2), b: prices(1, 2) } }],
    ["a negative price", { models: { ...MODELS, "acme-2": prices(-1, 2) } }],
    ["a price of 0", { models: { ...MODELS, "acme-2": { ...prices(1, 2), cache_read: 0 } } }],
    ["a missing price", { models: { ...MODELS, "acme-2": { input: 1, output: 2 } } }],
    ["output cheaper than input", { models: { ...MODELS, "acme-2": prices(2, 1) } }],
  ])("refuses %s with or without --force, and keeps the old", async (_, content) => {
    await update({ from: file({ models: MODELS }) });
    const before = readFileSync(kept(), "utf8");
    for (const force of [false, true]) {
      expect(await refused(update({ from: file(content), force }))).toEqual(["pricing.bad_table", 1]);
    }
    expect(readFileSync(kept(), "utf8")).toBe(before);
  });

  it.each([
    ["a missing model", { "acme-1": MODELS["acme-1"], "acme-2": MODELS["acme-2"], other: prices(1, 2) }],
    ["a price eleven times as high", { ...MODELS, "acme-3": { ...prices(3, 66) } }],
    ["a price an eleventh as high", { ...MODELS, "acme-3": { ...prices(3, 6), cache_read: 0.27 } }],
    ["a known model at a hundred times the price list", { ...MODELS, "claude-opus-4-1": prices(1500, 7500) }],
  ])("takes %s only with --force", async (_, models) => {
    await update({ from: file({ models: MODELS }) });
    const from = file({ models });
    expect(await refused(update({ from }))).toEqual(["pricing.suspicious", 1]);
    expect(JSON.parse(readFileSync(kept(), "utf8"))).toMatchObject({ models: MODELS });
    expect(await update({ from, force: true })).toMatchObject({ written: true });
    expect(JSON.parse(readFileSync(kept(), "utf8"))).toMatchObject({ models });
  });

  it("fetches a list in the format of genai-prices", async () => {
    const entry = (id: string, input: number) => ({
      ...{ id, match: { equals: id }, prices: { input_mtok: { base: input, tiers: [] }, output_mtok: 4 * input } },
    });
    const models = [
      entry("one", 1),
      entry("two", 2),
      { ...entry("three", 3), prices: [{ prices: { input_mtok: 3, output_mtok: 9 } }] },
    ];
    const list = [{ id: "anthropic", models: [...models, { id: "embedding", prices: { input_mtok: 1 } }] }];
    const url = await serve(200, JSON.stringify(list));
    expect(await update({}, { MU_PRICING_URL: url })).toMatchObject({ written: true, models: 3, source: url });
    expect(JSON.parse(readFileSync(kept(), "utf8"))).toMatchObject({
      updated_at: "2026-11-30T00:00:00.000Z",
      models: { one: { input: 1, output: 4, cache_read: 1 }, three: { output: 9 } },
    });
  });

  it("keeps the old where the server answers with an error, or none is there", async () => {
    await update({ from: file({ models: MODELS }) });
    const before = readFileSync(kept(), "utf8");
    const url = await serve(500, "oh no");
    expect(await refused(update({ from: url }))).toEqual(["pricing.unreachable", 5]);
    expect(await refused(update({ from: "http://127.0.0.1:1/" }))).toEqual(["pricing.unreachable", 5]);
    expect(readFileSync(kept(), "utf8")).toBe(before);
  });

  it("is no tool of MCP", () => {
    const operation = operations.find(({ name }) => name === "pricing.update");
    expect(operation !== undefined && isOffered("all", operation)).toBe(false);
    expect(operation?.outward).toBe(true);
  });
});

describe("mu pricing show", () => {
  it("shows the user's own prices before the list's, and says when they are old", async () => {
    await update({ from: file({ updated_at: "2026-08-01T00:00:00Z", models: { ...MODELS, "gpt-5": prices(2, 20) } }) });
    const all = await mu("pricing.show");
    expect(all).toMatchObject({ stale: true, updatedAt: "2026-08-01T00:00:00Z", problem: null });
    expect(all.nextSteps).toEqual([{ intent: "Update the prices", command: "mu pricing update" }]);
    const of = (model: string) => all.items.find((row: { model: string }) => row.model === model);
    expect(of("gpt-5")).toMatchObject({ input: 2, basis: "user table" });
    expect(of("claude-opus-4-1")).toMatchObject({ input: 15, cacheWrite1h: 30, basis: "price list" });
    expect((await mu("pricing.show", { model: "gpt-5-codex" })).items).toMatchObject([
      { input: 2, basis: "user table" },
    ]);
    expect((await mu("pricing.show", { model: "unheard" })).items).toMatchObject([{ basis: "fallback" }]);
  });

  it("goes by the list where the file is damaged, and says so", async () => {
    writeFileSync(kept(), '{"models": {"a');
    const { items, problem } = await mu("pricing.show", { model: "gpt-5" });
    expect(items).toMatchObject([{ basis: "price list" }]);
    expect(problem).toContain(kept());
  });
});
