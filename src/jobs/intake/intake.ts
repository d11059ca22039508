import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Context } from "../../db/context.js";
import type { Reader } from "../../db/schema.js";
import { write } from "../../db/write.js";
import { Fault } from "../../errors.js";
import { INTAKE_STEP, type IntakeKind } from "../../flow/intake.js";
import { type RunWish, type StepPlan, valuesIn } from "../../flow/payload.js";
import { DEFAULT_LIMITS, type NodeKind, ROLE_OF } from "../../flow/steps.js";
import { qualifiedName } from "../../names.js";
import type { ProjectSettings } from "../../project/settings.js";
import { isObject } from "../../shape.js";
import { addIntakeIn } from "../../tasks/flow/intakes.js";
import { selectTasks, type TaskRow } from "../../tasks/task.js";
import { writeWhole } from "../../whole-file.js";

/** Where the documents of intakes are, in the project's folder. */
export const INTAKES = ".mu/intake";
export const intakePath = (name: string) => join(INTAKES, `${name}.md`);

/** The one item of somebody's queue that a request is about. */
export interface Scope {
  item_id: string;
  title: string | null;
  source_queue: string | null;
  spec_path: string | null;
  completion_ref: string | null;
  constraints: string[];
}

export interface IntakeWish {
  text: string;
  kind: IntakeKind;
  scope?: Scope | undefined;
  /** How its runs are started, over the settings. */
  run?: Pick<RunWish, "cli" | "model"> | undefined;
  /** Which request asked for it. */
  request?: string | undefined;
}

/** An intake, and whether it was there already. */
export interface Filed {
  row: TaskRow;
  /** Of its document, relative to the project's folder. */
  path: string;
  existed: boolean;
}

/**
 * Files a request as an intake: its task, the first task in it, its document. An item that was filed before is that one, by
 * its exact name. Faults `intake.no_text`, `workstream.not_found`.
 */
export async function fileIntake(
  context: Context,
  { workstream, root }: { workstream: string; root: string | null },
  settings: ProjectSettings,
  wish: IntakeWish,
): Promise<Filed> {
  const { text, kind, scope, run, request } = wish;
  if (text.trim() === "") throw new Fault("usage", "intake.no_text", "The task text is required.");
  const title = (scope?.title ?? text.trim().split("\n")[0] ?? "").slice(0, 200).trim() || "A request";
  const spec = { op: "intake.file", scope: workstream, subject: workstream };
  const filed = await write(context, spec, async (tx) => {
    const known = scope && (await intakeOfItem(tx.db, workstream, scope.item_id));
    if (known !== undefined) return { row: known, existed: true };
    const payload = { intake: { scope: scope ?? null, request: request ?? null } };
    const plan = planIntake(settings, run ?? {}, text);
    const row = await addIntakeIn(tx, workstream, {
      ...{ kind, title, plan, payload, externalRef: scope?.item_id, description: text },
    });
    tx.about(qualifiedName(row));
    return { row, existed: false };
  });
  const path = intakePath(filed.row.name);
  if (root !== null && !existsSync(join(root, path))) {
    await writeWhole(join(root, path), documentOf(filed.row, kind, text, scope), 0o644);
  }
  return { ...filed, path };
}

/** The intake of somebody's item, whatever became of it. */
export async function intakeOfItem(db: Reader, workstream: string, item: string): Promise<TaskRow | undefined> {
  return selectTasks(db)
    .where("w.name", "=", workstream)
    .where("t.kind", "=", "intake")
    .where("t.external_ref", "=", item)
    .orderBy("t.id", "desc")
    .limit(1)
    .executeTakeFirst();
}

function planIntake({ jobs, roles }: ProjectSettings, run: Pick<RunWish, "cli" | "model">, text: string): StepPlan {
  const kinds: NodeKind[] = ["recon", "decompose", "build", "test", "verify"];
  const nodes = kinds.map((kind) => {
    const role = ROLE_OF[kind];
    const cli = run.cli ?? (roles[role] === undefined ? jobs.cli : undefined);
    const isReader = kind === "recon" || kind === "verify";
    const wish: RunWish = {
      ...{ ...run, here: true },
      ...(cli !== undefined && { cli }),
      ...(isReader && { access: "read-only" as const }),
    };
    return [kind, { role, run: wish }];
  });
  const limits = { ...DEFAULT_LIMITS, tests: jobs.maxTests };
  return { instructions: text, limits, base: 0, nodes: Object.fromEntries(nodes) };
}

/** The document of an intake: what is asked for, and what its agents must keep to. */
function documentOf({ name, title }: TaskRow, kind: IntakeKind, text: string, scope: Scope | undefined): string {
  const parts = [`# ${title}`, `Intake: ${name} (${kind})`, text.trim(), scope && scopeText(scope)];
  return `${parts.filter(Boolean).join("\n\n")}\n`;
}

/** The contract of one item, for people and agents. */
export function scopeText(scope: Scope): string {
  const lines: [string, string | null][] = [
    ["Item", scope.item_id],
    ["Title", scope.title],
    ["Queue", scope.source_queue],
    ["Specification", scope.spec_path],
    ["Signal of completion", scope.completion_ref],
  ];
  const rules = [
    "This item only: take no other item of that queue along.",
    "Give no signal of completion for any other item.",
    ...scope.constraints,
  ];
  return [
    "## Scope",
    lines.flatMap(([head, value]) => (value === null ? [] : [`- ${head}: ${value}`])).join("\n"),
    rules.map((rule) => `- ${rule}`).join("\n"),
  ].join("\n\n");
}

/** The scope that an intake was filed with. */
export function scopeOf({ payload }: Pick<TaskRow, "payload">): Scope | null {
  const { intake } = valuesIn(payload);
  return isObject(intake) && isObject(intake["scope"]) ? (intake["scope"] as unknown as Scope) : null;
}

/** The tasks of an intake and of those that follow it up. */
export async function partsOfIntake(db: Reader, row: Pick<TaskRow, "id">): Promise<TaskRow[]> {
  const roots = [row.id, ...(await followUps(db, row.id))];
  return selectTasks(db).where("t.root_id", "in", roots).where("t.step", "=", INTAKE_STEP).orderBy("t.id").execute();
}

/** The intakes that an intake waits for, by row id. */
export async function followUps(db: Reader, root: number): Promise<number[]> {
  const rows = await db
    .selectFrom("task_edges as e")
    .innerJoin("tasks as t", "t.id", "e.blocker_id")
    .select("t.id")
    .where("e.blocked_id", "=", root)
    .where("t.kind", "=", "intake")
    .execute();
  const found = rows.map(({ id }) => id);
  const deeper = await Promise.all(found.map((id) => followUps(db, id)));
  return [...found, ...deeper.flat()];
}
