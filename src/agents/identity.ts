import type { Reader } from "../db/schema.js";
import type { Fault } from "../errors.js";
import { type Claimant, PERSON_CLI, replaced } from "./agent.js";

/** Who calls, and how mu knows. */
export interface Caller {
  name: string;
  kind: "agent" | "person";
  /** The workstream that the caller's surroundings name, or null. */
  workstream: string | null;
  /** The agent's row, which is its incarnation. */
  incarnation: number | null;
  role: string | null;
  /** Each source that was asked, and what it said. */
  evidence: { source: string; says: string }[];
  /** Why this caller may not write, if so. */
  refusal: Fault | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Finds out who calls: the environment's open incarnation, else an open agent of the environment's name, else a
 * person. An incarnation that was closed is told as a refusal: it may look, but not write.
 */
export async function identify(db: Reader, env: Environment): Promise<Caller> {
  const workstream = env["MU_WORKSTREAM"] || env["MU_SESSION"] || null;
  const incarnation = Number(env["MU_AGENT_ID"]);
  if (env["MU_AGENT_ID"] && Number.isSafeInteger(incarnation)) return byIncarnation(db, incarnation, workstream);
  const person = personOf(env, workstream);
  if (!env["MU_AGENT"] || workstream === null) return person;

  const agent = await db
    .selectFrom("agents as a")
    .innerJoin("workstreams as w", "w.id", "a.workstream_id")
    .select(["a.id", "a.role", "a.cli"])
    .where("w.name", "=", workstream)
    .where("a.name", "=", person.name)
    .where("a.closed_at", "is", null)
    .executeTakeFirst();
  if (agent === undefined || agent.cli === PERSON_CLI) return person;
  return {
    ...person,
    kind: "agent",
    incarnation: agent.id,
    role: agent.role,
    evidence: [...person.evidence, { source: "database", says: `open agent ${person.name} in ${workstream}` }],
  };
}

async function byIncarnation(db: Reader, id: number, workstream: string | null): Promise<Caller> {
  const row = await db
    .selectFrom("agents as a")
    .innerJoin("workstreams as w", "w.id", "a.workstream_id")
    .select(["a.id", "a.name", "a.role", "a.closed_at", "w.name as workstream"])
    .where("a.id", "=", id)
    .executeTakeFirst();
  const name = row?.name ?? `#${id}`;
  const open = row !== undefined && row.closed_at === null;
  return {
    name,
    kind: "agent",
    workstream: workstream ?? row?.workstream ?? null,
    incarnation: id,
    role: row?.role ?? null,
    evidence: [{ source: "$MU_AGENT_ID", says: open ? `${name} in ${row.workstream}` : `${name}, which is closed` }],
    refusal: open ? null : replaced(name),
  };
}

/** The person of `$MU_AGENT`, else `$USER`, else `operator`, spelled so that it can stand in the agents table. */
function personOf(env: Environment, workstream: string | null): Caller {
  const source = env["MU_AGENT"] ? "$MU_AGENT" : env["USER"] ? "$USER" : "default";
  const said = env["MU_AGENT"] || env["USER"] || "operator";
  const name = said
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 32);
  return {
    name: name || "operator",
    kind: "person",
    workstream,
    incarnation: null,
    role: null,
    evidence: [{ source, says: said }],
    refusal: null,
  };
}

/** The caller as somebody who can own tasks. */
export function claimant(caller: Caller): Claimant {
  if (caller.kind === "person" || caller.incarnation === null) return { person: caller.name };
  return { agent: caller.name, incarnation: caller.incarnation };
}
