import { spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { decodeSpoolLine, encodeSpoolLine, hookLine, spoolPath } from "../../src/agents/spool/line.js";
import { readSpool, readSpoolTail } from "../../src/agents/spool/read.js";
import { appendSpool, prepareSpool, removeSpool, rotateSpool } from "../../src/agents/spool/write.js";

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
  const { events, garbage } = await readSpool(spoolPath(stateDir, "7"));
  expect(events).toEqual([{ at: expect.any(Number), event: "Stop", payload: { prompt: 'a \n "b" ünï ✓ $HOME `x`' } }]);
  expect(garbage).toBe(0);
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

test.each(SHELLS)("20 processes with 100 events each lose nothing in %s", { timeout: 120_000 }, async (shell) => {
  const stateDir = await newState();
  const writers = Array.from({ length: 20 }, (_, writer) => {
    const body = 'i=0; while [ $i -lt 100 ]; do printf \'{"n":"%s-%s","fill":"%s"}\' "$W" "$i" "$F"; i=$((i+1)); done';
    const script = body.replace('"$F";', `"$F" | sh -c "$HOOK";`);
    const env = { PATH: process.env.PATH ?? "", HOME: root, MU_STATE_DIR: stateDir, MU_AGENT_ID: "7" };
    const fill = "x".repeat(writer % 4 === 0 ? 90_000 : 300);
    const child = spawn(shell, ["-c", script], { env: { ...env, W: String(writer), F: fill, HOOK: hookLine("Stop") } });
    return new Promise((resolve) => child.on("close", resolve));
  });
  await Promise.all(writers);
  const { events, garbage } = await readSpool(spoolPath(stateDir, "7"));
  expect(garbage).toBe(0);
  expect(new Set(events.map((event) => event.payload.n)).size).toBe(2000);
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

test("a torn record spoils only itself", async () => {
  const path = await newSpool();
  const line = (n: number): string => encodeSpoolLine({ at: 1_795_229_591_000 + n, event: "Stop", payload: { n } });
  appendFileSync(path, [line(1), line(2).slice(0, 25), line(3), "noise\n", line(4)].join(""));
  const { events, garbage } = await readSpool(path);
  expect(events.map((event) => event.payload.n)).toEqual([1, 3, 4]);
  expect(garbage).toBe(2);
});

test("a record that is still being written is left for the next read", async () => {
  const path = await newSpool();
  const line = encodeSpoolLine({ at: 1_795_229_591_000, event: "Stop", payload: { text: "ünï ✓" } });
  const bytes = Buffer.from(line);
  for (const cut of [1, 5, 20, bytes.length - 5, bytes.length - 1]) {
    writeFileSync(path, bytes.subarray(0, cut));
    const first = await readSpool(path);
    expect(first).toMatchObject({ events: [], garbage: 0 });
    appendFileSync(path, bytes.subarray(cut));
    expect((await readSpool(path, first.offset)).events[0]?.payload).toEqual({ text: "ünï ✓" });
  }
});

test("reading on from the last offset gives every event once, at any pace and over rotations", async () => {
  const step = fc.oneof(fc.constant("read" as const), fc.constant("rotate" as const), fc.nat(5));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const path = await newSpool();
      const seen: unknown[] = [];
      let [offset, written] = ["", 0];
      const read = async (): Promise<void> => {
        const found = await readSpool(path, offset);
        seen.push(...found.events.map((event) => event.payload.n));
        offset = found.offset;
      };
      for (const what of steps) {
        if (what === "read") await read();
        else if (what === "rotate") {
          await read();
          await rotateSpool(path, 0);
        } else {
          for (let i = 0; i < what; i++) {
            await appendSpool(path, { at: 1_795_229_591_000, event: "Stop", payload: { n: written++ } });
          }
        }
      }
      await read();
      expect(seen).toEqual(Array.from({ length: written }, (_, n) => n));
    }),
    { numRuns: 30 },
  );
});

test("events that stand in the moved segment are still read after a rotation", async () => {
  const path = await newSpool();
  const put = (n: number) => appendSpool(path, { at: 1_795_229_591_000, event: "Stop", payload: { n } });
  await put(1);
  const { offset } = await readSpool(path);
  await put(2);
  expect(await rotateSpool(path, 10)).toBe(true);
  await put(3);
  expect((await readSpool(path, offset)).events.map((event) => event.payload.n)).toEqual([2, 3]);
  expect((await readSpool(path)).events.map((event) => event.payload.n)).toEqual([1, 2, 3]);
});

test("a spool under its limit stays, one over it is moved aside, and only two segments are kept", async () => {
  const path = await newSpool();
  const put = () => appendSpool(path, { at: 1_795_229_591_000, event: "Stop", payload: { fill: "x".repeat(100) } });
  await put();
  expect(await rotateSpool(path, 10_000)).toBe(false);
  for (let turn = 0; turn < 5; turn++) {
    await rotateSpool(path, 100);
    await put();
  }
  expect((await readSpool(path)).events).toHaveLength(2);
});

