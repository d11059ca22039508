import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { asFault, Fault } from "../errors.js";
import { callerPane, type PaneIdentityFacts, serverPid } from "../tmux/panes.js";
import { workstreamOf } from "../workstreams/workstream.js";
import {
  type AgentRow,
  type Claimant,
  findAgent,
  findAgentIn,
  findIncarnation,
  isMarkedFor,
  notYou,
  PERSON_CLI,
  RUN_CLI,
  replaced,
} from "./agent.js";

/** Who calls, and how mu knows. */
export interface Caller {
  name: string;
  kind: "agent" | "person";
  /** The workstream that the caller's surroundings name, or null. */
  workstream: string | null;
  /** The workstream of an agent's row, whatever its surroundings name. */
  home: string | null;
  /** The agent's row, which is its incarnation. */
  incarnation: number | null;
  role: string | null;
  /** The run that the caller is the agent of, or null. */
  run: number | null;
  /** Each source that was asked, and what it said. */
  evidence: { source: string; says: string }[];
  /** Why this caller may not write, if so. */
  refusal: Fault | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Which agent a pane of the caller's own tmux server belongs to; undefined if there is no such pane. May fail. */
export type AskPane = (pane: string) => Promise<PaneIdentityFacts | undefined>;

/** What a sandboxed shell of an agent CLI has in its environment. */
const SANDBOX_MARKS = [
  "CODEX_THREAD_ID",
  "CODEX_SANDBOX",
  "CODEX_SANDBOX_NETWORK_DISABLED",
  "CLAUDECODE",
  "GEMINI_CLI",
  "OPENCODE",
  "PI_CODING_AGENT",
];

/**
 * Finds out who calls. In this order: the environment, when its incarnation is open and its pane is the caller's (or
 * a CLI's sandbox keeps the pane away); the option of the caller's pane, or without one whose pane it is; its title, where
 * it names an open agent that has no living pane. Any other caller is a person. If sources disagree, or the incarnation was
 * closed, the caller may read but not write: see `refusal`. For agents that mu spawned the environment alone decides;
 * otherwise `ask` is called.
 */
export async function identify(db: Reader, env: Environment, ask?: AskPane): Promise<Caller> {
  const caller = await findCaller(db, env, ask);
  return { ...caller, workstream: await workstreamFor(db, env, caller) };
}

async function findCaller(db: Reader, env: Environment, ask: AskPane | undefined): Promise<Caller> {
  const claimed = await claimedRow(db, env);
  const seat = callerPane(env);
  const evidence: Caller["evidence"] = [];
  if (claimed !== undefined) {
    const proof = proofOf(claimed, env, seat);
    evidence.push({ source: "$MU_AGENT_ID", says: `${describe(claimed)}${proof === undefined ? "" : `, ${proof}`}` });
    if (proof !== undefined) {
      const caller = asAgent(claimed, evidence);
      return claimed.cli === RUN_CLI ? inRun(db, env, caller, claimed.id) : caller;
    }
  }
  const pane = await lookAtPane(seat, ask, evidence);
  const located =
    pane === undefined ? undefined : ((await byOption(db, pane, evidence)) ?? (await byTitle(db, pane, ask, evidence)));
  return decide(db, env, { claimed, located, seat, pane, evidence });
}

type CallerPane = ReturnType<typeof callerPane>;

type Incarnation = Pick<
  AgentRow,
  "id" | "name" | "role" | "cli" | "pane" | "server" | "spawned_at" | "closed_at" | "workstream"
>;

/** The row that `$MU_AGENT_ID` names; one that this database never had, but perhaps another, is closed. */
async function claimedRow(db: Reader, env: Environment): Promise<Incarnation | undefined> {
  const id = Number(env["MU_AGENT_ID"]);
  if (!env["MU_AGENT_ID"] || !Number.isSafeInteger(id)) return undefined;
  const row = await findIncarnation(db, id);
  const since = env["MU_AGENT_SINCE"];
  if (row !== undefined && (!since || since === row.spawned_at)) return row;
  const nobody = { role: null, cli: "", pane: null, server: null, closed_at: "never" };
  return {
    ...nobody,
    id,
    spawned_at: since ?? "",
    name: env["MU_AGENT"] || `#${id}`,
    workstream: env["MU_WORKSTREAM"] ?? "",
  };
}

/** The caller as the agent of the run that its environment names; a slot's only word in the database is that of its run. */
async function inRun(db: Reader, env: Environment, caller: Caller, slot: number): Promise<Caller> {
  const id = Number(env["MU_RUN_ID"]) || 0;
  const isActive = Number.isSafeInteger(id) && (await selectActiveRun(db, { id, slot })).length > 0;
  caller.evidence.push({
    source: "$MU_RUN_ID",
    says: `run ${id || "none"}, which is ${isActive ? "under way" : "not"}`,
  });
  return isActive ? { ...caller, run: id } : { ...caller, refusal: runIsOver(id, caller.name) };
}

const selectActiveRun = statement((db, { id, slot }: { id: number; slot: number }) =>
  db.selectFrom("runs").select("id").where("id", "=", id).where("agent_id", "=", slot).where("finished_at", "is", null),
);

/** Refuses the writes of a run that is over, or of another slot. Faults `run.over`. */
export async function requireActiveRun(db: Reader, { run, incarnation, name }: Caller): Promise<void> {
  if (run === null || incarnation === null) return;
  if ((await selectActiveRun(db, { id: run, slot: incarnation })).length === 0) throw runIsOver(run, name);
}

function runIsOver(run: number, slot: string): Fault {
  const which = run === 0 ? `No run of ${slot} is named by $MU_RUN_ID` : `Run ${run} of ${slot} is over`;
  return new Fault(
    "conflict",
    "run.over",
    `${which}: what it left running may not write any more. Nothing was written.`,
    [{ intent: "See how the slot's runs ended", command: "mu runs list" }],
  );
}

function describe(row: Incarnation): string {
  const where = row.closed_at === null ? (row.pane ?? "no pane yet") : "closed";
  return `incarnation ${row.id}, ${row.name} in ${row.workstream} (${where})`;
}

/** How the environment shows that the caller is that incarnation; undefined when it does not. */
function proofOf(row: Incarnation, env: Environment, seat: CallerPane): string | undefined {
  if (row.closed_at !== null || row.cli === PERSON_CLI) return undefined;
  if (seat === undefined && !env["TMUX_PANE"]) {
    if (row.pane === null) return "which has no pane, as the caller";
    const mark = SANDBOX_MARKS.find((name) => env[name]);
    return mark === undefined ? undefined : `and $${mark} shows its sandbox`;
  }
  return seat !== undefined && isPaneOf(row, seat.pane, seat.serverPid) ? "whose pane is the caller's" : undefined;
}

function isPaneOf(row: Incarnation, pane: string, pid: number): boolean {
  return row.pane === pane && row.server !== null && serverPid(row.server) === pid;
}

async function lookAtPane(
  seat: CallerPane,
  ask: AskPane | undefined,
  evidence: Caller["evidence"],
): Promise<PaneIdentityFacts | undefined> {
  if (seat === undefined || ask === undefined) return undefined;
  try {
    const pane = await ask(seat.pane);
    if (pane === undefined) evidence.push({ source: "tmux", says: `there is no pane ${seat.pane}` });
    return pane;
  } catch (error) {
    evidence.push({ source: "tmux", says: asFault(error).message });
    return undefined;
  }
}

/** Who the pane is by the option that mu wrote, or by its place where that was removed; the option's row need not be that pane's: see `decide`. */
async function byOption(
  db: Reader,
  pane: PaneIdentityFacts,
  evidence: Caller["evidence"],
): Promise<Incarnation | undefined> {
  if (pane.agentId === "") {
    const open = await findAgentIn(db, pane.pane, pane.server);
    if (open !== undefined) evidence.push({ source: `the place of ${pane.pane}`, says: describe(open) });
    return open;
  }
  const row = await findIncarnation(db, Number(pane.agentId) || 0);
  const own = row !== undefined && isMarkedFor(row, pane) ? row : undefined;
  const says = own === undefined ? `incarnation ${pane.agentId}, which this database does not have` : describe(own);
  evidence.push({ source: `@mu_agent_id of ${pane.pane}`, says });
  return own;
}

/** Any program may set a title: one counts only for an agent that has no other pane. */
async function byTitle(
  db: Reader,
  pane: PaneIdentityFacts,
  ask: AskPane | undefined,
  evidence: Caller["evidence"],
): Promise<Incarnation | undefined> {
  const name = pane.title.split(" · ", 1)[0]?.trim() ?? "";
  const workstream = workstreamOf(pane.session);
  if (pane.agentId !== "" || name === "" || workstream === undefined) return undefined;
  const row = await findAgent(db, { workstream, name });
  if (row === undefined || row.closed_at !== null || row.cli === PERSON_CLI) return undefined;
  const elsewhere = row.pane !== null && row.server === pane.server && (await ask?.(row.pane));
  evidence.push({
    source: `title of ${pane.pane}`,
    says: elsewhere ? `${describe(row)}, which is in that pane` : describe(row),
  });
  return elsewhere && (elsewhere.agentId === "" || isMarkedFor(row, elsewhere)) ? undefined : row;
}

interface Findings {
  claimed: Incarnation | undefined;
  /** Whom the pane names. */
  located: Incarnation | undefined;
  seat: CallerPane;
  pane: PaneIdentityFacts | undefined;
  evidence: Caller["evidence"];
}

function decide(db: Reader, env: Environment, found: Findings): Promise<Caller> | Caller {
  const { claimed, located, pane, evidence } = found;
  if (located !== undefined && pane !== undefined) return decideByPane(env, located, pane, found);
  if (claimed === undefined) return person(db, env, found);
  const refused = claimed.closed_at === null ? unproved(claimed, env, found) : replaced(claimed.name);
  return { ...asAgent(claimed, evidence), refusal: refused };
}

/** The pane's word counts against what the environment says only where that is an open incarnation of another. */
function decideByPane(env: Environment, located: Incarnation, pane: PaneIdentityFacts, found: Findings): Caller {
  const { claimed, evidence } = found;
  const caller = asAgent(located, evidence);
  const isItsPane = located.pane === pane.pane && located.server === pane.server;
  const isByTitle = pane.agentId === "";
  if (located.closed_at !== null) return { ...caller, refusal: replaced(located.name) };
  if (claimed !== undefined && claimed.id !== located.id) {
    const adopted = claimed.closed_at !== null && isItsPane && !isByTitle;
    if (adopted) return caller;
    const refusal = claimed.closed_at === null ? disagreement(evidence) : replaced(claimed.name);
    return { ...asAgent(claimed, evidence), refusal };
  }
  if (!isByTitle && !isItsPane && located.pane !== null) return { ...caller, refusal: disagreement(evidence) };
  const said = claimed === undefined ? env["MU_AGENT"] : undefined;
  if (!said || said === located.name) return caller;
  evidence.unshift({ source: "$MU_AGENT", says: said });
  return { ...caller, refusal: disagreement(evidence) };
}

function disagreement(evidence: Caller["evidence"]): Fault {
  const words = evidence.map(({ source, says }) => `${source} says ${says}`).join("; ");
  return new Fault(
    "conflict",
    "agent.identity_unclear",
    `It is not clear which agent is calling: ${words}. Nothing was written.`,
    [
      { intent: "See what mu knows", command: "mu me" },
      { intent: "Act as a person", command: "env -u MU_AGENT_ID -u TMUX_PANE MU_AGENT=<name> mu …" },
    ],
  );
}

/** An open incarnation in the environment, and nothing to show that the caller is it. */
function unproved(claimed: Incarnation, env: Environment, { seat, evidence }: Findings): Fault {
  const lacking = ["TMUX_PANE", "TMUX"].filter((name) => !env[name]);
  for (const name of lacking) evidence.push({ source: `$${name}`, says: "nothing: it is not set" });
  if (seat !== undefined) {
    evidence.push({ source: "$TMUX_PANE", says: `${seat.pane} of tmux server ${seat.serverPid}` });
    return disagreement(evidence);
  }
  const why = lacking.map((name) => `$${name}`).join(" and ") || "a usable $TMUX";
  return new Fault(
    "conflict",
    "agent.unproved",
    `The environment says that you are ${claimed.name}, but ${why} is not set (sudo and ssh drop it). Nothing was written.`,
    [
      { intent: "See what mu knows", command: "mu me" },
      { intent: "Act as a person", command: "env -u MU_AGENT_ID MU_AGENT=<name> mu …" },
    ],
  );
}

function asAgent(row: Incarnation, evidence: Caller["evidence"]): Caller {
  return {
    name: row.name,
    kind: "agent",
    workstream: row.workstream || null,
    home: row.workstream || null,
    incarnation: row.id,
    role: row.role,
    run: null,
    evidence,
    refusal: null,
  };
}

/** The environment's, if there is one of that name: an agent's keeps the name that its workstream had at its start. */
async function workstreamFor(db: Reader, env: Environment, { kind, workstream }: Caller): Promise<string | null> {
  const wished = env["MU_WORKSTREAM"] || env["MU_SESSION"];
  if (kind === "person" || !wished || wished === workstream) return workstream;
  const known = await db.selectFrom("workstreams").select("id").where("name", "=", wished).executeTakeFirst();
  return known === undefined ? workstream : wished;
}

/**
 * The person of `$MU_AGENT`, else `$USER`, else `operator`, spelled so that it can stand in the agents table. Nobody
 * becomes an agent by its name alone.
 */
async function person(db: Reader, env: Environment, { seat, pane, evidence }: Findings): Promise<Caller> {
  const source = env["MU_AGENT"] ? "$MU_AGENT" : env["USER"] ? "$USER" : "default";
  const said = env["MU_AGENT"] || env["USER"] || "operator";
  const name = said
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 32);
  const workstream =
    env["MU_WORKSTREAM"] || env["MU_SESSION"] || (pane === undefined ? undefined : workstreamOf(pane.session)) || null;
  if (seat === undefined) evidence.push({ source: env["TMUX_PANE"] ? "$TMUX" : "$TMUX_PANE", says: MISSING });
  evidence.unshift({ source, says: said });
  const caller: Caller = {
    name: name || "operator",
    kind: "person",
    workstream,
    home: null,
    incarnation: null,
    role: null,
    run: null,
    evidence,
    refusal: null,
  };
  const stranger = pane === undefined ? null : await refuseStranger(env, pane);
  return { ...caller, refusal: stranger ?? (await namesakeOf(db, caller)) };
}

