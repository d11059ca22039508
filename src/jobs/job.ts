import { existsSync } from "node:fs";
import { mkdir, readdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Crew } from "../agents/crew.js";
import type { Context } from "../db/context.js";
import { removeRows } from "../db/destroy.js";
import type { Reader } from "../db/schema.js";
import { type Tx, write } from "../db/write.js";
import { Fault, insteadOfFault } from "../errors.js";
import { type JobPlan, jobPlanOf, pushMarkOf, valuesIn } from "../flow/payload.js";
import { isStepName, STEP_NAMES } from "../flow/steps.js";
import type { Host } from "../host.js";
import { checkTaskName, counted, didYouMean, enumerate, qualifiedName, quote, type TaskRef } from "../names.js";
import { MICROS } from "../runs/run.js";
import { shape, type TypeOf } from "../shape.js";
import { addTaskIn, taskExists } from "../tasks/add.js";
import { findTask, selectTasks, TASK_STATUSES, type TaskRow, type TaskStatus, taskRow } from "../tasks/task.js";
import { transition } from "../tasks/transition.js";
import { detectBackend } from "../vcs/backends.js";
import { gitEntries } from "../vcs/git/run.js";
import { createWorkspace } from "../workspaces/create.js";
import { findWorkspaceRow } from "../workspaces/workspace.js";
import { workstreamRow } from "../workstreams/workstream.js";
import { ARCHIVE, artifactPath, DELETED, freeName, JOBS, jobFolder } from "./folder.js";

/** A step of a job as it was asked for, with what it came to. */
export const JOB_STEP = shape({
  /** Its task. */
  task: "string",
  step: STEP_NAMES,
  status: TASK_STATUSES,
  /** `done`, `unreviewed`, `tests_failing`; null while it goes on. */
  outcome: "string | null",
  /** Why it waits for a person: the step itself, or one of its tasks. */
  hold: "string | null",
  holdReason: "string | null",
  /** Which of its tasks is held. */
  heldTask: "string | null",
  runs: "number",
  costUsd: "number",
});
export type JobStep = TypeOf<typeof JOB_STEP>;

export const JOB = shape({
  name: "string",
  workstream: "string",
  title: "string",
  status: TASK_STATUSES,
  /** Why it waits for a person: it came back from landing or from a review. */
  hold: "string | null",
  holdReason: "string | null",
  /** Its commits are on the branch. */
  landed: "boolean",
  /** Relative to the project's folder. */
  folder: "string",
  /** Whose documents its agents get; null until somebody has chosen. */
  modules: "string[] | null",
  /** Its own checkout. */
  checkout: "string | null",
  /** Steps whose artifact is there. */
  artifacts: [STEP_NAMES],
  steps: [JOB_STEP],
  costUsd: "number",
  createdAt: "string",
});
export type Job = TypeOf<typeof JOB>;

const DIR_KEY = "folder";

/** A job's task, with what mu keeps in it. */
export interface JobRow {
  row: TaskRow;
  plan: JobPlan;
  /** The project's folder. */
  root: string;
  /** The job's, relative to it. */
  folder: string;
}

/** The folder that the jobs of a workstream are in. Faults `job.no_folder`. */
export async function rootOf(db: Reader, workstream: string): Promise<string> {
  const { root } = await workstreamRow(db, workstream);
  if (root !== null) return root;
  throw new Fault("conflict", "job.no_folder", `${workstream} has no project folder, where jobs keep their files.`, [
    { intent: "Give it one", command: `mu workstream set root <folder> -w ${workstream}` },
  ]);
}

