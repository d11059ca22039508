import { type Agent, agentById, agentWrite } from "../agents/agent.js";
import { bordersOf } from "../agents/borders.js";
import type { Crew } from "../agents/crew.js";
import { cancelFirstPrompt } from "../agents/delivery/outbox.js";
import { readTail, removeFiles, saveLaunch, transcriptCommand, transcriptPath } from "../agents/files.js";
import { viewAgent } from "../agents/occupant.js";
import { findOwnPane, identityOf, listAgentPrograms, panesMarkedFor, programsOf } from "../agents/pane.js";
import { type Explanation, isStoppedBy } from "../agents/screen/verdict.js";
import { rememberPrompt } from "../agents/status/record.js";
import { pollUntil } from "../clock.js";
import { type Context, timestamp } from "../db/context.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { Fault, interrupted } from "../errors.js";
import { type AgentRef, quote } from "../names.js";
import { endProcessTrees } from "../processes.js";
import { shape, type TypeOf } from "../shape.js";
import type { Death, OpenedPane } from "../tmux/open.js";
import { workspaceEnv } from "../workspaces/setup/setup.js";
import { sessionOf } from "../workstreams/workstream.js";
import { retireAgentIn, rootsOf } from "./close.js";
import { removeOldFiles } from "./kept.js";
import { type LaunchPlan, launchArgv } from "./launch.js";

export interface Spawned {
  agent: Agent;
  /** Null unless it was waited for. */
  readiness: Readiness | null;
}

/** With why the conversation that was asked for is not the one that was started, if so. */
export type Started = Spawned & { notResumed: string | null };

const ALIVE_MS = 100;
/** How long a CLI may take to show that it has a conversation to resume, in ms; one without ends in that time. */
const RESUMES_MS = 10_000;

export interface StartOptions {
  /** Wait for the CLI's first prompt, too. */
  ready?: ReadyOptions | undefined;
  /** How long the program must live to count as started, in ms; 100 without it. */
  aliveMs?: number | undefined;
  /** Columns and rows while nobody is attached. */
  size?: { width: number; height: number } | undefined;
  /** Runs in the write that records the pane. What it faults undoes the start. */
  withPane?: ((tx: Tx, row: RowOf<"agents">) => Promise<unknown>) | undefined;
}

/**
 * Opens the pane of a reserved row, records it and checks that its program is alive; rolls back on any failure. A CLI that
 * ends because it cannot resume its conversation is started again with a new one.
 */
export async function startAgent(
  crew: Crew,
  row: RowOf<"agents">,
  plan: LaunchPlan,
  options: StartOptions & { workstream: string },
): Promise<Started> {
  const ref = { workstream: options.workstream, name: row.name };
  const { sessionRef } = plan;
  let notResumed: string | null = null;
  try {
    let { death, readiness } = await tryStart(crew, row, plan, options);
    if (death !== undefined && sessionRef !== null) {
      const said = death.lines.at(-1)?.trim();
      notResumed = `started a new conversation: ${sessionRef} could not be resumed${said ? ` (${said})` : ""}`;
      ({ death, readiness } = await tryStart(crew, row, { ...plan, sessionRef: null }, options));
    }
    if (death !== undefined) throw await died(crew, row, death);
    if (readiness?.rule === "shell") throw await died(crew, row, { lines: [] }, "and left a shell");
    if (readiness !== null) await recordReadiness(crew.context, row.id, readiness);
    // What cannot be removed now is left to the next start.
    await removeOldFiles(crew).catch(() => []);
    return { agent: await agentById(crew.context.store.db, row.id), readiness, notResumed };
  } catch (error) {
    await rollBackSpawn(crew, ref, row, error);
    throw error;
  }
}

async function tryStart(
  crew: Crew,
  row: RowOf<"agents">,
  plan: LaunchPlan,
  options: StartOptions & { workstream: string },
): Promise<{ death: Death | undefined; readiness: Readiness | null }> {
  const { clock } = crew.context;
  const opened = await openFor(crew, row, plan, options);
  const deadline = clock.now().getTime() + (options.aliveMs ?? ALIVE_MS);
  const ref = { workstream: options.workstream, name: row.name };
  const known = await recordPane(crew.context, ref, row, { opened, plan, withPane: options.withPane });
  const wait = options.ready ?? (plan.sessionRef === null ? undefined : { timeoutMs: RESUMES_MS });
  const readiness = wait === undefined ? null : await waitReady(crew, known, wait);
  await clock.sleep(Math.max(0, deadline - clock.now().getTime()));
  return { death: await crew.tmux.confirmPane(opened.pane), readiness: options.ready === undefined ? null : readiness };
}

