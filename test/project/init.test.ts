import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSettings } from "../../src/project/read.js";
import { type Home, newHome, PROGRAM } from "../support/cli.js";
import { type PrivateTmux, startPrivateTmux } from "../support/private-tmux.js";
import { describeTmux } from "../support/tmux.js";

let home: Home;
beforeEach(() => {
  home = newHome();
});
afterEach(() => home.end());

const FILES = [
  "agents/design/system_prompt.md",
  "agents/code/system_prompt.md",
  "agents/qa/system_prompt.md",
  "ONBOARDING.md",
  "seed_tasks.example.json",
  ".mu/.gitignore",
  ".mu/settings.json",
];

const inProject = (path: string) => join(home.project, path);
const put = (path: string, text: string) => {
  mkdirSync(dirname(inProject(path)), { recursive: true });
  writeFileSync(inProject(path), text);
};
const textOf = (path: string) => readFileSync(inProject(path), "utf8");
/** Every file of the project folder with its text. */
const filesOf = () =>
  Object.fromEntries(
    readdirSync(home.project, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [path.slice(home.project.length + 1), readFileSync(path, "utf8")]),
  );
/** Installs a program that notes how it was started. */
const install = (name: string) => {
  const path = join(home.folder, "clis", name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\nprintf '%s|' "$(/bin/pwd)" "$@" >> '${home.folder}/started'\n`);
  chmodSync(path, 0o755);
};
/** Where only the programs of `install` are there, and no tmux. */
const alone = () => ({ PATH: join(home.folder, "clis") });
const init = (line = "", env: Record<string, string> = alone()) => home.here(`init --json ${line}`, { env });

describe("mu init", () => {
  it("sets up a project in which everything is right, and refuses to do so again", async () => {
    install("claude");
    const { code, json, stderr } = await init("--non-interactive --no-chat");
    expect(JSON.parse(stderr)).toEqual({
      remark: "Its tmux session was not opened: tmux is not installed, or not on PATH.",
    });
    expect({ code, ...json() }).toMatchObject({ code: 0, workstream: "project", files: FILES, helper: "claude" });
    expect((await home.here("task list --json")).json()).toMatchObject({ items: [] });
    expect((await home.here("role check --json", { env: alone() })).json().findings).toEqual([]);
    const { projectName, notifications, roles } = await readSettings(home.project);
    expect({ projectName, prefix: notifications.subjectPrefix }).toEqual({ projectName: "project", prefix: "project" });
    expect(notifications.ntfyTopic).toMatch(/^project-[0-9a-f]{12}$/);
    expect(Object.keys(roles)).toEqual(["design", "code", "qa"]);
    expect(existsSync(join(home.folder, "started"))).toBe(false);

    const before = filesOf();
    const again = await init("--non-interactive --no-chat");
    expect(again.fault()).toMatchObject({ code: "project.exists", exitCode: 4, files: FILES });
    expect(filesOf()).toEqual(before);
    put("ONBOARDING.md", "mine");
    expect((await init("--non-interactive --no-chat --force")).code).toBe(0);
    expect(textOf("ONBOARDING.md")).toBe(before["ONBOARDING.md"]);
  });

  it("writes prompts with seven sections and verbs that mu has, and tasks that it takes", async () => {
    await init("--non-interactive");
    for (const role of ["design", "code", "qa"]) {
      const text = textOf(`agents/${role}/system_prompt.md`);
      expect(text.match(/^## \d/gm)).toHaveLength(7);
      expect(text).not.toMatch(/\{\w+\}/);
    }
    await home.here("task add t --title T");
    const commands = textOf("agents/qa/system_prompt.md").match(/^mu task .*$/gm) ?? [];
    expect(commands).toHaveLength(3);
    for (const command of commands) {
      expect(await home.here(command.slice(3).replace("<task>", "t"))).toMatchObject({ code: 0 });
    }
    expect((await home.here("task import seed_tasks.example.json --json")).json().tasks).toHaveLength(2);
  });

  it("takes any name of a folder, and says where the project is", async () => {
    const dir = `Ann's "Shop" 2`;
    const { json } = await home.here(["init", "--json", "--non-interactive", "--dir", dir], { env: alone() });
    expect(json()).toMatchObject({ root: inProject(dir), workstream: "ann_s_shop_2", helper: null });
    expect((await readSettings(inProject(dir))).projectName).toBe(dir);
    const other = await home.here(["init", "--json", "--non-interactive", "--dir", `x/${dir}`], { env: alone() });
    expect(other.json().workstream).toBe("ann_s_shop_2_2");
  });

  it("finishes what was cut off after any of its files", async () => {
    await init("--non-interactive");
    const whole = filesOf();
    for (let left = FILES.length - 1; left >= 0; left--) {
      for (const path of FILES.slice(left)) rmSync(inProject(path));
      expect((await init("--non-interactive")).json()).toMatchObject({ workstream: "project", files: FILES });
      const { ".mu/settings.json": _, ...rest } = filesOf();
      expect(whole).toMatchObject(rest);
    }
  });

  it("writes nothing where a file is somebody's", async () => {
    put("ONBOARDING.md", "mine");
    put("agents/code/system_prompt.md", "mine");
    const { message } = (await init("--non-interactive")).fault();
    expect(message).toContain("files of a project already: agents/code/system_prompt.md, ONBOARDING.md. Nothing");
    expect(Object.keys(filesOf()).sort()).toEqual(["ONBOARDING.md", "agents/code/system_prompt.md"]);
    expect((await home.here("workstream list --json")).json().items).toEqual([]);
  });
});

