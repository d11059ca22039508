import type { Change } from "../db/events.js";
import { speaks } from "../db/relations.js";
import { readable } from "../db/texts.js";
import { counted, enumerate } from "../names.js";

/** The parts of an event that its sentence is made of. */
export interface EventParts {
  op: string;
  subject: string;
  payload: Record<string, unknown>;
  changes: readonly Change[];
}

/** One sentence a person reads: `claimed build`, `set title and impact of build`, `renamed demo to prod`. */
export function describeEvent(event: EventParts): string {
  const sentence = Object.hasOwn(SENTENCES, event.op) ? SENTENCES[event.op] : undefined;
  return (sentence ?? anyEvent)(event);
}

/** How the sentence of an event begins that another one of its group completes, unless the program ends before. */
export const BEGAN = "began to ";

/** The last event of each thing: a beginning says nothing more once its end is there. */
export function oneForEachThing<E extends { group: string; op: string; subject: string; payload: unknown }>(
  events: readonly E[],
): E[] {
  const key = ({ group, op, subject, payload }: E) =>
    op === "log.write" ? JSON.stringify(payload) + group : JSON.stringify([group, op, subject]);
  const last = new Map(events.map((event) => [key(event), event]));
  return events.filter((event) => last.get(key(event)) === event);
}

