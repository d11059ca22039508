import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { hookLine } from "../../src/agents/clis/hook-kit.js";
import {
  appendSpool,
  decodeSpoolLine,
  encodeSpoolLine,
  prepareSpool,
  readSpool,
  spoolPath,
  spoolSize,
} from "../../src/agents/spool.js";
import { fewOf } from "../support/sample.js";

const root = mkdtempSync(join(tmpdir(), "mu-spool-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
async function newState(): Promise<string> {
  const stateDir = join(root, String(++count));
  await prepareSpool(stateDir);
  return stateDir;
}

async function newSpool(): Promise<string> {
  return spoolPath(await newState(), "7");
}

const SHELLS = ["dash", "bash"].filter((shell) => spawnSync(shell, ["-c", "exit 0"]).status === 0);

function runHook(shell: string, stateDir: string, input: string, env: Record<string, string> = { MU_AGENT_ID: "7" }) {
  return spawnSync(shell, ["-c", hookLine("Stop")], {
    input,
    env: { PATH: process.env.PATH ?? "", HOME: root, MU_STATE_DIR: stateDir, ...env },
    encoding: "utf8",
  });
}

test("the hook is one line", () => {
  expect(hookLine("Stop")).not.toContain("\n");
});

test.each(SHELLS)("a hook in %s appends its event and says nothing", async (shell) => {
  const stateDir = await newState();
  const ran = runHook(shell, stateDir, '{"prompt":"a \\n \\"b\\" ünï ✓ $HOME `x`"}\n');
  expect(ran).toMatchObject({ status: 0, stdout: "", stderr: "" });
  const { events } = await readSpool(spoolPath(stateDir, "7"));
  expect(events).toEqual([{ at: expect.any(Number), event: "Stop", payload: { prompt: 'a \n "b" ünï ✓ $HOME `x`' } }]);
  expect(events[0]?.at).toBeGreaterThan(1_600_000_000_000);
  expect(statSync(spoolPath(stateDir, "7")).mode & 0o777).toBe(0o600);
});

test.each(SHELLS)("a payload over several lines becomes one line in %s", async (shell) => {
  const stateDir = await newState();
  runHook(shell, stateDir, '{\r\n  "a": [\n    1\n  ]\n}\n\n');
  expect(readFileSync(spoolPath(stateDir, "7"), "utf8").match(/\n/g)).toHaveLength(1);
  expect((await readSpool(spoolPath(stateDir, "7"))).events[0]?.payload).toEqual({ a: [1] });
});

test.each(SHELLS)("a prompt of 1 MB survives in %s", async (shell) => {
  const stateDir = await newState();
  const prompt = '0123456789 "quoted"\n\t✓'.repeat(48_000);
  expect(runHook(shell, stateDir, JSON.stringify({ prompt })).status).toBe(0);
  expect(prompt.length).toBeGreaterThan(1_000_000);
  expect((await readSpool(spoolPath(stateDir, "7"))).events[0]?.payload.prompt).toBe(prompt);
});

test.each<[string, Record<string, string>]>([
  ["there is no agent", {}],
  ["the agent's id is a path", { MU_AGENT_ID: "../7" }],
  ["the agent's id is no word", { MU_AGENT_ID: "a b" }],
  ["mu keeps no spool", { MU_AGENT_ID: "7", MU_STATE_DIR: "/nowhere/at/all" }],
  ["the spool cannot be written", { MU_AGENT_ID: "locked" }],
])("a hook does nothing and succeeds when %s", async (_when, env) => {
  for (const shell of SHELLS) {
    const stateDir = await newState();
    mkdirSync(spoolPath(stateDir, "locked"));
    expect(runHook(shell, stateDir, "{}", env)).toMatchObject({ status: 0, stdout: "", stderr: "" });
    expect((await readSpool(spoolPath(stateDir, "7"))).events).toEqual([]);
  }
});

const EVENTS = fewOf(20, 100);

test.each(SHELLS)(`20 processes with ${EVENTS} events each lose nothing in %s`, { timeout: 120_000 }, async (shell) => {
  const stateDir = await newState();
  const writers = Array.from({ length: 20 }, (_, writer) => {
    const body = 'i=0; while [ $i -lt "$N" ]; do printf \'{"n":"%s-%s","fill":"%s"}\' "$W" "$i" "$F"; i=$((i+1)); done';
    const script = body.replace('"$F";', `"$F" | sh -c "$HOOK";`);
    const env = { PATH: process.env.PATH ?? "", HOME: root, MU_STATE_DIR: stateDir, MU_AGENT_ID: "7" };
    const fill = "x".repeat(writer % 4 === 0 ? 90_000 : 300);
    const child = spawn(shell, ["-c", script], {
      env: { ...env, W: String(writer), N: String(EVENTS), F: fill, HOOK: hookLine("Stop") },
    });
    return new Promise((resolve) => child.on("close", resolve));
  });
  await Promise.all(writers);
  const { events } = await readSpool(spoolPath(stateDir, "7"), Number.POSITIVE_INFINITY);
  expect(new Set(events.map((event) => event.payload.n)).size).toBe(20 * EVENTS);
});

test("what mu appends reads like a hook's event", async () => {
  const path = await newSpool();
  await appendSpool(path, { at: 1_795_229_591_662, event: "mu.delivered", payload: { text: "go\non" } });
  expect((await readSpool(path)).events).toEqual([
    { at: 1_795_229_591_662, event: "mu.delivered", payload: { text: "go\non" } },
  ]);
});

test("a line is read back as it was written", () => {
  const payload = fc.dictionary(fc.string(), fc.jsonValue());
  const name = fc.stringMatching(/^[A-Za-z][\w.-]{0,20}$/);
  fc.assert(
    fc.property(fc.integer({ min: 1e12, max: 9e12 }), name, payload, (at, event, value) => {
      const line = encodeSpoolLine({ at, event, payload: value });
      const wanted = { at, event, payload: JSON.parse(JSON.stringify(value)) };
      expect(decodeSpoolLine(line.slice(1, -1))).toEqual(wanted);
    }),
  );
});

test.each([
  ["1795229591.5 Stop {}", 1_795_229_591_500],
  ["1795229591,007 Stop {}", 1_795_229_591_007],
  ["1795229591.662123456 Stop {}", 1_795_229_591_662],
  ["1795229591.N Stop {}", 1_795_229_591_000],
  ["1795229591 Stop {}", 1_795_229_591_000],
])("the time of %j is understood", (record, at) => {
  expect(decodeSpoolLine(record)?.at).toBe(at);
});

test("a torn record is lost alone", async () => {
  const path = await newSpool();
  const line = (n: number): string => encodeSpoolLine({ at: 1_795_229_591_000 + n, event: "Stop", payload: { n } });
  appendFileSync(path, [line(1), line(2).slice(0, 25), line(3), "noise\n", line(4)].join(""));
  const { events } = await readSpool(path);
  expect(events.map((event) => event.payload.n)).toEqual([1, 3, 4]);
});

test("a record that is still being written is left for the next read", async () => {
  const path = await newSpool();
  const line = encodeSpoolLine({ at: 1_795_229_591_000, event: "Stop", payload: { text: "ünï ✓" } });
  const bytes = Buffer.from(line);
  for (const cut of [1, 5, 20, bytes.length - 5, bytes.length - 1]) {
    writeFileSync(path, bytes.subarray(0, cut));
    expect(await readSpool(path)).toEqual({ events: [], end: 0 });
    appendFileSync(path, bytes.subarray(cut));
    const { events, end } = await readSpool(path);
    expect(events[0]?.payload).toEqual({ text: "ünï ✓" });
    expect(end).toBe(await spoolSize(path));
  }
});

test("the tail holds the newest events, at least one of them", async () => {
  const path = await newSpool();
  expect((await readSpool(path)).events).toEqual([]);
  const put = (n: number, fill: number) =>
    appendSpool(path, { at: 1_795_229_591_000, event: "Stop", payload: { n, fill: "x".repeat(fill) } });
  const tail = async (bytes?: number) => (await readSpool(path, bytes)).events.map((event) => event.payload.n);
  await put(1, 10);
  await put(2, 50_000);
  expect(await tail(1000)).toContain(2);
  await put(3, 10);
  expect(await tail(200)).toEqual([3]);
  expect(await tail()).toEqual([1, 2, 3]);
});

test("reading any bytes never throws", async () => {
  const path = await newSpool();
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      writeFileSync(path, bytes);
      expect((await readSpool(path)).events).toEqual([]);
    }),
    { numRuns: 50 },
  );
});
