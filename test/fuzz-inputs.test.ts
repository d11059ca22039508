import fc from "fast-check";
import { describe, it } from "vitest";
import { stringify } from "yaml";
import { processRequest } from "../src/cli/io.js";
import { openSqlite } from "../src/db/sqlite/sqlite.js";
import { knownFault } from "../src/errors.js";
import type { Request } from "../src/operations/app.js";
import { execute } from "../src/operations/execute.js";
import { loadOperations } from "../src/operations/index.js";
import { VERBS } from "../src/operations/manifest.js";
import type { Operation } from "../src/operations/operation.js";
import { runHere } from "./support/cli.js";
import { BATCH, ended, expectGoodManners, expectSoundDatabase, fuzzVictim, RUNS } from "./support/fuzz.js";
import { inputOf, nastyText, planValue } from "./support/nasty.js";

const victim = fuzzVictim();

describe("any input of a program", async () => {
  const operations = (await loadOperations()).filter((operation) => !operation.standalone);

  it.each(operations.map((operation) => [operation.name, operation] as const))("%s", async (_name, operation) => {
    const verb = VERBS.find((known) => known.name === operation.name);
    if (verb === undefined) throw new Error(`${operation.name} is not in the manifest`);
    await fc.assert(
      fc.asyncProperty(fc.array(inputOf(verb), { minLength: BATCH, maxLength: BATCH }), async (inputs) => {
        victim.refresh();
        for (const one of inputs) await expectAnswerOrFault(operation, one);
        await expectSoundDatabase(victim.database);
      }),
      RUNS,
    );
  });
});

async function expectAnswerOrFault(operation: Operation, given: unknown): Promise<void> {
  const { world: seeded, request: asked } = victim.seeded;
  // The standard input of a test may never end.
  const request = {
    ...asked,
    ...processRequest(ended, { json: false }),
    stdin: async () => "tasks: []",
    terminal: asked.terminal,
  };
  const world = {
    ...seeded,
    openStore: () => openSqlite(victim.database, { missing: "empty", synchronous: "NORMAL" }),
  };
  try {
    const result = await execute(operation, given, world, request as Request);
    const checked = operation.output().safeParse(result);
    if (!checked.success) throw new Error(`a result of another shape: ${JSON.stringify(checked.error.issues)}`);
  } catch (error) {
    const fault = knownFault(error);
    if (fault !== undefined && fault.code !== "internal.bug") return;
    throw new Error(`${operation.name} ${JSON.stringify(given)?.slice(0, 2000)}: ${(error as Error).stack}`);
  }
}

describe("any plan", () => {
  const written = fc.oneof(
    planValue.map((value) => JSON.stringify(value) ?? ""),
    planValue.map((value) => stringify(value, { aliasDuplicateObjects: false }) ?? ""),
    fc.tuple(planValue, fc.nat()).map(([value, at]) => broken(JSON.stringify(value) ?? "", at)),
    fc.tuple(planValue, fc.nat()).map(([value, at]) => broken(stringify(value) ?? "", at)),
    fc.constantFrom(
      "&a [*a]",
      "a: &a [x]\nb: [*a, *a]",
      "!!binary x",
      "---\n---\n",
      "tasks: *nothing",
      "[".repeat(50_000),
      "{a: ".repeat(10_000),
    ),
    nastyText,
  );

  it("is applied, or refused with its place, and nothing in between", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(written, { minLength: BATCH, maxLength: BATCH }), async (plans) => {
        victim.refresh();
        for (const plan of plans) {
          const argv = ["task", "apply", "-", "--json"];
          const ran = await runHere(argv, { input: plan });
          expectGoodManners([...argv, plan], ran);
        }
        await expectSoundDatabase(victim.database);
      }),
      { ...RUNS, numRuns: 2 * RUNS.numRuns },
    );
  });
});

/** A text with a piece taken out: half a document. */
const broken = (text: string, at: number) =>
  text.slice(0, at % (text.length + 1)) + text.slice((at % (text.length + 1)) + 3);
