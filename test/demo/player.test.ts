// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is how a player script names a variable
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { advance, type Key, startPlayer } from "../../src/demo/player-machine.js";
import { parseScript } from "../../src/demo/player-script.js";
import { decodeKeys, drawFrame, flushKeys } from "../../src/demo/player-terminal.js";
import { PLAYER_SCREEN, pasted, rehearse } from "./rehearsal.js";

const ESC = { kind: "key", key: { name: "escape" } } as const;
const busy = { acts: [{ steps: [{ work: true }, { say: "Ready with ${prompt}." }] }] };
const lines = (count: number) => Array.from({ length: count }, (_, at) => `line ${at + 1}`).join("\n");

describe("a prompt", () => {
  test("is echoed and played step by step", () => {
    const agent = rehearse({
      acts: [{ when: "greet (\\w+)", steps: [{ say: "Hello ${1}." }, { work: 5 }, { say: "Bye." }] }],
    });
    agent.type("greet Ann\r");
    expect(agent.transcript()).toEqual(["", "> greet Ann", "Hello Ann."]);
    expect(agent.effects).toContainEqual({ kind: "work", wait: 1, ms: 5 });
    agent.finish();
    expect(agent.transcript().at(-1)).toBe("Bye.");
    expect(agent.screen()).toMatch(PLAYER_SCREEN.idle);
  });

  test("is receipted when it leaves the composer, queued or not", () => {
    const agent = rehearse(busy);
    agent.send("one");
    agent.send("two");
    expect(agent.effects.filter(({ kind }) => kind === "receipt")).toEqual([
      { kind: "receipt", text: "one" },
      { kind: "receipt", text: "two" },
    ]);
  });

  test("that nobody scripted gets a word, an empty one gets nothing", () => {
    const agent = rehearse({ acts: [{ when: "other", steps: [] }] });
    agent.send("anything");
    expect(agent.transcript()).toContain("I have no script for that.");
    const before = agent.effects.length;
    agent.type(" \r");
    expect(agent.effects).toHaveLength(before);
  });

  test("waits its turn while another one plays", () => {
    const agent = rehearse(busy);
    agent.send("one");
    agent.send("two");
    agent.send("three");
    expect(agent.screen()).toContain("Working… · 2 queued");
    agent.finishAll();
    expect(agent.transcript().filter((line) => line.startsWith("Ready"))).toEqual([
      "Ready with one.",
      "Ready with two.",
      "Ready with three.",
    ]);
  });

  test("that is interrupted gives way to the next, and its end comes too late", () => {
    const agent = rehearse(busy);
    agent.send("one");
    agent.send("two");
    agent.give(ESC);
    expect(agent.effects).toContainEqual({ kind: "stop" });
    agent.give({ kind: "worked", wait: 1 });
    expect(agent.screen()).toMatch(PLAYER_SCREEN.busy);
    agent.finish();
    expect(agent.transcript()).toEqual(["", "> one", "Interrupted.", "", "> two", "Ready with two."]);
  });
});

