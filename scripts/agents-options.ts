import { parseArgs } from "node:util";
import { ALL_CLIS, EVERY_TIME, type RealCli } from "./install-agent-clis.js";

export interface AgentsOptions {
  clis: readonly RealCli[];
  rounds: number;
  /** Only the story of each CLI, without the rest of the suite. */
  onlyStories: boolean;
  /** So many agents of all CLIs are recovered, and nothing else runs; 0 for none. */
  recover: number;
  /** Two programs that do nothing but count take the processors meanwhile. */
  busy: boolean;
  /** Passed on to vitest. */
  vitest: readonly string[];
}

/** Reads the arguments of `npm run test:agents`. Throws a sentence for a person where one of them is wrong. */
export function readAgentsOptions(args: readonly string[]): AgentsOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...{ all: { type: "boolean" }, cli: { type: "string", multiple: true }, rounds: { type: "string" } },
      ...{ recover: { type: "string" }, busy: { type: "boolean" } },
    },
  });
  const { all = false, cli: named = [], rounds = all ? "10" : "1", recover = "0", busy = false } = values;
  if (all && named.length > 0) throw new Error("Give either --all or --cli, not both.");
  const unknown = named.find((name) => !ALL_CLIS.some((cli) => cli === name));
  if (unknown !== undefined) throw new Error(`Unknown agent CLI: "${unknown}". Use one of ${ALL_CLIS.join(", ")}.`);
  if (!/^[1-9]\d{0,2}$/.test(rounds)) throw new Error(`--rounds must be a number from 1 to 999, not "${rounds}".`);
  if (!/^\d{1,3}$/.test(recover)) throw new Error(`--recover must be a number from 0 to 999, not "${recover}".`);
  const crowd = Number(recover);
  const chosen = ALL_CLIS.filter((cli) => named.includes(cli));
  return {
    clis: all || crowd > 0 ? ALL_CLIS : chosen.length > 0 ? chosen : EVERY_TIME,
    rounds: Number(rounds),
    onlyStories: all || named.length > 0 || values.rounds !== undefined,
    recover: crowd,
    busy,
    vitest: positionals,
  };
}
