import type { Selectable } from "kysely";
import type { AgentStatusTable, Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
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

const selectOpen = statement((db, _: object) =>
  db
    .selectFrom("agents as a")
    .innerJoin("workstreams as w", "w.id", "a.workstream_id")
    .selectAll("a")
    .select("w.name as workstream_name")
    .where("a.closed_at", "is", null)
    .where("a.cli", "<>", PERSON_CLI)
    .orderBy("a.id"),
);

const selectOpenStatuses = statement((db, _: object) =>
  db
    .selectFrom("agent_status as s")
    .innerJoin("agents as a", "a.id", "s.agent_id")
    .selectAll("s")
    .where("a.closed_at", "is", null),
);

const selectStatus = statement((db, { agent }: { agent: number }) =>
  db.selectFrom("agent_status").selectAll().where("agent_id", "=", agent),
);

/** The open agents of one workstream, or of all; people are not among them. Oldest first. */
export async function listMembers(db: Reader, workstream?: string): Promise<Member[]> {
  const open = await selectOpen(db, {});
  const rows = workstream === undefined ? open : open.filter((row) => row.workstream_name === workstream);
  if (rows.length === 0) return [];
  const seen = new Map((await selectOpenStatuses(db, {})).map((row) => [row.agent_id, row]));
  return rows.map(({ workstream_name, ...row }) => ({ row, workstream: workstream_name, seen: seen.get(row.id) }));
}

/** The stored status of an agent; undefined when nobody has looked yet. */
export async function agentStatus(db: Reader, agentId: number): Promise<StatusRow | undefined> {
  return (await selectStatus(db, { agent: agentId }))[0];
}
