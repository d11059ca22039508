import { hostname } from "node:os";
import { basename } from "node:path";
import { AGENT, agentById, agentWrite, findOpenAgent, insertAgentIn, type Member } from "../agents/agent.js";
import { bordersOf } from "../agents/borders.js";
import type { Access } from "../agents/clis/cli.js";
import { AGENT_CLIS, getAgentCli } from "../agents/clis/table.js";
import type { TmuxHost } from "../agents/crew.js";
import { prepareFolders, transcriptCommand, transcriptPath } from "../agents/files.js";
import { isShell } from "../agents/screen/verdict.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { checkAgentName, quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import type { Pane } from "../tmux/panes.js";
import { PLACEHOLDER_WINDOW } from "../tmux/windows.js";
import { sessionOf, workstreamOf, workstreamRow } from "../workstreams/workstream.js";
import { retireAgentIn } from "./close.js";
import { agentExists } from "./spawn.js";

export interface AdoptOptions {
  /** Without it the pane's title, when that is a name. */
  name?: string | undefined;
  /** Without it what runs in the pane, when mu knows it. */
  cli?: string | undefined;
  role?: string | undefined;
  access?: Access | undefined;
}

export const ADOPTED = shape({
  agent: AGENT,
  adopted: "boolean",
  /** The pane was this agent's before. */
  alreadyAdopted: "boolean",
  previousTitle: "string",
  /** The pane was in another session and is in the workstream's now. */
  moved: "boolean",
});

export type Adopted = TypeOf<typeof ADOPTED>;

/**
 * Turns a pane that mu did not open into an agent, given by its id (`%7`) or its title; a pane of another session is
 * moved into the workstream's. Adopting twice is a no-op. Faults `pane.not_found`, `pane.ambiguous`, `pane.dead`,
 * `agent.name_required`, `agent.invalid_name`, `agent.exists`, `cli.unknown`, `workstream.not_found`.
 */
export async function adoptAgent(
  host: TmuxHost,
  workstream: string,
  paneOrTitle: string,
  options: AdoptOptions = {},
): Promise<Adopted> {
  const { id } = await workstreamRow(host.context.store.db, workstream);
  const pane = findPane(await host.tmux.listPanes(), sessionOf(workstream), paneOrTitle);
  const owner = await ownerOf(host, pane);
  if (owner !== undefined) return alreadyAdopted(host, { id, workstream }, pane, owner, options);
  const name = nameFor(pane, options);
  const cli = getAgentCli(options.cli ?? cliIn(pane)).key;
  const spec = { ...agentWrite("agent.adopt", { workstream, name }), payload: { title: pane.title } };
  const row = await write(host.context, spec, (tx) =>
    adoptAgentIn(tx, { id, workstream }, pane, { ...options, name, cli }),
  );
  const moved = await takeOver(host, workstream, row, pane);
  const agent = await agentById(host.context.store.db, row.id);
  return { agent, adopted: true, alreadyAdopted: false, previousTitle: pane.title, moved };
}

/** A pane of a window that is linked into several sessions is listed for each: the workstream's own counts first. */
function findPane(panes: readonly Pane[], session: string, paneOrTitle: string): Pane {
  const sorted = [...panes].sort((a, b) => Number(b.session === session) - Number(a.session === session));
  const byId = sorted.find((pane) => pane.id === paneOrTitle);
  if (byId !== undefined) return requireLiving(byId);
  const titled = sorted.filter((pane) => titleOf(pane) === paneOrTitle || pane.title === paneOrTitle);
  const here = titled.filter((pane) => pane.session === session);
  const found = here.length > 0 ? here : titled;
  const ids = [...new Set(found.map((pane) => pane.id))];
  const [first] = found;
  if (first === undefined) throw notFound(paneOrTitle);
  if (ids.length > 1) throw ambiguous(paneOrTitle, ids);
  return requireLiving(first);
}

function requireLiving(pane: Pane): Pane {
  if (!pane.dead) return pane;
  throw new Fault("conflict", "pane.dead", `The program in pane ${pane.id} has ended.`, [
    { intent: "Close it", command: `tmux kill-pane -t ${pane.id}` },
  ]);
}

/** Titles may carry more behind the agent's name: `worker-1 · build`. */
function titleOf(pane: Pane): string {
  return pane.title.split(" · ", 1)[0]?.trim() ?? "";
}

async function ownerOf(host: Host, pane: Pane): Promise<RowOf<"agents"> | undefined> {
  return host.context.store.db
    .selectFrom("agents")
    .selectAll()
    .where("pane", "=", pane.id)
    .where("server", "=", pane.server)
    .where("closed_at", "is", null)
    .executeTakeFirst();
}

async function alreadyAdopted(
  host: TmuxHost,
  { id, workstream }: { id: number; workstream: string },
  pane: Pane,
  owner: RowOf<"agents">,
  { name }: AdoptOptions,
): Promise<Adopted> {
  const same = owner.workstream_id === id && (name === undefined || name === owner.name);
  if (!same) throw agentExists({ workstream, name: owner.name }, owner);
  const agent = await agentById(host.context.store.db, owner.id);
  return { agent, adopted: false, alreadyAdopted: true, previousTitle: pane.title, moved: false };
}