async function openFor(
  crew: Crew,
  row: RowOf<"agents">,
  plan: LaunchPlan,
  { workstream, size }: StartOptions & { workstream: string },
): Promise<OpenedPane> {
  const { record } = plan;
  await saveLaunch(crew.stateDir, row, record);
  const launch = await launchArgv(crew, plan);
  return crew.tmux.openPane({
    session: sessionOf(workstream),
    window: plan.window,
    shared: record.shared,
    ...(record.layout !== undefined && { layout: record.layout }),
    ...(size !== undefined && { size }),
    cwd: record.cwd,
    argv: launch.argv,
    env: {
      ...launch.env,
      ...(await workspaceEnv(crew, { workstream, name: row.name }, record.cwd)),
      ...record.env,
      ...crew.databaseEnv,
      ...identityEnv(workstream, row),
    },
    sessionEnv: crew.databaseEnv,
    identity: identityOf(row),
    pipe: transcriptCommand(transcriptPath(crew.stateDir, row)),
    borders: await bordersOf(crew, workstream),
  });
}

/** Identifies the agent to the processes in its pane, without a call to tmux. */
function identityEnv(workstream: string, row: RowOf<"agents">): Record<string, string> {
  const identity = { MU_AGENT: row.name, MU_AGENT_ID: String(row.id), MU_AGENT_SINCE: row.spawned_at };
  return { MU_WORKSTREAM: workstream, ...identity };
}

/** Stores the pane in the row. Faults `agent.closed_meanwhile`. */
async function recordPane(
  context: Context,
  ref: AgentRef,
  { id }: RowOf<"agents">,
  { opened, plan, withPane }: { opened: OpenedPane; plan: LaunchPlan } & Pick<StartOptions, "withPane">,
): Promise<RowOf<"agents">> {
  const { pane, server, socket, pid } = opened;
  const session_ref = plan.sessionRef ?? plan.newSession;
  return write(context, agentWrite("agent.spawn", ref), async (tx) => {
    const row = await tx.db.selectFrom("agents").selectAll().where("id", "=", id).executeTakeFirst();
    if (row === undefined || row.closed_at !== null) throw closedMeanwhile(ref);
    const status = { status: "spawning", reason: null, by: "process", rule: null, at: tx.now, seen_at: tx.now };
    await tx.db
      .insertInto("agent_status")
      .values({ agent_id: id, spool_offset: "", ...status })
      .onConflict((conflict) => conflict.column("agent_id").doUpdateSet(status))
      .execute();
    const known = await tx.patch("agents", id, { pane, server, socket, pid, session_ref }, row);
    await withPane?.(tx, known);
    return known;
  });
}

function closedMeanwhile(ref: AgentRef): Fault {
  return new Fault(
    "conflict",
    "agent.closed_meanwhile",
    `${quote(ref.name)} was closed while it was being spawned. Nothing of it remains.`,
    [{ intent: "Spawn it again", command: `mu agent spawn ${ref.name} -w ${ref.workstream}` }],
  );
}

async function recordReadiness(context: Context, agent: number, { status, reason, rule }: Readiness): Promise<void> {
  const now = timestamp(context.clock);
  await context.store.write((db) =>
    db
      .updateTable("agent_status")
      .set({ status, reason, rule, by: "screen", at: now, seen_at: now })
      .where("agent_id", "=", agent)
      .execute(),
  );
}

/** What the wait for a CLI's first prompt found. */
export const READINESS = shape({
  /** False when the time was over before the CLI asked for anything. */
  ready: "boolean",
  status: "string",
  reason: "string",
  /** The screen rule that decided. */
  rule: "string | null",
  waitedMs: "number",
});

export type Readiness = TypeOf<typeof READINESS>;

export interface ReadyOptions {
  /** 20,000 without it. */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
  /** What an interrupted wait leaves: nothing, or the agent that was started. */
  ifInterrupted?: "keep" | undefined;
}

const EVERY_MS = 100;
/** A shell may start the CLI from its own startup files. */
const SHELL_MS = 1_000;
/** Real CLIs print a line or two and then load for seconds; a screen without a matching rule counts after this long. */
const STRANGE_MS = 4_000;

/**
 * Waits until the agent's screen takes a prompt (`idle`) or asks a person something (`needs_input`,
 * `needs_permission`), or its program has ended (`terminated`, not ready). Faults `tmux.failed`, `request.interrupted`.
 */