describe("a command", () => {
  const chain = {
    acts: [
      { steps: [{ run: "claim", keep: { task: "task.name" } }, { say: "I took ${task}." }, { run: 'close "$task"' }] },
    ],
  };

  test("hands what it printed to the steps after it", () => {
    const agent = rehearse(chain);
    agent.send("go");
    agent.finish({ stdout: '{"task":{"name":"build; rm -rf /"}}' });
    expect(agent.transcript().at(-2)).toBe("I took build; rm -rf /.");
    expect(agent.effects.at(-1)).toMatchObject({
      command: 'close "$task"',
      variables: { task: "build; rm -rf /", prompt: "go" },
    });
  });

  test("without the wanted JSON ends the prompt with an error", () => {
    const agent = rehearse(chain);
    agent.send("go");
    agent.finish({ stdout: "all good" });
    expect(agent.transcript().at(-1)).toBe("Error: claim printed no task.name");
    expect(agent.commands()).toEqual(["claim"]);
  });

  test("that fails shows its last lines and ends the prompt with an error", () => {
    const agent = rehearse(chain);
    agent.send("go");
    agent.finish({ code: 4, stderr: lines(20) });
    expect(agent.transcript().slice(-3)).toEqual(["  line 19", "  line 20", "Error: claim exited with 4"]);
    expect(agent.transcript()).toContain("  … 8 more lines");
    expect(agent.screen()).toMatch(PLAYER_SCREEN.idle);
  });

  test("may fail where the script says so", () => {
    const agent = rehearse({ acts: [{ steps: [{ run: "try", mayFail: true }, { say: "Never mind: ${output}" }] }] });
    agent.send("go");
    agent.finish({ code: 1, stdout: "nope\n" });
    expect(agent.transcript().at(-1)).toBe("Never mind: nope");
  });

  test("in a loop runs until it exits with 3", () => {
    const agent = rehearse({
      acts: [{ steps: [{ loop: [{ run: "claim --next" }, { work: true }] }, { say: "Nothing left." }] }],
    });
    agent.send("go");
    for (const _ of [1, 2]) {
      agent.finish();
      agent.finish();
    }
    agent.finish({ code: 3 });
    expect(agent.commands()).toEqual(["claim --next", "claim --next", "claim --next"]);
    expect(agent.transcript().at(-1)).toBe("Nothing left.");
  });

  test("in a loop that fails otherwise ends the prompt", () => {
    const agent = rehearse({ acts: [{ steps: [{ loop: [{ run: "claim" }] }, { say: "never" }] }] });
    agent.send("go");
    agent.finish({ code: 5 });
    expect(agent.transcript().at(-1)).toBe("Error: claim exited with 5");
  });

  test("in a loop within a loop ends the inner one, unless its code is the outer one's", () => {
    const inner = { loop: [{ run: "inner" }], untilExit: 7 };
    const agent = rehearse({ acts: [{ steps: [{ loop: [inner, { say: "round" }] }, { say: "end" }] }] });
    agent.send("go");
    agent.finish({ code: 7 });
    expect(agent.transcript().at(-2)).toBe("round");
    agent.finish({ code: 3 });
    expect(agent.transcript().at(-1)).toBe("end");
  });
});

describe("a permission dialog", () => {
  const asking = () => {
    const agent = rehearse({
      acts: [{ when: "clean", steps: [{ permission: "rm -rf ${prompt}" }, { say: "Cleaned." }] }],
    });
    agent.send("clean");
    return agent;
  };

  test("shows the command, hides the composer and waits", () => {
    const agent = asking();
    expect(agent.screen()).toMatch(/ {2}rm -rf clean\nAllow this command\? {2}\[y\] yes {2}\[n\] no$/);
    expect(agent.screen()).not.toMatch(PLAYER_SCREEN.busy);
  });

  test("goes on with y", () => {
    const agent = asking();
    agent.type("y");
    expect(agent.transcript().slice(-2)).toEqual(["Allowed: rm -rf clean", "Cleaned."]);
  });

  test.each([
    ["n", "n", "Denied: rm -rf clean"],
    ["Esc", "\x1b\x1b", "Interrupted."],
    ["Ctrl-C", "\x03", "Interrupted."],
  ])("ends the prompt with %s", (_key, bytes, line) => {
    const agent = asking();
    agent.type(bytes);
    expect(agent.transcript().at(-1)).toBe(line);
    expect(agent.screen()).toMatch(PLAYER_SCREEN.idle);
  });

  test("swallows a prompt that is pasted into it", () => {
    const agent = asking();
    agent.send("please do this");
    expect(agent.screen()).toMatch(PLAYER_SCREEN.permission);
    agent.type("n");
    expect(agent.screen()).not.toMatch(PLAYER_SCREEN.draft);
  });

  test("takes the first answer in what is typed and leaves the rest in the composer", () => {
    const agent = asking();
    agent.type("ok, yes");
    expect(agent.transcript()).toContain("Cleaned.");
    expect(agent.screen()).toContain("\n> es\n");
  });
});