/**
 * Why the pane of a caller who is no agent may not write: it is an agent's of another database, or an agent CLI runs
 * in it that nobody adopted, and all such would share the person.
 */
async function refuseStranger(env: Environment, { pane, session, agentId, ...seen }: PaneIdentityFacts) {
  if (agentId !== "") {
    const why = `Pane ${pane} is an agent of another database than this one. Nothing was written.`;
    return new Fault("conflict", "agent.other_database", why, [
      { intent: "Show the database in use", command: "mu doctor" },
      ACT_AS_PERSON,
    ]);
  }
  const workstream = workstreamOf(session);
  if (workstream === undefined) return null;
  const { cliOfWords, wordsOf } = await import("./clis/programs.js");
  const runsAgentCli = cliOfWords([seen.command], env) ?? cliOfWords(wordsOf(seen.startCommand), env);
  if (!SANDBOX_MARKS.some((name) => env[name]) && runsAgentCli === undefined) return null;
  const why = `Pane ${pane} of ${session} runs an agent CLI but is no agent yet. Nothing was written.`;
  return new Fault("conflict", "agent.not_adopted", why, [
    { intent: "Adopt it", command: `mu agent adopt ${pane} --name <agent> -w ${workstream}` },
    ACT_AS_PERSON,
  ]);
}

const ACT_AS_PERSON = { intent: "Act as a person, such as here", command: "mu task claim --next --self" };

/** Whether a person who says `--self` may act all the same. */
export function yieldsToSelf({ code }: Fault): boolean {
  return code === "agent.other_database" || code === "agent.not_adopted";
}

const MISSING = "not set: mu does not run in a tmux pane (or sudo or ssh dropped it)";

async function namesakeOf(db: Reader, { workstream, name }: Caller): Promise<Fault | null> {
  if (workstream === null) return null;
  const agent = await findAgent(db, { workstream, name });
  return agent?.closed_at === null && agent.cli !== PERSON_CLI ? notYou(name) : null;
}

/** The caller as an owner of tasks. */
export function claimant(caller: Caller): Claimant {
  if (caller.kind === "person" || caller.incarnation === null) return { person: caller.name };
  return { agent: caller.name, incarnation: caller.incarnation };
}
