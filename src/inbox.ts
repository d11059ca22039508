import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { sql } from "kysely";
import { type Claimant, openPaneAgent } from "./agents/agent.js";
import type { TmuxHost } from "./agents/crew.js";
import { sendToAgent } from "./agents/delivery/send.js";
import { viewAgent } from "./agents/occupant.js";
import { layOut, nonEmpty, screenRows } from "./agents/screen/screen.js";
import { isDialog, isStoppedBy } from "./agents/screen/verdict.js";
import { type Observation, observeAgents, storedObservations } from "./agents/status/observe.js";
import { localTime, pollUntil } from "./clock.js";
import { timestamp } from "./db/context.js";
import type { Reader } from "./db/schema.js";
import { write } from "./db/write.js";
import { asksPerson } from "./dispatch/attend.js";
import { decide } from "./dispatch/decide.js";
import { HOLD_OPS, listEscalations, requeueTaskIn } from "./dispatch/escalation.js";
import { brakeFile, brakeReason, readFacts, releaseLine, type Scene } from "./dispatch/facts.js";
import { Fault } from "./errors.js";
import { type AgentRef, counted, qualifiedName, quote } from "./names.js";
import { INBOX_ITEM, type InboxItem } from "./notify/inbox-item.js";
import { lastEvent } from "./notify/notify.js";
import { redact, secretsIn } from "./redact.js";
import { addNoteIn } from "./tasks/notes.js";
import { taskRow } from "./tasks/task.js";

export { INBOX_ITEM, type InboxItem };

/** A host of which only the database is asked. */
type Blind = Omit<TmuxHost, "tmux" | "exec">;

/** Rows of a dialog that are kept, from its end. */
const MOST_ROWS = 24;

/**
 * What waits for a person in a workstream: agents first, then the brake, held tasks, red checks and budgets. Without
 * tmux no panes are read: an agent's question is then what was last known of it.
 */
export async function listInbox(host: TmuxHost | Blind, scene: Scene): Promise<InboxItem[]> {
  const { db } = host.context.store;
  const { name } = scene.workstream;
  const known = () => storedObservations(host, name);
  const seen = await ("tmux" in host ? observeAgents(host, { workstream: name }).catch(known) : known());
  const asking = await Promise.all(seen.filter(asksPerson).map((one) => agentItem(host, one)));
  return [
    ...asking.map(({ item }) => item),
    ...(await brakeItem(scene)),
    ...(await heldItems(db, scene)),
    ...(await checkItems(db, scene)),
    ...(await budgetItems(host, scene)),
  ];
}

type AgentView = NonNullable<Awaited<ReturnType<typeof viewAgent>>>;

const idOf = (subject: string, ...parts: unknown[]) =>
  `${subject}-${createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 4)}`;

/** A question, and what it is in one line. */
const asked = (question: string, summary = question.split("\n", 1)[0] ?? "") => ({ question, summary });

/** What an agent asks, as its screen shows it now. */
async function agentItem(host: TmuxHost | Blind, { agent, workstream, status, reason, since, pane }: Observation) {
  const row = await openPaneAgent(host.context.store.db, { workstream, name: agent });
  const view = pane === null || !("tmux" in host) ? undefined : await viewAgent(host, row, pane);
  const rows = view === undefined ? [] : dialogRows(view);
  const lines = rows.length > 0 ? rows : [reason ?? status];
  const id = idOf(agent, row.id, lines);
  // A hook names the whole command; a dialog begins with its heading.
  const [, named] = /^asks (?:for permission|a question): (.+)$/.exec(reason ?? "") ?? [];
  const item: InboxItem = {
    ...{ id, workstream, subject: agent, since },
    kind: status === "needs_permission" ? "permission" : "input",
    ...asked(redact(lines.join("\n"), secretsIn(host.env)), named && redact(named, secretsIn(host.env))),
    choices: lines.flatMap(choicesIn),
    command: `mu inbox answer ${id} <key> -w ${workstream}`,
  };
  return { item, row, view };
}