const SENTENCES: Readonly<Record<string, (event: EventParts) => string>> = {
  "log.write": ({ payload }) => String(payload.text ?? ""),
  "sql.write": ({ payload, changes }) => `ran SQL${rows(changes)}: ${oneLine(String(payload.sql ?? ""))}`,
  "snapshot.restore": ({ subject, payload }) =>
    `restored the database from ${subject}${discarded(payload.discarded as { events: number }[])}`,
  undo: ({ payload, subject }) => `undid ${payload.group}${subject === "" ? "" : ` (${shortName(subject)})`}`,
  "workstream.init": simple("created"),
  "workstream.import": ({ subject, changes }) => `imported ${subject}${rows(changes)}`,
  "workstream.rename": ({ payload }) => `renamed ${payload.from} to ${payload.to}`,
  "workstream.set": ({ subject, payload: { key, value } }) =>
    value === undefined
      ? `set ${key} of ${subject} back to its default`
      : `set ${key} of ${subject} to ${oneLine(Array.isArray(value) ? value.join(", ") : String(value))}`,
  "workstream.destroy": ({ subject, changes }) => `destroyed ${subject}${rows(changes)}`,
  "intake.file": ({ subject, changes }) =>
    `took in ${shortName(subject)}${withText(inserted(changes, "tasks")?.title)}`,
  "job.new": simple("made the job"),
  "job.run": ({ subject, payload }) => `queued ${list(payload.steps)} of ${shortName(subject)}`,
  "job.resume": ({ subject, payload }) => `had ${payload.step ?? shortName(subject)} go on`,
  "job.cancel": simple("cancelled what was open of"),
  "job.rename": simple("renamed"),
  "job.modules": simple("set the modules of"),
  "job.archive": simple("archived"),
  "job.delete": simple("deleted the job"),
  "job.push": ({ payload }) => `${PUSHED[String(payload.state)] ?? "pushed"} ${list(payload.jobs)}`,
  "linear.import": ({ subject, payload }) => `imported ${payload.issue} into ${shortName(subject)}`,
  "linear.export": ({ subject, payload }) =>
    payload.issue === undefined
      ? `began to export ${shortName(subject)} to Linear`
      : `exported ${shortName(subject)} to ${payload.issue}`,
  "job.work": simple("recorded the commits of"),
  "task.add": ({ subject, changes }) => `added ${shortName(subject)}${withText(inserted(changes, "tasks")?.title)}`,
  "task.import": ({ changes }) => `imported tasks${rows(changes)}`,
  "task.apply": ({ changes }) => `applied a plan${rows(changes)}`,
  "task.claim": simple("claimed"),
  "task.release": simple("released"),
  "task.close": ({ subject, changes }) => `closed ${shortName(subject)}${checked(", ", changes)}`,
  "task.check": ({ subject, changes }) => `checked ${shortName(subject)}${checked(": ", changes)}`,
  "task.open": simple("opened"),
  "task.reject": simple("rejected"),
  "task.defer": simple("deferred"),
  "task.delete": simple("deleted"),
  "task.move": ({ subject, payload }) =>
    `moved ${shortName(subject)}${payload.to === undefined ? "" : ` to ${payload.to}`}`,
  "task.update": ({ subject, changes }) => {
    const columns = patchedColumns(changes);
    return columns.length === 0 ? `updated ${shortName(subject)}` : `set ${listed(columns)} of ${shortName(subject)}`;
  },
  "task.edit": simple("edited"),
  "task.note": ({ subject, changes }) =>
    `noted on ${shortName(subject)}${withText(inserted(changes, "task_notes")?.text)}`,
  "task.block": simple("blocked"),
  "task.unblock": simple("unblocked"),
  "task.reparent": simple("replaced the blockers of"),
  "task.include": simple("took more commits into"),
  "archive.create": simple("created the archive"),
  "archive.add": ({ subject, payload }) =>
    `kept ${payload.workstream} in the archive ${subject}: ${payload.added} added, ${payload.refreshed} refreshed`,
  "archive.import": ({ subject, payload }) =>
    `imported the archive ${subject}: ${counted(Number(payload.tasks), "task")}`,
  "archive.remove": ({ subject, payload }) => `removed ${payload.workstream} from the archive ${subject}`,
  "archive.restore": ({ subject, payload }) => `restored the archive ${payload.archive} into ${subject}`,
  "archive.delete": simple("deleted the archive"),
  "asset.add": ({ subject, changes }) =>
    `registered ${shortName(subject)}, version ${inserted(changes, "assets")?.version ?? "unknown"}`,
  land: ({ subject, payload }) => `landed ${shortName(subject)} on ${payload.branch}`,
  "land.wait": ({ payload }) =>
    `cannot land ${enumerate(payload.tasks as string[], 5)} yet: ${oneLine(String(payload.reason))}`,
  "land.refuse": ({ subject, payload }) => `returned ${shortName(subject)}: it ${oneLine(String(payload.reason))}`,
  "land.revert": ({ subject, payload }) => `reverted ${shortName(subject)} on ${payload.branch}`,
  "land.push": simple("began to push"),
  "land.pr": ({ subject, payload }) => `asked to merge ${shortName(subject)}${payload.url ? `: ${payload.url}` : ""}`,
  "land.unlink": simple("forgot the pull request of"),
  "review.approve": ({ subject, payload }) =>
    `approved ${shortName(subject)}${payload.commit ? ` at ${String(payload.commit).slice(0, 10)}` : ""}`,
  "review.return": ({ subject, payload }) =>
    `returned ${shortName(subject)} with ${counted(Number(payload.comments), "comment")}`,
  "review.handled": ({ subject, payload }) =>
    `handled ${counted(readNumbers(payload.comments).length, "comment")} on ${shortName(subject)}`,
  "run.reserve": ({ subject, payload }) => `reserved run ${payload.run} of ${shortName(subject)} for ${payload.agent}`,
  "run.start": ({ subject, payload }) => `started run ${payload.run} of ${shortName(subject)}`,
  "run.settle": ({ subject, payload }) =>
    `ended run ${payload.run} of ${shortName(subject)}: ${payload.failure ?? payload.verdict ?? payload.state}${ofStep(payload)}`,
  "crew.freeze": () => "stopped every agent",
  "crew.thaw": () => "continued the agents",
  "run.book": () => "booked what agents in panes used",
  "run.refuse": simple("counted an attempt of"),
  "budget.soft": ({ changes }) => `warned: ${inserted(changes, "budget_notices")?.reason}`,
  "budget.refused": ({ changes }) => `refused a run: ${inserted(changes, "budget_notices")?.reason}`,
  "budget.breached": ({ changes }) => `warned: ${inserted(changes, "budget_notices")?.reason}`,
  "dispatch.kill": ({ payload }) => `put the brake on: ${oneLine(String(payload.reason))}`,
  "dispatch.resume": () => "took the brake off",
  "dispatch.idle": ({ payload }) => `closed the idle slots ${texts(payload.slots)}`,
  "dispatch.start": ({ subject }) => `started the dispatcher of ${subject}`,
  "dispatch.stop": ({ subject }) => `stopped the dispatcher of ${subject}`,
  "notify.idle": notice,
  "notify.stalled": notice,
  "notify.back": notice,
  "notify.escalated": notice,
  "notify.brake": notice,
  "notify.asks": notice,
  "notify.failed": ({ payload }) => `could not push a notice (${payload.kind}): ${oneLine(String(payload.problem))}`,
  "inbox.answer": ({ subject, payload }) =>
    `answered ${shortName(subject)} with ${oneLine(String(payload.answer))}: ${oneLine(String(payload.question))}`,
  "task.requeue": simple("requeued"),
  "task.escalate": simple("held for a person"),
  "agent.spawn": ({ subject, payload, changes }) => {
    if (payload.failed !== undefined) return `failed to spawn ${shortName(subject)} (${payload.failed})`;
    return `${inserted(changes, "agents") ? `${BEGAN}spawn` : "spawned"} ${shortName(subject)}`;
  },
  "agent.close": simple("closed the agent"),
  "agent.adopt": simple("adopted"),
  "agent.reap": ({ subject, payload }) =>
    readList(payload.reaped).map(reaped).join("; ") || `reaped ${shortName(subject)}`,
  "agent.rename": ({ payload }) => `renamed ${payload.from} to ${payload.to}`,
  "agent.restart": simple("restarted"),
  "agent.recover": simple("recovered"),
  "agent.free": simple("marked as available:"),
  "agent.session": simple("noted the conversation of"),
  "workspace.create": ({ subject, changes }) =>
    `${inserted(changes, "workspaces") ? `${BEGAN}create` : "created"} the workspace of ${shortName(subject)}`,
  "workspace.free": ({ subject, changes }) =>
    `${patchedColumns(changes).includes("freed_at") ? "freed" : `${BEGAN}free`} the workspace of ${shortName(subject)}`,
  "workspace.refresh": simple("refreshed the workspace of"),
  "salvage.save": ({ subject, changes }) => {
    const saved = inserted(changes, "salvages");
    return saved === undefined ? `saved ${subject}` : `saved ${describeWork(saved as unknown as Work)} as ${subject}`;
  },
  "salvage.restore": ({ subject, payload }) => `restored ${subject} into ${payload.into}`,
  "workspace.approve": ({ changes }) =>
    `approved a command of the repository${withText(inserted(changes, "approvals")?.text)}`,
};

