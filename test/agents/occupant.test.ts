import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { listAgents } from "../../src/agents/agent.js";
import { sendToAgent } from "../../src/agents/delivery/send.js";
import { readOccupants } from "../../src/agents/occupant.js";
import { kickAgent } from "../../src/agents/pane.js";
import { observeAgents } from "../../src/agents/status/observe.js";
import { adoptAgent } from "../../src/crew/adopt.js";
import { ensureAgent } from "../../src/crew/ensure.js";
import { reconcile } from "../../src/crew/reconcile.js";
import { type SpawnOptions, spawnAgent } from "../../src/crew/spawn.js";
import { getTask } from "../../src/tasks/task.js";
import { type PrivateCrew, privateCrew } from "../support/crew.js";
import { describeTmux, eventually } from "../support/tmux.js";
import { CAPTURES } from "./captures.js";

const RULE = "─".repeat(40);

describeTmux("what is in a pane", () => {
  let crew: PrivateCrew;
  beforeEach(async () => {
    crew = await privateCrew();
  });
  afterEach(() => crew.dispose());

  const ref = (name: string) => ({ workstream: "demo", name });
  const spawn = (name: string, options: Partial<SpawnOptions>) =>
    spawnAgent(crew.crew, ref(name), { cwd: crew.server.dir, ...options });
  const send = (name: string, text: string) =>
    sendToAgent(crew.crew, ref(name), text, { sender: "tester", timeoutMs: 0 });
  const refusal = (name: string, text = "hello") => send(name, text).then(String, (fault) => fault.details.reason);
  const seen = async (name: string) => (await observeAgents(crew.crew)).find(({ agent }) => agent === name);
  const becomes = (name: string, status: string) =>
    eventually(`${name} is ${status}`, async () => (await seen(name))?.status === status);
  const keys = (pane: string | null, ...words: string[]) => crew.server.raw("send-keys", "-t", pane ?? "", ...words);
  const shows = (pane: string | null, text: string) =>
    eventually(text, async () => (await crew.server.tmux.readPane(pane ?? "", 50)).join("\n").includes(text));
  const pane = async (argv: [string, ...string[]], session = "mu-demo") => {
    const opened = await crew.server.tmux.openPane({ session, window: "w", cwd: crew.server.dir, argv });
    return opened.pane;
  };
  /** A program of that name that tmux sees as `node`: it shows a file and keeps what is typed. */
  const program = (name: string, screen: string) => {
    const file = join(crew.server.dir, "bin", name);
    mkdirSync(join(crew.server.dir, "bin"), { recursive: true });
    const lines = [
      `#!${process.execPath}`,
      `const fs = require("node:fs");`,
      "process.stdin.setRawMode(true);",
      `process.stdin.on("data", (typed) => String(typed) === "\\u001a" ? process.kill(process.pid, "SIGSTOP")
        : fs.appendFileSync(${JSON.stringify(`${file}.typed`)}, typed));`,
      `process.stdout.write(fs.readFileSync(${JSON.stringify(screen)}, "utf8").trimEnd().replaceAll("\\n", "\\r\\n"));`,
    ];
    writeFileSync(file, `${lines.join("\n")}\n`, { mode: 0o755 });
    return file;
  };
  const DIALOG = `${CAPTURES}codex/08-needs-input-permission.txt`;
  const occupant = async (id: string) =>
    (
      await readOccupants(
        crew.crew,
        (await crew.panes()).filter((one) => one.id === id),
      )
    ).get(id);

  it("that a CLI left to a shell fails the spawn, with the CLI's own line", async () => {
    const command = "echo 'Error: No API key found'; exec sh";
    const fault = await spawn("ada", { cli: "pi", command, ready: {} }).catch((error) => error);
    expect(fault).toMatchObject({ code: "agent.died", exitCode: 5 });
    expect(fault.message).toContain("left a shell");
    expect(fault.message).toContain("Error: No API key found");
    expect(await listAgents(crew.crew.context.store.db, "demo")).toEqual([]);
  });

  it("that a CLI left to a shell gives its tasks back, and is made anew by ensure", async () => {
    const command = "test -e once || { touch once; exec sh; }; exec sleep 1007";
    const { agent } = await spawn("ada", { cli: "pi", command });
    await crew.give("build", "ada");
    await becomes("ada", "terminated");
    expect((await reconcile(crew.crew)).reaped).toMatchObject([{ agent: "ada", tasks: ["build"] }]);
    expect(await getTask(crew.crew.context.store.db, ref("build"))).toMatchObject({ status: "OPEN", owner: null });
    expect((await reconcile(crew.crew)).reaped).toEqual([]);
    const ensured = await ensureAgent(crew.crew, ref("ada"), { cli: "pi", command, cwd: crew.server.dir });
    expect(ensured).toMatchObject({ created: true, reused: false });
    expect(ensured.agent.pane).not.toBe(agent.pane);
  });

  it("is starting while a launch script is in front, and gone when the CLI was there before", async () => {
    const gate = join(crew.server.dir, "gate");
    execFileSync("mkfifo", [gate]);
    const wait = `read -r word <'${gate}'`;
    program("pi", writeScreen(`${RULE}\n\n${RULE}\nfooter`));
    await spawn("ada", { cli: "pi", command: `echo loading; ${wait}; bin/pi; ${wait}` });
    await eventually("the script", async () => (await seen("ada"))?.rule === "process.spawning");
    expect(await seen("ada")).toMatchObject({ status: "spawning", reason: expect.stringContaining("starting") });
    writeFileSync(gate, "go\n");
    await eventually("the CLI", async () => (await seen("ada"))?.by === "screen");
    const [{ id } = { id: "" }] = await crew.panes();
    const { group } = (await occupant(id)) ?? { group: 0 };
    const cli = execFileSync("pgrep", ["-g", String(group), "-f", "bin/pi"]).toString();
    process.kill(Number(cli.trim().split("\n").at(-1)), "SIGKILL");
    await becomes("ada", "terminated");
    expect((await seen("ada"))?.rule).toBe("process.gone");
  });

  const writeScreen = (text: string) => {
    const file = join(crew.server.dir, `screen-${text.length}`);
    writeFileSync(file, text);
    return file;
  };

  it("is known by its command for any key that has one", async () => {
    const file = program("pi", writeScreen(`${RULE}\n\n${RULE}\nfooter`));
    const other = crew.other({ env: { MU_PI_BIG_COMMAND: `${file} --model big`, MU_ODD_COMMAND: "sleep 1008" } });
    const start = (name: string, cli: string) => spawnAgent(other, ref(name), { cli, cwd: crew.server.dir });
    expect((await start("ada", "pi_big")).agent).toMatchObject({ cli: "pi", command: `${file} --model big` });
    expect((await start("bob", "odd")).agent).toMatchObject({ cli: "command", command: "sleep 1008" });
    await expect(start("eve", "none")).rejects.toMatchObject({
      code: "cli.unknown",
      message: expect.stringContaining("MU_NONE_COMMAND"),
    });
  });

  it("keeps its agent when its mark is removed", async () => {
    const { agent } = await spawn("sue", { cli: "shell", command: "sh", ready: {} });
    await crew.server.raw("set-option", "-p", "-t", agent.pane ?? "", "-u", "@mu_agent_id");
    expect((await reconcile(crew.crew)).reaped).toEqual([]);
    expect((await send("sue", "echo hello")).delivery.state).toBeDefined();
    expect((await crew.panes())[0]?.agentId).toMatch(/^\d+$/);
  });

  it("is the CLI behind node and env, and its dialog gets no prompt", async () => {
    const file = program("codex", DIALOG);
    const id = await pane([file]);
    await shows(id, "enter to confirm");
    expect((await crew.panes()).find((one) => one.id === id)?.command).toBe("node");
    expect(await occupant(id)).toMatchObject({ is: "agent", cli: "codex", program: "codex" });
    expect((await adoptAgent(crew.crew, "demo", id, { name: "ada" })).agent.cli).toBe("codex");
    expect((await spawn("bob", { command: `env X=1 ${file}` })).agent).toMatchObject({ cli: "codex" });
    await becomes("bob", "needs_permission");
    for (const name of ["ada", "bob"]) expect(await refusal(name)).toMatch(/^dialog: /);
    expect(existsSync(`${file}.typed`)).toBe(false);
  });

  it("is asked for where nothing shows it, and a dialog of any CLI in it gets no prompt", async () => {
    const silent = await pane([program("app", writeScreen("welcome"))]);
    await shows(silent, "welcome");
    const fault = await adoptAgent(crew.crew, "demo", silent, { name: "ada" }).catch((error) => error);
    expect(fault).toMatchObject({ code: "agent.cli_required", exitCode: 2 });
    const asking = program("other", DIALOG);
    const id = await pane([asking]);
    await shows(id, "enter to confirm");
    await adoptAgent(crew.crew, "demo", id, { name: "bob", cli: "command" });
    expect(await refusal("bob")).toMatch(/^dialog: it looks like /);
    expect(existsSync(`${asking}.typed`)).toBe(false);
  });

  it("is a shell's script, question, open quote or half-typed line: no prompt is typed into it", async () => {
    const { agent } = await spawn("sue", {
      cli: "shell",
      command: "bash --norc --noprofile",
      env: { PS1: "at> ", HISTFILE: "" },
      ready: {},
    });
    const typed = async (text: string, shown: string) => {
      await keys(agent.pane, "-l", text);
      await keys(agent.pane, "Enter");
      await shows(agent.pane, shown);
    };
    const free = async () => {
      await keys(agent.pane, "C-c");
      await eventually("a prompt", async () => (await send("sue", "true").catch(() => undefined)) !== undefined);
    };
    writeFileSync(join(crew.server.dir, "job.sh"), "echo started; read -r line; echo got $line\n");
    await typed("sh job.sh", "started");
    expect(await seen("sue")).toMatchObject({ status: "busy", rule: "shell.program" });
    await expect(send("sue", "one")).rejects.toMatchObject({ code: "delivery.pending" });
    await keys(agent.pane, "C-c");
    await becomes("sue", "idle");
    await eventually("it is typed", async () => (await reconcile(crew.crew)).deliveries.length > 0);
    await typed("read -p 'Your name: ' name", "Your name: ");
    await eventually("its question", async () => /^draft: its last line/.test(await refusal("sue", "two")));
    await free();
    await typed("echo 'open", "\n>");
    expect(await refusal("sue", "three")).toMatch(/^draft: its last line/);
    await free();
    await keys(agent.pane, "-l", "rm -rf x");
    await shows(agent.pane, "at> rm -rf x");
    expect(await refusal("sue", "four")).toBe("draft: there is a half-typed line at the prompt");
    await free();
  });

  it("is a CLI that Ctrl-Z stopped: it gets no prompt, and a kick continues it", async () => {
    const file = program("pi", writeScreen(`${RULE}\n\n${RULE}\nfooter\x1b[2A\x1b[1G`));
    const id = await pane(["bash", "--norc", "--noprofile"]);
    await keys(id, "-l", file);
    await keys(id, "Enter");
    await shows(id, "footer");
    await adoptAgent(crew.crew, "demo", id, { name: "ada" });
    await becomes("ada", "idle");
    await keys(id, "C-z");
    await eventually("it stops", async () => (await seen("ada"))?.rule === "process.stopped");
    expect(await seen("ada")).toMatchObject({ status: "needs_input", reason: expect.stringContaining("Ctrl-Z") });
    expect(await refusal("ada")).toMatch(/^stopped: stopped by Ctrl-Z/);
    expect(await kickAgent(crew.crew, ref("ada"))).toMatchObject({ signal: "SIGCONT" });
    await eventually("it continues", async () => (await occupant(id))?.cli === "pi");
    expect(readFileSync(file, "utf8")).toContain("SIGSTOP");
  });

  it("is shown where an agent CLI runs that nobody adopted", async () => {
    await spawn("sue", { cli: "shell", command: "sh" });
    const id = await pane([program("gemini", DIALOG)]);
    await shows(id, "enter to confirm");
    expect((await reconcile(crew.crew, "demo")).orphans).toMatchObject([
      { pane: id, workstream: "demo", cli: "gemini" },
    ]);
  });
});
