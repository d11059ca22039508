import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const USAGE = "usage: npm run torture -- --seed 1 --rounds 25 [--blow 'the clock jumps']";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    rounds: { type: "string", default: "25" },
    /** One kind of blow, by its name in test/torture/chaos.ts, instead of all. */
    blow: { type: "string" },
  },
});

/** Plays rounds of a crew of eight on sixty tasks, each with the next seed; each says what was done to it. */
function run({ seed, rounds, blow }: typeof values): number {
  const env = { ...process.env, MU_TORTURE: `${seed}+${rounds}`, ...(blow !== undefined && { MU_TORTURE_BLOW: blow }) };
  const args = ["vitest", "run", "--project", "stories", "test/torture"];
  return spawnSync("npx", args, { stdio: "inherit", env }).status ?? 1;
}

if (/^\d+$/.test(values.seed) && /^[1-9]\d*$/.test(values.rounds)) {
  process.exitCode = run(values);
} else {
  console.error(USAGE);
  process.exitCode = 2;
}
