import { existsSync } from "node:fs";
import { mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Claimant } from "../agents/agent.js";
import type { Reader } from "../db/schema.js";
import { statement } from "../db/statement.js";
import type { Tx } from "../db/write.js";
import { Fault } from "../errors.js";
import type { Host } from "../host.js";
import { qualifiedName, type TaskRef } from "../names.js";
import { listRuns, type Run } from "../runs/run.js";
import { shape, type TypeOf } from "../shape.js";
import { ownTaskToChange, type TaskToChange, taskVerb } from "../tasks/change.js";
import { readStep, resumeJobIn, resumeStepIn } from "../tasks/flow/steps.js";
import { insertNote } from "../tasks/notes.js";
import { type Task, taskRow, toTask } from "../tasks/task.js";
import { writeWhole } from "../whole-file.js";
import type { Scene } from "./facts.js";

/** The holds that a person must take off. */
const HOLDS = ["escalated", "failed", "blocked"] as const;

/** The events that may begin a hold. */
export const HOLD_OPS = ["run.settle", "run.refuse", "task.escalate"];

/** A task that waits for a person. */
export const ESCALATION = shape({
  task: "string",
  workstream: "string",
  role: "string | null",
  hold: "string",
  reason: "string | null",
  attempts: "number",
  /** The file that says what happened; null before the dispatcher has written it. */
  file: "string | null",
});

export type Escalation = TypeOf<typeof ESCALATION>;

const selectHeld = statement((db, { workstreamId }: { workstreamId: number }) =>
  db
    .selectFrom("tasks")
    .select(["name", "role", "hold", "hold_reason", "attempts"])
    .where("workstream_id", "=", workstreamId)
    .where("status", "=", "OPEN")
    .where("hold", "in", HOLDS)
    .orderBy("name"),
);

/** The tasks of a workstream that wait for a person, by name. */
export async function listEscalations(db: Reader, scene: Scene): Promise<Escalation[]> {
  const rows = await selectHeld(db, { workstreamId: scene.workstream.id });
  return rows.map(({ name: task, role, hold, hold_reason: reason, attempts }) => {
    const path = fileOf(scene, task);
    const file = path !== undefined && existsSync(path) ? path : null;
    return { task, workstream: scene.workstream.name, role, hold: hold ?? "", reason, attempts, file };
  });
}

function folderOf({ workstream: { root }, settings }: Scene): string | undefined {
  return root === null ? undefined : join(root, settings.paths.escalations);
}

function fileOf(scene: Scene, task: string): string | undefined {
  const folder = folderOf(scene);
  return folder && join(folder, `${task}.md`);
}

/** Writes the files that are missing, and puts away those whose task waits for nobody any more; gives the new ones. */
export async function keepEscalationFiles(host: Host, scene: Scene): Promise<Escalation[]> {
  const folder = folderOf(scene);
  if (folder === undefined) return [];
  const { db } = host.context.store;
  const open = await listEscalations(db, scene);
  const fresh = open.filter(({ file }) => file === null);
  for (const one of fresh) {
    const ref = { workstream: one.workstream, name: one.task };
    const runs = await listRuns(db, one.workstream, { task: one.task });
    await writeWhole(join(folder, `${one.task}.md`), escalationText(toTask(await taskRow(db, ref)), runs), 0o644);
  }
  await putAway(folder, open);
  return fresh;
}

/** Puts away the files whose task waits for nobody any more. */
export async function putAwayEscalations(host: Host, scene: Scene): Promise<void> {
  const folder = folderOf(scene);
  if (folder !== undefined) await putAway(folder, await listEscalations(host.context.store.db, scene));
}

