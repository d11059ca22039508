import * as z from "zod";
import { Fault } from "../../errors.js";
import { VERIFIED_CHAIN, verifyChains } from "../../journal/audit.js";
import { counted } from "../../names.js";
import { flag, workstreamField } from "../fields.js";
import { defineOperation } from "../operation.js";
import { schemaOf } from "../schema-of.js";

export const auditVerify = defineOperation({
  name: "audit.verify",
  summary: "Verify that no event was changed, dropped, added or moved",
  description:
    "Checks every hash and the anchored head of every chain. With --tables it also replays the events and compares the result with the tables, to find rows that were changed outside mu. Large texts are in the chain by their SHA-256 only; --tables compares the stored texts with their hashes. Exits 1 if something is wrong.",
  effect: "read",
  input: () => ({ workstream: workstreamField("chain"), tables: flag("Also compare the tables with the events") }),
  output: () =>
    z.strictObject({
      ok: z.literal(true),
      chains: z.array(schemaOf(VERIFIED_CHAIN)),
      events: z.number(),
      tables: z.enum(["same", "not compared"]),
    }),
  examples: [
    { command: "mu audit verify --tables", shows: "check everything" },
    { command: "mu audit verify --deep", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  async run({ context }, { workstream, tables }) {
    const chains = await context.store.read(async (db) => {
      const found = await verifyChains(db, { scope: workstream });
      const broken = found.filter((chain) => !chain.ok);
      if (broken.length > 0) throw brokenChain(broken);
      if (tables) await checkTables(db);
      return found;
    });
    return {
      ok: true as const,
      chains: chains.map(({ scope, n, head, byHash }) => ({ scope, n, head, byHash })),
      events: chains.reduce((sum, chain) => sum + chain.n, 0),
      tables: tables ? ("same" as const) : ("not compared" as const),
    };
  },
  render: ({ chains, events, tables }, paint) =>
    [
      `${paint.bold("The chain is intact")}: ${counted(events, "event")} in ${counted(chains.length, "chain")}${tables === "same" ? ", and the tables match the events" : ""}`,
      ...chains.map(({ scope, n, head, byHash }) =>
        paint.dim(
          `  ${scope || "(machine)"}  ${n}  ${head.slice(0, 16)}…${byHash === 0 ? "" : `  ${counted(byHash, "text")} by hash`}`,
        ),
      ),
    ].join("\n"),
});

type Verdict = Awaited<ReturnType<typeof verifyChains>>[number];

function brokenChain(broken: readonly Verdict[]): Fault {
  const said = broken.map(
    ({ scope, firstBad }) => `${scope || "the machine's chain"}: event ${firstBad?.n} ${firstBad?.problem}`,
  );
  return new Fault("negative", "audit.broken_chain", `The chain is broken. ${said.join("; ")}.`, [], {
    broken: broken.map(({ scope, firstBad }) => ({ scope, ...firstBad })),
  });
}

async function checkTables(db: Parameters<typeof verifyChains>[0]): Promise<void> {
  const { compareTables } = await import("../../journal/replay.js");
  const differences = await compareTables(db);
  if (differences.length === 0) return;
  const said = differences
    .slice(0, 10)
    .map(
      (row) =>
        `${row.table} ${row.name ?? row.id} is ${row.problem}${row.columns.length > 0 ? ` (${row.columns.join(", ")})` : ""}`,
    );
  throw new Fault(
    "negative",
    "audit.tables_differ",
    `${counted(differences.length, "row")} changed outside mu: ${said.join("; ")}.`,
    [],
    { differences },
  );
}
