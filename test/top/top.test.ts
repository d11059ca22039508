import { PassThrough } from "node:stream";
import type { ReadStream, WriteStream } from "node:tty";
import xterm from "@xterm/headless";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Crew } from "../../src/agents/crew.js";
import { observeAgents } from "../../src/agents/status/observe.js";
import { escalateTask } from "../../src/dispatch/escalation.js";
import { readScene } from "../../src/dispatch/scene.js";
import { addTask } from "../../src/tasks/add.js";
import { deleteTask } from "../../src/tasks/delete.js";
import { showTop, type TopWorld } from "../../src/top/top.js";
import { PROGRAM } from "../support/cli.js";
import { type Desk, openDesk } from "../support/desk.js";
import { openStage, PLAYER, type Stage } from "../support/stage.js";
import { describeTmux, eventually } from "../support/tmux.js";

const PERSON = { person: "ann" };

/** A view in this process, on a terminal that only the test sees. */
function viewOf(crew: Crew, { columns = 80, rows = 24, colour = false, under = "" } = {}) {
  const term = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
  const input = Object.assign(new PassThrough(), { setRawMode: () => input }) as unknown as ReadStream;
  let written = 0;
  const output = Object.assign(new PassThrough(), {
    columns,
    rows,
    write: (text: string) => {
      written += text.length;
      term.write(text);
      return true;
    },
  }) as unknown as WriteStream;
  const leaving = new AbortController();
  const lines: string[] = [];
  const world: TopWorld = {
    host: crew,
    scene: () => readScene(crew, "demo"),
    under: under === "" ? undefined : { workstream: "demo", name: under },
    run: async (words) => {
      lines.push(words.join(" "));
      return { code: 0, text: `did ${words.join(" ")}\nand more` };
    },
    onTerminal: async () => ({ code: 0, text: "back" }),
    complete: async () => [],
    ...{ signal: leaving.signal, colour, input, output },
  };
  const over = showTop(world);
  return {
    over,
    lines,
    written: () => written,
    press: (keys: string) => (input as unknown as PassThrough).write(keys),
    rows: () => Array.from({ length: rows }, (_, at) => term.buffer.active.getLine(at)?.translateToString(true) ?? ""),
    async shows(text: string | RegExp) {
      await eventually(`the view shows ${text}`, async () =>
        this.rows().some((row) => (typeof text === "string" ? row.includes(text) : text.test(row))),
      );
    },
    async end() {
      leaving.abort();
      await over;
    },
  };
}

describeTmux("the view of a crew", () => {
  let stage: Stage;
  const views: { end(): Promise<void> }[] = [];
  const view = (crew: Crew = stage.crew, options?: Parameters<typeof viewOf>[1]) => {
    const opened = viewOf(crew, options);
    views.push(opened);
    return opened;
  };
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(async () => {
    for (const one of views.splice(0)) await one.end();
    await stage.end();
  });

  it("shows agents, who asks and what, and answers by one key", async () => {
    const script = { acts: [{ steps: [{ permission: "rm -rf build" }] }] };
    const env = { MU_PLAYER_SCRIPT: JSON.stringify(script) };
    const ada = await stage.enter("ada", { cli: "player", argv: PLAYER, env });
    await stage.enter("bob");
    const seen = view();
    await seen.shows(/○ ada +idle/);
    await stage.crew.tmux.paste({ pane: ada.pane ?? "", text: "go", enter: true });
    await seen.shows(/^! ada asks: rm -rf build/);
    await seen.shows(/◐ ada +needs permission/);
    await seen.shows(/1 needs you/);
    seen.press(" ");
    await seen.shows("answer ada (y n at once)>");
    seen.press("y");
    await eventually("its line", async () => seen.lines.some((line) => /^inbox answer ada-\w+ y -w demo$/.test(line)));
  });

  it("follows another view's changes, and shows any line's answer", async () => {
    const [one, two] = [view(), view(await stage.another())];
    one.press("2");
    two.press("2");
    await two.shows("No tasks. n adds one.");
    await addTask(stage.crew.context, "demo", { name: "ship", title: "Ship it" });
    await one.shows(/ready +ship/);
    await two.shows(/ready +ship/);
    one.press(":task list\r");
    await one.shows("── mu task list");
    await one.shows("and more");
    one.press("\x1b");
    await one.shows(/ready +ship/);
    expect(one.lines).toContain("task list");
  });

  it("shows the detail of the row that a filter or another layout leaves chosen", async () => {
    const { context } = stage.crew;
    await addTask(context, "demo", { name: "ship", title: "Ship it" });
    await addTask(context, "demo", { name: "dock", title: "Dock it", blockedBy: ["ship"] });
    const seen = view();
    seen.press("2");
    await seen.shows("── mu task show demo/dock");
    seen.press("t");
    await seen.shows("── mu task show demo/ship");
    seen.press("/dock");
    await seen.shows("── mu task show demo/dock");
  });

  it("leaves only one goal's work, its agents and its questions, and says when it is gone", async () => {
    const { context } = stage.crew;
    const [ada, bob] = [await stage.enter("ada"), await stage.enter("bob")];
    await stage.work("till", ada);
    await stage.work("other", bob);
    const ref = (name: string) => ({ workstream: "demo", name });
    for (const name of ["colour", "weather"]) await addTask(context, "demo", { name, title: `Choose ${name}` });
    await addTask(context, "demo", { name: "shop", title: "Open the shop", blockedBy: ["till", "colour"] });
    for (const name of ["colour", "weather"])
      await escalateTask(context, ref(name), PERSON, { reason: `which ${name}?` });
    const seen = view(stage.crew, { under: "shop", columns: 130, rows: 30 });
    const hides = () => expect(seen.rows().join("\n")).not.toMatch(/bob|other|weather/);
    await seen.shows(/^mu demo › shop /);
    await seen.shows(/○ ada .* till/);
    await seen.shows(/^! colour is held: .*which colour/);
    await seen.shows(/^1 needs you · 1 idle · 0 ready, 1 in progress, 1 blocked, 1 held/);
    hides();
    for (const [key, text] of [
      ["2", /shop .*Open the shop/],
      ["3", /step 2 \(1\)/],
      ["4", "All finished work"],
    ] as const) {
      seen.press(key);
      await seen.shows(text);
      hides();
    }
    await deleteTask(context, ref("shop"), PERSON);
    await seen.shows("a task that is gone");
    hides();
  });

  it("writes nothing while nothing happens, however often it looks", async () => {
    await stage.enter("ada");
    let looks = 0;
    const survey: Crew["tmux"]["survey"] = (...call) => {
      looks++;
      return stage.crew.tmux.survey(...call);
    };
    const counting: Crew["tmux"] = { ...stage.crew.tmux, survey, holding: () => counting };
    const seen = view({ ...stage.crew, tmux: counting });
    await seen.shows(/○ ada +idle/);
    await seen.shows("── screen of ada");
    const settled = looks;
    await eventually("two looks", async () => looks >= settled + 2);
    const before = seen.written();
    await eventually("three more looks", async () => looks >= settled + 5);
    expect(seen.written()).toBe(before);
  });

  it.each([
    [80, 24],
    [100, 30],
    [200, 50],
    [20, 5],
  ])("fits %i×%i, with every row as wide as the terminal at most", async (columns, rows) => {
    const crew = Array.from({ length: 6 }, (_, at) => `agent-with-a-long-name-${at}`);
    for (const name of crew) await stage.enter(name);
    await addTask(stage.crew.context, "demo", { name: "wide", title: "日本語のとても長い題名 ".repeat(9) });
    await observeAgents(stage.crew);
    const seen = view(stage.crew, { columns, rows });
    await seen.shows(columns < 60 ? "agent-w" : /agent-with-.*idle/);
    for (const key of ["2", "3", "4", "5", "6", "7", "?", "\x1b"]) {
      seen.press(key);
      await eventually("a frame", async () => seen.rows().filter((row) => row !== "").length > 2);
      for (const row of seen.rows()) expect([...row].length).toBeLessThanOrEqual(columns);
    }
    if (columns >= 80) await seen.shows(/\? help · q quit *$/);
  });
});