async function putAway(folder: string, open: readonly Escalation[]): Promise<void> {
  const names = open.map(({ task }) => `${task}.md`);
  const files = await readdir(folder).catch(() => [] as string[]);
  for (const file of files.filter((name) => name.endsWith(".md") && !names.includes(name))) {
    await mkdir(join(folder, "resolved"), { recursive: true });
    await rename(join(folder, file), join(folder, "resolved", file)).catch((error: NodeJS.ErrnoException) => {
      // Another process was first.
      if (error.code !== "ENOENT") throw error;
    });
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  escalated:
    "Read the attempts below. If the task is right, mend what stops it and requeue it; else change or reject it.",
  failed: "The settings or the sign-in of its agent CLI are wrong. Mend them (`mu role check`), then requeue it.",
  blocked: "The agent needs an answer. Note it on the task, then requeue it.",
};

/** What happened to a task, and what a person can do. */
function escalationText(task: Task, runs: readonly Run[]): string {
  const at = qualifiedName(task);
  const attempts = runs.map(
    ({ id, finishedAt, state, failure, reason }) =>
      `| ${id} | ${finishedAt ?? "under way"} | ${failure ?? state} | ${(reason ?? "").replace(/[|\n]/g, " ")} |`,
  );
  const last = runs.find(({ answer }) => answer !== null)?.answer;
  return `${[
    `# ${at}: ${task.title}`,
    `Held (${task.hold}) for ${task.role ?? "nobody"}: ${task.holdReason ?? ""}`,
    `## What to do\n\n${ADVICE[task.hold ?? ""] ?? ADVICE["escalated"]}\n\n${[
      `mu task requeue ${at}`,
      `mu task note ${at} '…'`,
      `mu task route ${at} --role <role>`,
      `mu task kill ${at}`,
    ]
      .map((line) => `    ${line}`)
      .join("\n")}`,
    `## Attempts\n\n| run | ended | how | why |\n| --- | --- | --- | --- |\n${attempts.join("\n")}`,
    last && `## The last that its agent said\n\n${last.trim().split("\n").slice(-20).join("\n")}`,
    task.description && `## Description\n\n${task.description}`,
    task.payload !== null && `## Payload\n\n${JSON.stringify(task.payload, null, 2)}`,
  ]
    .filter(Boolean)
    .join("\n\n")}\n`;
}

export interface Requeue {
  role?: string | undefined;
}

/**
 * Makes a task ready again with all its attempts, for another role if one is given; a step of a job whose rounds are used up
 * goes on with its maker. Faults `task.not_open`,
 * `task.not_owner`, `task.not_found`.
 */
export const requeueTask = taskVerb("task.requeue", requeueTaskIn);

export async function requeueTaskIn(tx: Tx, ref: TaskRef, claimant: Claimant, { role }: Requeue) {
  const row = await openRow(tx, ref, claimant);
  if (row.kind === "job" && (await resumeJobIn(tx, row)) !== undefined) {
    return { task: toTask(await taskRow(tx.db, ref)), changed: true };
  }
  const step = await readStep(tx.db, row);
  if (step?.flow.nodes.every(({ state }) => state !== "open")) {
    await resumeStepIn(tx, step, "make");
    return { task: toTask(await taskRow(tx.db, ref)), changed: true };
  }
  const free = { hold: null, hold_reason: null, not_before: null, attempts: 0, outcome: null };
  const wanted = { ...free, ...(role !== undefined && { role }) };
  const changed = Object.entries(wanted).some(([column, value]) => row[column as keyof typeof row] !== value);
  const after = changed ? await tx.patch("tasks", row.id, { ...wanted, updated_at: tx.now }, row) : row;
  return { task: toTask({ ...row, ...after }), changed };
}

async function openRow(tx: Tx, ref: TaskRef, claimant: Claimant): Promise<TaskToChange> {
  const row = await ownTaskToChange(tx.db, ref, claimant, {});
  if (row.status === "OPEN") return row;
  throw new Fault("conflict", "task.not_open", `${row.name} is ${row.status}. Open it first.`, [
    { intent: "Open it", command: `mu task open ${qualifiedName(ref)}` },
  ]);
}

/** Holds a task for a person, with the reason. Faults `task.not_owner`, `task.not_found`, `task.not_open`. */
export const escalateTask = taskVerb(
  "task.escalate",
  async (tx, ref: TaskRef, claimant: Claimant, { reason }: { reason: string }) => {
    const row = await openRow(tx, ref, claimant);
    const held = { hold: "escalated", hold_reason: reason, updated_at: tx.now };
    const after = await tx.patch("tasks", row.id, held, row);
    await insertNote(tx, row.id, tx.actor, { text: `[escalated] ${reason}` });
    return { task: toTask({ ...row, ...after }) };
  },
);
