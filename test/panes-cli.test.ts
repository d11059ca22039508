import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Desk, openDesk } from "./support/desk.js";
import { describeTmux, eventually } from "./support/tmux.js";

let desk: Desk;
beforeEach(async () => {
  desk = openDesk();
  await desk.json("workstream", "init", "demo");
  await desk.json("task", "add", "one", "--title", "One");
});
afterEach(() => desk.end());

interface Row {
  name: string;
  session: string;
  sessionAlive: boolean;
}

const sessions = async () => (await desk.server.tmux.listSessions()).sort();

/** A pane opened by hand, and what its environment makes of it. */
async function openByHand(session: string, ...command: string[]) {
  const target = (await sessions()).includes(session)
    ? ["new-window", "-t", `=${session}:`]
    : ["new-session", "-s", session];
  const format = "#{pane_id} #{socket_path},#{pid},0";
  const printed = await desk.server.raw(...target, "-d", "-P", "-F", format, ...command);
  const [pane = "", tmux = ""] = printed.trim().split(" ");
  return { pane, env: { TMUX: tmux, TMUX_PANE: pane } };
}

/** A program that waits under the name of an agent CLI. */
function fakeCli(): string {
  const folder = join(desk.server.dir, "cli");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, "claude");
  symlinkSync("/bin/cat", path);
  return path;
}

describeTmux("panes, sessions and databases", () => {
  it("opens the session of a workstream, which outlives its last agent, and lists sessions without a workstream", async () => {
    expect(await sessions()).toEqual(["mu-demo"]);
    await desk.json("agent", "spawn", "worker-1", "--cli", "shell");
    expect(await desk.server.raw("display-message", "-p", "-t", "=mu-demo:", "#{window_name}")).toBe("worker-1\n");
    await desk.json("agent", "close", "worker-1");
    expect(await sessions()).toEqual(["mu-demo"]);
    await openByHand("mu-lost");
    await desk.json("workstream", "init", "quiet");
    await desk.server.raw("kill-session", "-t", "=mu-quiet");
    const { items, strays } = await desk.json<{ items: Row[]; strays: string[] }>("workstream", "list");
    expect(items.map(({ name, session, sessionAlive }) => [name, session, sessionAlive])).toEqual([
      ["demo", "mu-demo", true],
      ["quiet", "mu-quiet", false],
    ]);
    expect(strays).toEqual(["mu-lost"]);
    const { out } = await desk.mu(["workstream", "destroy", "demo"]);
    expect(out).not.toContain("which is no agent's");
  });

  it("makes a workstream where tmux is missing, and says that there is no session", async () => {
    const { code, err } = await desk.mu(["workstream", "init", "plain"], { env: { PATH: "/nowhere" } });
    expect([code, err]).toEqual([0, expect.stringContaining("tmux session was not opened")]);
    expect((await desk.mu(["workstream", "list"], { env: { PATH: "/nowhere" } })).out).toContain("plain");
  });

  it("refuses writes of an agent CLI in a pane that nobody adopted, with the line that adopts it", async () => {
    const { pane, env } = await openByHand("mu-demo", fakeCli());
    const refused = await desk.mu(["task", "claim", "one", "--json"], { env });
    expect(refused.code).toBe(4);
    const fault = JSON.parse(refused.err);
    expect(fault).toMatchObject({ code: "agent.not_adopted" });
    expect(fault.nextSteps[0].command).toBe(`mu agent adopt ${pane} --name <agent> -w demo`);
    for (const read of [["log"], ["sql", "select 1"], ["undo"], ["me"]]) {
      expect((await desk.mu(read, { env })).code).toBe(0);
    }
    const self = await desk.mu(["task", "note", "one", "by hand", "--self"], { env });
    expect(self.err).toBe("");
    expect((await desk.mu(["agent", "adopt", pane, "--name", "helper"], { env })).code).toBe(0);
    const { task } = JSON.parse((await desk.mu(["task", "claim", "one", "--json"], { env })).out);
    expect(task.owner).toBe("helper");

    const other = await openByHand("mu-demo", "sh");
    const marked = await desk.mu(["task", "close", "one"], { env: { ...other.env, CLAUDECODE: "1" } });
    expect([marked.code, marked.err]).toEqual([4, expect.stringContaining("mu agent adopt")]);
    expect((await desk.mu(["task", "note", "one", "a person's shell"], { env: other.env })).code).toBe(0);
  });

  it("leads a pane that is opened by hand in a session to the session's database", async () => {
    const database = join(desk.server.dir, "apart", "mu.db");
    await desk.mu(["workstream", "init", "apart"], { env: { MU_DB_PATH: database } });
    const { pane } = await openByHand("mu-apart");
    await desk.server.raw("send-keys", "-t", pane, 'echo "[$MU_DB_PATH]"', "Enter");
    await eventually("the path", async () =>
      (await desk.server.raw("capture-pane", "-p", "-J", "-t", pane)).includes(`[${database}]`),
    );
  });

  it("takes no agent of one database for the agent of the same number in another", async () => {
    const elsewhere = { MU_DB_PATH: join(desk.server.dir, "apart", "mu.db") };
    await desk.mu(["workstream", "init", "demo"], { env: elsewhere });
    const { pane, env } = await openByHand("mu-demo", "sh");
    await desk.json("agent", "adopt", pane, "--name", "here");
    const other = await openByHand("mu-demo", "sh");
    await desk.mu(["agent", "adopt", other.pane, "--name", "there"], { env: elsewhere });

    expect(JSON.parse((await desk.mu(["me", "--json"], { env })).out)).toMatchObject({ name: "here" });
    const me = JSON.parse((await desk.mu(["me", "--json"], { env: other.env })).out);
    expect(me).toMatchObject({ kind: "person", refusal: expect.stringContaining("another database") });
    const refused = await desk.mu(["task", "claim", "one"], { env: other.env });
    expect([refused.code, refused.err]).toEqual([4, expect.stringContaining("another database")]);
    const taken = await desk.fault("agent", "adopt", other.pane, "--name", "mine");
    expect(taken).toMatchObject({ exit: 4, code: "pane.other_database" });
    const since = { MU_AGENT_ID: "1", MU_AGENT_SINCE: "2020-01-01T00:00:00.000Z", CLAUDECODE: "1" };
    expect((await desk.mu(["task", "claim", "one"], { env: since })).code).toBe(4);
  });

  it("says where an adopted pane stays, and how its shell finds the database", async () => {
    const { pane } = await openByHand("own");
    const { out } = await desk.mu(["agent", "adopt", pane, "--name", "guest"]);
    expect(out).toContain("in session own");
    expect(out).toContain(`export MU_STATE_DIR=${join(desk.server.dir, "state")}`);
    expect(out).toContain(`mu agent adopt ${pane} --move -w demo`);
    const moved = await desk.mu(["agent", "adopt", pane, "--move"]);
    expect(moved.out).toContain("moved to session mu-demo");
    expect(await sessions()).toEqual(["mu-demo"]);
  });
});