describeTmux("mu top", () => {
  let desk: Desk;
  beforeEach(async () => {
    desk = openDesk();
    await desk.mu(["workstream", "init", "shop"]);
    await desk.mu(["agent", "spawn", "ada", "--cli", "shell", "--no-ready"]);
    const shell = ["env", `MU_STATE_DIR=${desk.server.dir}/state`, `HOME=${desk.home}`, "sh"];
    await desk.server.raw("new-session", "-d", "-s", "desk", "-x", "80", "-y", "24", ...shell);
    await type("cd ../; echo ready");
    // What is typed before the shell begins stands in front of its prompt.
    await shows(/^(. )?ready/m);
  });
  afterEach(() => desk.end());

  const capture = () => desk.server.raw("capture-pane", "-p", "-t", "desk");
  const type = (line: string) => desk.server.raw("send-keys", "-t", "desk", line, "Enter");
  const press = (...keys: string[]) => desk.server.raw("send-keys", "-t", "desk", ...keys);
  const shows = (what: RegExp) => eventually(`the terminal shows ${what}`, async () => what.test(await capture()));
  const open = async () => {
    // Plain `mu` is the same.
    await type(`node ${PROGRAM} -w shop; echo "left $?"`);
    await shows(/\[1 Crew\]/);
  };
  const isRestored = async () => {
    const flags = "#{alternate_on} #{mouse_any_flag} #{cursor_flag} #{wrap_flag}";
    const is = (await desk.server.raw("display-message", "-p", "-t", "desk", flags)).trim();
    return is === "0 0 1 1";
  };

  it("works: a task by keys, a prompt to an agent, and the terminal as it was", async () => {
    await open();
    await press("2", "n");
    await shows(/task add>/);
    await press("-l", "Make it");
    await press("Enter");
    await shows(/ready +make_it/);
    await press("1", "Space");
    await shows(/to ada>/);
    await press("-l", "echo from-the-view");
    await press("Enter");
    await shows(/mu agent send shop\/ada/);
    await shows(/from-the-view/);
    await press("q");
    await shows(/left 0/);
    expect(await capture()).toContain("ready");
    expect(await isRestored()).toBe(true);
  });

  it("gives the terminal back when it is ended, stopped for a while, and squeezed", async () => {
    await open();
    await desk.server.raw("resize-window", "-t", "desk", "-x", "20", "-y", "5");
    await shows(/mu shop/);
    await desk.server.raw("resize-window", "-t", "desk", "-x", "80", "-y", "24");
    await shows(/q quit/);
    await press("C-z");
    await eventually("the shell is back", isRestored);
    await type("fg");
    await shows(/\[1 Crew\]/);
    await press("C-z");
    await eventually("the shell is back", isRestored);
    await type("kill %1; fg; echo over");
    await shows(/over/);
    expect(await isRestored()).toBe(true);
  });
});
