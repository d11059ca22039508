import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Stryker } from "@stryker-mutator/core";

// Changes one small thing of a module at a time and runs the module's nearest tests: each change should fail one.
// `npm run mutants` tries all of these modules, `npm run mutants tasks/claim tracks` only some.

const FOLDER = join(".cache", "mutants");

/** A module of `src/`, and the files of `test/` that must notice any change of it. None of them starts a program. */
const MODULES: Readonly<Record<string, readonly string[]>> = {
  "tasks/graph": ["tasks/graph", "tasks/edge"],
  "tasks/claim": ["tasks/claim"],
  "tasks/lifecycle": ["tasks/lifecycle", "tasks/states"],
  names: ["names", "tasks/add"],
  tracks: ["tracks"],
  "journal/audit": ["journal/audit", "journal/audit-format"],
  "db/write": ["db/write", "db/store", "db/texts"],
  "operations/execute": ["operations/execute"],
};

type MutantResult = Awaited<ReturnType<Stryker["runMutationTest"]>>[number];

interface Score {
  module: string;
  killed: number;
  tried: number;
}

mkdirSync(FOLDER, { recursive: true });
const asked = process.argv.slice(2);
const scores: Score[] = [];
for (const module of asked.length > 0 ? asked : Object.keys(MODULES)) {
  const tests = MODULES[module];
  if (tests === undefined) throw new Error(`${module} has no tests here; add it to scripts/mutants.ts`);
  const stryker = new Stryker({
    mutate: [`src/${module}.ts`],
    testFiles: tests.map((test) => `test/${test}.test.ts`),
    incrementalFile: join(FOLDER, `${module.replaceAll("/", "-")}.json`),
  });
  scores.push(scoreOf(module, await stryker.runMutationTest()));
}
const all = { module: "all", killed: sum("killed"), tried: sum("tried") };
for (const score of [...scores, all]) console.log(scoreLine(score));
writeFileSync(join(FOLDER, "scores.json"), `${JSON.stringify(scores, null, 2)}\n`);

/** A change that makes the tests run forever counts as noticed. What is ignored or does not compile does not count. */
function scoreOf(module: string, results: readonly MutantResult[]): Score {
  const count = (...statuses: MutantResult["status"][]) =>
    results.filter(({ status }) => statuses.includes(status)).length;
  const killed = count("Killed", "Timeout");
  return { module, killed, tried: killed + count("Survived", "NoCoverage") };
}

function sum(column: "killed" | "tried"): number {
  return scores.reduce((total, score) => total + score[column], 0);
}

function scoreLine({ module, killed, tried }: Score): string {
  const percent = tried === 0 ? 100 : (100 * killed) / tried;
  return `${module.padEnd(24)} ${percent.toFixed(1).padStart(5)} %  ${killed} of ${tried}`;
}
