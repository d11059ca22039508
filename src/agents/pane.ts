import type { RowOf } from "../db/write.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { type AgentRef, quote } from "../names.js";
import {
  callersIn,
  commandLines,
  listEnvironments,
  listProcesses,
  type Process,
  processStart,
  signalGroup,
  treeOf,
} from "../processes.js";
import { shape, type TypeOf } from "../shape.js";
import { callerPane, type Pane, type ServerId, serverPid, serverStart } from "../tmux/panes.js";
import { paneNotFound } from "../tmux/run.js";
import type { AttachCommand } from "../tmux/tmux.js";
import { AGENT, type Agent, isMarkedFor, openPaneAgent, toAgent } from "./agent.js";
import type { TmuxHost } from "./crew.js";
import { viewAgent } from "./occupant.js";
import { judgePromptLine } from "./screen/prompt-line.js";
import type { Occupant } from "./screen/screen.js";
import { isStoppedBy } from "./screen/verdict.js";
import { sightOfAgent, whyHidden } from "./sight.js";

/** The agent's pane, or undefined when it is gone. A pane id that another server reuses is not it. */
export async function findOwnPane(host: TmuxHost, row: RowOf<"agents">): Promise<Pane | undefined> {
  if (row.pane === null) return undefined;
  return (await host.tmux.listPanes()).find((pane) => isOwnPane(row, pane));
}

/** As `findOwnPane`; a pane that is gone is `pane.not_found`. */
export async function ownPane(host: TmuxHost, row: RowOf<"agents">): Promise<Pane> {
  const pane = await findOwnPane(host, row);
  if (pane === undefined) throw paneNotFound(row.pane ?? `of ${row.name}`);
  return pane;
}

/** True for the incarnation's pane, on its server. A server uses no id twice: a pane that has lost its mark still counts. */
export function isOwnPane(row: RowOf<"agents">, pane: Pane): boolean {
  const isAnothers = pane.agentId !== undefined && !isMarkedFor(row, pane);
  return pane.id === row.pane && pane.server === row.server && !isAnothers;
}

/** What marks a pane as the incarnation's. */
export function identityOf({ name, id, spawned_at }: Pick<RowOf<"agents">, "name" | "id" | "spawned_at">) {
  return { agent: name, agentId: String(id), spawnedAt: spawned_at };
}

/**
 * All panes that a spawn opened for a row, also where it could not write down which: a server that answers too late
 * makes it try twice. An agent of another database with the same name and id has another spawn time.
 */
export function panesMarkedFor(row: RowOf<"agents">, panes: readonly Pane[]): Pane[] {
  return panes.filter((pane) => pane.agentId === String(row.id) && pane.spawnedAt === row.spawned_at);
}

/**
 * The living processes that were started for an incarnation: a pid alone may be another's by now, but the environment of a
 * process stays, also when it left its pane, its parent and its process session. Not those in panes that another agent
 * has by now, and not the callers. `environments` are of `listAgentPrograms`.
 */
export function programsOf(
  row: RowOf<"agents">,
  environments: Awaited<ReturnType<typeof listAgentPrograms>>,
  panes: readonly Pane[],
): Process[] {
  const processes = environments.map(([one]) => one);
  const taken = panes.filter((pane) => pane.agentId !== undefined && !isMarkedFor(row, pane));
  const others = new Set([...treeOf(processes, taken), ...callersIn(processes)]);
  const marks = [`MU_AGENT_ID=${row.id}`, `MU_AGENT_SINCE=${row.spawned_at}`];
  return environments.flatMap(([one, its]) => (marks.every((mark) => its.has(mark)) && !others.has(one) ? [one] : []));
}

/** A daemon that Codex starts from its first session and all its later ones use; it is no agent's. */
const SHARED_DAEMON = /\bapp-server\b.*(?:--managed-daemon|\bdaemon\b)/;

/** What every process was started with, as `NAME=value`, but for daemons that agents share. */
export async function listAgentPrograms(host: Host): Promise<[Process, ReadonlySet<string>][]> {
  const all = await listEnvironments(host);
  const named = all.filter(([{ name }]) => name === "codex").map(([{ pid }]) => pid);
  const lines = await commandLines(host, named);
  return all.filter(([{ pid }]) => !SHARED_DAEMON.test(lines.get(pid)?.join(" ") ?? ""));
}

