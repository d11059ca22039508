import { sql } from "kysely";
import { type Context, newGroup } from "../db/context.js";
import { type EventRow, type Head, MACHINE_SCOPE } from "../db/events.js";
import type { Reader } from "../db/schema.js";
import { pages } from "../db/statement.js";
import { write } from "../db/write.js";
import { Fault } from "../errors.js";
import { quote } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { describeEvent } from "./sentences.js";

/** The op of what people and agents write into the log themselves. */
export const MESSAGE_OP = "log.write";
/** In each chain that a restore cut short, and in the machine's. */
export const RESTORE_OP = "snapshot.restore";
/** The kind of everything that mu itself wrote. */
export const EVENT_KIND = "event";

/** One line of the log. */
export const LOG_ENTRY = shape({
  /** Rises with time; `--since` takes it. */
  id: "number",
  /** Null for the machine's own chain. */
  workstream: "string | null",
  /** Who did it. */
  source: "string",
  /** `event` for what mu wrote; a message has the kind that its writer gave it. */
  kind: "string",
  /** The operation, `noun.verb`. */
  op: "string",
  /** What it is about: `workstream/task`, or a workstream. */
  subject: "string",
  /** One sentence for a person. */
  text: "string",
  payload: "object",
  /** All events of one command have one group; `mu undo` takes it. */
  group: "string",
  at: "string",
});

export type LogEntry = TypeOf<typeof LOG_ENTRY>;

export interface Message {
  text: string;
  /** A word of the writer's choice; `message` without it. */
  kind?: string | undefined;
}

/**
 * Writes a message into the log of a workstream, or of the machine (`""`). Faults: `log.empty`,
 * `log.invalid_kind` (usage), `workstream.not_found`.
 */
export async function writeMessage(context: Context, workstream: string, message: Message): Promise<LogEntry> {
  const { text, kind = "message" } = message;
  if (text.trim() === "") throw new Fault("usage", "log.empty", "There is no text to log.");
  checkKind(kind);
  const group = context.group ?? newGroup();
  const spec = { op: MESSAGE_OP, scope: workstream, subject: workstream };
  await write({ ...context, group }, spec, async (tx) => {
    if (workstream !== MACHINE_SCOPE) await workstreamRow(tx.db, workstream);
    tx.addPayload({ kind, text });
  });
  const [row] = await selectEvents(context.store.db, { kind })
    .where("group_id", "=", group)
    .orderBy("id", "desc")
    .limit(1)
    .execute();
  if (row === undefined) throw new Error("the message was not written");
  return toEntry(row);
}

function checkKind(kind: string): void {
  if (/^[a-z][a-z0-9_-]{0,31}$/.test(kind) && kind !== EVENT_KIND) return;
  throw new Fault(
    "usage",
    "log.invalid_kind",
    `${quote(kind)} is not a valid kind of message. Use a lower-case letter and up to 31 letters, digits, \`_\` or \`-\`; not \`event\`.`,
    [{ intent: "Write a plain message", command: "mu log write 'the text'" }],
  );
}

/** Which lines to show; all fields must fit. */
export interface LogFilter {
  /** A workstream's name, or `""` for the machine's own chain; all without it. */
  workstream?: string | undefined;
  /** Who did it. */
  source?: string | undefined;
  /** `event` for what mu wrote, else the kind of a message. */
  kind?: string | undefined;
  subject?: string | undefined;
}

export interface LogRange {
  /** At most this many lines; 0 or absent means all. */
  limit?: number | undefined;
  /** Only lines after this one. */
  sinceId?: number | undefined;
}

/**
 * The newest `limit` lines, oldest first; with `sinceId` the first `limit` lines after it, so that a reader can continue
 * after the last line it saw.
 */
export async function readLog(db: Reader, filter: LogFilter & LogRange = {}): Promise<LogEntry[]> {
  let query = selectEvents(db, filter);
  if (filter.sinceId !== undefined) query = query.where("id", ">", filter.sinceId);
  if (filter.limit) query = query.limit(filter.limit);
  const rows = await query.orderBy("id", filter.sinceId === undefined ? "desc" : "asc").execute();
  return rows.sort((a, b) => a.id - b.id).map(toEntry);
}

