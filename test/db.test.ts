import { expect, it } from "vitest";
import { destroyWorkstream, initWorkstream, listWorkstreams, renameWorkstream } from "../src/workstreams/workstream.js";
import { onEachDialect } from "./support/database.js";

onEachDialect("a workstream", (bench) => {
  it("is made once, and a second init is no change", async () => {
    const { context } = bench;
    expect(await initWorkstream(context, "demo", { root: "/tmp/demo" })).toMatchObject({ created: true });
    expect(await initWorkstream(context, "demo")).toMatchObject({ created: false, workstream: { root: "/tmp/demo" } });
    const events = await context.store.db.selectFrom("events").selectAll().execute();
    expect(events.map((event) => event.op)).toEqual(["workstream.init"]);
  });

  it("is renamed and destroyed, and its events stay", async () => {
    const { context } = bench;
    await initWorkstream(context, "demo");
    await renameWorkstream(context, "demo", "prod");
    expect((await listWorkstreams(context.store.db)).map((found) => found.name)).toEqual(["prod"]);
    await destroyWorkstream(context, "prod");
    expect(await listWorkstreams(context.store.db)).toEqual([]);
    const events = await context.store.db.selectFrom("events").select(["scope", "op"]).orderBy("id").execute();
    expect(events).toEqual([
      { scope: "demo", op: "workstream.init" },
      { scope: "demo", op: "workstream.rename" },
      { scope: "prod", op: "workstream.rename" },
      { scope: "prod", op: "workstream.destroy" },
    ]);
  });
});
