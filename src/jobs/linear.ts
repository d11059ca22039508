import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Crew } from "../agents/crew.js";
import { write } from "../db/write.js";
import { Fault, interrupted } from "../errors.js";
import { linearMarkOf } from "../flow/payload.js";
import { qualifiedName, quote, type TaskRef } from "../names.js";
import { readProject } from "../project/read.js";
import { redact } from "../redact.js";
import { isObject, shape, type TypeOf } from "../shape.js";
import type { TaskRow } from "../tasks/task.js";
import { writeWhole } from "../whole-file.js";
import { type Artifact, artifactPath, jobFolder, keepVersion, readFileOf } from "./folder.js";
import { createJob, isArchived, type JobRow, jobRow, jobRows, requireQuiet, rootOf, setPayloadIn } from "./job.js";

/** An issue of Linear. */
export const ISSUE = shape({ identifier: "string", title: "string", url: "string | null" });
type Issue = TypeOf<typeof ISSUE>;

/** Who is asked, and by what right. */
interface Linear {
  url: string;
  key: string;
  teamPrefix: string;
  teamId: string;
  signal: AbortSignal | undefined;
  timeoutMs: number;
}

export interface LinearOptions {
  force?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** How long an answer may take, in ms. */
  timeoutMs?: number | undefined;
}

const KEY = "LINEAR_API_KEY";
const SERVER = "https://api.linear.app/graphql";
const TIMEOUT_MS = 20_000;
/** A longer answer is not read, in bytes. */
const MOST_BYTES = 4_194_304;
const MOST_TITLE = 255;

const FIELDS = "identifier title url";
const READ = `query Issue($id: String!) { issue(id: $id) { ${FIELDS} description } }`;
const CREATE = `mutation Create($input: IssueCreateInput!) { issueCreate(input: $input) { success issue { ${FIELDS} } } }`;
const UPDATE = `mutation Update($id: String!, $input: IssueUpdateInput!) { issueUpdate(id: $id, input: $input) { success issue { ${FIELDS} } } }`;

/**
 * Writes an issue's title and description to the task.md of a job, which is made if it is not there; without a name, the
 * job that has the issue already, or one named after it. With `force` a task.md that is there is replaced and kept in its history.
 *
 * Faults `linear.no_key`, `linear.invalid_issue`, `linear.task_exists`, `linear.other_issue`, `linear.linked_already`, those of
 * `ask`, `createJob` and `requireQuiet`.
 */
export async function importIssue(
  crew: Crew,
  workstream: string,
  { issue: asked, job: name }: { issue: string; job?: string | undefined },
  { force = false, ...options }: LinearOptions = {},
): Promise<{ job: string; issue: Issue; path: string; made: boolean }> {
  const { db } = crew.context.store;
  const linear = await linearOf(crew, workstream, options);
  /** Which job gets the issue, if it may. */
  const target = async (id: string) => {
    const jobs = await jobRows(db, workstream);
    const holder = jobs.find((job) => !isArchived(job) && isSame(job.row.external_ref, id))?.row;
    const to = name ?? holder?.name ?? id.toLowerCase();
    if (holder !== undefined && holder.name !== to) throw linkedAlready(holder, id);
    const job = jobs.find(({ row }) => row.name === to);
    if (job !== undefined) await requireFree(crew, job, id, force);
    return { ref: { workstream, name: to }, isNew: job === undefined };
  };
  const id = issueId(asked, linear.teamPrefix);
  await target(id);
  const found = issueIn((await ask(linear, READ, { id }))["issue"]);
  if (found === undefined) throw garbled(linear, `it has no issue ${id}`);
  const { ref, isNew } = await target(found.identifier);
  if (isNew) {
    const adopt = existsSync(join(await rootOf(db, workstream), jobFolder(ref.name)));
    await createJob(crew, workstream, { name: ref.name, title: oneLine(found.title), adopt });
  }
  const job = await jobRow(db, ref);
  const before = await requireFree(crew, job, found.identifier, force);
  if (before !== undefined) await keepVersion(job.root, job.folder, before);
  const path = artifactPath(job.folder, "task");
  const text = [`# ${oneLine(found.title)}`, found.description?.trim()].filter(Boolean).join("\n\n");
  await writeWhole(join(job.root, path), `${text}\n`, 0o644);
  await link(crew, ref, "linear.import", found);
  const { description: _, ...issue } = found;
  return { job: ref.name, issue, path, made: isNew };
}

const isSame = (ref: string | null, id: string) => ref?.toUpperCase() === id.toUpperCase();

