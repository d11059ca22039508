import type { RowOf } from "../db/write.js";
import type { Host } from "../host.js";
import type { AgentCli } from "./clis/cli.js";
import { getAgentCli } from "./clis/table.js";
import { readFeed, sessionOf } from "./feed.js";
import { readTail, transcriptPath } from "./files.js";

/** Where a CLI says at its end how it is resumed. */
const LAST_LINES = 20;

/**
 * The conversation that an agent was in last, also if nobody looked while it ran: what its hooks reported, else what the
 * row knows, else what its CLI printed at its end. Undefined for a CLI that has none.
 */
export async function lastConversation(host: Host, row: RowOf<"agents">): Promise<string | undefined> {
  const cli = getAgentCli(row.cli);
  if (cli.switches === undefined) return undefined;
  const { events } = await readFeed(host, { row, seen: undefined }, cli);
  // Another database that shared the state folder may have had an agent of that number before.
  const own = events.filter(({ at }) => at >= Date.parse(row.spawned_at));
  const known = sessionOf({ events: own }) ?? row.session_ref;
  return known ?? printedBy(cli, await readTail(transcriptPath(host.stateDir, row), LAST_LINES));
}

function printedBy({ command, switches }: AgentCli, lines: readonly string[]): string | undefined {
  const line = new RegExp(`\\b${command} ${switches?.resume("([\\w-]{8,})").join(" ")}`);
  return lines.findLast((text) => line.test(text))?.match(line)?.[1];
}