/** tmux titles new panes with the host's name, which is not a name for an agent. */
function nameFor(pane: Pane, options: AdoptOptions): string {
  if (options.name !== undefined) {
    checkAgentName(options.name);
    return options.name;
  }
  const title = titleOf(pane);
  const host = hostname();
  const isDefault = title === host || title === host.split(".", 1)[0];
  if (!isDefault && /^[a-z][a-z0-9_-]{0,31}$/.test(title)) return title;
  throw new Fault(
    "usage",
    "agent.name_required",
    `The title of pane ${pane.id}, ${quote(title)}, is not a valid agent name.`,
    [{ intent: "Give it a name", command: `mu agent adopt ${pane.id} --name <agent>` }],
  );
}

function cliIn(pane: Pane): string {
  if (isShell(pane.command)) return "shell";
  return Object.hasOwn(AGENT_CLIS, pane.command) && pane.command !== "shell" ? pane.command : "command";
}

/** Inserts the row of an agent that lives in `pane`. Faults `agent.exists`. */
export async function adoptAgentIn(
  tx: Tx,
  { id, workstream }: { id: number; workstream: string },
  pane: Pane,
  { name, cli, role, access }: AdoptOptions & { name: string; cli: string },
): Promise<RowOf<"agents">> {
  const taken = await findOpenAgent(tx.db, id, name);
  if (taken !== undefined) throw agentExists({ workstream, name }, taken);
  return insertAgentIn(tx, {
    ...{ workstream_id: id, name, cli, role: role ?? null, access: access ?? "full" },
    ...{ command: pane.command || null, pane: pane.id, server: pane.server, pid: pane.pid, window: name },
  });
}

/** Marks, records and moves the pane; if it closes meanwhile, the row is closed too. */
async function takeOver(host: TmuxHost, workstream: string, row: RowOf<"agents">, pane: Pane): Promise<boolean> {
  try {
    await host.tmux.setPaneIdentity(pane.id, { agent: row.name, agentId: String(row.id), spawnedAt: row.spawned_at });
    await prepareFolders(host.stateDir);
    await host.tmux.pipePane(pane.id, transcriptCommand(transcriptPath(host.stateDir, row)));
    const moved = await moveHome(host, workstream, row, pane);
    await host.tmux.setPaneBorders(pane.id, await bordersOf(host, workstream));
    return moved;
  } catch (error) {
    const code = error instanceof Fault ? error.code : "internal";
    const spec = { ...agentWrite("agent.adopt", { workstream, name: row.name }), payload: { failed: code } };
    await write(host.context, spec, (tx) =>
      retireAgentIn(tx, row.id, { author: host.context.actor, note: `${row.name} was not adopted (${code}).` }),
    );
    throw error;
  }
}

async function moveHome(host: TmuxHost, workstream: string, row: RowOf<"agents">, pane: Pane): Promise<boolean> {
  const session = sessionOf(workstream);
  if (pane.session === session) return false;
  const made = await host.tmux.openSession(session, host.env["HOME"] ?? "/");
  await host.tmux.movePane(pane.id, { session, window: row.name });
  if (made) await closePlaceholder(host, session);
  return true;
}

async function closePlaceholder(host: TmuxHost, session: string): Promise<void> {
  const panes = await host.tmux.listPanes();
  const held = panes.find((pane) => pane.session === session && pane.windowName === PLACEHOLDER_WINDOW);
  if (held !== undefined) await host.tmux.killPane(held.id);
}

function notFound(paneOrTitle: string): Fault {
  return new Fault("missing", "pane.not_found", `No pane has the id or title ${quote(paneOrTitle)}.`, [
    { intent: "List panes", command: "tmux list-panes -a -F '#{pane_id} #{pane_title} #{pane_current_command}'" },
  ]);
}

function ambiguous(title: string, ids: readonly string[]): Fault {
  return new Fault(
    "conflict",
    "pane.ambiguous",
    `${ids.length} panes have the title ${quote(title)}.`,
    ids.map((id) => ({ intent: "This one", command: `mu agent adopt ${id}` })),
    { panes: ids },
  );
}

/** A pane in one of mu's sessions that runs an agent CLI but belongs to no agent. */
export interface Orphan {
  pane: string;
  workstream: string;
  window: string;
  title: string;
  command: string;
}

/** The panes that could be adopted: in mu's sessions, running an agent CLI, of no open agent. */
export function findOrphans(
  host: Host,
  members: readonly Member[],
  panes: readonly Pane[],
  workstream?: string,
): Orphan[] {
  const ours = new Set(members.map(({ row }) => String(row.id)));
  const programs = agentPrograms(host);
  const seen = new Set<string>();
  return panes.flatMap((pane) => {
    const found = workstreamOf(pane.session);
    if (found === undefined || (workstream !== undefined && found !== workstream)) return [];
    if (pane.dead || seen.has(pane.id) || ours.has(pane.agentId ?? "")) return [];
    if (!programs.has(pane.command) && !programs.has(programOf(pane.startCommand))) return [];
    seen.add(pane.id);
    return [{ pane: pane.id, workstream: found, window: pane.windowName, title: pane.title, command: pane.command }];
  });
}

/** Programs that only agents run: shells and interpreters say nothing. */
function agentPrograms({ env }: Host): Set<string> {
  const named = Object.values(AGENT_CLIS).flatMap((cli) => [
    cli.command,
    programOf(env[`MU_${cli.key.toUpperCase()}_COMMAND`] ?? ""),
  ]);
  return new Set(named.filter((name) => name !== "" && name !== "cat" && !isShell(name) && !INTERPRETERS.has(name)));
}

const INTERPRETERS = new Set(["node", "bun", "deno", "npx", "env", "python", "python3", "exec"]);

function programOf(commandLine: string): string {
  return basename(
    commandLine
      .trim()
      .replace(/^["']/, "")
      .split(/["'\s]/, 1)[0] ?? "",
  );
}
