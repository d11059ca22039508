import { readFile } from "node:fs/promises";
import type { RowOf } from "../db/write.js";
import { Fault } from "../errors.js";
import type { AgentRef } from "../names.js";
import { type Agent, latestAgentRow, toAgent } from "./agent.js";
import type { Crew } from "./crew.js";
import { lastScreenPath, transcriptPath } from "./incarnation-files.js";
import { findOwnPane } from "./own-pane.js";
import { readTail } from "./transcript.js";

export interface Reading {
  agent: Agent;
  /** The last lines, at most as many as were asked for, without the blank ones behind them. */
  lines: string[];
  /** The living pane, what was kept of it when it was closed, or the record of all that it printed. */
  source: "pane" | "screen" | "transcript";
}

/** The last `lines` lines of an agent, also when its pane is gone. Faults `agent.not_found`, `tmux.failed`. */
export async function readAgent(crew: Crew, ref: AgentRef, { lines }: { lines: number }): Promise<Reading> {
  const row = await latestAgentRow(crew.context.store.db, ref);
  const agent = toAgent(row);
  const living = row.closed_at === null ? await readLiving(crew, row, lines) : undefined;
  if (living !== undefined) return { agent, lines: living, source: "pane" };
  const saved = await readSavedScreen(crew.stateDir, row);
  if (saved !== undefined) return { agent, lines: lastOf(saved, lines), source: "screen" };
  return { agent, lines: await readTail(transcriptPath(crew.stateDir, row), lines), source: "transcript" };
}

async function readLiving(
  crew: Crew,
  row: Parameters<typeof findOwnPane>[1],
  lines: number,
): Promise<string[] | undefined> {
  const pane = await findOwnPane(crew, row);
  if (pane === undefined) return undefined;
  return crew.tmux.readPane(pane.id, lines).catch((error) => {
    if (error instanceof Fault && error.code === "pane.not_found") return undefined;
    throw error;
  });
}

function lastOf(all: readonly string[], count: number): string[] {
  const end = all.findLastIndex((line) => line.trim() !== "") + 1;
  return all.slice(Math.max(0, end - count), end);
}

/** The lines that `closeAgent` kept; undefined when the agent was not closed by it. */
async function readSavedScreen(stateDir: string, row: RowOf<"agents">): Promise<string[] | undefined> {
  const text = await readFile(lastScreenPath(stateDir, row), "utf8").catch(() => undefined);
  return text?.replace(/\n$/, "").split("\n");
}
