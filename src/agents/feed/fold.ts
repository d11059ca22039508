import type { AgentCliKey } from "../clis/cli.js";
import type { SpoolEvent } from "../spool.js";
import { foldClaude } from "./claude.js";
import { foldCodex } from "./codex.js";
import type { FeedEvent } from "./event.js";
import { foldOpencode } from "./opencode.js";
import { foldPi } from "./pi.js";

const FOLDS: Readonly<Partial<Record<AgentCliKey, (events: readonly SpoolEvent[]) => FeedEvent[]>>> = {
  claude: foldClaude,
  pi: foldPi,
  opencode: foldOpencode,
  codex: foldCodex,
};

/**
 * What an agent's CLI reported, in the words of all CLIs, oldest first. Concurrent hooks may append out of order:
 * their own times put them right. A CLI that reports nothing gives nothing.
 */
export function foldFeed(cli: AgentCliKey, events: readonly SpoolEvent[]): FeedEvent[] {
  const ordered = [...events].sort((a, b) => a.at - b.at);
  return FOLDS[cli]?.(ordered) ?? [];
}