/** A job by the name of its task. Faults `job.not_found`, `job.no_folder`. */
export async function jobRow(db: Reader, { workstream, name }: TaskRef): Promise<JobRow> {
  const root = await rootOf(db, workstream);
  const [row] = await selectJobs(db, workstream).where("t.name", "=", name).execute();
  if (row !== undefined) return toJobRow(row, root);
  const names = (await selectJobs(db, workstream).execute()).map((job) => job.name);
  const adopt = existsSync(join(root, jobFolder(name)));
  throw new Fault(
    "missing",
    "job.not_found",
    `There is no job ${quote(name)} in ${workstream}.${adopt ? ` Its folder ${jobFolder(name)} is there.` : didYouMean(name, names)}`,
    [
      adopt
        ? { intent: "Adopt the folder", command: `mu job adopt ${name} -w ${workstream}` }
        : { intent: "See the jobs", command: `mu job list -w ${workstream}` },
    ],
  );
}

/** The jobs of a workstream by name, archived ones too. Faults `job.no_folder`. */
export async function jobRows(db: Reader, workstream: string): Promise<JobRow[]> {
  const root = await rootOf(db, workstream);
  return (await selectJobs(db, workstream).execute()).map((row) => toJobRow(row, root));
}

function toJobRow(row: TaskRow, root: string): JobRow {
  const given = folderIn(row.payload);
  return { row, plan: jobPlanOf(row.payload), root, folder: given ?? jobFolder(row.name) };
}

/** Where an archived job's files are. */
function folderIn(payload: string | null): string | undefined {
  const found = valuesIn(payload)[DIR_KEY];
  return typeof found === "string" && found.startsWith(`${JOBS}/`) && !found.includes("..") ? found : undefined;
}

const selectJobs = (db: Reader, workstream: string) =>
  selectTasks(db).where("w.name", "=", workstream).where("t.kind", "=", "job").orderBy("t.name");

export interface NewJob {
  name: string;
  title?: string | undefined;
  /** A checkout of its own, in which its agents work. */
  workspace?: boolean | undefined;
  /** Refuses a project folder with changes that are not committed. */
  clean?: boolean | undefined;
  /** The folder is there already. */
  adopt?: boolean | undefined;
}

/**
 * Makes a job: its task and its folder, and a checkout if it wants one. Faults `task.invalid_name`, `job.exists`,
 * `job.folder_exists`, `job.dirty`, `job.no_folder`, and those of `createWorkspace`.
 */
export async function createJob(
  crew: Crew,
  workstream: string,
  { name, title = name, workspace = false, clean = false, adopt = false }: NewJob,
): Promise<{ job: Job; warnings: TreeWarning[] }> {
  checkJobName(name);
  const { db } = crew.context.store;
  const root = await rootOf(db, workstream);
  const ref = { workstream, name };
  if ((await findTask(db, ref)) !== undefined) throw taskExists(ref);
  const folder = join(root, jobFolder(name));
  if (existsSync(folder) !== adopt) throw adopt ? noFolder(ref) : folderExists(ref);
  const warnings = await lookAtTree(crew, root, { clean });
  // What a `job new` that was cut off has left is taken over.
  const isMade = workspace && (await findWorkspaceRow(db, ref))?.state === "ready";
  if (workspace && !isMade) await createWorkspace(crew, ref, { projectRoot: root });
  await write(crew.context, { op: "job.new", scope: workstream, subject: qualifiedName(ref) }, async (tx) => {
    const plan: JobPlan = { modules: null, workspace };
    await addTaskIn(tx, workstream, { name, title, kind: "job", payload: { job: plan } });
  });
  await mkdir(folder, { recursive: true });
  return { job: await getJob(db, ref), warnings };
}

const MOST_NAME = 32;

/** A job's name is that of its task, its folder and its checkout. */
function checkJobName(name: string): void {
  checkTaskName(name);
  if (name.length <= MOST_NAME) return;
  throw new Fault("usage", "task.invalid_name", `${quote(name)} is too long for a job: at most ${MOST_NAME} letters.`);
}

function folderExists({ workstream, name }: TaskRef): Fault {
  return new Fault("conflict", "job.folder_exists", `${jobFolder(name)} is there already, without a job.`, [
    { intent: "Make it a job", command: `mu job adopt ${name} -w ${workstream}` },
  ]);
}

