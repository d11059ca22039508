import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { getAgentCli } from "../src/agents/clis/table.js";
import { readCapture } from "../src/agents/screen/capture.js";
import { explainScreen } from "../src/agents/screen/verdict.js";
import { observeAgents } from "../src/agents/status/observe.js";
import { createAttendant } from "../src/dispatch/attend.js";
import type { DispatchWorld } from "../src/dispatch/dispatch.js";
import type { Scene } from "../src/dispatch/facts.js";
import { answerInbox, choicesIn, dialogRows, listInbox } from "../src/inbox.js";
import { readLog } from "../src/journal/log.js";
import { DEFAULT_SETTINGS, type ProjectSettings } from "../src/project/settings.js";
import { workstreamRow } from "../src/workstreams/workstream.js";
import { CAPTURES } from "./agents/captures.js";
import { fakeNtfy } from "./support/ntfy.js";
import { openStage, PLAYER, type Stage } from "./support/stage.js";
import { describeTmux, eventually } from "./support/tmux.js";

describeTmux("an agent that asks", () => {
  let stage: Stage;
  let scene: Scene;
  beforeEach(async () => {
    stage = await openStage();
    const { id, name } = await workstreamRow(stage.crew.context.store.db, "demo");
    const { stateDir } = stage.crew;
    scene = { workstream: { id, name, root: null }, settings: DEFAULT_SETTINGS, stateDir, max: 9 };
  });
  afterEach(() => stage.end());

  const becomes = (name: string, status: string) =>
    eventually(`${name} is ${status}`, async () =>
      (await observeAgents(stage.crew)).some((one) => one.agent === name && one.status === status),
    );
  const ask = async (...commands: string[]) => {
    const script = { acts: [{ steps: commands.map((permission) => ({ permission })) }] };
    const env = { MU_PLAYER_SCRIPT: JSON.stringify(script) };
    const ada = await stage.enter("ada", { cli: "player", argv: PLAYER, env });
    await becomes("ada", "idle");
    await stage.crew.tmux.paste({ pane: ada.pane ?? "", text: "go", enter: true });
    await becomes("ada", "needs_permission");
    return ada;
  };
  const list = () => listInbox(stage.crew, scene);
  const answer = (id: string, ...words: string[]) =>
    answerInbox(stage.crew, scene, id, { words, by: { person: "ann" } });
  const pressed = async () =>
    (await readLog(stage.crew.context.store.db)).filter(({ op }) => op === "inbox.answer").map(({ text }) => text);

  it("is listed with its question and choices, and is answered by the words of a choice", async () => {
    await ask("rm -rf build");
    const [item, ...others] = await list();
    expect(others).toEqual([]);
    expect(item).toMatchObject({
      ...{ kind: "permission", subject: "ada", workstream: "demo" },
      question: "rm -rf build\nAllow this command? [y] yes [n] no",
      summary: "rm -rf build",
      choices: [
        { key: "y", label: "yes" },
        { key: "n", label: "no" },
      ],
      command: `mu inbox answer ${item?.id} <key> -w demo`,
    });
    expect((await list())[0]).toEqual(item);
    await expect(answer(item?.id ?? "", "perhaps")).rejects.toMatchObject({ code: "inbox.not_a_choice" });
    expect(await answer(item?.id ?? "", "yes")).toMatchObject({ how: "keys", gone: true });
    await becomes("ada", "idle");
    expect(await list()).toEqual([]);
    expect(await pressed()).toEqual(["answered ada with yes: rm -rf build"]);
    await expect(answer(item?.id ?? "", "y")).rejects.toMatchObject({
      code: "inbox.not_found",
      message: expect.stringMatching(/: \w+ answered "yes" at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.$/),
    });
  });

  it("is not answered when it asks something else by now, and nothing is typed", async () => {
    const ada = await ask("make", "git push --force");
    const [first] = await list();
    await stage.crew.tmux.sendKeys({ pane: ada.pane ?? "", keys: ["y"] });
    await eventually("the second question", async () => (await list())[0]?.question.startsWith("git push") === true);
    await expect(answer(first?.id ?? "", "y")).rejects.toMatchObject({
      code: "inbox.changed",
      message: expect.stringContaining("git push --force"),
    });
    expect(await pressed()).toEqual([]);
    const [second] = await list();
    expect(second?.question).toContain("git push --force");
    expect(second?.id).not.toBe(first?.id);
    expect((await answer(second?.id ?? "", "n")).gone).toBe(true);
  });

  it("asks the same again after a replacement, which is another question", async () => {
    const ada = await ask("make");
    const [first] = await list();
    await stage.crew.context.store.write((db) =>
      db.updateTable("agents").set({ closed_at: "2026-01-01T00:00:00.000Z" }).where("id", "=", ada.id).execute(),
    );
    await ask("make");
    await expect(answer(first?.id ?? "", "y")).rejects.toMatchObject({ code: "inbox.changed" });
  });

  it("is on the phone and rings the bell once, however many dispatchers look", async () => {
    const server = await fakeNtfy();
    try {
      const notifications = { ...DEFAULT_SETTINGS.notifications, ntfyTopic: "t0pic", ntfyUrl: server.url, bell: true };
      const settings: ProjectSettings = { ...DEFAULT_SETTINGS, notifications };
      const rung: string[] = [];
      const world: DispatchWorld = {
        ...stage.crew,
        transport: "pane",
        terminal: (text) => rung.push(text),
        scene: async () => ({ ...scene, settings }),
        launch: async () => {},
      };
      await ask("rm -rf build");
      const said = { canIdle: false, everyMs: 0, say: () => {} };
      const both = [await createAttendant(world, said), await createAttendant(world, said)];
      for (const one of [...both, ...both]) {
        await one.attend({ ...scene, settings }, { wait: [], isBusy: false, brake: null });
        await one.end();
      }
      expect(server.posted.map(({ json }) => json.title)).toEqual(["demo/ada asks for permission"]);
      expect(rung).toEqual(["\x07"]);
    } finally {
      await server.end();
    }
  });
});