describe("mu init --import", () => {
  const YAML = `
project_name: Old "Shop"
project_root: .
kill_switch: agent-state/kill_switch
ledger_db: agent-state/ledger.db
escalations_dir: ./agent-state/escalations
reports_dir: agent-state
poll_interval_seconds: 5
log_level: debug
notifications: { ntfy_topic: "", subject_prefix: Shop, sound: loud }
budget:
  project_ceiling_usd: 200
  agents:
    producer: { daily_cap_usd: 5, dispatch_reservation_usd: 0.05, prompt: prompts/producer.md }
    Code Writer: { daily_cap_usd: 20, allowed_tools: [Read, Edit], prompt: prompts/code.md, retries: 9 }
auth: { mode: inherit }
`;

  it("keeps values, paths and prompts, and names what changes", async () => {
    put("producer.yaml", YAML);
    put("prompts/code.md", "Write code.\n");
    const { json } = await init("--import producer.yaml");
    expect(json().files).toEqual(["prompts/producer.md", ...FILES.slice(3)]);
    expect(json().remarks).toEqual([
      "ledger_db: mu keeps tasks in its own database; they are not imported",
      "log_level: has no counterpart",
      "notifications.sound: has no counterpart",
      '"Code Writer": the role is called code_writer now',
      "budget.agents.Code Writer.retries: has no counterpart",
      "producer: is a role like any other; mu asks no model to dispatch, so that costs nothing",
    ]);
    expect(await readSettings(home.project)).toMatchObject({
      projectName: 'Old "Shop"',
      paths: {
        killSwitch: "agent-state/kill_switch",
        escalations: "agent-state/escalations",
        reports: "agent-state",
        needsAttention: "agent-state/needs-attention.md",
      },
      dispatch: { pollSeconds: 5, idleThresholdPolls: 12 },
      notifications: { ntfyTopic: "", subjectPrefix: "Shop" },
      budget: { projectCeilingUsd: 200 },
      auth: { mode: "inherit" },
      roles: {
        producer: { dailyCapUsd: 5, reservationUsd: 0.05 },
        code_writer: { dailyCapUsd: 20, allowedTools: ["Read", "Edit"], prompt: "prompts/code.md" },
      },
    });
    expect((await init("--import producer.yaml --force")).code).toBe(0);
    expect(textOf("prompts/code.md")).toBe("Write code.\n");
  });

  it("makes absolute paths inside the folder relative", async () => {
    put(
      "producer.yaml",
      `project_root: ${home.project}/app\nkill_switch: ${home.project}/stop\nreports_dir: reports\n`,
    );
    expect((await init("--import producer.yaml")).json().remarks).toEqual([
      `project_root: paths now begin with ${home.project}/app`,
    ]);
    const { paths } = await readSettings(home.project);
    expect(paths).toMatchObject({ killSwitch: "stop", reports: "app/reports" });
  });

  it.each([
    ["no YAML", "a: [", "settings.unreadable", "cannot be read"],
    ["nothing", "", "settings.unreadable", "it has no settings"],
    [
      "a path elsewhere",
      "kill_switch: /tmp/stop\n",
      "settings.invalid",
      "producer.yaml is not valid: paths.killSwitch:",
    ],
    ["a cap in words", "budget: {agents: {code: {daily_cap_usd: '20'}}}", "settings.invalid", "roles.code.dailyCapUsd"],
  ])("refuses %s and writes nothing", async (_, text, code, message) => {
    put("producer.yaml", text);
    expect((await init("--import producer.yaml")).fault()).toMatchObject({
      code,
      exitCode: 2,
      message: expect.stringContaining(message),
    });
    expect(Object.keys(filesOf())).toEqual(["producer.yaml"]);
  });
});

