import fc from "fast-check";
import { afterEach, beforeEach, describe, it } from "vitest";
import { VERBS } from "../src/operations/manifest.js";
import type { Verb } from "../src/operations/verb.js";
import { type Home, newHome, runHere } from "./support/cli.js";
import { BATCH, ended, expectGoodManners, expectSoundDatabase, fuzzVictim, RUNS } from "./support/fuzz.js";
import { anyLine, lineOf, nastyText } from "./support/nasty.js";
import { sample, seed } from "./support/sample.js";

const victim = fuzzVictim();

/**
 * A play takes seconds and has a test of its own: here it is only asked for in ways that it refuses. A dispatcher goes on
 * until it is stopped, and starts programs: here it only explains. A replay has one frame.
 */
const BOUNDS: Readonly<Record<string, readonly string[]>> = {
  demo: ["--keep", "/dev/null"],
  dispatch: ["--explain"],
  replay: ["--speed", "1000000000"],
  "task.work": ["--timeout", "1s"],
};

const boundedLineOf = (verb: Verb) => lineOf(verb).map((argv) => [...argv, ...(BOUNDS[verb.name] ?? [])]);

const input = fc.oneof(fc.constant("tasks:\n  - title: One\n"), nastyText);

describe("any command line", () => {
  it.each(VERBS.map((verb) => [verb.name.replace(".", " "), verb] as const))("mu %s …", async (_name, verb) => {
    const batch = fc.array(fc.tuple(boundedLineOf(verb), input), { minLength: BATCH, maxLength: BATCH });
    await fc.assert(
      fc.asyncProperty(batch, async (lines) => {
        victim.refresh();
        for (const [argv, text] of lines) expectGoodManners(argv, await runHere(argv, { input: text, signal: ended }));
        await expectSoundDatabase(victim.database);
      }),
      RUNS,
    );
  });

  it("in any order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyLine, { minLength: 40, maxLength: 40 }), async (lines) => {
        victim.refresh();
        for (const argv of lines) expectGoodManners(argv, await runHere(argv, { signal: ended }));
        await expectSoundDatabase(victim.database);
      }),
      RUNS,
    );
  });
});

describe("in processes of their own", () => {
  let home: Home;
  beforeEach(() => {
    home = newHome();
  });
  afterEach(() => home.end());

  it("every verb keeps its manners", async () => {
    const env = { PATH: process.env["PATH"] ?? "", MU_DB_PATH: victim.database, MU_WORKSTREAM: "demo", VISUAL: "true" };
    // What --check is given would be run. NUL cannot stand in a process's arguments, nor can a megabyte; a signal ends what waits on.
    const possible = (argv: readonly string[]) =>
      argv.every((word) => !word.includes("\0") && word.length < 100_000 && word !== "--check");
    victim.refresh();
    const verbs = VERBS.filter((verb) => !verb.follows && !verb.name.endsWith(".wait"));
    for (const verb of sample(verbs, 15)) {
      const lines = fc.sample(boundedLineOf(verb).filter(possible), { numRuns: 2, seed });
      const ends = await Promise.all(lines.map((argv) => home.mu(argv, { env })));
      for (const [at, ran] of ends.entries()) expectGoodManners(lines[at] ?? [], ran);
    }
    await expectSoundDatabase(victim.database);
  });
});