describe("the question of a recorded dialog", () => {
  const read = async (path: string) => {
    const cli = getAgentCli(path.split("/")[0] ?? "");
    const screen = await readCapture(CAPTURES + path);
    const lines = dialogRows({ cli, screen, verdict: explainScreen(cli, screen) });
    return { lines, keys: lines.flatMap(choicesIn).map(({ key, label }) => `${key} ${label.slice(0, 12)}`) };
  };

  it.each([
    [
      "claude/08-needs-input-permission",
      "bash -c 'echo start; sleep 8; echo end > run-out.txt'",
      ["1 Yes", "2 Yes, and don", "3 Yes, and swi", "4 No"],
    ],
    [
      "codex/08-needs-input-permission",
      "$ touch /home/dev/src/sandbox/run/x2; sleep 5",
      ["1 Yes, proceed", "2 Yes, and don", "3 No, and tell"],
    ],
    [
      "gemini/08-needs-input-permission",
      "bash -c 'echo start; sleep 6; echo end'",
      ["1 Allow once", "2 Allow for th", "3 No, suggest "],
    ],
    ["opencode/08-needs-input-permission", "$ bash -c 'echo start; sleep 6; echo end'", []],
    ["pi/08-needs-input-confirm", "Allow: rm -rf /home/dev/src/sandbox/nothing?", []],
    ["claude/00c-trust-dialog", "Yes, I trust this folder", []],
  ])("%s holds the command and its choices", async (path, line, keys) => {
    const found = await read(path);
    expect(found.lines).toContain(line);
    expect(found.keys).toEqual(keys);
    expect(found.lines.join("")).not.toMatch(/[─│❯●]/);
  });

  it("is the warning alone where a composer is open", async () => {
    expect((await read("pi/00-fresh-home-no-models")).lines[0]).toMatch(/^Warning: No models available/);
  });
});