describe("the composer", () => {
  test("collapses a large paste and sends all of it", () => {
    const agent = rehearse(busy);
    agent.type(pasted(lines(39)));
    expect(agent.screen()).toContain("\n> [paste #1 +39 lines]\n");
    agent.type(` and ${pasted("x".repeat(600))}\r`);
    expect(agent.effects[0]).toEqual({ kind: "receipt", text: `${lines(39)} and ${"x".repeat(600)}` });
  });

  test("numbers its pastes and deletes one with a single backspace", () => {
    const agent = rehearse(busy);
    agent.type(pasted(lines(4)) + pasted("y".repeat(500)));
    expect(agent.screen()).toContain("[paste #1 +4 lines][paste #2 500 chars]");
    agent.type("\x7f");
    expect(agent.screen()).toContain("> [paste #1 +4 lines]\n");
  });

  test("keeps the line breaks of a short paste, and of text that comes without brackets", () => {
    for (const bytes of [pasted("one\r\ntwo"), "one\ntwo"]) {
      const agent = rehearse(busy);
      agent.type(bytes);
      expect(agent.screen()).toContain("> one\n  two\n");
      agent.type("\r");
      expect(agent.effects[0]).toEqual({ kind: "receipt", text: "one\ntwo" });
    }
  });

  test("is cleared with Ctrl-U or Ctrl-C", () => {
    for (const control of ["\x15", "\x03"]) {
      const agent = rehearse(busy);
      agent.type(`draft${control}`);
      expect(agent.screen()).not.toMatch(PLAYER_SCREEN.draft);
    }
  });

  test("loses every n-th Enter and keeps the text", () => {
    const agent = rehearse({ ...busy, quirks: { loseEveryNthEnter: 2 } });
    agent.send("one");
    agent.send("two");
    expect(agent.screen()).toMatch(PLAYER_SCREEN.draft);
    expect(agent.effects.filter(({ kind }) => kind === "receipt")).toHaveLength(1);
    agent.type("\r");
    expect(agent.effects.at(-1)).toEqual({ kind: "receipt", text: "two" });
  });
});

describe("the end", () => {
  test("comes with a crash in the middle of a task", () => {
    const agent = rehearse({ acts: [{ steps: [{ say: "Oh." }, { crash: true }, { say: "never" }] }] });
    agent.send("go");
    expect(agent.effects.at(-1)).toEqual({ kind: "exit", code: 1 });
    expect(agent.transcript().at(-1)).toBe("FATAL ERROR: out of memory");
    agent.send("anyone?");
    expect(agent.effects.at(-1)).toEqual({ kind: "exit", code: 1 });
  });

  test.each([
    ["Ctrl-C", "\x03"],
    ["Ctrl-D", "\x04"],
  ])("comes with %s when there is nothing to do", (_key, byte) => {
    const agent = rehearse(busy);
    agent.type(byte);
    expect(agent.effects.at(-1)).toEqual({ kind: "exit", code: 0 });
  });

  test("comes when the terminal goes, even while a dialog waits", () => {
    const agent = rehearse({ acts: [{ steps: [{ permission: "ls" }] }] });
    agent.send("go");
    agent.give({ kind: "hangup" });
    expect(agent.effects.at(-1)).toEqual({ kind: "exit", code: 0 });
  });

  test("does not come with Ctrl-D in the middle of a task", () => {
    const agent = rehearse(busy);
    agent.send("go");
    agent.type("\x04");
    expect(agent.screen()).toMatch(PLAYER_SCREEN.busy);
  });
});

