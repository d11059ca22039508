import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PLAYER_PROGRAM } from "../support/cli.js";
import { type PrivateTmux, startPrivateTmux } from "../support/private-tmux.js";
import { PLAYER_SCREEN } from "./rehearsal.js";

const PLAYER = [process.execPath, PLAYER_PROGRAM];
const HOUR = 3_600_000;

describe("the scripted agent in a tmux pane", () => {
  let room: PrivateTmux;
  beforeAll(() => {
    room = startPrivateTmux();
  });
  afterAll(() => room.close());

  /** The shell around the player tells its exit code; tmux 3.3a forgets that of a dead pane now and then. */
  const openPlayer = (script: object) =>
    room.openPane(["sh", "-c", '"$@"; echo "exit code $?"', "sh", ...PLAYER], {
      MU_PLAYER_SCRIPT: JSON.stringify(script),
      MU_PLAYER_RECEIPTS: join(room.folder, "receipts.jsonl"),
    });

  test("takes a pasted prompt, asks, runs a real command and is ready again", async () => {
    const run = { run: 'echo "$1 from $task" | tee said' };
    const claim = { run: 'echo "{\\"task\\":{\\"name\\":\\"design\\"}}"', keep: { task: "task.name" } };
    const steps = [claim, { permission: "tee said" }, run, { say: "All done." }];
    const pane = await openPlayer({ acts: [{ when: "greeting: (\\w+)", steps }] });
    await room.seen(pane, PLAYER_SCREEN.idle);
    await room.facts(pane, "#{pane_title} #{cursor_x}", /player - mu-tmux-.* 2$/m);

    const prompt = [...Array.from({ length: 38 }, (_, at) => `line ${at}: "$HOME" \`x\` #; é`), "greeting: hello"].join(
      "\n",
    );
    await room.paste(pane, prompt);
    const drafted = await room.seen(pane, PLAYER_SCREEN.draft);
    expect(drafted).toContain("\n> [paste #1 +39 lines]\n");
    expect(drafted).not.toContain("greeting");

    await room.keys(pane, "Enter");
    await room.seen(pane, PLAYER_SCREEN.permission);
    await room.keys(pane, "y");
    await room.seen(pane, PLAYER_SCREEN.idle);
    expect(readFileSync(join(room.folder, "said"), "utf8")).toBe("hello from design\n");
    expect(await room.screen(pane)).toContain("\n  hello from design\nAll done.\n");

    const receipt: { text: string } = JSON.parse(readFileSync(join(room.folder, "receipts.jsonl"), "utf8"));
    expect(receipt).toEqual({ event: "prompt", text: prompt, at: expect.stringMatching(/^\d{4}-.*Z$/) });
  });

  test("is interrupted with Esc, which ends its command too, and then plays what was queued", async () => {
    const acts = [{ when: "long", steps: [{ run: "sleep 3600" }] }, { steps: [{ say: "Short one." }] }];
    const pane = await openPlayer({ acts });
    await room.seen(pane, PLAYER_SCREEN.idle);
    await room.keys(pane, "long", "Enter");
    await room.seen(pane, PLAYER_SCREEN.busy);
    await room.keys(pane, "short", "Enter");
    await room.seen(pane, /Working… · 1 queued/);
    await room.keys(pane, "Escape");
    expect(await room.seen(pane, PLAYER_SCREEN.idle)).toMatch(/Interrupted\.\n\n> short\nShort one\.\n/);
  });

  test("loses an Enter, and takes the next one", async () => {
    const pane = await openPlayer({ acts: [{ steps: [{ say: "Got it." }] }], quirks: { loseEveryNthEnter: 2 } });
    await room.seen(pane, PLAYER_SCREEN.idle);
    await room.keys(pane, "one", "Enter", "two", "Enter");
    await room.seen(pane, /\n> two\nplayer · ready$/);
    await room.keys(pane, "Enter");
    expect(await room.seen(pane, /> two\nGot it\.\n/)).toMatch(PLAYER_SCREEN.idle);
  });

  test("dies with exit code 1 where its script says so", async () => {
    const pane = await openPlayer({ acts: [{ steps: [{ work: true }, { crash: "segmentation fault" }] }] });
    await room.seen(pane, PLAYER_SCREEN.idle);
    await room.keys(pane, "go", "Enter");
    expect(await room.seen(pane, /^exit code 1$/m)).toContain("> go\nFATAL ERROR: segmentation fault\nexit code 1");
  });

  test("without bracketed paste takes lines as they come and submits none of them", async () => {
    const pane = await openPlayer({ acts: [{ steps: [{ say: "Got it." }] }], quirks: { noBracketedPaste: true } });
    await room.seen(pane, PLAYER_SCREEN.idle);
    await room.paste(pane, "one\ntwo\nthree\nfour\nfive");
    await room.seen(pane, /\n> one\n {2}two\n {2}three\n {2}four\n {2}five\nplayer · ready$/);
  });

  test("that starts slowly leaves its terminal blank until it reads it", async () => {
    const pane = await openPlayer({ quirks: { slowStartMs: HOUR } });
    await room.facts(pane, "#{pane_current_command}", /^(node|sh)$/m);
    expect(await room.screen(pane)).not.toMatch(PLAYER_SCREEN.idle);
  });

  test("redraws itself when the pane changes its size", async () => {
    const pane = await openPlayer({ acts: [{ steps: [{ say: "A word that stays." }] }] });
    await room.seen(pane, PLAYER_SCREEN.idle);
    await room.keys(pane, "go", "Enter");
    await room.seen(pane, /stays\./);
    await room.tmux(["resize-window", "-t", pane, "-x", "60", "-y", "20"]);
    const screen = await room.seen(pane, /^─{60}$/m);
    expect(screen).toMatch(PLAYER_SCREEN.idle);
    expect(screen).toContain("A word that stays.");
  });
});
