import * as z from "zod";
import type { Reader } from "../db/schema.js";
import { Fault } from "../errors.js";
import { auditHead, CHAIN_HEAD, VERIFIED_CHAIN, verifyChains } from "../journal/audit.js";
import { checkKeyframes } from "../journal/past/keyframes.js";
import { counted } from "../names.js";
import { defineOperation, listed, listOf, schemaOf } from "./define.js";
import { flag, workstreamField } from "./fields.js";
import { foldersOf } from "./past.js";

export const auditHeadOperation = defineOperation({
  name: "audit.head",
  summary: "Print the heads of the chains, to store them elsewhere",
  description:
    "Someone who can rewrite the database can rewrite a whole chain with its head. A head stored elsewhere, in a commit or a mail, reveals even that.",
  effect: "read",
  input: () => ({ workstream: workstreamField("chain") }),
  output: listOf(CHAIN_HEAD),
  examples: [
    { command: "mu audit head", shows: "one line per chain" },
    { command: "mu audit head --short", shows: "an unknown flag", fault: "usage.unknown_option" },
  ],
  run: async ({ context }, { workstream }) => listed(await auditHead(context.store.db, workstream)),
  render: ({ items }) => items.map(({ scope, n, head }) => `${scope || "-"} ${n} ${head}`),
});

export const auditVerify = defineOperation({
  name: "audit.verify",
  summary: "Verify that no event was changed, dropped, added or moved",
  description:
    "Checks every hash and the anchored head of every chain. With --tables it also replays the events and compares the result with the tables, to find rows that were changed outside mu. Large texts are in the chain by their SHA-256 only; --tables compares the stored texts with their hashes, and removes keyframes of --at that are not what the events say. Exits 1 if something is wrong.",
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
  async run(app, { workstream, tables }) {
    const { context } = app;
    const chains = await context.store.read(async (db) => {
      const found = await verifyChains(db, { scope: workstream });
      const broken = found.filter((chain) => !chain.ok);
      if (broken.length > 0) throw brokenChain(broken);
      if (tables) await checkTables(db);
      if (tables) await checkKeyframes(db, foldersOf(app).folder, { deep: true, mend: true });
      return found;
    });
    return {
      ok: true as const,
      chains: chains.map(({ scope, n, head, byHash }) => ({ scope, n, head, byHash })),
      events: chains.reduce((sum, chain) => sum + chain.n, 0),
      tables: tables ? ("same" as const) : ("not compared" as const),
    };
  },
  render: ({ chains, events, tables }, paint) => [
    `${paint.bold("The chain is intact")}: ${counted(events, "event")} in ${counted(chains.length, "chain")}${tables === "same" ? ", and the tables match the events" : ""}`,
    chains.map(({ scope, n, head, byHash }) => {
      const texts = byHash === 0 ? "" : `  ${counted(byHash, "text")} by hash`;
      return paint.dim(`  ${scope || "(machine)"}  ${n}  ${head.slice(0, 16)}…${texts}`);
    }),
  ],
});

type Verdict = Awaited<ReturnType<typeof verifyChains>>[number];

function brokenChain(broken: readonly Verdict[]): Fault {
  const said = broken.map(
    ({ scope, firstBad }) => `${scope || "the machine's chain"}: event ${firstBad?.n} ${firstBad?.problem}`,
  );
  const details = { broken: broken.map(({ scope, firstBad }) => ({ scope, ...firstBad })) };
  return new Fault("negative", "audit.broken_chain", `The chain is broken. ${said.join("; ")}.`, [], details);
}

async function checkTables(db: Reader): Promise<void> {
  const { compareTables } = await import("../journal/replay.js");
  const differences = await compareTables(db);
  if (differences.length === 0) return;
  const said = differences.slice(0, 10).map(({ table, name, id, problem, columns }) => {
    const where = columns.length > 0 ? ` (${columns.join(", ")})` : "";
    return `${table} ${name ?? id} is ${problem}${where}`;
  });
  const message = `${counted(differences.length, "row")} changed outside mu: ${said.join("; ")}.`;
  throw new Fault("negative", "audit.tables_differ", message, [], { differences });
}
