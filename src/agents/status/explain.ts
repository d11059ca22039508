import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Reader } from "../../db/schema.js";
import { Fault } from "../../errors.js";
import type { AgentRef } from "../../names.js";
import { paneNotFound } from "../../tmux/run.js";
import { openPaneAgent } from "../agent.js";
import { getAgentCli } from "../clis/table.js";
import type { TmuxHost } from "../crew.js";
import { type FeedEvent, readFeed } from "../feed.js";
import { viewAgent } from "../occupant.js";
import { ownPane } from "../pane.js";
import { readCapture } from "../screen/capture.js";
import { type Explanation, explainScreen } from "../screen/verdict.js";
import { type Observation, observeAgents } from "./observe.js";

/** A status of the past. */
export interface PastStatus {
  status: string;
  reason: string | null;
  by: string;
  rule: string | null;
  evidence: string[];
  at: string;
}

/** Why an agent has the status that it has. */
export interface StatusExplanation extends Omit<Observation, "pane"> {
  pane: string | null;
  /** How long it has had this status, in ms. */
  ageMs: number;
  /** What the screen alone says; null without a pane. */
  screen: Explanation | null;
  /** The newest event of the agent's own feed; null when it reports none. */
  hook: FeedEvent | null;
  /** How old that event is, in ms. */
  hookAgeMs: number | null;
  /** The status before, newest first; only when it was asked for. */
  history?: PastStatus[];
}

export interface ExplainOptions {
  /** How many past statuses to include. */
  history?: number | undefined;
}

/**
 * Observes one agent and explains its status: the rule, the lines, the hook and their age. Faults
 * `workstream.not_found`, `agent.not_found`, `tmux.*`.
 */
export async function explainAgent(
  host: TmuxHost,
  ref: AgentRef,
  options: ExplainOptions = {},
): Promise<StatusExplanation> {
  const { store, clock } = host.context;
  const row = await openPaneAgent(store.db, ref);
  const observed = (await observeAgents(host, { workstream: ref.workstream })).find(({ agent }) => agent === ref.name);
  if (observed === undefined) throw paneNotFound(`of ${ref.name}`);
  const look = observed.pane === null ? undefined : await viewAgent(host, row, observed.pane);
  const feed = await readFeed(host, { row, seen: undefined }, getAgentCli(row.cli));
  const hook = feed.events.at(-1) ?? null;
  const now = clock.now().getTime();
  return {
    ...observed,
    pane: observed.pane?.id ?? null,
    ageMs: now - Date.parse(observed.since),
    screen: look?.verdict ?? null,
    hook,
    hookAgeMs: hook === null ? null : now - hook.at,
    ...(options.history !== undefined && { history: await listHistory(store.db, row.id, options.history) }),
  };
}

/** The changes of an agent's status, newest first. */
export async function listHistory(db: Reader, agentId: number, limit: number): Promise<PastStatus[]> {
  const rows = await db
    .selectFrom("observations")
    .select(["status", "reason", "by", "rule", "evidence", "at"])
    .where("agent_id", "=", agentId)
    .orderBy("id", "desc")
    .limit(limit)
    .execute();
  return rows.map((row) => ({ ...row, evidence: row.evidence === null ? [] : JSON.parse(row.evidence) }));
}

/** Explains a saved capture; no agent and no tmux. Faults `capture.not_found`, `capture.invalid`, `cli.unknown`. */
export async function explainCapture(path: string, cliKey: string): Promise<Explanation> {
  return explainScreen(getAgentCli(cliKey), await readCapture(path));
}

/**
 * Saves what the agent's pane shows now, as a report of a wrong status and a fixture for a test: `<name>.txt` (rows),
 * `<name>.ansi` (with colours) and `<name>.meta` (tmux's facts). Gives the files. Faults `agent.not_found`,
 * `pane.not_found`, `capture.not_writable`.
 */
export async function saveCapture(host: TmuxHost, ref: AgentRef, file: string): Promise<string[]> {
  const row = await openPaneAgent(host.context.store.db, ref);
  const pane = await ownPane(host, row);
  const screen = (await viewAgent(host, row, pane))?.screen;
  if (screen === undefined) throw paneNotFound(pane.id);
  const { command, pid, windowName, width, height } = pane;
  const meta =
    `title=[${screen.title}] cmd=${command} pid=${pid} win=${windowName} alt=${pane.alternate ? 1 : 0} ` +
    `cursor=${screen.cursorX},${screen.cursorY} size=${width}x${height} dead=${pane.dead ? 1 : 0} ` +
    `inmode=${pane.inMode ? 1 : 0} time=${host.context.clock.now().toISOString()}\n`;
  const name = file.replace(/\.(?:txt|ansi|meta)$/, "");
  const parts = { txt: `${screen.text}\n`, ansi: `${screen.ansi ?? screen.text}\n`, meta };
  try {
    await mkdir(dirname(name), { recursive: true });
    for (const [part, text] of Object.entries(parts)) await writeFile(`${name}.${part}`, text);
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new Fault("unavailable", "capture.not_writable", `${name} cannot be written (${why}).`, [
      { intent: "Save it elsewhere", command: "mu agent explain <agent> --save /tmp/capture" },
    ]);
  }
  return Object.keys(parts).map((part) => `${name}.${part}`);
}
