import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { enqueue, KEPT_DELIVERIES } from "../../src/agents/delivery/outbox.js";
import { lastScreenPath, saveLaunch, transcriptPath } from "../../src/agents/files.js";
import { appendSpool, spoolPath } from "../../src/agents/spool.js";
import { measureKept, removeOldFiles } from "../../src/crew/kept.js";
import { type RowOf, write } from "../../src/db/write.js";
import type { Host } from "../../src/host.js";
import { initWorkstream, workstreamRow } from "../../src/workstreams/workstream.js";
import { agentRow } from "../support/agent-row.js";
import { onEachDialect, temporaryFolder } from "../support/database.js";

onEachDialect("what is kept of agents", (bench) => {
  let folder: ReturnType<typeof temporaryFolder>;
  beforeEach(async () => {
    folder = temporaryFolder();
    await initWorkstream(bench.context, "demo");
  });
  afterEach(() => folder.remove());

  const host = () => ({ context: bench.context, stateDir: folder.path }) as Host;
  const now = () => bench.context.clock.now().getTime();
  const PATHS = {
    spools: (row: RowOf<"agents">) => spoolPath(folder.path, row.id),
    transcripts: (row: RowOf<"agents">) => transcriptPath(folder.path, row),
    screens: (row: RowOf<"agents">) => lastScreenPath(folder.path, row),
    launches: (row: RowOf<"agents">) => join(folder.path, "launches", `${row.id}-${Date.parse(row.spawned_at)}.json`),
  };

  /** An incarnation of bob with a file of each kind, 1000 bytes each, written `daysAgo`. */
  async function live(daysAgo: number, end: "closed" | "open" | "lost"): Promise<RowOf<"agents">> {
    const spec = { op: "agent.spawn", scope: "demo", subject: "demo/bob" };
    const row = await write(bench.context, spec, async (tx) => {
      const { id: workstream_id } = await workstreamRow(tx.db, "demo");
      const spawned_at = new Date(now() - daysAgo * 86_400_000).toISOString();
      const closed_at = end === "open" ? null : tx.now;
      const name = end === "closed" ? "bob" : end;
      return tx.insert("agents", agentRow({ workstream_id, name, spawned_at, closed_at, server: "7@1", pane: "%1" }));
    });
    if (end === "lost") {
      const payload = { reaped: [{ agent: "lost", tasks: [], lostServer: "7@1" }] };
      const reap = { op: "agent.reap", scope: "demo", subject: "demo/lost" };
      await write(bench.context, reap, async (tx) => tx.addPayload(payload));
    }
    await saveLaunch(folder.path, row, { command: "sh", args: [], env: {}, cwd: "/", shared: false });
    await appendSpool(spoolPath(folder.path, row.id), { at: now(), event: "Stop", payload: {} });
    for (const path of Object.values(PATHS)) {
      writeFileSync(path(row), "x".repeat(1000));
      utimesSync(path(row), new Date(now()), new Date(now() - daysAgo * 86_400_000));
    }
    return row;
  }

  it.each(["spools", "transcripts", "screens", "launches"] as const)(
    "has a bound on %s: the oldest of closed agents go, those that are needed stay",
    async (kind) => {
      const open = await live(90, "open");
      const lost = await live(80, "lost");
      const closed: RowOf<"agents">[] = [];
      for (const daysAgo of [4, 3, 2, 1]) closed.push(await live(daysAgo, "closed"));
      const left = () => [open, lost, ...closed].map((row) => existsSync(PATHS[kind](row)));
      expect(await removeOldFiles(host())).toEqual([]);
      expect(await removeOldFiles(host(), { [kind]: 6_000 })).toEqual([]);

      const [oldest, second] = closed.map(PATHS[kind]);
      const runs = await Promise.all([1, 2].map(() => removeOldFiles(host(), { [kind]: 4_500 })));
      expect([...new Set(runs.flat())].sort()).toEqual([oldest, second].sort());
      expect(left()).toEqual([true, true, false, false, true, true]);
      await removeOldFiles(host(), { [kind]: 0 });
      expect(left()).toEqual([true, true, false, false, false, false]);
      expect((await measureKept(bench.context.store, folder.path)).find((one) => one.kind === kind)).toMatchObject({
        count: 2,
        bytes: 2_000,
      });
    },
  );

  it("leaves files that no row names alone for a month: another database may share the folder", async () => {
    mkdirSync(join(folder.path, "launches"));
    const old = (name: string, daysAgo: number) => {
      writeFileSync(join(folder.path, "launches", name), "{}");
      const at = new Date(now() - daysAgo * 86_400_000);
      utimesSync(join(folder.path, "launches", name), at, at);
    };
    old("7-1760000000000.json", 31);
    old("8-1760000000000.json.mu-0123456789ab", 31);
    old("9-1760000000000.json", 29);
    old("notes.txt", 400);
    await removeOldFiles(host(), { launches: 0 });
    expect(readdirSync(join(folder.path, "launches")).sort()).toEqual(["9-1760000000000.json", "notes.txt"]);
  });

  it("has a bound on deliveries: settled ones go, by age and by number, and what waits stays", async () => {
    const bob = await live(1, "open");
    const amy = { ...(await live(1, "closed")), name: "amy" };
    const { db } = bench.context.store;
    const send = (agent: RowOf<"agents">, text: string) => enqueue(bench.context, agent, { text, sender: "ann" });
    const { id: _, ...sent } = await send(amy, "of amy, long ago");
    const at = (daysAgo: number) => new Date(now() - daysAgo * 86_400_000).toISOString();
    const settled = { ...sent, agent_id: bob.id, agent: bob.name, state: "proved" };
    const { days, each } = KEPT_DELIVERIES;
    await db
      .updateTable("deliveries")
      .set({ state: "proved", updated_at: at(days + 1) })
      .execute();
    await db
      .insertInto("deliveries")
      .values([
        { ...settled, agent: "amy", text: "of amy", state: "refused", updated_at: at(days - 1) },
        { ...settled, text: "waits", state: "queued", updated_at: at(days + 1) },
        ...Array.from({ length: each + 40 }, (__, n) => ({ ...settled, text: `prompt ${n}` })),
      ])
      .execute();
    for (let n = 0; n < 8; n++) await send(bob, `next ${n}`);
    const rows = await db.selectFrom("deliveries").select(["text", "state"]).orderBy("id").execute();
    expect(rows.slice(0, 2)).toEqual([
      { text: "of amy", state: "refused" },
      { text: "waits", state: "queued" },
    ]);
    expect(rows.length).toBeLessThanOrEqual(2 + each + 8);
    expect(rows.at(-1)?.text).toBe("next 7");
    expect((await measureKept(bench.context.store, folder.path)).at(-1)).toMatchObject({
      kind: "deliveries",
      count: rows.length,
    });
  });
});