function selectEvents(db: Reader, filter: LogFilter) {
  let query = db.selectFrom("events").selectAll();
  if (filter.workstream !== undefined) query = query.where("scope", "=", filter.workstream);
  if (filter.source !== undefined) query = query.where("actor", "=", filter.source);
  if (filter.subject !== undefined) query = query.where("subject", "=", filter.subject);
  if (filter.kind === undefined) return query;
  if (filter.kind === EVENT_KIND) return query.where("op", "<>", MESSAGE_OP);
  const start = `{"kind":${JSON.stringify(filter.kind)},`;
  return query
    .where("op", "=", MESSAGE_OP)
    .where(sql<boolean>`substr(payload, 1, ${sql.lit(start.length)}) = ${start}`);
}

/** The line for an event's row. */
export function toEntry(row: EventRow): LogEntry {
  const payload = JSON.parse(row.payload);
  return {
    id: row.id,
    workstream: row.scope === MACHINE_SCOPE ? null : row.scope,
    source: row.actor,
    kind: row.op === MESSAGE_OP ? String(payload.kind) : EVENT_KIND,
    op: row.op,
    subject: row.subject,
    text: describeEvent({ op: row.op, subject: row.subject, payload, changes: JSON.parse(row.changes) }),
    payload,
    group: row.group_id,
    at: row.at,
  };
}

/**
 * The lines that fit, as they are written, until `signal` aborts; before them those that `limit` and `sinceId` ask
 * for, as `readLog` gives them (with neither: only new ones). Each line comes exactly once, in bursts too: the position
 * in each chain is its event's number.
 */
export async function* followLog(
  context: Context,
  filter: LogFilter & LogRange,
  signal: AbortSignal,
): AsyncGenerator<LogEntry, void, undefined> {
  const { store } = context;
  const wakeup = newSignal(signal);
  const unwatch = store.watch(wakeup.notify);
  try {
    const seen = await store.read(async (db) => {
      const old = filter.limit || filter.sinceId !== undefined ? await readLog(db, filter) : [];
      return { old, heads: await headsOf(db) };
    });
    yield* seen.old;
    while (!signal.aborted) {
      yield* newEntries(store.db, filter, seen.heads);
      await wakeup.wait();
    }
  } finally {
    unwatch();
  }
}

async function headsOf(db: Reader): Promise<Map<string, Head>> {
  const heads = await db.selectFrom("chains").selectAll().execute();
  return new Map(heads.map(({ scope, head_n: n, head_hash: hash }) => [scope, { n, hash }]));
}

async function* newEntries(db: Reader, filter: LogFilter, seen: Map<string, Head>): AsyncGenerator<LogEntry> {
  const news: LogEntry[] = [];
  for (const [scope, head] of await headsOf(db)) {
    if (filter.workstream !== undefined && filter.workstream !== scope) continue;
    const before = seen.get(scope);
    if (before?.hash === head.hash) continue;
    const fresh = selectEvents(db, { ...filter, workstream: scope })
      .where("n", ">", before === undefined ? 0 : await lastSeen(db, scope, before, head))
      .where("n", "<=", head.n);
    for await (const page of pages(fresh, "n")) news.push(...page.map(toEntry));
    seen.set(scope, head);
  }
  yield* news.sort((a, b) => a.id - b.id);
}

/** The number of the last event that was seen; where another history has taken its place, of the one before the restore. */
async function lastSeen(db: Reader, scope: string, seen: Head, head: Head): Promise<number> {
  const events = db.selectFrom("events").select("n").where("scope", "=", scope);
  const same = await events.where("n", "=", seen.n).where("hash", "=", seen.hash).executeTakeFirst();
  if (same !== undefined || seen.n === 0) return seen.n;
  const restored = await events.where("op", "=", RESTORE_OP).orderBy("n", "desc").limit(1).executeTakeFirst();
  return (restored?.n ?? head.n + 1) - 1;
}

/** Notifications while nothing waits count as one. */
function newSignal(signal: AbortSignal) {
  let notified = false;
  let wake = () => {};
  const notify = () => {
    notified = true;
    wake();
  };
  signal.addEventListener("abort", notify, { once: true });
  return {
    notify,
    async wait(): Promise<void> {
      if (!notified && !signal.aborted) await new Promise<void>((resolve) => (wake = resolve));
      notified = false;
    },
  };
}