/** Refuses a job whose task.md or issue would be lost; gives the task.md that is there. */
async function requireFree(crew: Crew, job: JobRow, id: string, force: boolean): Promise<Artifact | undefined> {
  const { name, workstream, external_ref: other } = job.row;
  await requireQuiet(crew.context.store.db, job, "changed");
  if (isArchived(job)) throw archived(job);
  const file = await readFileOf(job.root, artifactPath(job.folder, "task"));
  const next = [{ intent: "Replace it", command: `mu linear import ${id} --job ${name} --force -w ${workstream}` }];
  if (other !== null && !isSame(other, id) && !force)
    throw new Fault("conflict", "linear.other_issue", `${name} belongs to ${quote(other)}, not to ${id}.`, next);
  if (file !== undefined && !force) {
    const message = `${file.path} is there already. With --force it is replaced, and kept in .history.`;
    throw new Fault("conflict", "linear.task_exists", message, next);
  }
  return file && { step: "task", ...file };
}

function linkedAlready({ name, workstream }: TaskRow, id: string): Fault {
  return new Fault("conflict", "linear.linked_already", `${id} belongs to the job ${name} already.`, [
    { intent: "Look at it", command: `mu job show ${name} -w ${workstream}` },
  ]);
}

function archived({ row: { name, workstream } }: JobRow): Fault {
  return new Fault("conflict", "job.archived", `${name} is archived.`, [
    { intent: "See the jobs", command: `mu job list --archived -w ${workstream}` },
  ]);
}

/** What an export would send, or has sent. */
export interface Export {
  title: string;
  description: string;
  /** The issue; null before it is made. */
  issue: Issue | null;
}

/** The title and description that the export of a job sends. Faults `linear.no_task`, `job.archived`, `job.not_found`. */
export async function planExport(
  crew: Crew,
  ref: TaskRef,
): Promise<Omit<Export, "issue"> & { updates: string | null }> {
  const job = await jobRow(crew.context.store.db, ref);
  if (isArchived(job)) throw archived(job);
  const file = await readFileOf(job.root, artifactPath(job.folder, "task"));
  if (file === undefined) {
    throw new Fault("conflict", "linear.no_task", `${ref.name} has no task.md to export.`, [
      { intent: "Write it", command: `mu job run ${ref.name} task -i '…' -w ${ref.workstream}` },
    ]);
  }
  return { ...titled(file.text), updates: job.row.external_ref };
}

/**
 * Sends a job's task.md to its issue in Linear; a job that has none gets a new one. What was asked to be made and never
 * answered is not asked for again without `force`, as Linear cannot tell the two apart.
 *
 * Faults `linear.no_key`, `linear.no_team`, `linear.other_reference`, `linear.maybe_created`, `linear.answer_lost`, those of `planExport` and `ask`.
 */
export async function exportTask(
  crew: Crew,
  ref: TaskRef,
  { force = false, ...options }: LinearOptions = {},
): Promise<Export & { issue: Issue; created: boolean }> {
  const { title, description, updates } = await planExport(crew, ref);
  const linear = await linearOf(crew, ref.workstream, options);
  if (updates !== null) {
    if (!ISSUE_ID.test(updates)) throw otherReference(ref, updates);
    const issue = answered(
      linear,
      await ask(linear, UPDATE, { id: updates, input: { title, description } }),
      "issueUpdate",
    );
    await link(crew, ref, "linear.export", issue);
    return { title, description, issue, created: false };
  }
  if (linear.teamId === "") {
    throw new Fault(
      "usage",
      "linear.no_team",
      "linear.teamId is not set in .mu/settings.json. Say there which team gets the issue.",
    );
  }
  await markCreating(crew, ref, force);
  try {
    const data = await ask(linear, CREATE, { input: { teamId: linear.teamId, title, description } });
    const issue = answered(linear, data, "issueCreate");
    await link(crew, ref, "linear.export", issue);
    return { title, description, issue, created: true };
  } catch (error) {
    const isKnown = error instanceof Fault && error.details["sent"] === false;
    if (isKnown) await link(crew, ref, "linear.export", undefined);
    else if (error instanceof Fault) throw answerLost(ref, error);
    throw error;
  }
}

/** Notes that an issue is being asked for. Faults `linear.maybe_created`. */
async function markCreating({ context }: Crew, ref: TaskRef, force: boolean): Promise<void> {
  const spec = { op: "linear.export", scope: ref.workstream, subject: qualifiedName(ref) };
  await write(context, spec, async (tx) => {
    const { row } = await jobRow(tx.db, ref);
    if (row.external_ref !== null) throw linkedAlready(row, row.external_ref);
    const asked = linearMarkOf(row.payload).creating;
    if (asked !== undefined && !force) throw maybeCreated(ref, asked);
    await setPayloadIn(tx, ref, { linear: { creating: tx.now } });
  });
}