test("of rotations at the same time one takes place and no event is lost", async () => {
  const path = await newSpool();
  for (let n = 0; n < 50; n++) {
    await appendSpool(path, { at: 1_795_229_591_000, event: "Stop", payload: { n } });
  }
  const rotations = await Promise.all(Array.from({ length: 20 }, () => rotateSpool(path, 100)));
  expect(rotations.filter(Boolean)).toHaveLength(1);
  expect((await readSpool(path)).events).toHaveLength(50);
});

test("hooks that run during rotations lose nothing", { timeout: 60_000 }, async () => {
  const stateDir = await newState();
  const path = spoolPath(stateDir, "7");
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: root,
    MU_STATE_DIR: stateDir,
    MU_AGENT_ID: "7",
    HOOK: hookLine("Stop"),
  };
  const script = 'i=0; while [ $i -lt 60 ]; do printf \'{"n":"%s-%s"}\' "$$" "$i" | sh -c "$HOOK"; i=$((i+1)); done';
  let open = 4;
  for (let writer = 0; writer < 4; writer++) spawn("sh", ["-c", script], { env }).on("close", () => open--);
  const seen = new Set<unknown>();
  let offset = "";
  for (let last = false; !last; ) {
    last = open === 0;
    const read = await readSpool(path, offset);
    for (const event of read.events) seen.add(event.payload.n);
    offset = read.offset;
    if (!last) await rotateSpool(path, 5000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(seen.size).toBe(240);
});

test("a rotation that was broken off is taken back when the spool has gone on for a minute", async () => {
  const path = await newSpool();
  await appendSpool(path, { at: 1_795_229_591_000, event: "Stop", payload: { n: 1 } });
  writeFileSync(`${path}.0`, "");
  expect(await rotateSpool(path, 10)).toBe(false);
  expect((await readSpool(path)).events).toHaveLength(1);
  utimesSync(`${path}.0`, 1000, 1000);
  await rotateSpool(path, 10);
  expect(await rotateSpool(path, 10)).toBe(true);
  expect((await readSpool(path)).events).toHaveLength(1);
});

test("an offset of a spool that was removed reads the new one from its start", async () => {
  const path = await newSpool();
  const put = (n: number) => appendSpool(path, { at: 1_795_229_591_000, event: "Stop", payload: { n } });
  await put(1);
  await rotateSpool(path, 0);
  await put(2);
  const { offset } = await readSpool(path);
  await removeSpool(path);
  expect(await readSpool(path, offset)).toMatchObject({ events: [] });
  await put(3);
  expect((await readSpool(path, offset)).events.map((event) => event.payload.n)).toEqual([3]);
});

test("the tail holds the newest events, at least one of them, and goes on where it ends", async () => {
  const path = await newSpool();
  expect((await readSpoolTail(path)).events).toEqual([]);
  const put = (n: number, fill: number) =>
    appendSpool(path, { at: 1_795_229_591_000, event: "Stop", payload: { n, fill: "x".repeat(fill) } });
  await put(1, 10);
  await put(2, 50_000);
  const big = await readSpoolTail(path, 1000);
  expect(big.events.map((event) => event.payload.n)).toContain(2);
  await rotateSpool(path, 100);
  await put(3, 10);
  const tail = await readSpoolTail(path, 200);
  expect(tail.events.map((event) => event.payload.n)).toEqual([3]);
  await put(4, 10);
  expect((await readSpool(path, tail.offset)).events.map((event) => event.payload.n)).toEqual([4]);
  expect((await readSpoolTail(path, 60_000)).events.map((event) => event.payload.n)).toEqual([1, 2, 3, 4]);
});

test("a hook that had the spool open when it was moved aside is still heard", async () => {
  const path = await newSpool();
  const line = (n: number): string => encodeSpoolLine({ at: 1_795_229_591_000, event: "Stop", payload: { n } });
  const slow = openSync(path, "a");
  writeSync(slow, line(1));
  await rotateSpool(path, 1);
  appendFileSync(path, line(2));
  const first = await readSpool(path);
  writeSync(slow, line(3));
  closeSync(slow);
  const second = await readSpool(path, first.offset);
  expect([first, second].map((read) => read.events.map((event) => event.payload.n))).toEqual([[1, 2], [3]]);
  expect((await readSpool(path, second.offset)).events).toEqual([]);
});

test("no bytes at all make a read throw", async () => {
  const path = await newSpool();
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.string(), async (bytes, offset) => {
      writeFileSync(path, bytes);
      expect((await readSpool(path, offset)).events).toEqual([]);
    }),
    { numRuns: 50 },
  );
});
