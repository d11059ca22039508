import type { Selectable } from "kysely";
import type { AgentStatusTable, Reader } from "../db/schema.js";
import type { RowOf } from "../db/write.js";
import { PERSON_CLI } from "./agent.js";

/** An agent's last known status, as it is stored. */
export type StatusRow = Selectable<AgentStatusTable>;

/** An open agent that is no person, with what was last seen of it. */
export interface Member {
  row: RowOf<"agents">;
  workstream: string;
  seen: StatusRow | undefined;
}

/** The open agents of one workstream, or of all; people are not among them. Oldest first. */
export async function listMembers(db: Reader, workstream?: string): Promise<Member[]> {
  const open = db
    .selectFrom("agents as a")
    .innerJoin("workstreams as w", "w.id", "a.workstream_id")
    .selectAll("a")
    .select("w.name as workstream_name")
    .where("a.closed_at", "is", null)
    .where("a.cli", "<>", PERSON_CLI)
    .orderBy("a.id");
  const rows = await (workstream === undefined ? open : open.where("w.name", "=", workstream)).execute();
  if (rows.length === 0) return [];
  const seen = await selectStatuses(
    db,
    rows.map((row) => row.id),
  );
  return rows.map(({ workstream_name, ...row }) => ({ row, workstream: workstream_name, seen: seen.get(row.id) }));
}

/** The stored status of an agent; undefined when nobody has looked yet. */
export async function agentStatus(db: Reader, agentId: number): Promise<StatusRow | undefined> {
  return (await selectStatuses(db, [agentId])).get(agentId);
}

async function selectStatuses(db: Reader, ids: readonly number[]): Promise<Map<number, StatusRow>> {
  const rows = await db.selectFrom("agent_status").selectAll().where("agent_id", "in", ids).execute();
  return new Map(rows.map((row) => [row.agent_id, row]));
}
