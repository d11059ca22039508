import { hostname } from "node:os";
import { resolve } from "node:path";
import {
  AGENT,
  type Agent,
  agentById,
  agentWrite,
  findAgentIn,
  findIncarnation,
  findOpenAgent,
  insertAgentIn,
  isMarkedFor,
  type Member,
  type Orphan,
} from "../agents/agent.js";
import { bordersOf } from "../agents/borders.js";
import type { Access } from "../agents/clis/cli.js";
import { resolveCli } from "../agents/clis/programs.js";
import { AGENT_CLIS } from "../agents/clis/table.js";
import type { Crew, TmuxHost } from "../agents/crew.js";
import { prepareFolders, transcriptCommand, transcriptPath } from "../agents/files.js";
import { readOccupants, viewAgent } from "../agents/occupant.js";
import { identityOf, isOwnPane } from "../agents/pane.js";
import { readForeign } from "../agents/screen/verdict.js";
import type { Reader } from "../db/schema.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { checkAgentName, counted, qualifiedName, quote } from "../names.js";
import { databasePath } from "../paths.js";
import { type Place, placeHere } from "../place.js";
import { hasEnvironment } from "../processes.js";
import { shape, type TypeOf } from "../shape.js";
import type { Pane } from "../tmux/panes.js";
import { tmuxLine } from "../tmux/run.js";
import { sessionOf, workstreamOf, workstreamRow } from "../workstreams/workstream.js";
import { retireAgentIn } from "./close.js";
import { agentExists } from "./spawn.js";
import { openCrewSession } from "./workstream.js";

export interface AdoptOptions {
  /** Without it the pane's title, when that is a name. */
  name?: string | undefined;
  /** Without it what runs in the pane, when mu knows it. */
  cli?: string | undefined;
  role?: string | undefined;
  access?: Access | undefined;
  /** Take the pane out of another session into a window of the workstream's. */
  move?: boolean | undefined;
}

export const ADOPTED = shape({
  agent: AGENT,
  adopted: "boolean",
  /** The pane was this agent's before. */
  alreadyAdopted: "boolean",
  previousTitle: "string",
  /** The session that the pane is in. */
  session: "string",
  /** It was in another session before. */
  moved: "boolean",
});

export type Adopted = TypeOf<typeof ADOPTED>;

/**
 * Turns a pane that mu did not open into an agent, given by its id (`%7`) or its title. It stays in its
 * session unless `move` is set. Adopting twice is a no-op. Faults `pane.not_found`, `pane.ambiguous`, `pane.dead`,
 * `agent.name_required`, `agent.invalid_name`, `agent.exists`, `agent.cli_required`, `cli.unknown`, `workstream.not_found`.
 */
export async function adoptAgent(
  host: Crew,
  workstream: string,
  paneOrTitle: string,
  options: AdoptOptions = {},
): Promise<Adopted> {
  const { id } = await workstreamRow(host.context.store.db, workstream);
  const pane = findPane(await host.tmux.listPanes(), sessionOf(workstream), paneOrTitle);
  if (pane === undefined) throw notFound(host, paneOrTitle);
  await requireNotForeign(host.context.store.db, pane);
  const owner = await findAgentIn(host.context.store.db, pane.id, pane.server);
  if (owner !== undefined) {
    await requireSame(host, { id, workstream }, pane, owner, options);
    const moved = options.move === true && (await moveHome(host, workstream, owner, pane));
    return adoption(host, owner, pane, {
      adopted: false,
      moved,
      session: moved ? sessionOf(workstream) : pane.session,
    });
  }
  const name = nameFor(pane, options);
  const cli = resolveCli(options.cli ?? (await cliRunningIn(host, pane)), host.env).key;
  const spec = { ...agentWrite("agent.adopt", { workstream, name }), payload: { title: pane.title } };
  const row = await write(host.context, spec, (tx) =>
    adoptAgentIn(tx, { id, workstream }, pane, { ...options, name, cli, place: placeHere() }),
  );
  const moved = await takeOver(host, workstream, row, pane, options);
  return adoption(host, row, pane, { adopted: true, moved, session: moved ? sessionOf(workstream) : pane.session });
}

