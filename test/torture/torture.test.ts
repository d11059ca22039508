import { expect, it } from "vitest";
import { describeTmux } from "../support/tmux.js";
import { playRound } from "./torture.js";

/** `<first seed>+<rounds>` of `npm run torture`; without it one small round, the same each time. */
const [first = 1, rounds = 0] = (process.env["MU_TORTURE"]?.split("+") ?? []).map(Number);
const ROUNDS = Array.from({ length: Math.max(1, rounds) }, (_, n) => first + n);
const only = process.env["MU_TORTURE_BLOW"];
const isSmall = rounds === 0 || process.env["MU_TORTURE_SMALL"] !== undefined;
const SIZE = isSmall ? { agents: 2, tasks: 4, blows: 2 } : { agents: 8, tasks: 60, blows: 40 };

describeTmux("a crew to which everything happens", () => {
  it.each(ROUNDS)("does all its work once and leaves nothing behind, seed %i", { timeout: 3_600_000 }, async (one) => {
    const { seconds, blows, losses } = await playRound({
      seed: one,
      ...SIZE,
      ...(only !== undefined && { kinds: [only] }),
    });
    process.stderr.write(
      `seed ${one}: ${seconds} s, ${losses.length} losses, ${blows.length} blows: ${blows.join(", ")}\n`,
    );
    expect(losses.join("\n")).toBe("");
  });
});
