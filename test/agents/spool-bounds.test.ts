import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, it } from "vitest";
import { hookLine } from "../../src/agents/clis/hook-kit.js";
import { getAgentCli } from "../../src/agents/clis/table.js";
import { readFeed, sessionOf } from "../../src/agents/feed.js";
import { appendSpool, prepareSpool, readSpool, SPOOL_BYTES, spoolPath } from "../../src/agents/spool.js";
import type { Host } from "../../src/host.js";
import { temporaryFolder } from "../support/database.js";

let folder: ReturnType<typeof temporaryFolder>;
let now: number;
beforeEach(async () => {
  folder = temporaryFolder();
  now = Date.now();
  await prepareSpool(folder.path);
});
afterEach(() => folder.remove());

const path = () => spoolPath(folder.path, 7);
const size = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
const pi = getAgentCli("pi");
const unseen = { row: { id: 7, session_ref: null }, seen: undefined };
/** A look at the feed, `laterMs` after the hooks have written. */
const look = (laterMs = 0) => {
  const clock = { now: () => new Date(Date.now() + laterMs) };
  return readFeed({ stateDir: folder.path, context: { clock } } as unknown as Host, unseen, pi);
};
let seconds = 0;
const report = (event: string, payload: object = {}) =>
  appendSpool(path(), { at: now - 3_600_000 + 1_000 * ++seconds, event, payload: payload as never });
const results = async (count: number, bytes = 400_000) => {
  for (let n = 0; n < count; n++) await report("tool_result", { toolName: "bash", text: "x".repeat(bytes) });
};

it("of 30 tool results of 400 kB is cut when it is read, and its conversation stays known", async () => {
  await report("session_start", { session: "s-1" });
  await results(30);
  expect(size(path())).toBeGreaterThan(11_000_000);
  await look();
  expect(size(path())).toBe(0);
  await look(2_000);
  expect(size(path()) + size(`${path()}.1`)).toBeLessThan(SPOOL_BYTES);
  expect(sessionOf(await look(2_000))).toBe("s-1");
  await results(5);
  await look(2_000);
  await look(4_000);
  expect(size(path()) + size(`${path()}.1`)).toBeLessThan(SPOOL_BYTES);
  expect(sessionOf(await look(4_000))).toBe("s-1");
  await report("session_start", { session: "s-2" });
  await results(5);
  for (const laterMs of [4_000, 6_000]) await look(laterMs);
  expect(sessionOf(await look(6_000))).toBe("s-2");
});

it("loses no event to a hook that writes while it is set aside", async () => {
  await results(4);
  await report("agent_start");
  const before = (await readSpool(path())).events.at(-1);
  await look();
  expect((await readSpool(path())).events.at(-1)).toEqual(before);
  appendLate(`${path()}.1`);
  expect((await readSpool(path())).events.at(-1)).toMatchObject({ event: "Stop" });
  await report("agent_end");
  expect((await readSpool(path())).events.slice(-2)).toMatchObject([{ event: "Stop" }, { event: "agent_end" }]);
});

/** As a hook whose shell had opened the file before it was renamed. */
function appendLate(file: string) {
  const line = hookLine("Stop").replace(`"$d/$MU_AGENT_ID"`, `"${file}"`);
  expect(line).toContain(file);
  const env = { PATH: process.env.PATH ?? "", MU_STATE_DIR: folder.path, MU_AGENT_ID: "7" };
  expect(spawnSync("sh", ["-c", line], { input: "{}", env }).status).toBe(0);
}

it("is bounded by several looks at once as by one, whatever they meet", async () => {
  await report("session_start", { session: "s-1" });
  for (let round = 0; round < 4; round++) {
    await results(3);
    await report("agent_start", { round });
    await Promise.all([look(), look(), look(2_000), look(2_000), report("tool", { round })]);
    const { events } = await readSpool(path());
    expect(events.map(({ event, payload }) => `${event} ${payload["round"]}`)).toEqual(
      expect.arrayContaining([`agent_start ${round}`, `tool ${round}`]),
    );
  }
  await look(2_000);
  await look(4_000);
  expect(size(path()) + size(`${path()}.1`)).toBeLessThan(2 * SPOOL_BYTES);
  expect(sessionOf(await look(4_000))).toBe("s-1");
});

it("is read as before where a cut was killed, and cut after a minute", async () => {
  await results(4);
  writeFileSync(`${path()}.lock`, "");
  writeFileSync(`${path()}.1.mu-0123456789ab`, "\u001e1700000000.0");
  const { events } = await look();
  expect(size(path())).toBeGreaterThan(SPOOL_BYTES);
  expect(events).toEqual((await look()).events);
  utimesSync(`${path()}.lock`, new Date(now - 61_000), new Date(now - 61_000));
  await look();
  expect(existsSync(`${path()}.lock`)).toBe(false);
  await look();
  expect(size(path())).toBe(0);
  expect(readFileSync(`${path()}.1`).length).toBeGreaterThan(SPOOL_BYTES);
});
