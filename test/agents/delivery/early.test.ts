import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { sendToAgent } from "../../../src/agents/delivery/send.js";
import { observeAgents } from "../../../src/agents/status/observe.js";
import { openStage, type Stage } from "../../support/stage.js";
import { describeTmux, eventually } from "../../support/tmux.js";

/** A screen like OpenCode's: what is submitted moves up at once, and only the file `working` makes it say that it works. */
const SLOW_OPENCODE = `
  const { existsSync } = require("node:fs");
  process.title = "opencode";
  process.stdin.setRawMode(true);
  let text = "";
  const said = [];
  let shown = "";
  const draw = () => {
    const box = (line) => ["  ┃", "  ┃  " + line, "  ┃"];
    const above = said.flatMap((line) => [...box(line), ""]);
    const row = existsSync("working") ? "   ⬝⬝⬝⬝⬝⬝■■  esc interrupt" : "   /shop";
    const lines = [...above, ...box(text), "  ┃  Build · Model", "  ╹▀▀▀▀▀▀▀▀", row];
    const cursor = "\\x1b[" + (above.length + 2) + ";" + (6 + text.length) + "H";
    const screen = "\\x1b[2J\\x1b[H" + lines.join("\\r\\n") + cursor;
    if (screen !== shown) process.stdout.write(screen);
    shown = screen;
  };
  process.stdin.on("data", (bytes) => {
    for (const key of String(bytes).replace(/\\x1b\\[20[01]~/g, "")) {
      if (key === "\\r") said.push(text);
      text = key === "\\r" ? "" : text + key;
    }
    draw();
  });
  setInterval(draw, 50);
  process.stdout.write("\\x1b[?2004h");
  draw();
`;

describeTmux("an agent that takes a prompt before it shows that it works, and reports nothing", () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(() => stage.end());

  it("is busy from the proof of the prompt on, until its work is over", async () => {
    const look = async () => (await observeAgents(stage.crew)).find(({ agent }) => agent === "ada");
    const becomes = (status: string) => eventually(`it is ${status}`, async () => (await look())?.status === status);
    const ada = await stage.enter("ada", { cli: "opencode", argv: [process.execPath, "-e", SLOW_OPENCODE] });
    await becomes("idle");

    const ref = { workstream: "demo", name: "ada" };
    const { delivery } = await sendToAgent(stage.crew, ref, "build it", { sender: "tester" });
    expect(delivery).toMatchObject({ state: "proved", reason: "the prompt left the composer" });
    expect(await stage.shows(ada)).not.toContain("esc interrupt");
    expect(await look()).toMatchObject({ status: "busy", by: "hook", rule: "hook.mu.delivered" });

    const working = join(stage.server.dir, "working");
    writeFileSync(working, "");
    await eventually("it says so", async () => (await stage.shows(ada)).includes("esc interrupt"));
    expect(await look()).toMatchObject({ status: "busy" });
    rmSync(working);
    await becomes("idle");
  });
});