/** Records a job's issue; without one, that none was made. */
async function link({ context }: Crew, ref: TaskRef, op: string, issue: Issue | undefined): Promise<void> {
  const spec = { op, scope: ref.workstream, subject: qualifiedName(ref), payload: { issue: issue?.identifier } };
  await write(context, spec, async (tx) => {
    const linear = issue && { identifier: issue.identifier, url: issue.url };
    await setPayloadIn(tx, ref, { linear }, issue && { external_ref: issue.identifier });
  });
}

function nextOfLost({ workstream, name }: TaskRef) {
  return [
    { intent: "If the issue is there", command: `mu task update ${name} --external-ref <ID> -w ${workstream}` },
    { intent: "If it is not", command: `mu linear export ${name} --force -w ${workstream}` },
  ];
}

function maybeCreated(ref: TaskRef, at: string): Fault {
  const message = `${ref.name} was exported at ${at}, and the answer is not there: Linear may have made an issue. Look there first.`;
  return new Fault("conflict", "linear.maybe_created", message, nextOfLost(ref));
}

function answerLost(ref: TaskRef, { message }: Fault): Fault {
  const text = `${message} Linear may have made the issue all the same: mu does not ask again by itself. Look there first.`;
  return new Fault("unavailable", "linear.answer_lost", text, nextOfLost(ref));
}

function otherReference({ workstream, name }: TaskRef, other: string): Fault {
  return new Fault(
    "conflict",
    "linear.other_reference",
    `${name} belongs to ${quote(other)}, which is no issue of Linear.`,
    [{ intent: "Forget that", command: `mu task update ${name} --clear externalRef -w ${workstream}` }],
  );
}

const ISSUE_ID = /^(?:[A-Za-z][A-Za-z0-9_]{0,31}-\d{1,9}|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/i;

/** `ENG-123`; a number gets the prefix of the team. Faults `linear.invalid_issue`, `linear.no_prefix`. */
function issueId(asked: string, prefix: string): string {
  const id = /^\d{1,9}$/.test(asked) ? `${prefix.replace(/-$/, "")}-${asked}` : asked;
  if (id.startsWith("-")) {
    const message = `Write the whole id, such as ENG-${asked}: linear.teamPrefix is not set in .mu/settings.json.`;
    throw new Fault("usage", "linear.no_prefix", message);
  }
  if (ISSUE_ID.test(id)) return /^[\da-f]{8}-/i.test(id) ? id : id.toUpperCase();
  throw new Fault("usage", "linear.invalid_issue", `${quote(asked)} is no id of an issue: ENG-123, or 123.`);
}

/** The title of a text and the rest of it: its first heading, else its first line. */
export function titled(text: string): { title: string; description: string } {
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/);
  let fence = false;
  let at = lines.findIndex((line) => {
    if (/^\s{0,3}(?:```|~~~)/.test(line)) fence = !fence;
    return !fence && /^#[ \t]+\S/.test(line);
  });
  if (at < 0) at = lines.findIndex((line) => line.trim() !== "");
  const line = (lines[at] ?? "")
    .replace(/^#[ \t]+/, "")
    .replace(/[ \t]+#*$/, "")
    .trim();
  // What does not fit is not lost.
  const rest = line.length > MOST_TITLE ? lines : lines.toSpliced(at, 1);
  const title = line.length > MOST_TITLE ? `${line.slice(0, MOST_TITLE - 1).trimEnd()}…` : line;
  return { title, description: rest.join("\n").trim() };
}

const oneLine = (text: string) => text.replace(/\s+/g, " ").trim();

/** Faults `linear.no_key`, and those of the settings. */
async function linearOf(
  crew: Crew,
  workstream: string,
  { signal, timeoutMs = TIMEOUT_MS }: LinearOptions,
): Promise<Linear> {
  const root = await rootOf(crew.context.store.db, workstream);
  const { settings, env } = await readProject(root, crew.env);
  const key = (env[KEY] ?? "").trim();
  const why = key === "" ? "is not set" : /^[\x21-\x7e]+$/.test(key) ? undefined : "is no key";
  if (why !== undefined) {
    throw new Fault(
      "unavailable",
      "linear.no_key",
      `${KEY} ${why}. Put the key into the environment or the project's .env.`,
    );
  }
  // A project's file must not decide who gets the key.
  return { url: crew.env["MU_LINEAR_URL"] || SERVER, key, ...settings.linear, signal, timeoutMs };
}

/**
 * Asks Linear once. Faults `linear.unreachable`, `linear.rate_limited`, `linear.unauthorized`, `linear.bad_answer`, `linear.refused`; where the
 * fault has `sent: false`, nothing was changed there.
 */
async function ask(linear: Linear, query: string, variables: object): Promise<Record<string, unknown>> {
  const { url, key, timeoutMs } = linear;
  const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(linear.signal ? [linear.signal] : [])]);
  let status: number;
  let text: string | undefined;
  try {
    const response = await fetch(url, {
      ...{ method: "POST", redirect: "error", signal },
      headers: { authorization: key, "content-type": "application/json" },
      body: JSON.stringify({ query, variables }),
    });
    status = response.status;
    text = await textOf(response);
  } catch (error) {
    if (linear.signal?.aborted) throw interrupted("Interrupted before Linear has answered.");
    // The message of the error may have the key in it.
    const { name, cause } = error as Error & { cause?: { code?: string } };
    const why = name === "TimeoutError" ? `no answer within ${timeoutMs / 1000} s` : (cause?.code ?? name);
    throw new Fault("unavailable", "linear.unreachable", `Linear could not be asked (${why}).`, [], {
      sent: !/^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH)$/.test(cause?.code ?? ""),
    });
  }
  return dataOf(linear, status, text);
}