/** The rows of a dialog, or of a screen that no rule knows, without frames, marks and what changes by itself. */
export function dialogRows({ cli, screen, verdict }: Omit<AgentView, "pane">): string[] {
  const isOpen = isDialog(verdict) || verdict.rule === "unrecognised";
  if (!isOpen) return [];
  const { regions, composer } = cli.reading.by === "screen" ? layOut(cli.reading, screen) : {};
  const rows = regions?.dialog.length ? regions.dialog : nonEmpty(screenRows(screen));
  const texts = composer ? verdict.evidence : rows.map(({ text }) => text);
  return texts.slice(-MOST_ROWS).flatMap((text) => {
    const plain = text.replace(/[\u2500-\u259f]+/g, " ").replace(/^[^\p{L}\p{N}[{"'`/$(<]+/u, "");
    const line = plain
      .replace(/\((?:\d+m ?)?\d+s\b[^)]*\)/g, "")
      .replace(/\s+/g, " ")
      .trim();
    return line === "" ? [] : [line];
  });
}

export function choicesIn(line: string): InboxItem["choices"] {
  const [, number, label] = /^(\d{1,2})[.)] (.+)/.exec(line) ?? [];
  if (number !== undefined && label !== undefined) return [{ key: number, label }];
  return [...line.matchAll(/\[(\w)\] (\w+)/g)].map(([, key = "", word = ""]) => ({ key, label: word }));
}

async function brakeItem(scene: Scene): Promise<InboxItem[]> {
  const reason = brakeReason(scene);
  const file = brakeFile(scene);
  if (reason === null || file === undefined) return [];
  const { name } = scene.workstream;
  const since = (await stat(file).catch(() => undefined))?.mtime.toISOString() ?? null;
  const facts = { workstream: name, subject: name, since, ...asked(`The brake is on: ${reason}`), choices: [] };
  return [{ id: idOf(name, "brake", reason), kind: "brake", ...facts, command: releaseLine(scene) }];
}

async function heldItems(db: Reader, scene: Scene): Promise<InboxItem[]> {
  const { name: workstream } = scene.workstream;
  const open = await listEscalations(db, scene);
  const subjects = open.map(({ task }) => qualifiedName({ workstream, name: task }));
  const events = await db
    .selectFrom("events")
    .select((e) => ["subject", e.fn.max("at").as("at")])
    .where("scope", "=", workstream)
    .where("op", "in", HOLD_OPS)
    .where("subject", "in", subjects.length > 0 ? subjects : [""])
    .groupBy("subject")
    .execute();
  const since = new Map(events.map(({ subject, at }) => [subject, at]));
  return open.map(({ task, hold, reason, attempts }) => {
    const id = idOf(task, hold, reason, attempts);
    const question = `Held (${hold}): ${reason ?? "no reason given"}`;
    const at = since.get(qualifiedName({ workstream, name: task })) ?? null;
    const command = `mu inbox answer ${id} '…' -w ${workstream}`;
    return { id, workstream, kind: "held", subject: task, since: at, ...asked(question), choices: [], command };
  });
}

/** Live tasks whose newest check is red, unless a run has them or will have them. */
async function checkItems(db: Reader, { workstream: { id: workstreamId, name } }: Scene): Promise<InboxItem[]> {
  const rows = await db
    .selectFrom("tasks as t")
    .innerJoin("checks as c", "c.task_id", "t.id")
    .select(["t.name", "c.id", "c.command", "c.tail", "c.created_at"])
    .where("t.workstream_id", "=", workstreamId)
    .where("t.status", "in", ["OPEN", "IN_PROGRESS"])
    .where("t.hold", "is", null)
    .where((e) => e.or([e("t.role", "is", null), e("t.status", "=", "IN_PROGRESS")]))
    .where((e) => e.or([e("c.exit_code", "is", null), e("c.exit_code", "<>", 0)]))
    .where(sql<boolean>`c.id = (select max(n.id) from checks as n where n.task_id = t.id)`)
    .where(sql<boolean>`not exists (select 1 from runs as r where r.task_id = t.id and r.finished_at is null)`)
    .orderBy("t.name")
    .execute();
  return rows.map(({ name: task, id, command: check, tail, created_at: since }) => {
    const question = `The check failed: ${check}\n${tail.trim().split("\n").slice(-3).join("\n")}`;
    const facts = { workstream: name, subject: task, since, ...asked(question), choices: [] };
    return { id: idOf(task, "check", id), kind: "check", ...facts, command: `mu task show ${name}/${task}` };
  });
}

async function budgetItems({ context }: Blind, scene: Scene): Promise<InboxItem[]> {
  const { name: workstream } = scene.workstream;
  const now = timestamp(context.clock);
  const { wait } = decide(await readFacts(context.store.db, scene, now));
  const items = new Map<string, { why: string; role: string; tasks: number }>();
  for (const { code, role, why } of wait) {
    if (!["role_cap", "project_ceiling", "task_budget"].includes(code)) continue;
    const id = idOf(role, code, now.slice(0, 10));
    items.set(id, { why, role, tasks: (items.get(id)?.tasks ?? 0) + 1 });
  }
  const refused = async ([id, { why, role, tasks }]: [string, { why: string; role: string; tasks: number }]) => {
    const question = `${why}; ${counted(tasks, "task")} cannot start`;
    const subject = qualifiedName({ workstream, name: role });
    const at = (await lastEvent(context.store.db, workstream, ["budget.refused"], subject))?.at;
    const since = at?.startsWith(now.slice(0, 10)) ? at : null;
    const facts = { workstream, subject: role, since, ...asked(question), choices: [] };
    return { id, kind: "budget" as const, ...facts, command: `mu budget -w ${workstream}` };
  };
  return Promise.all([...items].map(refused));
}

export interface Answered {
  item: InboxItem;
  /** `keys` were pressed in a dialog, a text was `sent` to an agent, or a task was `requeued` with the answer as a note. */
  how: "keys" | "sent" | "requeued";
  /** Whether the question is gone; null if that is not to be seen. */
  gone: boolean | null;
}

/**
 * Answers the question with that id after a fresh look: a dialog by keys, a choice's number or its first words; an agent
 * that waits for a prompt by a proved delivery; a held task by a note, and it is requeued. Faults `inbox.not_found`,
 * `inbox.changed`, `inbox.not_a_choice`, `inbox.unreadable`, `inbox.other_way`, and as `sendToAgent`.
 */
export async function answerInbox(
  host: TmuxHost,
  scene: Scene,
  id: string,
  { words, by, signal }: { words: readonly string[]; by: Claimant & { person: string }; signal?: AbortSignal },
): Promise<Answered> {
  const items = await listInbox(host, scene);
  const { db } = host.context.store;
  const item = items.find((one) => one.id === id) ?? (await missing(db, items, scene, id));
  const { workstream, subject, question } = item;
  const ref = { workstream, name: subject };
  const spec = { op: "inbox.answer", scope: workstream, subject: qualifiedName(ref) };
  const payload = { id, question: question.split("\n")[0], answer: redact(words.join(" "), secretsIn(host.env)) };
  if (item.kind === "held") {
    await write(host.context, spec, async (tx) => {
      if ((await taskRow(tx.db, ref)).hold === null) await missing(tx.db, [], scene, id);
      tx.addPayload(payload);
      await addNoteIn(tx, ref, by, { text: words.join(" ") });
      await requeueTaskIn(tx, ref, by, {});
    });
    return { item, how: "requeued", gone: true };
  }
  if (item.kind !== "permission" && item.kind !== "input") {
    const message = `${subject} is not answered by words or keys.`;
    throw new Fault("conflict", "inbox.other_way", message, [{ intent: "Do this instead", command: item.command }]);
  }
  const now = await askedNow(host, ref);
  if (now?.view === undefined || now.item.id !== id) throw changed(id, workstream, now?.item);
  const { view, row } = now;
  if (isStoppedBy(view.verdict) || view.verdict.rule === "unrecognised") {
    const why = isStoppedBy(view.verdict) ? "it was stopped by Ctrl-Z" : "mu does not recognise its screen";
    const kick = { intent: "Continue it", command: `mu agent kick ${qualifiedName(ref)}` };
    const look = { intent: "Answer in its pane", command: `mu agent attach ${qualifiedName(ref)}` };
    const steps = isStoppedBy(view.verdict) ? [kick, look] : [look];
    throw new Fault("conflict", "inbox.unreadable", `${subject} cannot be answered from here: ${why}.`, steps);
  }
  const keys = isDialog(view.verdict) ? keysOf(item, words) : undefined;
  await write(host.context, spec, async (tx) => tx.addPayload(payload));
  if (keys === undefined) {
    await sendToAgent(host, ref, words.join(" "), { sender: by.person, signal });
    return { item, how: "sent", gone: null };
  }
  const { cursorX: x, cursorY: y } = view.screen;
  const target = { pane: view.pane.id, agentId: String(row.id) };
  for (const [at, key] of keys.entries()) {
    if (at > 0) await host.context.clock.sleep(BETWEEN_KEYS_MS);
    await host.tmux.sendKeys({ ...target, keys: [key], ...(at === 0 && { cursor: { x, y } }) });
  }
  const isGone = async () => (await askedNow(host, ref))?.item.id !== id || undefined;
  const gone = await pollUntil(host.context.clock, isGone, { everyMs: 200, timeoutMs: GONE_MS, signal });
  return { item, how: "keys", gone: gone ?? false };
}

/** A dialog draws itself anew after a key. */
const BETWEEN_KEYS_MS = 100;
/** How long a dialog may take to close. */
const GONE_MS = 5_000;

/** What an agent asks now; undefined if it asks nothing. */
async function askedNow(host: TmuxHost, ref: AgentRef) {
  const seen = (await observeAgents(host, { workstream: ref.workstream })).find(({ agent }) => agent === ref.name);
  return seen && asksPerson(seen) ? agentItem(host, seen) : undefined;
}

async function missing(
  db: Reader,
  items: readonly InboxItem[],
  { workstream: { name } }: Scene,
  id: string,
): Promise<never> {
  const subject = id.slice(0, id.lastIndexOf("-"));
  const now = items.find((one) => one.subject === subject);
  if (now !== undefined) throw changed(id, name, now);
  const why = (await answerTo(db, { workstream: name, name: subject }, id)) ?? "it may be answered";
  throw new Fault("missing", "inbox.not_found", `Nothing in the inbox has the id ${id}: ${why}.`, [
    { intent: "See what waits", command: `mu inbox -w ${name}` },
  ]);
}

/** Who answered a question, when and how. */
async function answerTo(db: Reader, ref: AgentRef, id: string): Promise<string | undefined> {
  const row = await db
    .selectFrom("events")
    .select(["actor", "at", "payload"])
    .where("scope", "=", ref.workstream)
    .where("op", "=", "inbox.answer")
    .where("subject", "=", qualifiedName(ref))
    .orderBy("n", "desc")
    .limit(1)
    .executeTakeFirst();
  const payload = row && JSON.parse(row.payload);
  return payload?.id === id
    ? `${row?.actor} answered ${quote(payload.answer)} at ${localTime(row?.at ?? "")}`
    : undefined;
}

function changed(id: string, workstream: string, now: InboxItem | undefined): Fault {
  const what = now === undefined ? "is not asked any more" : `has changed to ${quote(now.question)}`;
  return new Fault("conflict", "inbox.changed", `The question ${id} ${what}. Nothing was typed.`, [
    { intent: "See what waits", command: `mu inbox -w ${workstream}` },
  ]);
}

const KEYS = ["Enter", "Escape", "Tab", "BTab", "Space", "BSpace", "Up", "Down", "Left", "Right"];

/** The keys that an answer presses: names of keys, single characters, or the start of one choice's label. */
function keysOf({ choices, subject }: InboxItem, words: readonly string[]): string[] {
  const text = words.join(" ").toLowerCase();
  const exact = choices.filter(({ label }) => label.toLowerCase() === text);
  const found = exact.length > 0 ? exact : choices.filter(({ label }) => label.toLowerCase().startsWith(text));
  if (text.length > 1 && found.length === 1) return [found[0]?.key ?? ""];
  const keys = words.map((word) => KEYS.find((name) => name.toLowerCase() === word.toLowerCase()) ?? word);
  const isKey = (key: string) => KEYS.includes(key) || [...key].length === 1 || choices.some((one) => one.key === key);
  if (keys.every(isKey)) return keys;
  const offered = choices.map(({ key, label }) => `${key} ${label}`).join("; ");
  const message = `The dialog of ${subject} does not offer "${words.join(" ")}"${offered ? `: it has ${offered}` : ""}.`;
  throw new Fault("usage", "inbox.not_a_choice", `${message} Keys are single characters, ${KEYS.join(", ")}.`);
}