/** True when the calling process runs in the pane of `row`. */
export function isCallerIn(host: Host, row: RowOf<"agents">): boolean {
  const caller = callerPane(host.env);
  if (caller === undefined || row.server === null) return false;
  return caller.pane === row.pane && caller.serverPid === serverPid(row.server);
}

/** Where an open agent is, according to tmux and the process list. */
export type Location =
  | { at: "pane"; pane: Pane; occupant?: Occupant | undefined }
  /** It has no pane yet: its spawn is on the way, or was cut off. */
  | { at: "nowhere" }
  | { at: "gone"; why: string; lost: "pane" | "server" | "taken" }
  /** Out of our sight: on another host, or on a tmux server that is not the one we ask. */
  | { at: "elsewhere"; why: string };

/**
 * Finds the panes of agents among all panes of the server that we ask. A pane counts only on the server (pid and
 * start) where it was opened and while it carries the agent's incarnation: ids begin again at %0 with every server.
 */
export async function locate(
  host: Host,
  agents: readonly { row: RowOf<"agents"> }[],
  panes: readonly Pane[],
): Promise<Map<number, Location>> {
  const rows = agents.map(({ row }) => row);
  const found = new Map(rows.map((row) => [row.id, locationOf(row, panes)]));
  const lost = rows.filter((row) => isServerLost(found.get(row.id)) && sightOfAgent(row) === "all");
  const servers = [...new Set(lost.map((row) => row.server ?? ""))];
  if (servers.length === 0) return found;
  const living = await livingServers(host, servers);
  for (const row of lost) {
    const [pid, behind] = [serverPid(row.server ?? ""), row.socket ?? "another socket"];
    const why = `its tmux server (pid ${pid}, ${behind}) is not the one that is asked here`;
    if (living.has(row.server ?? "")) found.set(row.id, { at: "elsewhere", why });
  }
  return found;
}

function locationOf(row: RowOf<"agents">, panes: readonly Pane[]): Location {
  const hidden = whyHidden(row);
  if (hidden !== undefined) {
    const pane = panes.find((one) => isOwnPane(row, one));
    return pane === undefined ? { at: "elsewhere", why: hidden } : { at: "pane", pane };
  }
  if (sightOfAgent(row) === "ended")
    return { at: "gone", why: `its machine, ${row.host}, was restarted`, lost: "server" };
  if (row.pane === null) return { at: "nowhere" };
  if (!panes.some((pane) => pane.server === row.server)) {
    return { at: "gone", why: `the tmux server of pane ${row.pane} has ended`, lost: "server" };
  }
  const pane = panes.find((one) => one.id === row.pane);
  if (pane === undefined) return { at: "gone", why: `pane ${row.pane} is gone`, lost: "pane" };
  if (isOwnPane(row, pane)) return { at: "pane", pane };
  return { at: "gone", why: `pane ${row.pane} belongs to another agent now`, lost: "taken" };
}

function isServerLost(place: Location | undefined): boolean {
  return place?.at === "gone" && place.lost === "server";
}

/** tmux and ps measure a server's start differently, and the clock may have been set in between. */
const CLOCKS_MS = 60_000;

/** Those of the servers whose own process still runs: behind another socket, for example that of another user. */
async function livingServers(host: Host, servers: readonly ServerId[]): Promise<Set<ServerId>> {
  const processes = await listProcesses(host);
  const isTmux = new Set(processes.filter((one) => !one.zombie && one.name.startsWith("tmux")).map((one) => one.pid));
  const living = new Set<ServerId>();
  for (const server of servers.filter((one) => isTmux.has(serverPid(one)))) {
    const start = await processStart(host, serverPid(server));
    if (start === undefined || Math.abs(start - serverStart(server)) < CLOCKS_MS) living.add(server);
  }
  return living;
}

/** Makes the agent's pane the one that its session shows. Faults `agent.not_found`, `agent.is_person`, `pane.not_found`. */
export async function focusAgent(host: TmuxHost, ref: AgentRef): Promise<Agent> {
  const row = await openPaneAgent(host.context.store.db, ref);
  await host.tmux.focusPane((await ownPane(host, row)).id);
  return toAgent(row);
}

