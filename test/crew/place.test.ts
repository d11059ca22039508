import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { latestAgentRow } from "../../src/agents/agent.js";
import { appendSpool, spoolPath } from "../../src/agents/spool.js";
import { closeAgent } from "../../src/crew/close.js";
import { ensureAgent } from "../../src/crew/ensure.js";
import { reconcile } from "../../src/crew/reconcile.js";
import { planRecovery, recover } from "../../src/crew/recover.js";
import { restartAgent } from "../../src/crew/restart.js";
import { type SpawnOptions, spawnAgent } from "../../src/crew/spawn.js";
import { type RowOf, write } from "../../src/db/write.js";
import { placeHere } from "../../src/place.js";
import { getTask } from "../../src/tasks/task.js";
import { outcome, PROGRAM } from "../support/cli.js";
import { type PrivateCrew, privateCrew } from "../support/crew.js";
import { describeTmux, eventually } from "../support/tmux.js";

/** A machine of its own as far as Linux lets one have it: other processes, another host name, no access to the socket. */
const SANDBOX = ["--pid", "--fork", "--mount-proc", "--uts", "sh", "-c", 'hostname sandbox; exec "$@"', "sh"];
const hasSandbox = spawnSync("unshare", [...SANDBOX, "true"]).status === 0;