/** `closed bob: pane %1 is gone; released build`. */
function reaped({ agent, reason, tasks }: Record<string, unknown>): string {
  const released = readList(tasks).length > 0 ? `, and released ${texts(tasks)}` : "";
  return `closed ${agent}: ${oneLine(String(reason)).replace(/\.$/, "")}${released}`;
}

const readList = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value : []);

const readNumbers = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

const texts = (value: unknown) => listed(readList(value).map(String));

/** What a check that was recorded said, after `sign`. */
function checked(sign: string, changes: readonly Change[]): string {
  const check = inserted(changes, "checks");
  if (check === undefined) return "";
  const { command, exit_code: code } = check;
  const verdict = code === 0 ? "green" : code === null || code === undefined ? "ended by force" : `exit ${code}`;
  return `${sign}${oneLine(String(command))} ${verdict}`;
}

function notice({ payload }: EventParts) {
  return `sent a notice: ${oneLine(String(payload.title))}`;
}

function simple(verb: string) {
  return ({ subject }: EventParts) => `${verb} ${shortName(subject)}`.trim();
}

/** For an op without a sentence of its own: `task frob build (2 rows)`. */
function anyEvent({ op, subject, changes }: EventParts): string {
  return `${op.replaceAll(".", " ")} ${shortName(subject)}${rows(changes)}`.replace(/ {2,}/g, " ").trim();
}

/** `demo/build` without the workstream, which a log line shows elsewhere. */
const shortName = (subject: string) => subject.slice(subject.indexOf("/") + 1);

const withText = (text: unknown) => (text === undefined ? "" : `: ${oneLine(String(text))}`);

function discarded(chains: readonly { events: number }[]): string {
  const events = chains.reduce((sum, chain) => sum + chain.events, 0);
  return events === 0 ? "" : ` and discarded ${counted(events, "event")}`;
}

function rows(changes: readonly Change[]): string {
  return changes.length === 0 ? "" : ` (${counted(changes.length, "row")})`;
}

function inserted(changes: readonly Change[], table: string): Record<string, unknown> | undefined {
  const found = changes.find((change) => change.table === table && "insert" in change);
  if (found === undefined || !("insert" in found)) return undefined;
  return Object.fromEntries(Object.entries(found.insert).map(([column, value]) => [column, readable(value)]));
}

function patchedColumns(changes: readonly Change[]): string[] {
  const columns = changes.flatMap((change) =>
    "patch" in change ? Object.keys(change.patch).filter((column) => speaks(change.table, column)) : [],
  );
  return [...new Set(columns)];
}

const listed = (words: readonly string[]) =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;

/** The start of a text on one line, at most 120 characters. */
function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 120 ? `${line.slice(0, 119)}…` : line;
}

interface Work {
  commits: number;
  files: number;
  nested?: number | null;
  ignored?: number | null;
}

/** What a save holds: `2 commits and 3 files`. */
export function describeWork({ commits, files, nested, ignored }: Work): string {
  const counts = Object.entries({ commit: commits, file: files, "nested checkout": nested, "ignored file": ignored });
  const parts = counts.flatMap(([noun, count]) => (count ? [counted(count, noun)] : []));
  return parts.length === 0 ? "nothing" : parts.join(" and ");
}

const list = (value: unknown) => (Array.isArray(value) ? enumerate(value.map(String)) : "a step");

/** How far a push of jobs has come. */
const PUSHED: Readonly<Record<string, string>> = {
  begun: "began to push",
  "taken back": "took back the push of",
  committed: "committed and archived, but could not push,",
};

/** What the end of a task was for the step of its job. */
const ofStep = ({ step, outcome, dropped }: Record<string, unknown>) =>
  step === undefined
    ? dropped === undefined
      ? ""
      : "; its job goes on without it"
    : `; ${step} is ${String(outcome).replace("_", " ")}`;