/**
 * The program that shows the agent on the caller's terminal: it attaches, or moves the client over when the caller
 * sits in the same tmux. Faults as `focusAgent`.
 */
export async function attachCommand(host: TmuxHost, ref: AgentRef): Promise<{ agent: Agent; command: AttachCommand }> {
  const row = await openPaneAgent(host.context.store.db, ref);
  const pane = await ownPane(host, row);
  await host.tmux.focusPane(pane.id);
  return { agent: toAgent(row), command: await host.tmux.attachCommand(pane.session, pane.id) };
}

export const KICK = shape({
  agent: AGENT,
  tty: "string",
  signal: "string",
  /** The process group that was signalled. */
  group: "number",
  /** The programs in it. */
  programs: "string[]",
});

export type Kick = TypeOf<typeof KICK>;

/**
 * Signals the program that has the agent's terminal, when it is not the agent's own CLI. A CLI that Ctrl-Z stopped is
 * continued instead: by SIGCONT, or by the `fg` of the shell that has its place. Faults `agent.nothing_to_kick`, `agent.not_found`, `agent.is_person`, `pane.not_found`.
 */
export async function kickAgent(
  host: TmuxHost,
  ref: AgentRef,
  { signal = "SIGINT" }: { signal?: NodeJS.Signals | undefined } = {},
): Promise<Kick> {
  const row = await openPaneAgent(host.context.store.db, ref);
  const pane = await ownPane(host, row);
  const view = await viewAgent(host, row, pane);
  const { occupant } = view?.screen ?? {};
  if (view === undefined || occupant === undefined) throw nothingToKick(ref, pane.command);
  const kicked = { agent: toAgent(row), tty: pane.tty, signal, group: occupant.group, programs: occupant.programs };
  if (isStoppedBy(view.verdict)) {
    const { group, stopped = group } = occupant;
    if (stopped === group) signalGroup(group, "SIGCONT");
    else if (judgePromptLine(view.screen, null) === "typed") throw nothingToKick(ref, pane.command);
    else await host.tmux.sendKeys({ pane: pane.id, keys: ["fg", "Enter"] });
    return { ...kicked, signal: "SIGCONT", group: stopped };
  }
  const isItself = occupant.group === pane.pid || (occupant.is === "agent" && occupant.cli === row.cli);
  if (isItself || !signalGroup(occupant.group, signal)) throw nothingToKick(ref, pane.command);
  return kicked;
}

/** An agent whose turn was ended, and by which keys. */
export const INTERRUPT = shape({ agent: AGENT, keys: "string[]" });

export type Interrupt = TypeOf<typeof INTERRUPT>;

/**
 * Ends the turn that the agent's CLI is busy with, by its own keys; its conversation is kept. Nothing is pressed in a dialog
 * or on an idle agent. Faults `agent.not_busy` (negative), `agent.not_found`, `agent.is_person`, `pane.not_found`.
 */
export async function interruptAgent(host: TmuxHost, ref: AgentRef): Promise<Interrupt> {
  const row = await openPaneAgent(host.context.store.db, ref);
  const pane = await ownPane(host, row);
  const view = await viewAgent(host, row, pane);
  const keys = view?.cli.interrupt ?? [];
  if (view === undefined || view.verdict.status !== "busy" || keys.length === 0) {
    const why = keys.length === 0 ? "has no turns to end" : `is not in a turn: ${view?.verdict.reason ?? "gone"}`;
    throw new Fault("negative", "agent.not_busy", `${quote(row.name)} ${why}. No key was pressed.`, [
      { intent: "See its pane", command: `mu agent read ${ref.name} -w ${ref.workstream}` },
    ]);
  }
  for (const key of keys) await host.tmux.sendKeys({ pane: pane.id, keys: [key] });
  return { agent: toAgent(row), keys: [...keys] };
}

function nothingToKick({ workstream, name }: AgentRef, command: string): Fault {
  return new Fault(
    "negative",
    "agent.nothing_to_kick",
    `${quote(name)} has no other program in its foreground${command === "" ? "" : ` (${command})`}. Nothing was signalled.`,
    [
      { intent: "See its pane", command: `mu agent read ${name} -w ${workstream}` },
      { intent: "Close it", command: `mu agent close ${name} -w ${workstream}` },
    ],
  );
}
