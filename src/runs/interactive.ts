import type { Report } from "../agents/clis/headless.js";
import { usedBetween } from "../agents/clis/meter.js";
import { costOfAll } from "../agents/clis/results.js";
import { getAgentCli, PAID_CLIS } from "../agents/clis/table.js";
import { lastConversation } from "../agents/conversation.js";
import { newGroup } from "../db/context.js";
import { type Change, sidesOf } from "../db/events.js";
import type { Row } from "../db/relations.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import { type RowOf, type Tx, write } from "../db/write.js";
import type { Host } from "../host.js";
import { type Bill, billOf } from "./bill.js";
import { NOTHING_YET } from "./reserve.js";
import { dayOf } from "./spend.js";

const OP = "run.book";

/** Events after which the place up to which all is booked is written down, though nothing was booked. */
const MARK_EVERY = 500;

/** What makes a claim another one. */
const IDENTITY = ["status", "owner_id", "claim_generation"] as const;

/** One claim of a task by an agent, from the moment that it was made to that of its end. */
interface Stretch {
  task: number;
  agent: number;
  generation: number;
  from: string;
  to: string;
  /** The event that it began with. */
  n: number;
}

/**
 * Books what agents in panes used for the tasks that they held, as runs whose transport is `interactive`: the use of
 * their conversations between claim and end of claim, by the CLI's own records. Where there is none, the cost is null.
 * However often it is called, each claim is booked once. Gives how many were.
 */
export async function bookInteractive(host: Host, { id, name }: { id: number; name: string }): Promise<number> {
  const { db } = host.context.store;
  const agents = await paidAgents(db, id);
  if (agents.size === 0) return 0;
  const { ended, next, read } = await stretches(db, name);
  const due = ended.filter(({ agent }) => agents.has(agent));
  const unbooked = (await without(db, id, due)).slice(0, MARK_EVERY);
  if (unbooked.length === 0 && read < MARK_EVERY) return 0;
  const bills = await Promise.all(unbooked.map((one) => billFor(host, agents.get(one.agent), one)));
  // A group of its own: the verb that it is a part of can still be undone.
  const context = { ...host.context, group: newGroup() };
  return write(context, { op: OP, scope: name, subject: name, payload: { from: next } }, async (tx) => {
    tx.addPayload({});
    const still = new Set(await without(tx.db, id, unbooked));
    let booked = 0;
    for (const [at, one] of unbooked.entries()) {
      if (still.has(one) && (await bookIn(tx, agents.get(one.agent), one, bills[at]))) booked++;
    }
    return booked;
  });
}

const selectPaid = statement((db, { workstream }: { workstream: number }) =>
  db
    .selectFrom("agents")
    .selectAll()
    .where("workstream_id", "=", workstream)
    .where("cli", "in", PAID_CLIS)
    .where("pane", "is not", null),
);

async function paidAgents(db: Reader, workstream: number): Promise<Map<number, RowOf<"agents">>> {
  const rows = await selectPaid(db, { workstream });
  return new Map(rows.map((row) => [row.id, row]));
}

/** The claims that ended since all before was booked, and where the next look begins: at the oldest claim that goes on. */
async function stretches(db: Reader, scope: string): Promise<{ ended: Stretch[]; next: number; read: number }> {
  const last = await db
    .selectFrom("events")
    .select("payload")
    .where("scope", "=", scope)
    .where("op", "=", OP)
    .orderBy("n", "desc")
    .limit(1)
    .executeTakeFirst();
  const from = last === undefined ? 0 : (JSON.parse(last.payload) as { from: number }).from;
  const events = await db
    .selectFrom("events")
    .select(["n", "at", "changes"])
    .where("scope", "=", scope)
    .where("n", ">=", from)
    .where((e) => e.or([e("changes", "like", '%"IN_PROGRESS"%'), e("changes", "like", '%"claim_generation"%')]))
    .orderBy("n")
    .execute();
  const held = new Map<number, { row: Row; since?: Omit<Stretch, "to"> | undefined }>();
  const ended: Stretch[] = [];
  for (const { n, at, changes } of events) {
    for (const change of (JSON.parse(changes) as Change[]).filter(({ table }) => table === "tasks")) {
      const { row: before, since } = held.get(change.id) ?? { row: {} };
      const { after } = sidesOf(change);
      const row = { ...before, ...(after ?? { status: null }) };
      if (IDENTITY.every((column) => before[column] === row[column])) continue;
      if (since) ended.push({ ...since, to: at });
      const { status, owner_id: agent, claim_generation: generation } = row;
      const begins = status === "IN_PROGRESS" && typeof agent === "number";
      const begun = begins ? { task: change.id, agent, generation: Number(generation), from: at, n } : undefined;
      held.set(change.id, { row, since: begun });
    }
  }
  const open = [...held.values()].flatMap(({ since }) => (since === undefined ? [] : [since.n]));
  return { ended, next: Math.min(...open, (events.at(-1)?.n ?? from) + 1), read: events.length };
}

/** Those that are not booked yet. */
async function without(db: Reader, workstream: number, all: readonly Stretch[]): Promise<Stretch[]> {
  if (all.length === 0) return [];
  const rows = await db
    .selectFrom("runs")
    .select(["task_id", "claim_generation", "started_at"])
    .where("workstream_id", "=", workstream)
    .where("transport", "=", "interactive")
    .where("task_id", "in", [...new Set(all.map(({ task }) => task))])
    .execute();
  const keys = new Set(rows.map((row) => `${row.task_id} ${row.claim_generation} ${row.started_at}`));
  return all.filter(({ task, generation, from }) => !keys.has(`${task} ${generation} ${from}`));
}

async function billFor(host: Host, agent: RowOf<"agents"> | undefined, { from, to }: Stretch): Promise<Bill> {
  const { meter } = getAgentCli(agent?.cli ?? "");
  const session = agent && (await lastConversation(host, agent));
  const period = { from: Date.parse(from), to: Date.parse(to) };
  const usage = (meter && session && (await usedBetween(meter, host.env, { session, ...period }))) || [];
  const report: Report = {
    ...{ text: null, sessionRef: session ?? null, counts: "run", productive: true, failure: null, reason: null },
    ...{ usage, costUsd: costOfAll(usage), retryAt: null },
  };
  return billOf(host, { id: 0, workstream_id: agent?.workstream_id ?? 0, model: null }, [report]);
}

/** False if the task is gone. */
async function bookIn(
  tx: Tx,
  agent: RowOf<"agents"> | undefined,
  { task: task_id, generation, from, to }: Stretch,
  bill: Bill | undefined,
): Promise<boolean> {
  const task = await tx.db.selectFrom("tasks").selectAll().where("id", "=", task_id).executeTakeFirst();
  if (task === undefined || agent === undefined) return false;
  const isDone = task.status === "CLOSED" && task.claim_generation === generation && task.owner_id === agent.id;
  await tx.insert("runs", {
    ...NOTHING_YET,
    ...bill,
    ...{ workstream_id: agent.workstream_id, task_id, task: task.name, agent_id: agent.id, agent: agent.name },
    ...{ role: agent.role ?? "", cli: agent.cli, access: agent.access, writes: null, transport: "interactive" },
    ...{ claim_generation: generation, attempt: 1, state: isDone ? "done" : "cancelled", day: dayOf(to) },
    ...{ reserved_micros: 0, process: "", session_ref: agent.session_ref, started_at: from, finished_at: to },
    model: null,
  });
  return true;
}
