import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type AskPane, claimant, identify } from "../../src/agents/identity.js";
import { closeAgent } from "../../src/crew/close.js";
import { spawnAgent } from "../../src/crew/spawn.js";
import { write } from "../../src/db/write.js";
import { askOwnServer, type PaneIdentityFacts } from "../../src/tmux/panes.js";
import { initWorkstream, renameWorkstream } from "../../src/workstreams/workstream.js";
import { type PrivateCrew, privateCrew } from "../support/crew.js";
import { onEachDialect } from "../support/database.js";
import { describeTmux, eventually } from "../support/tmux.js";

const SERVER = "4000@1700000000";
const TMUX = "/tmp/tmux-1/default,4000,0";

onEachDialect("who calls", (bench) => {
  const insert = (
    name: string,
    columns: Partial<{ pane: string | null; closed: boolean; cli: string; server: string }>,
  ) =>
    write(bench.context, { op: "agent.spawn", scope: "demo", subject: name }, async (tx) => {
      const { id } = await tx.db
        .selectFrom("workstreams")
        .select("id")
        .where("name", "=", "demo")
        .executeTakeFirstOrThrow();
      const { pane = null, closed = false, cli = "shell", server = SERVER } = columns;
      return tx.insert("agents", {
        workstream_id: id,
        name,
        role: "builder",
        access: "full",
        cli,
        command: null,
        ...{ host: null, boot: null, namespace: null, socket: null },
        pane,
        server: pane === null ? null : server,
        pid: null,
        window: null,
        session_ref: null,
        spawned_at: tx.now,
        closed_at: closed ? tx.now : null,
      });
    });
  const who = (env: Record<string, string>, ask?: AskPane) => identify(bench.context.store.db, env, ask);
  const never: AskPane = () => Promise.reject(new Error("tmux was asked"));
  const panes = (...known: Partial<PaneIdentityFacts>[]): AskPane => {
    const whole = {
      ...{ server: SERVER, session: "mu-demo", title: "", agent: "", agentId: "", spawnedAt: "" },
      ...{ command: "sh", startCommand: "" },
    };
    return async (pane) => {
      const found = known.find((one) => one.pane === pane);
      return found && { ...whole, ...found, pane };
    };
  };
  const env = (id: number | undefined, pane: string) => ({
    ...(id !== undefined && { MU_AGENT_ID: String(id), MU_AGENT: "worker-1", MU_WORKSTREAM: "demo" }),
    TMUX,
    TMUX_PANE: pane,
    USER: "ann",
  });
  beforeEach(async () => {
    await initWorkstream(bench.context, "demo");
  });

  it("is told by the environment of an agent's own pane, and tmux is not asked", async () => {
    const { id } = await insert("worker-1", { pane: "%1" });
    const caller = await who(env(id, "%1"), never);
    expect(caller).toMatchObject({ name: "worker-1", kind: "agent", incarnation: id, role: "builder", refusal: null });
    expect(caller.workstream).toBe("demo");
    expect(claimant(caller)).toEqual({ agent: "worker-1", incarnation: id });
  });

  it("is told by the environment in a sandbox that hides the pane", async () => {
    const { id } = await insert("worker-1", { pane: "%1", cli: "codex" });
    const caller = await who({ MU_AGENT_ID: String(id), CODEX_THREAD_ID: "x" }, never);
    expect(caller).toMatchObject({ name: "worker-1", refusal: null, workstream: "demo" });
  });

  it("of sudo and ssh with half an environment is nobody that may write, and says what was missing", async () => {
    const { id } = await insert("worker-1", { pane: "%1" });
    const caller = await who({ MU_AGENT_ID: String(id) }, never);
    expect(caller.refusal).toMatchObject({ kind: "conflict", code: "agent.unproved" });
    expect(caller.refusal?.message).toContain("$TMUX_PANE and $TMUX");
    const bare = await who({ USER: "root" }, never);
    expect(bare).toMatchObject({ kind: "person", name: "root", refusal: null });
    expect(bare.evidence).toContainEqual({ source: "$TMUX_PANE", says: expect.stringContaining("not set") });
  });

  it("is told by what mu wrote on the pane, when the environment was lost", async () => {
    const { id } = await insert("worker-1", { pane: "%1" });
    const caller = await who(env(undefined, "%1"), panes({ pane: "%1", agentId: String(id), title: "vim" }));
    expect(caller).toMatchObject({ name: "worker-1", incarnation: id, refusal: null });
  });

  it("is told by the pane while the spawn has not written down which it is", async () => {
    const { id } = await insert("worker-1", {});
    const caller = await who(env(id, "%1"), panes({ pane: "%1", agentId: String(id) }));
    expect(caller).toMatchObject({ incarnation: id, refusal: null });
  });

  it("is told by a title only where the agent of that name lives nowhere else", async () => {
    const here = await insert("here", { pane: "%1" });
    await insert("away", { pane: "%2" });
    const lost = await insert("lost", { pane: "%3" });
    const old = await insert("old", { pane: "%1", server: "1@1" });
    const all = (title: string) =>
      panes({ pane: "%1", title }, { pane: "%5", title }, { pane: "%2", agentId: String(here.id + 1) }, { pane: "%9" });
    expect(await who(env(undefined, "%1"), all("here · build"))).toMatchObject({ incarnation: here.id });
    expect(await who(env(undefined, "%5"), all("away"))).toMatchObject({ kind: "person", name: "ann" });
    expect(await who(env(undefined, "%5"), all("lost"))).toMatchObject({ incarnation: lost.id, refusal: null });
    expect(await who(env(undefined, "%5"), all("old"))).toMatchObject({ incarnation: old.id, refusal: null });
    expect(await who(env(undefined, "%5"), all("nobody"))).toMatchObject({ kind: "person" });
  });

  it("is told by the place of a pane that has lost its mark, and not by the title of another pane", async () => {
    const { id } = await insert("worker-1", { pane: "%1" });
    const all = panes({ pane: "%1", title: "vim" }, { pane: "%5", title: "worker-1" });
    expect(await who(env(undefined, "%1"), all)).toMatchObject({ name: "worker-1", incarnation: id, refusal: null });
    expect(await who(env(undefined, "%5"), all)).toMatchObject({ kind: "person", name: "ann" });
  });

  it("of an incarnation that was replaced may look, but not write", async () => {
    const old = await insert("worker-1", { pane: "%1", closed: true });
    await insert("worker-1", { pane: "%2" });
    for (const ask of [undefined, panes(), panes({ pane: "%1", agentId: String(old.id) })]) {
      expect((await who(env(old.id, "%1"), ask)).refusal).toMatchObject({ kind: "conflict", code: "agent.replaced" });
    }
    expect((await who(env(undefined, "%1"), panes({ pane: "%1", agentId: String(old.id) }))).refusal).toMatchObject({
      code: "agent.replaced",
    });
    expect((await who(env(999_999, "%1"), panes())).refusal).toMatchObject({ code: "agent.replaced" });
  });

  it("of a pane that was adopted after its first agent had ended is the new agent", async () => {
    const old = await insert("worker-1", { pane: "%1", closed: true });
    const adopted = await insert("worker-2", { pane: "%1" });
    const caller = await who(env(old.id, "%1"), panes({ pane: "%1", agentId: String(adopted.id) }));
    expect(caller).toMatchObject({ name: "worker-2", refusal: null });
  });

  it("is unclear where the sources disagree, and everything they said is told", async () => {
    const a = await insert("a", { pane: "%1" });
    const b = await insert("b", { pane: "%2" });
    const caller = await who(env(a.id, "%2"), panes({ pane: "%2", agentId: String(b.id) }));
    expect(caller.refusal).toMatchObject({ kind: "conflict", code: "agent.identity_unclear", exitCode: 4 });
    expect(caller.refusal?.message).toMatch(/MU_AGENT_ID says incarnation \d+, a .*%2 says incarnation \d+, b/);
    expect((await who(env(a.id, "%7"), panes({ pane: "%7" }))).refusal?.code).toBe("agent.identity_unclear");
    const named = await who({ ...env(undefined, "%2"), MU_AGENT: "zoe" }, panes({ pane: "%2", agentId: String(b.id) }));
    expect(named.refusal?.code).toBe("agent.identity_unclear");
    const copied = await who(env(undefined, "%9"), panes({ pane: "%9", agentId: String(b.id) }));
    expect(copied.refusal?.code).toBe("agent.identity_unclear");
  });

  it("on another tmux server than the agent's is not the agent", async () => {
    const { id } = await insert("worker-1", { pane: "%1" });
    const elsewhere = { ...env(id, "%1"), TMUX: "/tmp/tmux-1/other,5000,0" };
    expect((await who(elsewhere, panes({ pane: "%1", server: "5000@2" }))).refusal?.code).toBe(
      "agent.identity_unclear",
    );
  });

  it("outside of panes is a person, and does not become an agent by its name", async () => {
    await insert("worker-1", { pane: "%1" });
    await insert("ann", { cli: "human" });
    expect(await who({ USER: "ann", MU_WORKSTREAM: "demo" })).toMatchObject({ kind: "person", refusal: null });
    const namesake = await who({ MU_AGENT: "worker-1", MU_WORKSTREAM: "demo" });
    expect(namesake).toMatchObject({ kind: "person", refusal: { code: "agent.not_you" } });
    expect(await who({})).toMatchObject({ kind: "person", name: "operator", workstream: null });
    expect(await who({ MU_AGENT: "Ann O'Hara" })).toMatchObject({ name: "ann-o-hara" });
  });

  it("in a person's pane knows the workstream by the session, and asks nothing when tmux is away", async () => {
    expect(await who(env(undefined, "%5"), panes({ pane: "%5" }))).toMatchObject({
      kind: "person",
      workstream: "demo",
    });
    expect(await who(env(undefined, "%5"))).toMatchObject({ kind: "person", workstream: null });
  });

  it("keeps its workstream when that was renamed, and may wish for another one", async () => {
    const { id } = await insert("worker-1", { pane: "%1" });
    await initWorkstream(bench.context, "other");
    await renameWorkstream(bench.context, "demo", "prod");
    expect((await who(env(id, "%1"), never)).workstream).toBe("prod");
    expect((await who({ ...env(id, "%1"), MU_WORKSTREAM: "other" }, never)).workstream).toBe("other");
  });

  it("whatever the sources say, is an agent only with a reason, and never a closed one that may write", async () => {
    const ids = {
      none: undefined,
      mine: (await insert("a", { pane: "%1" })).id,
      others: (await insert("b", { pane: "%2" })).id,
      closed: (await insert("c", { pane: "%1", closed: true })).id,
      reserved: (await insert("d", {})).id,
      unknown: 424_242,
    };
    const claim = fc.constantFrom(...(Object.keys(ids) as (keyof typeof ids)[]));
    const seat = fc.constantFrom("%1", "%2", "%3", undefined);
    const title = fc.constantFrom("a", "b", "c", "d", "ann", "vm", "");
    const check = async (said: keyof typeof ids, marked: keyof typeof ids, pane: string | undefined, text: string) => {
      const surroundings: Record<string, string> = { USER: "ann" };
      if (ids[said] !== undefined) surroundings["MU_AGENT_ID"] = String(ids[said]);
      if (pane !== undefined) Object.assign(surroundings, { TMUX, TMUX_PANE: pane });
      const ask = panes(
        { pane: "%1", agentId: String(ids.mine) },
        { pane: "%2", agentId: String(ids.others) },
        { pane: "%3", title: text, agentId: ids[marked] === undefined ? "" : String(ids[marked]) },
      );
      const caller = await who(surroundings, ask);
      if (caller.refusal !== null || caller.kind === "person") {
        expect(caller.refusal === null ? said : caller.refusal.kind).toBe(
          caller.refusal === null ? "none" : "conflict",
        );
        return;
      }
      expect([ids.mine, ids.others, ids.reserved]).toContain(caller.incarnation);
      if (caller.incarnation === ids.mine) expect(pane).toBe("%1");
      if (caller.incarnation === ids.others) expect(pane).toBe("%2");
      if (said === "mine" || said === "others" || said === "reserved") expect(caller.incarnation).toBe(ids[said]);
    };
    await fc.assert(fc.asyncProperty(claim, claim, seat, title, check), { numRuns: 300 });
  });
});

