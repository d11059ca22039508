import type { Selectable } from "kysely";
import { fromRow } from "../db/from-row.js";
import type { Reader, Schema } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { RowOf, Tx } from "../db/write.js";
import { Fault } from "../errors.js";
import { type AgentRef, checkAgentName, didYouMean, qualifiedName, quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { whyUnreachable } from "./sight.js";

/** The `cli` of a person: no pane, never reaped. */
export const PERSON_CLI = "human";

/** The `cli` of a slot: its runs work without a terminal, each in a process of its own. */
export const RUN_CLI = "run";

/** Those that are never looked for in tmux. */
export const PANELESS: readonly string[] = [PERSON_CLI, RUN_CLI];

/** What an agent may be doing. `free` is set by a person: available. */
export const AGENT_STATUSES = [
  "spawning",
  "busy",
  "needs_input",
  "needs_permission",
  "idle",
  "free",
  "unreachable",
  "terminated",
] as const;
export type AgentStatus = (typeof AGENT_STATUSES)[number];

/** An agent or a person as everybody outside the database sees it. */
export const AGENT = shape({
  name: "string",
  workstream: "string",
  cli: "string",
  /** What it is for; tasks with a role are its. */
  role: "string | null",
  access: ["full", "read-only"],
  /** As last seen; null for a person, and for an agent that nobody has looked at. */
  status: [AGENT_STATUSES, null],
  statusReason: "string | null",
  /** Since when it has that status. */
  statusSince: "string | null",
  /** The command line it was started with. */
  command: "string | null",
  host: "string | null",
  /** `%7` on the tmux server `server`; null while it is being spawned. */
  pane: "string | null",
  server: "string | null",
  /** The name of its tmux window when it was opened. */
  window: "string | null",
  /** The conversation that its CLI can resume. */
  sessionRef: "string | null",
  spawnedAt: "string",
  closedAt: "string | null",
});

export type Agent = TypeOf<typeof AGENT>;

/** What an agent works on. */
export const ASSIGNMENT = shape({
  /** The names of its tasks in progress. */
  tasks: "string[]",
  /** It has tasks in progress and does nothing. */
  idleAssigned: "boolean",
});

export type Assignment = TypeOf<typeof ASSIGNMENT>;

/** An agent in a list. */
export const LISTED_AGENT = shape({ ...AGENT, ...ASSIGNMENT });

export type ListedAgent = TypeOf<typeof LISTED_AGENT>;

/** Who acts on a task. An agent's `incarnation` fences its writes: a replaced agent's are refused. */
export type Claimant = { agent: string; incarnation?: number } | { person: string };

const selectOpenAgent = statement((db, { workstream, name }: { workstream: number; name: string }) =>
  db
    .selectFrom("agents")
    .selectAll()
    .where("workstream_id", "=", workstream)
    .where("name", "=", name)
    .where("closed_at", "is", null),
);

/** The open row of `name` in a workstream given by row id, or undefined. */
export async function findOpenAgent(
  db: Reader,
  workstream: number,
  name: string,
): Promise<RowOf<"agents"> | undefined> {
  return (await selectOpenAgent(db, { workstream, name }))[0];
}

/** Agents with the names that their ids stand for; the start of every query for public shapes. */
export function selectAgents(db: Reader) {
  return db
    .selectFrom("agents as a")
    .innerJoin("workstreams as w", "w.id", "a.workstream_id")
    .leftJoin("agent_status as s", "s.agent_id", "a.id")
    .selectAll("a")
    .select(["w.name as workstream", "s.status", "s.reason as status_reason", "s.at as status_since", "s.seen_at"]);
}

/** A row of `selectAgents`; its `id` is the incarnation. */
export type AgentRow = Awaited<ReturnType<ReturnType<typeof selectAgents>["executeTakeFirstOrThrow"]>>;

/** The public shape of a row; of an agent that cannot be seen from here the status is unreachable. */
export function toAgent(row: AgentRow): Agent {
  const why = row.closed_at === null ? whyUnreachable(row) : undefined;
  const agent = fromRow(AGENT, row);
  return why === undefined ? agent : { ...agent, status: "unreachable", statusReason: why };
}

/** Whether a pane's mark is of this incarnation; its moment tells apart the incarnations of one id in two databases. */
export function isMarkedFor(
  row: Pick<RowOf<"agents">, "id" | "spawned_at">,
  { agentId, spawnedAt }: { agentId?: string | undefined; spawnedAt?: string | undefined },
): boolean {
  return agentId === String(row.id) && (!spawnedAt || spawnedAt === row.spawned_at);
}

const selectAgentById = statement((db, { id }: { id: number }) => selectAgents(db).where("a.id", "=", id));

const selectIncarnations = statement((db, { workstream, name }: AgentRef) =>
  selectAgents(db)
    .where("w.name", "=", workstream)
    .where("a.name", "=", name)
    .orderBy((order) => order.case().when("a.closed_at", "is", null).then(0).else(1).end())
    .orderBy("a.id", "desc")
    .limit(1),
);

/** The incarnation of that row id, or undefined. */
export async function findIncarnation(db: Reader, id: number): Promise<AgentRow | undefined> {
  return (await selectAgentById(db, { id }))[0];
}

/** The open incarnation of that name, else the newest closed one, or undefined. */
export async function findAgent(db: Reader, ref: AgentRef): Promise<AgentRow | undefined> {
  return (await selectIncarnations(db, ref))[0];
}

/** The open agent that has this pane of this tmux server, or undefined: a server uses no pane id twice. */
export async function findAgentIn(db: Reader, pane: string, server: string): Promise<AgentRow | undefined> {
  const agents = selectAgents(db).where("a.pane", "=", pane).where("a.server", "=", server);
  return agents.where("a.closed_at", "is", null).executeTakeFirst();
}

/** The agent of that row id; for callers that just wrote it. */
export async function agentById(db: Reader, id: number): Promise<Agent> {
  const row = await findIncarnation(db, id);
  if (row === undefined) throw new Error(`agents has no row ${id}`);
  return toAgent(row);
}

/** As `findAgent`. Faults `workstream.not_found`, `agent.not_found`. */
export async function latestAgentRow(db: Reader, ref: AgentRef): Promise<AgentRow> {
  const row = await findAgent(db, ref);
  if (row !== undefined) return row;
  throw await agentNotFound(db, ref);
}

/** The open incarnation of that name. Faults `workstream.not_found`, `agent.not_found`. */
export async function openAgent(db: Reader, ref: AgentRef): Promise<AgentRow> {
  const row = await findAgent(db, ref);
  if (row?.closed_at === null) return row;
  throw await agentNotFound(db, ref);
}

/** As `openAgent`, for what needs a pane: a person is `agent.is_person`. */
export async function openPaneAgent(db: Reader, ref: AgentRef): Promise<AgentRow> {
  return requirePane(await openAgent(db, ref));
}

/** The row, unless it is a person's: `agent.is_person`. */
export function requirePane(row: AgentRow): AgentRow {
  if (!PANELESS.includes(row.cli)) return row;
  const isRun = row.cli === RUN_CLI;
  const what = isRun ? "runs without a terminal" : "is a person and has no pane";
  throw new Fault("conflict", isRun ? "agent.no_pane" : "agent.is_person", `${quote(row.name)} ${what}.`, [
    { intent: "List agents", command: `mu agent list -w ${row.workstream}` },
  ]);
}

/** The agent of that name, closed or not. Faults `workstream.not_found`, `agent.not_found`. */
export async function getAgent(db: Reader, ref: AgentRef): Promise<Agent> {
  return toAgent(await latestAgentRow(db, ref));
}

export interface AgentFilter {
  /** Also closed incarnations. */
  all?: boolean | undefined;
  /** Also people. */
  people?: boolean | undefined;
}

/** The rows of the agents of one workstream, or of all (`null`), by name. Faults `workstream.not_found`. */
export async function agentRows(db: Reader, workstream: string | null, filter: AgentFilter = {}): Promise<AgentRow[]> {
  let query = selectAgents(db).orderBy("w.name").orderBy("a.name").orderBy("a.id");
  if (workstream !== null) query = query.where("a.workstream_id", "=", (await workstreamRow(db, workstream)).id);
  if (!filter.all) query = query.where("a.closed_at", "is", null);
  if (!filter.people) query = query.where("a.cli", "<>", PERSON_CLI);
  return query.execute();
}

/** The agents of one workstream, or of all (`null`), by name. Faults `workstream.not_found`. */
export async function listAgents(
  db: Reader,
  workstream: string | null,
  filter: AgentFilter = {},
): Promise<ListedAgent[]> {
  const rows = await agentRows(db, workstream, filter);
  const tasks = await currentTasks(db);
  return rows.map((row) => ({ ...toAgent(row), ...assignmentOf(row, tasks) }));
}

/** What the agent of a row works on, by `currentTasks`. */
export function assignmentOf(
  { id, status }: { id: number; status: string | null },
  current: ReadonlyMap<number, string[]>,
): Assignment {
  const tasks = current.get(id) ?? [];
  return { tasks, idleAssigned: tasks.length > 0 && (status === "idle" || status === "free") };
}

/** The fault for an unknown agent, with similar names. */
async function agentNotFound(db: Reader, ref: AgentRef): Promise<Fault> {
  const workstream = await workstreamRow(db, ref.workstream);
  const open = await db
    .selectFrom("agents")
    .select("name")
    .where("workstream_id", "=", workstream.id)
    .where("closed_at", "is", null)
    .execute();
  const hint = didYouMean(
    ref.name,
    open.map((agent) => agent.name),
  );
  return new Fault("missing", "agent.not_found", `There is no agent ${quote(ref.name)} in ${ref.workstream}.${hint}`, [
    { intent: "List agents", command: `mu agent list -w ${ref.workstream}` },
  ]);
}

/** The row of `claimant`; a person's is inserted if it is missing. Faults `agent.not_found`, `agent.replaced`, `agent.elsewhere`, `agent.not_you`. */
export async function claimantRow(
  tx: Tx,
  workstream: { id: number; name: string },
  claimant: Claimant,
): Promise<RowOf<"agents">> {
  if ("agent" in claimant) {
    const row = await findOpenAgent(tx.db, workstream.id, claimant.agent);
    const { incarnation = row?.id } = claimant;
    if (incarnation !== undefined && incarnation !== row?.id) await requireHome(tx.db, workstream, incarnation);
    if (row === undefined) throw await agentNotFound(tx.db, { workstream: workstream.name, name: claimant.agent });
    if (claimant.incarnation !== undefined && claimant.incarnation !== row.id) throw replaced(claimant.agent);
    return row;
  }
  checkAgentName(claimant.person);
  const known = await findOpenAgent(tx.db, workstream.id, claimant.person);
  if (known !== undefined && known.cli !== PERSON_CLI) throw notYou(claimant.person);
  if (known !== undefined) return known;
  return insertAgentIn(tx, { workstream_id: workstream.id, name: claimant.person, cli: PERSON_CLI });
}

/** What a write about one agent is recorded as. */
export function agentWrite(op: `agent.${string}`, ref: AgentRef) {
  return { op, scope: ref.workstream, subject: qualifiedName(ref) };
}

/** Refuses an agent of another workstream, whether or not this one has an agent of its name. */
async function requireHome(db: Reader, { name }: { name: string }, incarnation: number): Promise<void> {
  const row = await findIncarnation(db, incarnation);
  if (row === undefined || row.closed_at !== null || row.workstream === name) return;
  const why = `You are ${qualifiedName(row)}, and this is ${name}'s. Agents own tasks of their own workstream.`;
  throw new Fault("conflict", "agent.elsewhere", why, [
    { intent: "Claim one of yours", command: `mu task claim --next -w ${row.workstream}` },
    { intent: "Claim it for an agent there", command: `mu task claim <task> --for <agent> -w ${name}` },
  ]);
}

type NewAgent = Pick<RowOf<"agents">, "workstream_id" | "name" | "cli"> & Partial<RowOf<"agents">>;

/** The open row of a new incarnation or person. */
export function insertAgentIn(tx: Tx, columns: NewAgent): Promise<RowOf<"agents">> {
  const nowhere = { host: null, boot: null, namespace: null, pane: null, server: null, socket: null, pid: null };
  return tx.insert("agents", {
    ...{ ...nowhere, role: null, command: null, window: null, access: "full" },
    ...{ session_ref: null, spawned_at: tx.now, closed_at: null },
    ...columns,
  });
}

/** The fault for a caller who uses an agent's name without proof of being it. */
export function notYou(name: string): Fault {
  return new Fault(
    "conflict",
    "agent.not_you",
    `${quote(name)} is an agent, and nothing shows that you are that agent.`,
    [
      { intent: "See who you are to mu", command: "mu me" },
      { intent: "Act as a person of another name", command: "MU_AGENT=<name> mu …" },
    ],
  );
}

/** The fault for a call from an incarnation that was replaced. */
export function replaced(name: string): Fault {
  return new Fault(
    "conflict",
    "agent.replaced",
    `You were replaced: another incarnation of ${quote(name)} is running now.`,
    [{ intent: "See who you are to mu", command: "mu me" }],
  );
}

/** An agent's last known status, as it is stored. */
export type StatusRow = Selectable<Schema["agent_status"]>;

/** An open agent that is not a person, with its stored status. */
export interface Member {
  row: RowOf<"agents">;
  workstream: string;
  seen: StatusRow | undefined;
}

const selectOpen = statement((db, _: object) =>
  db
    .selectFrom("agents as a")
    .innerJoin("workstreams as w", "w.id", "a.workstream_id")
    .selectAll("a")
    .select("w.name as workstream_name")
    .where("a.closed_at", "is", null)
    .where("a.cli", "not in", PANELESS)
    .orderBy("a.id"),
);

const selectOpenStatuses = statement((db, _: object) =>
  db
    .selectFrom("agent_status as s")
    .innerJoin("agents as a", "a.id", "s.agent_id")
    .selectAll("s")
    .where("a.closed_at", "is", null),
);

/** The open agents of one workstream, or of all; people are not among them. Oldest first. */
export async function listMembers(db: Reader, workstream?: string): Promise<Member[]> {
  const open = await selectOpen(db, {});
  const rows = workstream === undefined ? open : open.filter((row) => row.workstream_name === workstream);
  if (rows.length === 0) return [];
  const seen = new Map((await selectOpenStatuses(db, {})).map((row) => [row.agent_id, row]));
  return rows.map(({ workstream_name, ...row }) => ({ row, workstream: workstream_name, seen: seen.get(row.id) }));
}

const selectWork = statement((db, _: object) =>
  db
    .selectFrom("tasks as t")
    .innerJoin("agents as a", "a.id", "t.owner_id")
    .select(["a.id as agent", "t.name"])
    .where("a.closed_at", "is", null)
    .where("t.status", "=", "IN_PROGRESS")
    .orderBy("t.id"),
);

/** The names of the tasks that open agents and people work on, by the row id of their owner. */
export async function currentTasks(db: Reader): Promise<Map<number, string[]>> {
  const tasks = new Map<number, string[]>();
  for (const { agent, name } of await selectWork(db, {})) tasks.set(agent, [...(tasks.get(agent) ?? []), name]);
  return tasks;
}

/** A pane in one of mu's sessions that runs an agent CLI but belongs to no agent. */
export const ORPHAN = shape({
  pane: "string",
  workstream: "string",
  window: "string",
  title: "string",
  command: "string",
  cli: "string",
});

export type Orphan = TypeOf<typeof ORPHAN>;