export async function waitReady(crew: Crew, row: RowOf<"agents">, options: ReadyOptions = {}): Promise<Readiness> {
  const { clock } = crew.context;
  const start = clock.now().getTime();
  let last: Explanation | undefined;
  let since = start;
  const once = async () => {
    const before = last;
    last = await lookAt(crew, row);
    if (before?.rule !== last.rule) since = clock.now().getTime();
    return isSettled(last, before, clock.now().getTime() - since) ? last : undefined;
  };
  const found = await pollUntil(clock, once, {
    everyMs: EVERY_MS,
    timeoutMs: options.timeoutMs ?? 20_000,
    signal: options.signal,
  });
  if (found === undefined && options.signal?.aborted && options.ifInterrupted !== "keep") throw interrupted();
  const seen = found ?? last;
  // Nobody can have typed behind the prompt yet.
  if (found?.rule === "shell.front") await rememberPrompt(crew.context, row.id, found.evidence[0] ?? "");
  return {
    ready: found !== undefined && found.status !== "terminated",
    status: seen?.status ?? "unreachable",
    reason: seen?.reason ?? "it was not observed",
    rule: seen?.rule ?? null,
    waitedMs: clock.now().getTime() - start,
  };
}

/** A screen that is half drawn may look like a question, so anything but a composer has to stay for two looks. */
function isSettled(now: Explanation, before: Explanation | undefined, sinceMs: number): boolean {
  if (now.status === "busy") return false;
  if (now.rule === "shell") return sinceMs >= SHELL_MS;
  if (now.rule === "unrecognised" || isStoppedBy(now)) return sinceMs >= STRANGE_MS;
  return now.status === "idle" || now.status === "terminated" || before?.rule === now.rule;
}

/** What is in the agent's pane now; `terminated` also where its CLI has left a shell behind. */
export async function lookAt(crew: Crew, row: RowOf<"agents">): Promise<Explanation> {
  const pane = await findOwnPane(crew, row);
  if (pane === undefined) return gone(row);
  const { verdict } = (await viewAgent(crew, row, pane)) ?? { verdict: gone(row) };
  // A shell that has drawn nothing is still starting, or has no prompt.
  return verdict.rule === "shell.front" && pane.cursorX === 0 ? { ...verdict, rule: "unrecognised" } : verdict;
}

function gone(row: RowOf<"agents">): Explanation {
  const reason = `pane ${row.pane} is gone`;
  return { status: "terminated", reason, rule: "gone", evidence: [], draft: false };
}

/** Faults after which there cannot be a pane. */
const NOTHING_OPENED = new Set([
  "tmux.not_installed",
  "tmux.too_old",
  "tmux.command_too_long",
  "tmux.unreachable",
  "pane.no_space",
]);

/**
 * Rolls back a failed spawn: its processes, its pane, then its row and files. If the pane cannot be closed the row stays
 * open, so that reconcile finds both.
 */
export async function rollBackSpawn(crew: Crew, ref: AgentRef, row: RowOf<"agents">, error: unknown): Promise<void> {
  const code = error instanceof Fault ? error.code : "internal";
  try {
    const graceMs = code === interrupted().code ? 100 : 1_000;
    if (!NOTHING_OPENED.has(code)) await removePanes(crew, row, graceMs);
    const spec = { ...agentWrite("agent.spawn", ref), payload: { failed: code } };
    await write(crew.context, spec, async (tx) => {
      await cancelFirstPrompt(tx, row);
      await retireAgentIn(tx, row.id, { author: crew.context.actor, note: `${ref.name} was not started (${code}).` });
    });
    await removeFiles(crew.stateDir, row);
  } catch {
    // The first fault is the one to report; what remains is a half spawn.
  }
}

async function removePanes(crew: Crew, row: RowOf<"agents">, graceMs: number): Promise<void> {
  const all = await crew.tmux.listPanes();
  const panes = panesMarkedFor(row, all);
  const strays = programsOf(row, await listAgentPrograms(crew), all);
  await endProcessTrees(crew, [...rootsOf(panes), ...strays], { graceMs });
  for (const pane of panes) await crew.tmux.killPane(pane.id);
}

/** The fault for a program that ended before it was confirmed, with its last lines. */
export async function died(crew: Crew, row: RowOf<"agents">, death: Death, left?: string): Promise<Fault> {
  const lines = death.lines.length > 0 ? death.lines : await readTail(transcriptPath(crew.stateDir, row), 50);
  const { status, signal } = death;
  const end = signal ? `by signal ${signal}` : status === undefined ? "with its pane" : `with status ${status}`;
  const words = lines.slice(-10).map((line) => `\n  ${line}`);
  return new Fault(
    "unavailable",
    "agent.died",
    `${quote(row.name)} ended ${left ?? end} right after it was started${words.length > 0 ? `:${words.join("")}` : "."}`,
    [
      { intent: "Run its command by hand", command: row.command ?? "sh" },
      { intent: "Start something else", command: `mu agent spawn ${row.name} --command '…'` },
    ],
    { status: status ?? null, signal: signal ?? null, lines, command: row.command },
  );
}
