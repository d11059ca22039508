import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { latestAgentRow } from "../../src/agents/agent.js";
import { drainAgent } from "../../src/agents/delivery/drain.js";
import { observeAgents } from "../../src/agents/status/observe.js";
import { closeAgent } from "../../src/crew/close.js";
import { reconcile } from "../../src/crew/reconcile.js";
import { planRecovery, recover } from "../../src/crew/recover.js";
import { restartAgent } from "../../src/crew/restart.js";
import { spawnAgent } from "../../src/crew/spawn.js";
import { write } from "../../src/db/write.js";
import { findOperation } from "../../src/operations/index.js";
import { listProcesses } from "../../src/processes.js";
import { claimTask } from "../../src/tasks/claim.js";
import { getTask } from "../../src/tasks/task.js";
import { PROGRAM } from "../support/cli.js";
import { type PrivateCrew, privateCrew } from "../support/crew.js";
import { PLAYER } from "../support/stage.js";
import { describeTmux, eventually } from "../support/tmux.js";

describeTmux("recovering a crew", () => {
  let room: PrivateCrew;
  beforeEach(async () => {
    room = await privateCrew();
  });
  afterEach(() => room.dispose());

  const demo = (name: string) => ({ workstream: "demo", name });
  const db = () => room.crew.context.store.db;
  const command = PLAYER.join(" ");
  const spawnPlayer = (name: string, script: object = {}) =>
    spawnAgent(room.crew, demo(name), {
      cli: "player",
      command,
      cwd: room.server.dir,
      env: {
        MU_PLAYER_RECEIPTS: join(room.server.dir, `${name}.receipts`),
        MU_PLAYER_SCRIPT: JSON.stringify(script),
      },
    });
  const spawnShell = (name: string) => spawnAgent(room.crew, demo(name), { cli: "shell", cwd: room.server.dir });
  const told = (name: string) => {
    const file = join(room.server.dir, `${name}.receipts`);
    return existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : [];
  };
  async function crash() {
    await room.server.raw("kill-server");
    await eventually("the end of the server", async () => (await room.panes()).length === 0);
  }
  const names = async () => (await room.panes()).map((pane) => pane.agent).sort();

  it("shows what it found and changes nothing", async () => {
    await spawnShell("sue");
    await room.give("build", "sue");
    expect(await planRecovery(room.crew)).toMatchObject([{ agent: "sue", action: "keep", process: "in its pane" }]);
    await crash();
    const before = await room.events();
    expect(await planRecovery(room.crew, "demo")).toEqual([
      {
        workstream: "demo",
        agent: "sue",
        cli: "shell",
        database: "open",
        tmux: expect.stringMatching(/^the tmux server of pane %\d+ has ended$/),
        process: "gone",
        session: null,
        tasks: ["build"],
        action: "fresh",
        why: "shell has no conversations to resume",
      },
    ]);
    expect(await room.events()).toEqual(before);
    expect(await room.panes()).toEqual([]);
  });

  it("brings everybody back with their tasks, and tells them", async () => {
    await spawnPlayer("ada");
    await spawnShell("sue");
    await room.give("build", "ada");
    await room.give("test", "sue");
    await crash();
    const recovered = await recover(room.crew, "demo", { primeMs: 30_000 });
    expect(recovered).toMatchObject([
      { agent: "ada", action: "fresh", tasks: ["build"], primed: "proved" },
      { agent: "sue", action: "fresh", tasks: ["test"], primed: "none" },
    ]);
    expect(await names()).toEqual(["ada", "sue"]);
    expect(await getTask(db(), demo("build"))).toMatchObject({ status: "IN_PROGRESS", owner: "ada" });
    expect(told("ada")).toHaveLength(1);
    expect(told("ada")[0]).toContain("mu task show build");
    expect(await recover(room.crew)).toMatchObject([{ action: "keep" }, { action: "keep" }]);
  });

  it("waits for a CLI that takes seconds to come up, and exits 5 if a prompt is pending all the same", async () => {
    await spawnPlayer("ada", { quirks: { slowStartMs: 5_000 } });
    await room.give("build", "ada");
    await crash();
    expect(await recover(room.crew, "demo")).toMatchObject([{ agent: "ada", primed: "proved" }]);
    expect(told("ada")).toHaveLength(1);

    await crash();
    const pending = await recover(room.crew, "demo", { primeMs: 0 });
    expect(pending).toMatchObject([{ agent: "ada", primed: "pending" }]);
    expect((await findOperation("recover"))?.exitCode?.({ items: pending })).toBe(5);
    await drainAgent(room.crew, demo("ada"), { everyMs: 100, timeoutMs: 60_000 });
    expect(told("ada")).toHaveLength(2);
  });

  it("resumes the conversation where the CLI can", async () => {
    const script = join(room.server.dir, "pi");
    await room.crew.exec("sh", [
      "-c",
      `printf '#!/bin/sh\\necho "$@" >>args\\nexec cat\\n' >${script}; chmod +x ${script}`,
    ]);
    await spawnAgent(room.crew, demo("pia"), { cli: "pi", command: script, cwd: room.server.dir });
    const [row] = await db().selectFrom("agents").select("id").execute();
    const spec = { op: "agent.session", scope: "demo", subject: "demo/pia" };
    await write(room.crew.context, spec, (tx) => tx.patch("agents", row?.id ?? 0, { session_ref: "abc-1" }));
    await crash();
    expect(await recover(room.crew)).toMatchObject([{ agent: "pia", action: "resume", session: "abc-1" }]);
    const args = () => readFileSync(join(room.server.dir, "args"), "utf8");
    await eventually("the second start", async () => args().includes("--session abc-1"));
  });

  it("resumes the conversation that it named at the start, where the CLI never reports one", async () => {
    const script = join(room.server.dir, "gemini");
    writeFileSync(script, '#!/bin/sh\necho "$@" >>args\nexec cat\n', { mode: 0o755 });
    const { agent } = await spawnAgent(room.crew, demo("gil"), {
      cli: "gemini",
      command: script,
      cwd: room.server.dir,
    });
    const id = agent.sessionRef ?? "";
    const args = () => readFileSync(join(room.server.dir, "args"), "utf8").trimEnd().split("\n");
    await eventually("the first start", async () => existsSync(join(room.server.dir, "args")) && args().length === 1);
    expect(id).toMatch(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    await crash();
    expect(await recover(room.crew)).toMatchObject([{ agent: "gil", action: "resume", session: id }]);
    await restartAgent(room.crew, demo("gil"), { conversation: "fresh" });
    await eventually("the third start", async () => args().length === 3);
    const [first, second, third = ""] = args();
    expect([first, second]).toEqual([`--session-id ${id}`, `--resume ${id}`]);
    expect(third).toMatch(/^--session-id /);
    expect(third).not.toContain(id);
  });

  it("leaves the name of the conversation to a person who gives it", async () => {
    const script = join(room.server.dir, "gemini");
    writeFileSync(script, '#!/bin/sh\necho "$@" >>args\nexec cat\n', { mode: 0o755 });
    const args = ["--resume", "latest"];
    const wishes = { cli: "gemini", command: script, args, cwd: room.server.dir };
    const { agent } = await spawnAgent(room.crew, demo("gil"), wishes);
    expect(agent.sessionRef).toBeNull();
    const written = () =>
      existsSync(join(room.server.dir, "args")) && readFileSync(join(room.server.dir, "args"), "utf8");
    expect(await eventually("the start", async () => written() || false)).toBe("--resume latest\n");
  });

  it("starts anew whom its CLI cannot resume, and says so", async () => {
    const script = join(room.server.dir, "claude");
    const lines = [
      "#!/bin/sh",
      'case "$*" in *--resume*) sleep 0.3; echo "No conversation found"; exit 1;; esac',
      "exec cat",
    ];
    writeFileSync(script, `${lines.join("\n")}\n`, { mode: 0o755 });
    await spawnAgent(room.crew, demo("cleo"), { cli: "claude", command: script, cwd: room.server.dir });
    await room.give("build", "cleo");
    const sessionRef = "never-prompted";
    expect(await restartAgent(room.crew, demo("cleo"), { sessionRef })).toMatchObject({
      agent: { sessionRef: null },
      resumed: false,
      beginning: "started a new conversation: never-prompted could not be resumed (No conversation found)",
      tasks: ["build"],
    });
    const { id } = await latestAgentRow(db(), demo("cleo"));
    const spec = { op: "agent.session", scope: "demo", subject: "demo/cleo" };
    await write(room.crew.context, spec, (tx) => tx.patch("agents", id, { session_ref: sessionRef }));
    await crash();
    const why = expect.stringContaining("could not be resumed");
    expect(await recover(room.crew)).toMatchObject([
      { agent: "cleo", pane: expect.any(String), why, tasks: ["build"] },
    ]);
    expect(await names()).toEqual(["cleo"]);
  });

  it("ends what is left of an agent before it starts the next one, and says so", async () => {
    await spawnAgent(room.crew, demo("sue"), {
      command: "setsid sh -c 'trap \"\" HUP; echo $$ >stray; while :; do sleep 1; done' & exec cat",
      cwd: room.server.dir,
    });
    const file = join(room.server.dir, "stray");
    const pid = await eventually("the stray", async () => existsSync(file) && Number(readFileSync(file, "utf8")));
    await crash();
    expect((await reconcile(room.crew)).reaped).toHaveLength(1);
    expect(await planRecovery(room.crew)).toMatchObject([{ agent: "sue", process: "alive without a pane" }]);
    const [found] = await recover(room.crew);
    expect(found).toMatchObject({ action: "fresh", why: expect.stringMatching(/^ended what was left of it, .*sh \(/) });
    const all = await listProcesses(room.crew);
    expect(all.filter((one) => one.pid === pid && !one.zombie)).toEqual([]);
  });

  it("also brings back those whom a reconcile closed, unless their task was taken", async () => {
    for (const name of ["sue", "bob"]) await spawnShell(name);
    await room.give("build", "sue");
    await room.give("test", "bob");
    await crash();
    expect((await reconcile(room.crew)).reaped).toHaveLength(2);
    await claimTask(room.crew.context, demo("test"), { person: "kim" });
    expect(await recover(room.crew, "demo")).toMatchObject([
      { agent: "sue", database: "reaped", tasks: ["build"] },
      { agent: "bob", database: "reaped", tasks: [] },
    ]);
    expect(await getTask(db(), demo("build"))).toMatchObject({ status: "IN_PROGRESS", owner: "sue" });
    expect(await getTask(db(), demo("test"))).toMatchObject({ owner: "kim" });
    expect(await names()).toEqual(["bob", "sue"]);
  });

  it("starts nobody twice when two recover at once", async () => {
    const all = ["a1", "a2", "a3", "a4"];
    for (const name of all) await spawnShell(name);
    await crash();
    const results = await Promise.all([recover(room.crew), recover(room.crew)]);
    const actions = all.map(
      (name) => results.flat().filter((one) => one.agent === name && one.action === "fresh").length,
    );
    expect(actions).toEqual([1, 1, 1, 1]);
    expect(await names()).toEqual(all);
  });

  it("starts nobody twice and hands each task over once when two processes recover at once", async () => {
    const all = ["a1", "a2"];
    for (const name of all) await spawnShell(name);
    for (const name of all) await room.give(`of-${name}`, name);
    await crash();
    const { databaseEnv, exec, env } = room.crew;
    const apart = async () => {
      const place = { ...env, ...databaseEnv, XDG_CACHE_HOME: room.server.dir, USER: "ann" };
      const ran = await exec(process.execPath, [PROGRAM, "recover", "-w", "demo", "--yes", "--json"], { env: place });
      return JSON.parse(ran.stdout).items as { agent: string; action: string }[];
    };
    const found = (await Promise.all([apart(), apart()])).flat();
    expect(
      found
        .filter(({ action }) => action === "fresh")
        .map(({ agent }) => agent)
        .sort(),
    ).toEqual(all);
    expect(await names()).toEqual(all);
    const rows = await db().selectFrom("agents").select("name").where("closed_at", "is", null).execute();
    expect(rows.map(({ name }) => name).sort()).toEqual(all);
    for (const name of all) expect(await getTask(db(), demo(`of-${name}`))).toMatchObject({ owner: name });
    expect((await room.events()).filter((op) => op === "agent.restart")).toHaveLength(all.length);
  });

  it("does not touch a process that has an old agent's pid", async () => {
    await spawnShell("sue");
    await crash();
    const file = join(room.server.dir, "pid");
    const stranger = room.crew.exec("sh", ["-c", `echo $$ >${file}; exec sleep 1000`], { timeoutMs: 60_000 });
    const pid = await eventually("the stranger", async () => existsSync(file) && Number(readFileSync(file, "utf8")));
    const [row] = await db().selectFrom("agents").select("id").execute();
    const spec = { op: "agent.spawn", scope: "demo", subject: "demo/sue" };
    await write(room.crew.context, spec, (tx) => tx.patch("agents", row?.id ?? 0, { pid }));
    expect(await recover(room.crew)).toMatchObject([{ agent: "sue", action: "fresh", process: "gone" }]);
    expect(process.kill(pid, 0)).toBe(true);
    process.kill(pid);
    await stranger;
  });

  it("names an agent whose record of its start is damaged, and goes on with the others", async () => {
    const damages = { nil: "", torn: '{"command":"sh","args":[],"en', odd: "null", wild: "\u0000\u001b[31m{}" };
    for (const name of [...Object.keys(damages), "sue"]) await spawnShell(name);
    await room.give("build", "torn");
    await crash();
    const folder = join(room.crew.stateDir, "launches");
    const fileOf = async (name: string) => {
      const row = await latestAgentRow(db(), demo(name));
      return join(folder, `${row.id}-${Date.parse(row.spawned_at)}.json`);
    };
    for (const [name, text] of Object.entries(damages)) writeFileSync(await fileOf(name), text);
    const recovered = await recover(room.crew);
    for (const name of Object.keys(damages)) {
      const why = expect.stringContaining(`"${name}" was started is damaged: ${await fileOf(name)}`);
      expect(recovered).toContainEqual(expect.objectContaining({ agent: name, action: "failed", why }));
    }
    expect(recovered).toContainEqual(expect.objectContaining({ agent: "sue", action: "fresh" }));
    expect(await names()).toEqual(["sue"]);
    expect(await getTask(db(), demo("build"))).toMatchObject({ status: "IN_PROGRESS", owner: "torn" });

    const file = await fileOf("torn");
    const command = `rm ${file} && mu agent restart demo/torn`;
    const refused = restartAgent(room.crew, demo("torn"));
    await expect(refused).rejects.toMatchObject({ code: "agent.launch_damaged", nextSteps: [{ command }] });
    rmSync(file);
    expect(await restartAgent(room.crew, demo("torn"))).toMatchObject({ tasks: ["build"] });
  });

  it("says which host an agent is on, which can be closed from here", async () => {
    await spawnShell("far");
    await room.give("build", "far");
    const { id } = await latestAgentRow(db(), demo("far"));
    const spec = { op: "agent.spawn", scope: "demo", subject: "demo/far" };
    await write(room.crew.context, spec, (tx) => tx.patch("agents", id, { host: "devbox", boot: "other/boot" }));
    await crash();
    const why = expect.stringMatching(/^it lives on devbox, tmux socket .*, and cannot be seen from here$/);
    expect(await recover(room.crew)).toMatchObject([{ agent: "far", action: "leave", why }]);
    await closeAgent(room.crew, demo("far"), { whileUnreachable: "go on" });
    expect(await getTask(db(), demo("build"))).toMatchObject({ status: "OPEN", owner: null });
    expect(await recover(room.crew)).toEqual([]);
  });

  it("goes on with the others when one cannot be started", async () => {
    const script = join(room.server.dir, "agent");
    await room.crew.exec("sh", ["-c", `printf '#!/bin/sh\\nexec cat\\n' >${script}; chmod +x ${script}`]);
    await spawnAgent(room.crew, demo("cat"), { cli: "command", command: script, cwd: room.server.dir });
    await spawnShell("sue");
    await crash();
    await room.crew.exec("rm", [script]);
    expect(await recover(room.crew)).toMatchObject([
      { agent: "cat", action: "failed" },
      { agent: "sue", action: "fresh" },
    ]);
    expect(await observeAgents(room.crew)).toContainEqual(expect.objectContaining({ agent: "sue", status: "idle" }));
  });
});