function noFolder({ workstream, name }: TaskRef): Fault {
  return new Fault("missing", "job.no_such_folder", `There is no folder ${jobFolder(name)} to adopt.`, [
    { intent: "Make a new job", command: `mu job new ${name} -w ${workstream}` },
  ]);
}

type TreeWarning = { code: string; message: string };

/** Warns of files of the project folder that are not committed; with `clean` refuses them. Faults `job.dirty`. */
export async function lookAtTree(host: Host, root: string, { clean }: { clean: boolean }): Promise<TreeWarning[]> {
  const dirty = await uncommitted(host, root);
  if (dirty === 0) return [];
  const message = `${counted(dirty, "file")} of the project not committed. Commit first, so that you can go back.`;
  if (!clean) return [{ code: "uncommitted", message }];
  throw new Fault("conflict", "job.dirty", message, [{ intent: "See them", command: "git status" }]);
}

/** How many files of the project folder are not committed, mu's own left out; 0 where that is not known. */
async function uncommitted(host: Host, root: string): Promise<number> {
  const { backend, root: top } = await detectBackend(host, root);
  if (backend.key !== "git") return 0;
  const args = ["status", "--porcelain", "-z", "--untracked-files=normal", "--", ".", ":(exclude,top).mu"];
  return (await gitEntries(host, top, args).catch(insteadOfFault([]))).length;
}

/** A job with its steps. Faults as `jobRow`. */
export async function getJob(db: Reader, ref: TaskRef): Promise<Job> {
  return describeJob(db, await jobRow(db, ref));
}

/** The jobs of a workstream by name, and the folders of which nobody has made a job yet. Faults `job.no_folder`. */
export async function listJobs(
  db: Reader,
  workstream: string,
  { archived = false }: { archived?: boolean } = {},
): Promise<{ jobs: Job[]; folders: string[] }> {
  const root = await rootOf(db, workstream);
  const rows = await jobRows(db, workstream);
  const names = new Set(rows.map(({ row }) => row.name));
  const jobs: Job[] = [];
  for (const one of rows) {
    if (archived || !isArchived(one)) jobs.push(await describeJob(db, one));
  }
  const entries = await readdir(join(root, JOBS), { withFileTypes: true }).catch(() => []);
  const folders = entries.filter(
    (entry) => entry.isDirectory() && !entry.name.startsWith(".") && !names.has(entry.name),
  );
  return { jobs, folders: folders.map((entry) => entry.name).sort() };
}

export const isArchived = ({ folder }: Pick<JobRow, "folder">) => folder.startsWith(`${ARCHIVE}/`);

async function describeJob(db: Reader, { row, plan, root, folder }: JobRow): Promise<Job> {
  const steps = await stepsOf(db, row);
  return {
    ...{ name: row.name, workstream: row.workstream, title: row.title, status: row.status as TaskStatus },
    ...{ hold: row.hold, holdReason: row.hold_reason, landed: row.level === "landed" },
    ...{ folder, modules: plan.modules, createdAt: row.created_at, steps },
    checkout: plan.workspace ? ((await findWorkspaceRow(db, row))?.path ?? null) : null,
    artifacts: STEP_NAMES.filter((step) => existsSync(join(root, artifactPath(folder, step)))),
    costUsd: steps.reduce((sum, { costUsd }) => sum + costUsd, 0),
  };
}

