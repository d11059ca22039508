import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { parseArgs } from "node:util";

const USAGE = "usage: npm run sweep -- [--verb task.add,land] [--only kills|errors] [--most 40]";
const FIGURES = ".cache/sweep.jsonl";

/** What came of one point of a verb. */
interface Figures {
  verb: string;
  isKill: boolean;
  hit: boolean;
  isLoss: boolean;
  /** The point in words, and what was wrong after it. */
  line: string;
}

const { values } = parseArgs({
  options: {
    verb: { type: "string" },
    only: { type: "string" },
    /** At most so many points of a verb, spread evenly, of kills and of errors each; all of them without it. */
    most: { type: "string" },
  },
});
if (!["kills", "errors", undefined].includes(values.only) || !/^[1-9]\d*$/.test(values.most ?? "1")) {
  console.error(USAGE);
  process.exit(2);
}

rmSync(FIGURES, { force: true });
const { status } = spawnSync("npx", ["vitest", "run", "--mode", "soak", "--project", "stories", "test/sweep"], {
  stdio: "inherit",
  env: {
    ...process.env,
    ...(values.verb !== undefined && { MU_SWEEP_VERBS: values.verb }),
    ...(values.only !== undefined && { MU_SWEEP_ONLY: values.only }),
    ...(values.most !== undefined && { MU_SWEEP_MOST: values.most }),
  },
});

const lines = existsSync(FIGURES) ? readFileSync(FIGURES, "utf8").trim().split("\n") : [];
const all = lines.map((line) => JSON.parse(line) as Figures);
const verbs = [...new Set(all.map(({ verb }) => verb))].sort();
for (const verb of verbs) console.log(`${verb.padEnd(20)} ${sumOf(all.filter((figures) => figures.verb === verb))}`);
for (const { line } of all.filter(({ hit }) => !hit)) console.log(`missed: ${line}`);
console.log(`${verbs.length} verbs: ${sumOf(all)}`);
process.exitCode = status ?? 1;

function sumOf(figures: readonly Figures[]): string {
  const count = (is: (one: Figures) => boolean) => figures.filter(is).length;
  const errors = count(({ isKill }) => !isKill);
  return (
    `${figures.length - errors} kills, ${errors} errors, ${count(({ hit }) => !hit)} missed, ` +
    `${count(({ isLoss }) => isLoss)} with a loss`
  );
}