describeTmux("the wizard of mu init", () => {
  let server: PrivateTmux;
  beforeEach(() => {
    server = startPrivateTmux();
  });
  afterEach(() => server.close());

  const open = (...words: string[]) => {
    const PATH = [join(home.folder, "clis"), home.env["PATH"]].join(":");
    const line = [process.execPath, PROGRAM, "init", "--dir", home.project, ...words];
    return server.openPane(line, { ...home.env, PATH });
  };

  it("asks three things, and hands over to an agent CLI", async () => {
    install("claude");
    const pane = await open();
    await server.seen(pane, /Project name/);
    await server.keys(pane, "Old Shop", "Enter");
    await server.seen(pane, /ntfy topic .*old_shop-[0-9a-f]{12}/);
    await server.keys(pane, "no topic", "Enter");
    await server.seen(pane, /It must be at most 64 letters/);
    await server.keys(pane, "C-u", "BSpace", "Enter");
    await server.seen(pane, /First words of each notice/);
    await server.keys(pane, "Enter");
    await server.seen(pane, /Set up old_shop in/);
    expect(await readSettings(home.project)).toMatchObject({
      projectName: "Old Shop",
      notifications: { ntfyTopic: "", subjectPrefix: "Old Shop" },
    });
    expect(readFileSync(join(home.folder, "started"), "utf8")).toBe(
      `${home.project}|Read ONBOARDING.md and help me to set up this project.|`,
    );
  });

  it("asks nothing and hands over to nobody where a program reads the answer", async () => {
    install("claude");
    const pane = await open("--json");
    await server.facts(pane, "#{pane_dead}", /1/);
    expect(await server.screen(pane)).toContain('"helper":');
    expect(existsSync(join(home.folder, "started"))).toBe(false);
  });

  it("writes nothing after Ctrl-C", async () => {
    const pane = await open("--no-chat");
    await server.seen(pane, /Project name/);
    await server.keys(pane, "Shop", "Enter");
    await server.seen(pane, /ntfy topic/);
    await server.keys(pane, "C-c");
    await server.facts(pane, "#{pane_dead}", /1/);
    expect(await server.screen(pane)).toContain("Interrupted. Nothing was changed.");
    expect(filesOf()).toEqual({});
    expect((await home.here("workstream list --json")).json().items).toEqual([]);
  });
});
