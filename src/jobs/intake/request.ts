import { realpath, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import type { Crew } from "../../agents/crew.js";
import type { Turns } from "../../agents/turns/turns.js";
import { timestamp } from "../../db/context.js";
import type { Reader } from "../../db/schema.js";
import type { Scene } from "../../dispatch/facts.js";
import { asFault, Fault } from "../../errors.js";
import { chooseIntake, type IntakeKind } from "../../flow/intake.js";
import { quote, slug, unusedName } from "../../names.js";
import type { TaskRow } from "../../tasks/task.js";
import { initWorkstream } from "../../workstreams/workstream.js";
import { type Delegated, delegate } from "./delegate.js";
import { type Filed, fileIntake, intakeOfItem, type Scope } from "./intake.js";
import { endOf, type MonitorEvent, type MonitorOutcome, OUTCOME_OF, type RuntimeStatus, readStatus } from "./status.js";
import {
  DEFAULT_MODE,
  type Decision,
  decisionPrompt,
  directPrompt,
  finalPrompt,
  parseDecision,
  progressPrompt,
  type Route,
} from "./turns.js";

/** What is asked for, by a person or a program. */
export interface RequestWish {
  text: string;
  route?: Route | undefined;
  intake?: IntakeKind | undefined;
  /** Named by the caller; any is taken, and known ones mean the same. */
  mode?: string | undefined;
  scope?: Scope | undefined;
  timeoutMs: number;
  maxRestarts: number;
  notify: boolean;
  keep: boolean;
}

/** What comes of a request. The names and their order are those that callers know. */
export interface RequestResult {
  route: Route;
  intake_kind: IntakeKind | null;
  intake_signals: string[];
  decision: Decision;
  output: string;
  event: MonitorEvent | null;
  task_path: string | null;
  status: RuntimeStatus | null;
  warnings: string[];
  outcome: MonitorOutcome;
  scoped_completion: boolean;
  completion_evidence: RuntimeStatus["evidence"];
  scoped_work_item: Scope | null;
  progress_events: MonitorEvent[];
}

export interface RequestWorld {
  crew: Crew;
  scene: Scene;
  signal: AbortSignal;
  /** The conversation about it, opened when the first turn is needed. */
  turns(): Promise<Turns>;
  startDispatcher(): Promise<void>;
}

/** Workflow names that callers use; they all mean the one that there is. */
const MODES = /^(?:default|learning|standard|fast|deep)(?:_\w+)?$/;

/**
 * Decides how a request is handled, has it done, and gives what came of it. Faults `intake.no_text`, `intake.timeout`,
 * `request.interrupted`, and those of turns where the answer itself is one.
 */
export async function handleRequest(world: RequestWorld, wish: RequestWish): Promise<RequestResult> {
  const { text, scope } = wish;
  if (text.trim() === "") throw new Fault("usage", "intake.no_text", "The task text is required.");
  const warnings: string[] = [];
  const decision = await decide(world, wish);
  const mode = wish.mode ?? decision.mode;
  if (!MODES.test(mode)) warnings.push(`Nobody knows the mode ${mode}: the default is used.`);
  if (decision.custom_loop_needed) warnings.push("A workflow of its own seems to be needed; the default is used.");
  const settled = { ...decision, mode };
  const scoped_work_item = scope ?? null;
  if (decision.route === "direct") {
    const output = await (await world.turns()).ask(directPrompt(text, scoped_work_item), world.signal);
    return {
      ...{ route: "direct", intake_kind: null, intake_signals: [], decision: settled, output },
      ...{ event: null, task_path: null, status: null, warnings, outcome: "completed", scoped_completion: false },
      ...{ completion_evidence: [], scoped_work_item, progress_events: [] },
    };
  }
  const choice = chooseIntake(text, { forced: wish.intake, decided: decision.intake_kind ?? undefined });
  const done = await delegated(world, wish, choice.kind, warnings);
  const output = await answer(world, wish, choice.kind, done, warnings);
  const { event, filed, status, outcome, progress } = done;
  return {
    ...{ route: "millrace", intake_kind: choice.kind, intake_signals: choice.signals, decision: settled, output },
    ...{ event, task_path: filed.path, status, warnings, outcome, scoped_completion: isScoped(done) },
    ...{ completion_evidence: status.evidence, scoped_work_item, progress_events: progress },
  };
}

const isScoped = ({ outcome, status }: Pick<Delegated, "outcome" | "status">) =>
  outcome === "completed" && status.evidence.length > 0;

/** Asks the agent, unless the caller has decided. */
async function decide(world: RequestWorld, { text, route, intake }: RequestWish): Promise<Decision> {
  const forced = { intake_kind: intake ?? null, mode: DEFAULT_MODE, custom_loop_needed: false, signals: [], notes: "" };
  if (route !== undefined) return { route, ...forced, why: `The caller asked for ${route}.` };
  const decision = parseDecision(await (await world.turns()).ask(decisionPrompt(text), world.signal));
  return intake === undefined ? decision : { ...decision, intake_kind: intake };
}

type Done = Delegated & { filed: Filed };

/** Files the request and waits for its end; an item that is done or stuck already is not started again. */
async function delegated(world: RequestWorld, wish: RequestWish, kind: IntakeKind, warnings: string[]): Promise<Done> {
  const { crew, scene, signal, startDispatcher } = world;
  const { name: workstream, root } = scene.workstream;
  const { context } = crew;
  const known = wish.scope && (await intakeOfItem(context.store.db, workstream, wish.scope.item_id));
  const filed = await fileIntake(context, { workstream, root }, scene.settings, {
    text: wish.text,
    kind,
    scope: wish.scope,
  });
  const since = filed.existed ? filed.row.created_at : timestamp(context.clock);
  if (known !== undefined) {
    const stood = await ended(world, known);
    if (stood !== undefined) return { ...stood, filed };
  }
  const { timeoutMs, maxRestarts, notify, keep } = wish;
  const onProgress = async (event: MonitorEvent) => {
    await (await world.turns()).ask(progressPrompt(event), signal).catch((error) => {
      if (signal.aborted) throw error;
      warnings.push(`The conversation was not told of a step: ${asFault(error).message}`);
    });
  };
  const how = { since, timeoutMs, maxRestarts, notify, keep, signal, startDispatcher, onProgress };
  return { ...(await delegate(crew, scene, filed.row, how)), filed };
}

/** How an item stands that was filed before, if nothing more will come of it. */
async function ended(world: RequestWorld, row: TaskRow): Promise<Delegated | undefined> {
  const { workstream } = world.scene;
  const status = await readStatus(world.crew, workstream.name, { root: row, since: row.created_at });
  const event = endOf(status);
  if (event === undefined || event.kind === "stage_progress" || event.kind === "idle_no_work") return undefined;
  return { event, outcome: OUTCOME_OF[event.kind], status, progress: [] };
}

/** What the one who asked is told; without an agent to write it, the bare facts. */
async function answer(
  world: RequestWorld,
  wish: RequestWish,
  kind: IntakeKind,
  done: Done,
  warnings: string[],
): Promise<string> {
  const { event, outcome, status, progress, filed } = done;
  const { name: workspace } = world.scene.workstream;
  const about = { text: wish.text, workspace, kind, outcome, isScoped: isScoped(done), event, task: filed.row.name };
  try {
    const turns = await world.turns();
    return await turns.ask(
      finalPrompt({ ...about, scope: wish.scope ?? null, progress, status, warnings }),
      world.signal,
    );
  } catch (error) {
    if (world.signal.aborted) throw error;
    warnings.push(`No agent wrote the answer: ${asFault(error).message}`);
    return `${filed.row.name} ended: ${outcome} (${event.reason}).`;
  }
}

/**
 * The workstream of a folder; one is made for a folder that has none, and `tell` is told. Faults `workspace_unresolved`
 * where there is no such folder, `workstream.invalid_name`.
 */
export async function workstreamOfFolder(
  { context }: Pick<Crew, "context">,
  folder: string,
  tell: (remark: string) => void,
): Promise<string> {
  const known = await findByFolder(context.store.db, folder);
  if (known !== undefined) return known;
  const rows = await context.store.db.selectFrom("workstreams").select("name").execute();
  const names = new Set(rows.map(({ name }) => name));
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) throw new Fault("missing", "workspace_unresolved", `There is no folder ${quote(folder)}.`);
  const name = unusedName(slug(basename(resolve(folder))).slice(0, 24) || "project", (taken) => names.has(taken));
  await initWorkstream(context, name, { root: await realOf(folder) });
  tell(`${folder} had no workstream: made ${name}.`);
  return name;
}

/** The workstream whose folder that is. */
export async function findByFolder(db: Reader, folder: string): Promise<string | undefined> {
  const rows = await db
    .selectFrom("workstreams")
    .select(["name", "root"])
    .where("root", "is not", null)
    .orderBy("id")
    .execute();
  const real = await realOf(folder);
  for (const { name, root } of rows) if ((await realOf(root ?? "")) === real) return name;
  return undefined;
}

const realOf = (path: string) => realpath(path).catch(() => resolve(path));