describe("the screen", () => {
  const idle = () => rehearse(busy);
  const working = () => {
    const agent = rehearse(busy);
    agent.send("go");
    return agent;
  };
  const drafting = (agent = idle()) => {
    agent.type("half a thou");
    return agent;
  };
  const asking = () => {
    const agent = rehearse({ acts: [{ steps: [{ permission: "ls" }] }] });
    agent.send("go");
    return agent;
  };

  test.each([
    ["idle", idle(), ["idle"]],
    ["working", working(), ["busy"]],
    ["idle with a draft", drafting(), ["idle", "draft"]],
    ["working with a draft", drafting(working()), ["busy", "draft"]],
    ["asking", asking(), ["permission"]],
  ])("of an agent that is %s says exactly that", (_state, agent, expected) => {
    expect(rulesOn(agent.screen())).toEqual(expected);
    expect(rulesOn(`> go\nplayer · ready\nAllow this command?  [y] yes  [n] no\n${agent.screen()}\n\n`)).toEqual(
      expected,
    );
  });

  test("shows the error of an idle agent in its last line", () => {
    const agent = rehearse({ acts: [{ steps: [{ fail: "429 too many requests" }] }] });
    agent.send("go");
    const screen = `${agent.transcript().join("\n")}\n${agent.screen()}`;
    expect(PLAYER_SCREEN.error.exec(screen)?.[1]).toBe("Error: 429 too many requests");
  });

  test("shows the spinner turning", () => {
    const agent = working();
    const first = agent.screen();
    agent.give({ kind: "tick" });
    expect(first).toMatch(/^⠋ Working…\n/);
    expect(agent.screen()).toMatch(/^⠙ Working…\n/);
  });

  test("has the cursor at home only while the composer is empty", () => {
    const script = parseScript(JSON.stringify(busy));
    const size = { columns: 80, rows: 24 };
    const empty = startPlayer(script);
    const typed = advance(empty, { kind: "key", key: { name: "text", text: "ab" } }).state;
    expect(drawFrame(empty, size).cursor.column).toBe(PLAYER_SCREEN.homeColumn);
    expect(drawFrame(typed, size).cursor).toEqual({ row: 1, column: 4 });
  });

  function rulesOn(screen: string): string[] {
    return (["idle", "busy", "permission", "draft"] as const).filter((rule) => PLAYER_SCREEN[rule].test(screen));
  }
});

describe("the keyboard", () => {
  test.each<[string, string, Key[]]>([
    ["text", "aé→", [{ name: "text", text: "aé→" }]],
    ["Enter and Ctrl-J", "\r\n", [{ name: "enter" }, { name: "newline" }]],
    ["a tab", "\t", [{ name: "text", text: "    " }]],
    ["a paste with everything in it", pasted("a\t\x1b[A\r\nb"), [{ name: "paste", text: "a\t\x1b[A\nb" }]],
    ["arrows, function keys and answers of the terminal", "\x1b[A\x1bOP\x1b[1;5C\x1b]11;rgb:0/0/0\x07\x1b[?62;c", []],
    ["Escape before other keys", "\x1bx", [{ name: "escape" }, { name: "text", text: "x" }]],
  ])("knows %s", (_what, bytes, keys) => {
    expect(decodeKeys(bytes)).toEqual({ keys, rest: "" });
  });

  test("waits for the rest of a sequence, and takes a lone ESC as the Escape key", () => {
    expect(decodeKeys("\x1b")).toEqual({ keys: [], rest: "\x1b" });
    expect(flushKeys("\x1b")).toEqual({ keys: [{ name: "escape" }], rest: "" });
    expect(flushKeys("\x1b[200~half a paste")).toEqual({ keys: [], rest: "\x1b[200~half a paste" });
  });

  test("reads the same keys however the bytes are cut", () => {
    fc.assert(
      fc.property(bytesOfKeys(), bytesOfKeys(), (first, second) => {
        const cut = decodeKeys(first);
        const after = decodeKeys(cut.rest + second);
        const whole = decodeKeys(first + second);
        expect(joinText([...cut.keys, ...after.keys])).toEqual(joinText(whole.keys));
        expect(after.rest).toBe(whole.rest);
      }),
    );
  });

  function joinText(keys: readonly Key[]): unknown[] {
    const joined: Key[] = [];
    for (const key of keys) {
      const last = joined.at(-1);
      if (key.name === "text" && last?.name === "text")
        joined[joined.length - 1] = { name: "text", text: last.text + key.text };
      else joined.push(key);
    }
    return joined;
  }
});

