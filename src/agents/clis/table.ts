import { Fault } from "../../errors.js";
import { didYouMean } from "../../names.js";
import { claude } from "./claude/claude.js";
import type { AgentCli, AgentCliKey } from "./cli.js";
import { codex } from "./codex/codex.js";
import { gemini } from "./gemini.js";
import { opencode } from "./opencode/opencode.js";
import { pi } from "./pi/pi.js";
import { command, shell } from "./plain.js";
import { player } from "./player.js";

/** Every agent CLI that mu knows, by its key. */
export const AGENT_CLIS: Readonly<Record<AgentCliKey, AgentCli>> = {
  pi,
  claude,
  codex,
  gemini,
  opencode,
  shell,
  command,
  player,
};

/** The CLI of that key; an unknown key is `cli.unknown`. */
export function getAgentCli(key: string): AgentCli {
  const found = Object.values(AGENT_CLIS).find((cli) => cli.key === key);
  if (found) return found;
  const known = Object.keys(AGENT_CLIS);
  const own = `MU_${key.toUpperCase()}_COMMAND`;
  throw new Fault(
    "usage",
    "cli.unknown",
    `Unknown agent CLI "${key}".${didYouMean(key, known)} Known are ${known.join(", ")}, and any with ${own}.`,
  );
}

/** The agent CLIs that cost money, whether or not it can be known how much. */
export const PAID_CLIS = Object.values(AGENT_CLIS).flatMap(({ key, headless }) =>
  headless && key !== "command" ? [key] : [],
);
