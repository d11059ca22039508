import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Reader } from "../../db/schema.js";
import { Fault } from "../../errors.js";
import { type AgentRef, quote } from "../../names.js";
import type { Screen as Captured } from "../../tmux/screens.js";
import { workstreamRow } from "../../workstreams/workstream.js";
import { agentStatus, openAgentRow } from "../agent.js";
import type { AgentCli } from "../clis/cli.js";
import { getAgentCli } from "../clis/table.js";
import type { TmuxHost } from "../crew.js";
import type { FeedEvent } from "../feed.js";
import { readCapture, viewPane } from "../screen/capture.js";
import { type Explanation, explainScreen } from "../screen/verdict.js";
import { readFeed } from "./fuse.js";
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
 * Looks at one agent and tells its status with its grounds: the rule, the lines, the hook and their age. Faults
 * `workstream.not_found`, `agent.not_found`, `tmux.*`.
 */
export async function explainAgent(
  host: TmuxHost,
  ref: AgentRef,
  options: ExplainOptions = {},
): Promise<StatusExplanation> {
  const { store, clock } = host.context;
  const { id } = await workstreamRow(store.db, ref.workstream);
  const row = await openAgentRow(store.db, id, ref);
  const cli = getAgentCli(row.cli === "human" ? "command" : row.cli);
  const observed = (await observeAgents(host, { workstream: ref.workstream })).find(({ agent }) => agent === ref.name);
  if (observed === undefined) throw notLookedAt(ref);
  const look = observed.pane === null ? undefined : await viewPane(host, cli, observed.pane);
  const feed = await readFeed(host, { row, seen: await agentStatus(store.db, row.id) }, cli);
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

function notLookedAt({ workstream, name }: AgentRef): Fault {
  return new Fault("conflict", "agent.is_person", `${quote(name)} is a person and has no status.`, [
    { intent: "List agents", command: `mu agent list -w ${workstream}` },
  ]);
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
  const cli: AgentCli = getAgentCli(cliKey);
  return explainScreen(cli, await readCapture(path));
}

/**
 * Saves what the agent's pane shows now, as a report of a wrong status and a fixture for a test: `<name>.txt` (rows),
 * `<name>.ansi` (with colours) and `<name>.meta` (tmux's facts). Gives the files. Faults `agent.not_found`,
 * `pane.not_found`, `capture.not_writable`.
 */
export async function saveCapture(host: TmuxHost, ref: AgentRef, file: string): Promise<string[]> {
  const { pane } = await explainAgent(host, ref);
  const facts = pane === null ? undefined : (await host.tmux.listPanes()).find((one) => one.id === pane);
  const plain = facts && (await host.tmux.captureScreens([facts.id])).get(facts.id);
  const coloured = facts && (await host.tmux.captureScreens([facts.id], { escapes: true })).get(facts.id);
  if (facts === undefined || plain === undefined || coloured === undefined) throw noPane(ref);
  const { command, pid, windowName, width, height } = facts;
  const meta =
    `title=[${plain.title}] cmd=${command} pid=${pid} win=${windowName} alt=${facts.alternate ? 1 : 0} ` +
    `cursor=${plain.cursorX},${plain.cursorY} size=${width}x${height} dead=${facts.dead ? 1 : 0} ` +
    `inmode=${facts.inMode ? 1 : 0} time=${host.context.clock.now().toISOString()}\n`;
  const name = file.replace(/\.(?:txt|ansi|meta)$/, "");
  const parts = { txt: textOf(plain), ansi: textOf(coloured), meta };
  try {
    await mkdir(dirname(name), { recursive: true });
    for (const [part, text] of Object.entries(parts)) await writeFile(`${name}.${part}`, text);
  } catch (error) {
    throw notWritable(name, error);
  }
  return Object.keys(parts).map((part) => `${name}.${part}`);
}

function textOf({ lines }: Captured): string {
  return `${lines.join("\n")}\n`;
}

function noPane({ workstream, name }: AgentRef): Fault {
  return new Fault("missing", "pane.not_found", `${quote(name)} has no pane to save.`, [
    { intent: "List agents", command: `mu agent list -w ${workstream}` },
  ]);
}

function notWritable(path: string, error: unknown): Fault {
  const why = error instanceof Error && "code" in error ? String(error.code) : String(error);
  return new Fault("unavailable", "capture.not_writable", `${path} cannot be written (${why}).`, [
    { intent: "Save it elsewhere", command: "mu agent explain <agent> --save /tmp/capture" },
  ]);
}