describeTmux("an agent's place", () => {
  let room: PrivateCrew;
  beforeEach(async () => {
    room = await privateCrew();
  });
  afterEach(() => room.dispose());

  const demo = (name: string) => ({ workstream: "demo", name });
  const db = () => room.crew.context.store.db;
  const spawnShell = (name: string, options: Partial<SpawnOptions> = {}) =>
    spawnAgent(room.crew, demo(name), { cli: "shell", cwd: room.server.dir, ...options });
  const names = async () => (await room.panes()).map((pane) => pane.agent).sort();
  async function crash() {
    await room.server.raw("kill-server");
    await eventually("the end of the server", async () => (await room.panes()).length === 0);
  }
  /** Rewrites where an agent lives, as if it had been started there. */
  async function move(name: string, columns: Partial<RowOf<"agents">>) {
    const { id } = await latestAgentRow(db(), demo(name));
    const spec = { op: "agent.spawn", scope: "demo", subject: `demo/${name}` };
    await write(room.crew.context, spec, (tx) => tx.patch("agents", id, columns));
  }

  it("is written with its row: host, start of the machine, process namespace and socket", async () => {
    await spawnShell("sue");
    const row = await latestAgentRow(db(), demo("sue"));
    expect(row).toMatchObject({ ...placeHere(), socket: join(room.server.dir, `tmux-${process.getuid?.()}`, "t") });
  });

  it.skipIf(!hasSandbox)("is told by a sandbox that has the database only, which reaps and starts nobody", async () => {
    await spawnShell("sue");
    await room.give("build", "sue");
    const before = await room.events();
    const env = { ...room.server.env, ...room.crew.databaseEnv, TMUX_TMPDIR: join(room.server.dir, "private") };
    mkdirSync(env.TMUX_TMPDIR);
    const mu = (...words: string[]) =>
      outcome(
        spawn("unshare", [...SANDBOX, process.execPath, PROGRAM, ...words], { env, stdio: ["ignore", "pipe", "pipe"] }),
      );
    const why = `it lives on ${placeHere().host}, tmux socket ${room.server.dir}/`;
    const [listed] = (await mu("agent", "list", "-w", "demo", "--json")).json().items;
    expect(listed).toMatchObject({ name: "sue", status: "unreachable", statusReason: expect.stringContaining(why) });
    expect((await mu("state", "-w", "demo", "--json")).json().agents).toMatchObject([{ status: "unreachable" }]);
    const waited = await mu("task", "wait", "build", "-w", "demo", "--timeout", "1s", "--json");
    expect(waited.json()).toMatchObject({ outcome: "timeout", all: [{ name: "build", status: "IN_PROGRESS" }] });
    const plan = { agent: "sue", action: "leave", process: "out of sight", why: expect.stringContaining(why) };
    expect((await mu("recover", "--json")).json().items).toMatchObject([plan]);
    expect((await mu("recover", "--yes", "--json")).json().items).toMatchObject([plan]);
    for (const verb of ["close", "restart", "ensure"]) {
      expect((await mu("agent", verb, "sue", "-w", "demo", "--json")).fault().code).toBe("agent.unreachable");
    }
    expect(await room.events()).toEqual(before);
    expect(await getTask(db(), demo("build"))).toMatchObject({ status: "IN_PROGRESS", owner: "sue" });
    expect(await names()).toEqual(["sue"]);
  });

  it("on another machine is left to it, until someone who knows gives it up", async () => {
    await spawnShell("sue");
    await spawnShell("bob");
    await room.give("build", "sue");
    await crash();
    await move("sue", { host: "elsewhere", boot: "other/boot" });
    expect(await reconcile(room.crew)).toMatchObject({ reaped: [{ agent: "bob" }] });
    for (const attempt of [closeAgent, restartAgent]) {
      await expect(attempt(room.crew, demo("sue"), {})).rejects.toMatchObject({ code: "agent.unreachable" });
    }
    await expect(ensureAgent(room.crew, demo("sue"), { cwd: "/" })).rejects.toMatchObject({
      code: "agent.unreachable",
    });
    const plans = await recover(room.crew);
    expect(plans).toMatchObject([
      { agent: "sue", action: "leave" },
      { agent: "bob", action: "fresh" },
    ]);
    const known = { whileUnreachable: "go on" as const };
    expect(await recover(room.crew, "demo", known)).toMatchObject([
      { agent: "sue", action: "fresh" },
      { action: "keep" },
    ]);
    expect(await getTask(db(), demo("build"))).toMatchObject({ status: "IN_PROGRESS", owner: "sue" });
    await move("sue", { host: "elsewhere", boot: "other/boot", server: "1@1" });
    expect(await closeAgent(room.crew, demo("sue"), known)).toMatchObject({ changed: true, released: ["build"] });
  });

  it("in a container that was started anew is left alone, too: a sandbox looks the same", async () => {
    await spawnShell("sue");
    await crash();
    await move("sue", { namespace: "pid:[1]" });
    expect(await reconcile(room.crew)).toMatchObject({ reaped: [], agents: [{ status: "unreachable" }] });
    const why = expect.stringContaining("in another process namespace of");
    expect(await planRecovery(room.crew)).toMatchObject([{ action: "leave", why }]);
    expect(await recover(room.crew, "demo", { whileUnreachable: "go on" })).toMatchObject([{ action: "fresh" }]);
    expect(await latestAgentRow(db(), demo("sue"))).toMatchObject(placeHere());
  });

  it("on a machine that was restarted is empty: its agents are reaped, and come back", async () => {
    await spawnShell("sue");
    await room.give("build", "sue");
    await crash();
    await move("sue", { boot: `${placeHere().boot.split("/")[0]}/before` });
    const reason = `its machine, ${placeHere().host}, was restarted`;
    expect(await reconcile(room.crew)).toMatchObject({ reaped: [{ agent: "sue", reason, tasks: ["build"] }] });
    expect(await recover(room.crew)).toMatchObject([{ agent: "sue", action: "fresh", tasks: ["build"] }]);
  });

  it("is seen by a sandbox that shares the socket", async () => {
    await spawnShell("sue");
    await move("sue", { namespace: "pid:[1]" });
    expect(await planRecovery(room.crew)).toMatchObject([{ agent: "sue", action: "keep" }]);
    expect(await reconcile(room.crew)).toMatchObject({ reaped: [], agents: [{ status: "idle" }] });
  });

  it("of which only the session was lost is offered to recover, with the conversation that nobody looked at", async () => {
    const program = join(room.server.dir, "claude");
    await room.crew.exec("sh", [
      "-c",
      `printf '#!/bin/sh\\necho "$@" >>args\\nexec cat\\n' >${program}; chmod +x ${program}`,
    ]);
    await spawnShell("cleo", { cli: "claude", command: program });
    await room.crew.tmux.openSession("mu-other", "/");
    const { id } = await latestAgentRow(db(), demo("cleo"));
    const spool = spoolPath(room.crew.stateDir, id);
    await appendSpool(spool, { at: 1, event: "SessionStart", payload: { session_id: "of-an-older-database" } });
    await appendSpool(spool, { at: Date.now() + 5, event: "SessionStart", payload: { session_id: "abc-1" } });
    await room.server.raw("kill-session", "-t", "=mu-demo");
    expect(await reconcile(room.crew)).toMatchObject({ reaped: [{ agent: "cleo" }] });
    expect(await planRecovery(room.crew)).toMatchObject([{ agent: "cleo", action: "resume", session: "abc-1" }]);
    expect(await recover(room.crew)).toMatchObject([{ agent: "cleo", action: "resume" }]);
    expect(readFileSync(join(room.server.dir, "args"), "utf8")).toContain("--resume abc-1");
  });
});
