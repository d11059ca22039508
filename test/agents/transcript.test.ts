import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { plainText, readTail, removeTranscript, transcriptCommand } from "../../src/agents/files.js";
import { execProgram } from "../../src/exec.js";
import { describeTmux, eventually, type PrivateTmux, privateTmux } from "../support/tmux.js";

const MIB = 1024 * 1024;

describeTmux("a transcript", () => {
  let server: PrivateTmux;
  let path: string;
  beforeEach(() => {
    server = privateTmux();
    path = join(server.dir, "it's a $(touch x) #{pane_id} %H.log");
  });
  afterEach(() => server.dispose());

  const record = (script: string, limit?: number) =>
    server.tmux.openPane({
      session: "mu-demo",
      window: "w",
      cwd: server.dir,
      argv: ["sh", "-c", script],
      pipe: transcriptCommand(path, limit),
    });
  const size = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

  it("has everything from the first byte on, while the pane lives and after it is gone", async () => {
    const { pane } = await record("echo first; exec cat");
    await eventually("the first line", async () => (await readTail(path, 5)).includes("first"));
    await server.tmux.paste({ pane, text: "last words\n" });
    const echoedAndAnswered = "first,last words,last words";
    await eventually("the last line", async () => (await readTail(path, 10)).join() === echoedAndAnswered);
    await server.tmux.killPane(pane);
    expect((await readTail(path, 10)).join()).toBe(echoedAndAnswered);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(existsSync(join(server.dir, "x"))).toBe(false);
  });

  it("goes on in the same file when the agent comes back", async () => {
    for (const word of ["one", "two"]) {
      const { pane } = await record(`echo ${word}; exec cat`);
      await eventually(word, async () => (await readTail(path, 1))[0] === word);
      await server.tmux.killPane(pane);
    }
    expect(await readTail(path, 10)).toEqual(["one", "two"]);
  });

  it("its shell ends with the pane", async () => {
    const { pane } = await record("exec cat");
    await eventually("the file", async () => existsSync(path));
    await server.tmux.killPane(pane);
    const running = async () => (await execProgram("ps", ["-axo", "args="])).stdout.includes(path);
    await eventually("the end of the shell", async () => !(await running()));
  });

  it("a pane that floods stays within its bounds, and its last lines are there", async () => {
    let most = 0;
    const { pane } = await record(
      "yes 'the same line again and again' | head -c 21000000; echo THE END; exec cat",
      MIB,
    );
    await eventually("the end", async () => {
      most = Math.max(most, size(path) + size(`${path}.1`));
      return (await readTail(path, 1))[0] === "THE END";
    });
    expect(most).toBeLessThanOrEqual(6 * MIB);
    expect(size(`${path}.1`)).toBeGreaterThanOrEqual(MIB);
    expect(await readTail(path, 3)).toEqual([
      "the same line again and again",
      "the same line again and again",
      "THE END",
    ]);
    await server.tmux.killPane(pane);
    await removeTranscript(path);
    expect(size(path) + size(`${path}.1`)).toBe(0);
  });

  it("100 MB through the recorder stay within its bounds, and nothing between two turns is lost", async () => {
    const input = "seq 1 13000000";
    const watch = `${input} | ${transcriptCommand(path)}`;
    const { code } = await execProgram("/bin/sh", ["-c", watch]);
    expect(code).toBe(0);
    expect(size(path) + size(`${path}.1`)).toBeLessThanOrEqual(12 * MIB);
    const numbers = (readFileSync(`${path}.1`, "latin1") + readFileSync(path, "latin1"))
      .split("\n")
      .slice(1, -1)
      .map(Number);
    expect(numbers.at(-1)).toBe(13_000_000);
    expect(numbers.every((number, i) => i === 0 || number === (numbers[i - 1] ?? 0) + 1)).toBe(true);
  });

  it("a tail longer than the newest file goes on in the one before", async () => {
    await execProgram("/bin/sh", ["-c", `seq 1 500000 | ${transcriptCommand(path, 100_000)}`]);
    const before = readFileSync(path, "utf8").split("\n").length;
    const tail = await readTail(path, before + 100);
    expect(tail).toHaveLength(before + 100);
    expect(tail.map(Number)).toEqual(tail.map((_, i) => 500_000 - tail.length + 1 + i));
  });

  it("no file is no lines", async () => {
    expect(await readTail(path, 10)).toEqual([]);
    await removeTranscript(path);
  });
});

describe("plain text of a terminal stream", () => {
  it.each([
    ["\u001b[1;31mred\u001b[0m\r\n", "red\n"],
    ["\u001b]2;a title\u0007text", "text"],
    ["\u001b]8;;https://x.example\u001b\\link\u001b]8;;\u001b\\", "link"],
    ["\u001b]7501;state=idle:app=codex\u001b\\ok", "ok"],
    ["\u001bP1$r0m\u001b\\\u001b_apc\u001b\\x", "x"],
    ["\u001b(B\u001b=\u001b>\u001b7\u001b[?25l\u001b[?2004hx\u001b8", "x"],
    ["10%\r50%\r100%\r\ndone", "100%\ndone"],
    ["working\r\r\n", "working\n"],
    ["a\tb\u0007\u0000", "a\tb"],
    ["日本 🎉 é", "日本 🎉 é"],
    ["cut off \u001b[3", "cut off "],
    ["cut off \u001b]2;tit", "cut off "],
    ["\u001b]2;never ended\nline", "\nline"],
  ])("%j becomes %j", (raw, plain) => {
    expect(plainText(raw)).toBe(plain);
  });
});