async function adoption(
  host: TmuxHost,
  row: RowOf<"agents">,
  pane: Pane,
  outcome: Pick<Adopted, "adopted" | "moved" | "session">,
): Promise<Adopted> {
  const agent = await agentById(host.context.store.db, row.id);
  return { agent, alreadyAdopted: !outcome.adopted, previousTitle: pane.title, ...outcome };
}

/** The variables that lead to this database and that the program in the agent's pane was started without. */
export async function lackingVariables(crew: Crew, { pane }: Agent): Promise<[string, string][]> {
  const found = (await crew.tmux.listPanes()).find(({ id }) => id === pane);
  if (found === undefined || isDefaultDatabase(crew)) return [];
  const variables = Object.entries(crew.databaseEnv);
  const known = await Promise.all(variables.map(([name, value]) => hasEnvironment(crew, found.pid, { name, value })));
  return variables.filter((_, at) => !known[at]);
}

function isDefaultDatabase({ databaseEnv, env }: Crew): boolean {
  const plain = { HOME: env["HOME"], XDG_STATE_HOME: env["XDG_STATE_HOME"] };
  return databaseEnv["MU_DB_PATH"] === resolve(databasePath(plain));
}

/** A pane of a window that is linked into several sessions is listed for each: the workstream's own counts first. */
function findPane(panes: readonly Pane[], session: string, paneOrTitle: string): Pane | undefined {
  const sorted = [...panes].sort((a, b) => Number(b.session === session) - Number(a.session === session));
  const byId = sorted.find((pane) => pane.id === paneOrTitle);
  if (byId !== undefined) return requireLiving(byId);
  const titled = sorted.filter((pane) => titleOf(pane) === paneOrTitle || pane.title === paneOrTitle);
  const here = titled.filter((pane) => pane.session === session);
  const found = here.length > 0 ? here : titled;
  const ids = [...new Set(found.map((pane) => pane.id))];
  const [first] = found;
  if (ids.length > 1) throw ambiguous(paneOrTitle, ids);
  return first && requireLiving(first);
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

/** Refuses a pane whose mark no incarnation of this database left. */
async function requireNotForeign(db: Reader, pane: Pane): Promise<void> {
  if (pane.agentId === undefined) return;
  const row = await findIncarnation(db, Number(pane.agentId) || 0);
  if (row !== undefined && isMarkedFor(row, pane)) return;
  throw new Fault("conflict", "pane.other_database", `Pane ${pane.id} is an agent of another database.`, [
    { intent: "Show the database in use", command: "mu doctor" },
    { intent: "Remove its mark", command: `tmux set-option -p -t ${pane.id} -u @mu_agent_id` },
  ]);
}

/** Refuses a pane that is another agent's, and says whose. */
async function requireSame(
  host: TmuxHost,
  { id, workstream }: { id: number; workstream: string },
  pane: Pane,
  owner: RowOf<"agents">,
  { name }: AdoptOptions,
): Promise<void> {
  if (owner.workstream_id === id && (name === undefined || name === owner.name)) return;
  const of = qualifiedName(await agentById(host.context.store.db, owner.id));
  const elsewhere = owner.workstream_id === id ? "" : `, not ${workstream}'s`;
  throw new Fault("conflict", "agent.exists", `Pane ${pane.id} is the agent ${quote(of)} already${elsewhere}.`, [
    { intent: "Show it", command: `mu agent show ${of}` },
    { intent: "Close it first", command: `mu agent close ${of}` },
  ]);
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

/** By the processes in the pane, its title and its screen. Faults `agent.cli_required`. */
async function cliRunningIn(host: TmuxHost, pane: Pane): Promise<string> {
  const view = await viewAgent(host, { cli: "command" }, pane);
  const occupant = view?.screen.occupant;
  if (view?.cli.key !== "command") return view?.cli.key ?? "command";
  if (occupant?.is === "shell" || occupant?.is === "script") return "shell";
  if (occupant?.is === "program") return "command";
  const [known, ...others] = readForeign(Object.values(AGENT_CLIS), view.screen);
  if (known !== undefined && others.length === 0) return known.cli;
  throw new Fault(
    "usage",
    "agent.cli_required",
    `mu cannot tell which agent CLI runs in pane ${pane.id} (${occupant?.program ?? pane.command}).`,
    [{ intent: "Name it", command: `mu agent adopt ${pane.id} --cli <cli>` }],
  );
}

/** Inserts the row of an agent that lives in `pane`. Faults `agent.exists`. */
export async function adoptAgentIn(
  tx: Tx,
  { id, workstream }: { id: number; workstream: string },
  pane: Pane,
  { name, cli, role, access, place }: AdoptOptions & { name: string; cli: string; place: Place },
): Promise<RowOf<"agents">> {
  const taken = await findOpenAgent(tx.db, id, name);
  if (taken !== undefined) throw agentExists({ workstream, name }, taken);
  return insertAgentIn(tx, {
    ...{ workstream_id: id, name, cli, role: role ?? null, access: access ?? "full" },
    ...{ command: pane.command || null, window: name, ...place },
    ...{ pane: pane.id, server: pane.server, socket: pane.socket, pid: pane.pid },
  });
}

/** Marks, records and, if asked to, moves the pane; if it closes meanwhile, the row is closed too. */
async function takeOver(
  host: Crew,
  workstream: string,
  row: RowOf<"agents">,
  pane: Pane,
  { move }: AdoptOptions,
): Promise<boolean> {
  try {
    await host.tmux.setPaneIdentity(pane.id, identityOf(row));
    await prepareFolders(host.stateDir);
    await host.tmux.pipePane(pane.id, transcriptCommand(transcriptPath(host.stateDir, row)));
    const moved = move === true && (await moveHome(host, workstream, row, pane));
    const isHome = moved || pane.session === sessionOf(workstream);
    if (isHome) await host.tmux.setPaneBorders(pane.id, await bordersOf(host, workstream));
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

async function moveHome(crew: Crew, workstream: string, row: RowOf<"agents">, pane: Pane): Promise<boolean> {
  const session = sessionOf(workstream);
  if (pane.session === session) return false;
  await openCrewSession(crew, workstream);
  await crew.tmux.movePane(pane.id, { session, window: row.name });
  return true;
}

function notFound({ env }: Crew, paneOrTitle: string): Fault {
  const list = tmuxLine(env, "list-panes", "-a", "-F", "#{pane_id} #{pane_title} #{pane_current_command}");
  return new Fault("missing", "pane.not_found", `No pane has the id or title ${quote(paneOrTitle)}.`, [
    { intent: "List panes", command: list },
  ]);
}

function ambiguous(title: string, ids: readonly string[]): Fault {
  return new Fault(
    "conflict",
    "pane.ambiguous",
    `${counted(ids.length, "pane")} have the title ${quote(title)}.`,
    ids.map((id) => ({ intent: "This one", command: `mu agent adopt ${id}` })),
    { panes: ids },
  );
}

/** The panes that could be adopted: in mu's sessions, running an agent CLI, of no open agent. */
export async function findOrphans(
  host: Host,
  members: readonly Member[],
  panes: readonly Pane[],
  workstream?: string,
): Promise<Orphan[]> {
  const strays = new Map<string, Pane & { workstream: string }>();
  for (const pane of panes) {
    const found = workstreamOf(pane.session);
    if (found === undefined || (workstream !== undefined && found !== workstream) || strays.has(pane.id)) continue;
    if (members.some(({ row }) => isOwnPane(row, pane) || isMarkedFor(row, pane))) continue;
    strays.set(pane.id, { ...pane, workstream: found });
  }
  const occupants = await readOccupants(host, [...strays.values()]);
  return [...strays.values()].flatMap(({ id, workstream, windowName: window, title, command }) => {
    const cli = occupants.get(id)?.cli;
    return cli === undefined ? [] : [{ pane: id, workstream, window, title, command, cli }];
  });
}
