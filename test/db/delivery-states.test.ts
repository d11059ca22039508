import { sql } from "kysely";
import { expect, it } from "vitest";
import { postgresFlavour, sqliteFlavour } from "../../src/db/flavour.js";
import { crew } from "../../src/db/migrations/0002-crew.js";
import { deliveryStates } from "../../src/db/migrations/0007-delivery-states.js";
import { dialect, onEachDialect } from "../support/database.js";

const flavour = dialect === "sqlite" ? sqliteFlavour : postgresFlavour;

onEachDialect("the states of deliveries", (bench) => {
  it("are more than in the release before, whose deliveries keep theirs", async () => {
    const run = (text: string) => bench.context.store.write((db) => sql.raw(text).execute(db));
    await run("drop table deliveries");
    for (const text of crew(flavour).filter((one) => /\bdeliveries\b/.test(one))) await run(text);
    const states = ["queued", "pasted", "proved", "unproved", "refused", "cancelled"];
    const insert = (state: string) =>
      run(`insert into deliveries
             (agent_id, workstream_id, agent, sender, text, text_hash, state, created_at, updated_at)
           values (1, 1, 'ada', 'ann', 'go', 'h', '${state}', 't', 't')`);
    for (const state of states) await insert(state);
    await expect(insert("typed")).rejects.toThrow();

    for (const text of deliveryStates()) await run(text);
    for (const state of ["handed", "typed"]) await insert(state);
    await expect(insert("lost")).rejects.toThrow();
    await expect(insert("pasted")).rejects.toThrow();
    const kept = await bench.context.store.db.selectFrom("deliveries").select("state").orderBy("id").execute();
    expect(kept.map(({ state }) => state)).toEqual([...states, "handed", "typed"]);
  });
});
