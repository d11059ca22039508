import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { parseArgs } from "node:util";

const USAGE = "usage: npm run sweep -- [--verb task.add,land] [--only kills|errors]";
const FIGURES = ".cache/sweep.jsonl";

/** What a verb's story leaves. */
interface Figures {
  verb: string;
  /** How many of the cuts are kills. */
  kills: number;
  cuts: number;
  missed: string[];
  lost: string[];
}

const { values } = parseArgs({ options: { verb: { type: "string" }, only: { type: "string" } } });
if (values.only !== undefined && !["kills", "errors"].includes(values.only)) {
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
  },
});

const lines = existsSync(FIGURES) ? readFileSync(FIGURES, "utf8").trim().split("\n") : [];
const all = lines.map((line) => JSON.parse(line) as Figures).sort((a, b) => a.verb.localeCompare(b.verb));
for (const { verb, kills, cuts, missed, lost } of all)
  console.log(
    `${verb.padEnd(20)} ${kills} kills, ${cuts - kills} errors, ${missed.length} missed, ${lost.length} lost`,
  );
for (const missed of all.flatMap((verb) => verb.missed)) console.log(`missed: ${missed}`);
const sum = (of: (figures: Figures) => number) => all.reduce((total, figures) => total + of(figures), 0);
console.log(
  `${all.length} verbs: ${sum(({ kills }) => kills)} kills, ${sum(({ cuts, kills }) => cuts - kills)} errors, ` +
    `${sum(({ missed }) => missed.length)} missed, ${sum(({ lost }) => lost.length)} with a loss`,
);
process.exitCode = status ?? 1;