function dataOf(linear: Linear, status: number, text: string | undefined): Record<string, unknown> {
  const found = text === undefined ? undefined : parse(text);
  const errors = isObject(found) && Array.isArray(found["errors"]) ? found["errors"] : [];
  const codes = errors.map((error) =>
    isObject(error) && isObject(error["extensions"]) ? error["extensions"]["code"] : "",
  );
  const isPartial =
    isObject(found) && isObject(found["data"]) && Object.values(found["data"]).some((one) => one !== null);
  const sent = { sent: status >= 500 || isPartial };
  if (codes.includes("RATELIMITED") || status === 429) {
    throw new Fault(
      "unavailable",
      "linear.rate_limited",
      "Linear takes no more requests for now. Try again later.",
      [],
      sent,
    );
  }
  if (codes.includes("AUTHENTICATION_ERROR") || status === 401 || status === 403) {
    throw new Fault("unavailable", "linear.unauthorized", `Linear does not take the key in ${KEY}.`, [], sent);
  }
  if (errors.length > 0) {
    const words = errors.map((error) => (isObject(error) ? String(error["message"] ?? "") : "")).filter(Boolean);
    const said = redact(oneLine(words.join("; ")).slice(0, 500), [linear.key]) || "it did not say why";
    throw new Fault("negative", "linear.refused", `Linear refused: ${said}`, [], sent);
  }
  if (status === 200 && isObject(found) && isObject(found["data"])) return found["data"];
  const what = text === undefined ? `more than ${MOST_BYTES} bytes` : found === undefined ? "no JSON" : "no data";
  throw garbled(linear, `HTTP ${status}, ${what}`);
}

function garbled({ key }: Linear, what: string): Fault {
  return new Fault("unavailable", "linear.bad_answer", `Linear's answer cannot be used: ${redact(what, [key])}.`);
}

/** Undefined if it is too long. */
async function textOf({ body }: Response): Promise<string | undefined> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body ?? []) {
    bytes += part.length;
    if (bytes > MOST_BYTES) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function issueIn(value: unknown): (Issue & { description: string | null }) | undefined {
  if (!isObject(value)) return undefined;
  const { identifier, title, url, description } = value;
  if (typeof identifier !== "string" || !ISSUE_ID.test(identifier) || typeof title !== "string") return undefined;
  const text = (one: unknown) => (typeof one === "string" ? one : null);
  return { identifier, title, url: text(url), description: text(description) };
}

/** The issue that a mutation gives. Faults `linear.refused`, `linear.bad_answer`. */
function answered(linear: Linear, data: Record<string, unknown>, mutation: string): Issue {
  const result = data[mutation];
  if (isObject(result) && result["success"] === false) {
    throw new Fault("negative", "linear.refused", "Linear did not do it, and did not say why.", [], { sent: false });
  }
  const issue = isObject(result) ? issueIn(result["issue"]) : undefined;
  if (issue === undefined) throw garbled(linear, "it names no issue");
  const { description: _, ...rest } = issue;
  return rest;
}