/** Anything that may arrive from a terminal, with the interesting sequences more often than chance. */
function bytesOfKeys() {
  const piece = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      "\r",
      "\n",
      "\x1b",
      "\x03",
      "\x04",
      "\x15",
      "\x7f",
      "\x1b[",
      "\x1b[200~",
      "\x1b[201~",
      "y",
      "n",
      "go",
      "\x1b[A",
    ),
    fc.string().map(pasted),
  );
  return fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(""));
}

describe("laws", () => {
  const eventful = {
    acts: [
      { when: "y", steps: [{ permission: "p" }, { work: true }] },
      { steps: [{ loop: [{ run: "a" }, { work: true }] }, { crash: true }] },
    ],
    quirks: { loseEveryNthEnter: 3 },
  };

  test("no input ever crashes the agent, and its frame always fits the terminal", () => {
    const endings = fc.array(fc.constantFrom({ code: 0 }, { code: 3 }, { code: 9 }, { code: null }), { maxLength: 5 });
    const size = fc.record({ columns: fc.integer({ min: 40, max: 120 }), rows: fc.integer({ min: 8, max: 40 }) });
    fc.assert(
      fc.property(fc.array(fc.tuple(bytesOfKeys(), endings)), size, (scenes, { columns, rows }) => {
        const agent = rehearse(eventful, { columns, rows });
        for (const [bytes, results] of scenes) {
          agent.type(bytes);
          results.forEach((result, at) => {
            agent.give({ kind: "ran", wait: at + 1, result: { stdout: "", stderr: "", ...result } });
            agent.give({ kind: "worked", wait: at });
            agent.give({ kind: "tick" });
          });
          const frame = agent.screen().split("\n");
          expect(frame.length).toBeLessThanOrEqual(rows);
          expect(Math.max(...frame.map((line) => line.length))).toBeLessThanOrEqual(columns);
        }
      }),
      { numRuns: 200 },
    );
  });

  test("prompts that are pasted and entered while the agent is busy play exactly once each, in order", () => {
    const prompt = fc.string({ minLength: 1 }).filter((text) => text.trim() !== "" && !text.includes("\x1b"));
    fc.assert(
      fc.property(fc.array(fc.tuple(prompt, fc.boolean())), fc.integer({ min: 0, max: 4 }), (prompts, ticks) => {
        const agent = rehearse({ acts: [{ steps: [{ work: true }, { run: "note" }] }] });
        agent.send("the first");
        for (const [text, moves] of prompts) {
          agent.send(text);
          if (moves) agent.finish();
          for (let tick = 0; tick < ticks; tick += 1) agent.give({ kind: "tick" });
        }
        agent.finishAll();
        const played = agent.effects.flatMap((effect) => (effect.kind === "run" ? [effect.variables.prompt] : []));
        expect(played).toEqual(["the first", ...prompts.map(([text]) => text)]);
      }),
    );
  });
});

describe("a script", () => {
  test.each([
    ["[", /^Invalid player script: script must be .*JSON/],
    ['{"acts": 1}', "Invalid player script: acts must be a list"],
    [
      '{"acts": [{"steps": [{"sing": "la"}]}]}',
      "Invalid player script: acts[0].steps[0] must be one of say, work, run,",
    ],
    ['{"acts": [{"when": "(", "steps": []}]}', "Invalid player script: acts[0].when must be a regular expression"],
    [
      '{"acts": [{"steps": [{"loop": [{"say": "again"}]}]}]}',
      "acts[0].steps[0].loop must be a list with at least one run",
    ],
    ['{"acts": [{"steps": [{"run": "x", "keep": {"PATH": "a"}}]}]}', "keep.PATH must be a lower-case name"],
    ['{"quirks": {"slowStartMs": -1}}', "quirks.slowStartMs must be a whole number, 0 or more"],
  ])("that reads %s is refused with its place", (json, message) => {
    expect(() => parseScript(json)).toThrow(message);
  });
});