/** The steps of a job in the order in which they were asked for. */
export async function stepsOf(db: Reader, job: Pick<TaskRow, "id">): Promise<JobStep[]> {
  const steps = await db
    .selectFrom("tasks")
    .select(["id", "name", "step", "status", "outcome", "hold", "hold_reason"])
    .where("root_id", "=", job.id)
    .where("kind", "=", "step")
    .orderBy("id")
    .execute();
  const parts = await db
    .selectFrom("tasks as t")
    .innerJoin("task_edges as e", "e.blocker_id", "t.id")
    .leftJoin("runs as r", "r.task_id", "t.id")
    .select(["e.blocked_id as of", "t.name", "t.hold", "t.hold_reason", "r.id as run", "r.cost_micros", "r.state"])
    .where("t.root_id", "=", job.id)
    .where("t.kind", "<>", "step")
    .orderBy("t.id")
    .execute();
  return steps.flatMap(({ id, name, step, status, outcome, hold, hold_reason }) => {
    if (!isStepName(step)) return [];
    const own = parts.filter(({ of }) => of === id);
    const held = own.find((part) => part.hold !== null);
    return [
      {
        ...{ task: name, step, status: status as TaskStatus, outcome },
        hold: hold ?? held?.hold ?? null,
        holdReason: hold_reason ?? held?.hold_reason ?? null,
        heldTask: hold === null ? (held?.name ?? null) : name,
        runs: new Set(own.flatMap(({ run, state }) => (run === null || state === "cancelled" ? [] : [run]))).size,
        costUsd: own.reduce((sum, { cost_micros }) => sum + Number(cost_micros ?? 0), 0) / MICROS,
      },
    ];
  });
}

/** The tasks of a job, its own left out, with their status. */
export function partsOf(db: Reader, job: Pick<TaskRow, "id">) {
  return selectTasks(db).where("t.root_id", "=", job.id).orderBy("t.id").execute();
}

/** Refuses to move a job's files while an agent works on it, or while it is being pushed. Faults `job.running`, `job.pushing`. */
export async function requireQuiet(db: Reader, { row }: JobRow, verb: string): Promise<void> {
  requireNoPush(row);
  const running = (await partsOf(db, row)).filter(({ status }) => status === "IN_PROGRESS");
  if (running.length === 0) return;
  throw new Fault(
    "conflict",
    "job.running",
    `${row.name} cannot be ${verb} while agents work on ${enumerate(running.map(({ name }) => name))}.`,
    [{ intent: "Stop them", command: `mu job cancel ${row.name} -w ${row.workstream}` }],
  );
}

/** Refuses to go on with a job whose files a push has moved and not committed yet. Faults `job.pushing`. */
export function requireNoPush({ name, workstream, payload }: Pick<TaskRow, "name" | "workstream" | "payload">): void {
  if (pushMarkOf(payload)?.state !== "begun") return;
  throw new Fault("conflict", "job.pushing", `${name} is being pushed, or its push was cut off.`, [
    { intent: "Push it to the end", command: `mu job push ${name} --yes -w ${workstream}` },
  ]);
}

/** Gives a job another name, and its folder. Faults `job.running`, `job.has_checkout`, `task.exists`, `job.folder_exists`. */
export async function renameJob(context: Context, ref: TaskRef, name: string): Promise<Job> {
  checkJobName(name);
  const { db } = context.store;
  const job = await jobRow(db, ref);
  await requireQuiet(db, job, "renamed");
  if (job.plan.workspace) {
    const message = `${ref.name} has a checkout and a branch of that name. Land it, or make another job.`;
    throw new Fault("conflict", "job.has_checkout", message);
  }
  const to = { workstream: ref.workstream, name };
  if (name !== ref.name && (await findTask(db, to)) !== undefined) throw taskExists(to);
  const folder = isArchived(job) ? job.folder : jobFolder(name);
  await moveFolder(job, folder, to);
  await changeJob(context, "job.rename", job, { name }, {});
  return getJob(db, to);
}

/** Moves a job's folder; one that was moved by a call that was cut off is where it should be. */
export async function moveFolder({ root, folder }: JobRow, to: string, ref: TaskRef): Promise<void> {
  if (folder === to || !existsSync(join(root, folder))) return;
  if (existsSync(join(root, to))) throw folderExists(ref);
  await mkdir(dirname(join(root, to)), { recursive: true });
  await rename(join(root, folder), join(root, to));
}

type JobColumns = Partial<Pick<TaskRow, "name" | "title" | "external_ref">>;