describeTmux("who calls from a real pane", () => {
  let crew: PrivateCrew;
  beforeEach(async () => {
    crew = await privateCrew();
  });
  afterEach(() => crew.dispose());

  const ref = { workstream: "demo", name: "worker-1" };
  /** The environment of a program in the agent's pane. */
  const surroundings = async (file: string) => {
    const text = await eventually("env", async () => {
      const { code, stdout } = await crew.crew.exec("cat", [file]);
      return code === 0 && stdout.includes("DONE=1") && stdout;
    });
    return Object.fromEntries([...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [name ?? "", value ?? ""]));
  };
  const ask = (env: Record<string, string>) =>
    askOwnServer({ exec: crew.crew.exec, env: { ...crew.server.env, ...env } });

  it("is known there, in another window and another session, without a word from tmux, until it is replaced", async () => {
    const file = `${crew.server.dir}/env.txt`;
    const command = `env >env.txt; echo DONE=1 >>env.txt; printf '\\033]2;a stolen title\\007'; exec cat`;
    const { agent } = await spawnAgent(crew.crew, ref, { command, cwd: crew.server.dir });
    const env = await surroundings(file);
    const db = crew.crew.context.store.db;
    const never: AskPane = () => Promise.reject(new Error("tmux was asked"));
    expect(await identify(db, env, never)).toMatchObject({ name: "worker-1", refusal: null });

    await crew.server.raw("new-session", "-d", "-s", "elsewhere", "cat");
    await crew.server.tmux.movePane(agent.pane ?? "", { session: "elsewhere", window: "w" });
    const { MU_AGENT_ID: _, ...lost } = env;
    for (const now of [env, { ...lost, MU_AGENT: "" }]) {
      expect(await identify(db, now, ask(now))).toMatchObject({ name: "worker-1", refusal: null });
    }

    await closeAgent(crew.crew, ref);
    await spawnAgent(crew.crew, ref, { command: "cat", cwd: crew.server.dir });
    expect((await identify(db, env, ask(env))).refusal).toMatchObject({ code: "agent.replaced" });
  });
});
