import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const USAGE = "usage: npm run torture -- --seed 1 --rounds 25 [--blow 'the clock jumps'] [--small]";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    rounds: { type: "string", default: "25" },
    /** One kind of blow, by its name in test/torture/chaos.ts, instead of all. */
    blow: { type: "string" },
    /** Rounds of the size that `npm test` plays: two agents, four tasks, two blows. */
    small: { type: "boolean", default: false },
  },
});

/** Plays rounds, of a crew of eight on sixty tasks unless small, each with the next seed; each says what was done to it. */
function run({ seed, rounds, blow, small }: typeof values): number {
  const chosen = { ...(blow !== undefined && { MU_TORTURE_BLOW: blow }), ...(small && { MU_TORTURE_SMALL: "1" }) };
  const env = { ...process.env, MU_TORTURE: `${seed}+${rounds}`, ...chosen };
  const args = ["vitest", "run", "--project", "stories", "test/torture"];
  return spawnSync("npx", args, { stdio: "inherit", env }).status ?? 1;
}

if (/^\d+$/.test(values.seed) && /^[1-9]\d*$/.test(values.rounds)) {
  process.exitCode = run(values);
} else {
  console.error(USAGE);
  process.exitCode = 2;
}