async function changeJob(context: Context, op: string, job: JobRow, columns: JobColumns, payload: object) {
  const { workstream, name } = job.row;
  await write(context, { op, scope: workstream, subject: qualifiedName({ workstream, name }) }, async (tx) => {
    const row = await taskRow(tx.db, { workstream, name });
    await tx.patch("tasks", row.id, { ...columns, ...payload, updated_at: tx.now }, row);
  });
}

/** Sets the modules of a job; null has the router choose again. */
export function setModules(context: Context, job: JobRow, modules: string[] | null): Promise<void> {
  return changeJob(
    context,
    "job.modules",
    job,
    {},
    { payload: withPayload(job.row, { job: { ...job.plan, modules } }) },
  );
}

const withPayload = ({ payload }: TaskRow, more: object): string => JSON.stringify({ ...valuesIn(payload), ...more });

/** Sets keys of a job's payload, and columns with them; what is undefined is taken out. */
export async function setPayloadIn(tx: Tx, ref: TaskRef, more: object, columns: JobColumns = {}): Promise<void> {
  const row = await taskRow(tx.db, ref);
  await tx.patch("tasks", row.id, { ...columns, payload: withPayload(row, more), updated_at: tx.now }, row);
}

/** Ends the parts of a job that nobody works on. */
export async function endPartsIn(tx: Tx, job: Pick<TaskRow, "id">): Promise<string[]> {
  const open = (await partsOf(tx.db, job)).filter(({ status }) => status === "OPEN");
  for (const part of open)
    await transition(tx, part, "reject", { outcome: "cancelled", hold: null, hold_reason: null });
  return open.map(({ name }) => name);
}

/** Puts a job away: its files go to the archive, what is left of it is cancelled, its task is closed. Faults `job.running`. */
export async function archiveJob(context: Context, ref: TaskRef): Promise<Job> {
  const { db } = context.store;
  const job = await jobRow(db, ref);
  if (isArchived(job)) return getJob(db, ref);
  await requireQuiet(db, job, "archived");
  await archiveFiles(context, job);
  return getJob(db, ref);
}

async function archiveFiles(context: Context, job: JobRow): Promise<void> {
  const { root, row } = job;
  const folder = archiveFolder(root, row.name);
  await moveFolder(job, folder, row);
  const spec = { op: "job.archive", scope: row.workstream, subject: qualifiedName(row) };
  await write(context, spec, (tx) => archiveIn(tx, row, folder));
}

/** A folder of the archive that is free. */
export const archiveFolder = (root: string, name: string) => join(ARCHIVE, freeName(join(root, ARCHIVE), name));

/** Records that a job's files are in a folder of the archive, ends what is open of it, and closes its task. */
export async function archiveIn(tx: Tx, { workstream, name, id }: TaskRow, folder: string, more = {}): Promise<void> {
  await endPartsIn(tx, { id });
  const now = await taskRow(tx.db, { workstream, name });
  const columns = { payload: withPayload(now, { ...more, [DIR_KEY]: folder }) };
  const closed = await transition(tx, now, "close", { ...columns, outcome: "archived", work_to: now.work_to });
  if (closed === undefined) await tx.patch("tasks", now.id, { ...columns, updated_at: tx.now }, now);
}

/** Deletes a job's tasks; its files are kept aside, and where is told. Faults `job.running`. */
export async function deleteJob(context: Context, ref: TaskRef): Promise<{ tasks: string[]; files: string | null }> {
  const { db } = context.store;
  const job = await jobRow(db, ref);
  await requireQuiet(db, job, "deleted");
  const { root, row, folder } = job;
  const there = existsSync(join(root, folder));
  const kept = join(DELETED, freeName(join(root, DELETED), row.name));
  await moveFolder(job, kept, ref);
  const spec = { op: "job.delete", scope: ref.workstream, subject: qualifiedName(ref) };
  const tasks = await write(context, spec, async (tx) => {
    const parts = await partsOf(tx.db, row);
    await removeRows(tx, "tasks", [...parts.map(({ id }) => id).reverse(), row.id]);
    return [...parts.map(({ name }) => name), row.name];
  });
  return { tasks, files: there ? kept : null };
}
