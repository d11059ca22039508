import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { getAgentCli } from "../agents/clis/table.js";
import { placeOf, runWishOf, stepPlanOf } from "../flow/payload.js";
import { isStepName, type NodeKind, STEPS, type StepName } from "../flow/steps.js";
import type { Host } from "../host.js";
import { counted } from "../names.js";
import { outputPath, readStream, runFolder } from "../runs/files.js";
import { keptOf } from "../runs/perform.js";
import type { RunRow } from "../runs/run.js";
import type { Special, SpecialRun } from "../runs/special.js";
import { isObject } from "../shape.js";
import { stepOfNode } from "../tasks/flow/steps.js";
import { addNote } from "../tasks/notes.js";
import { taskRow } from "../tasks/task.js";
import { writeWhole } from "../whole-file.js";
import { addAsset } from "../work/assets.js";
import { assemblePrompt, withoutMarker } from "./assemble.js";
import { changedFiles, treeOf } from "./changed.js";
import { bringUpToDate, checkoutOf, recordWork, uncommittedIn } from "./checkout.js";
import { artifactPath, branchPath, keepVersion, readFileOf } from "./folder.js";
import { isArchived, type JobRow, jobRow, jobRows, setModules } from "./job.js";
import { scanModules } from "./modules.js";
import { tested } from "./tested.js";
import { areLogsWhole, runsOfJob, writeLogs } from "./trace.js";

/** What was there when a run began: by it one can tell afterwards what the run has made. */
interface Began {
  step: StepName;
  kind: NodeKind;
  round: number;
  index: number;
  cwd: string;
  /** Of the artifact; null if there was none. */
  sha256: string | null;
  /** Of the files of the checkout, where the step may only change some of them. */
  tree: string | null;
}

const beganPath = (host: Host, run: RunRow) => join(runFolder(keptOf(host.stateDir, run)), "began.json");
const keptPath = (host: Host, run: RunRow) => join(runFolder(keptOf(host.stateDir, run)), "kept.json");
export const promptPath = (host: Host, run: RunRow) => join(runFolder(keptOf(host.stateDir, run)), "prompt.md");

/** Runs of the tasks of jobs. */
export const jobRuns: Special = { begin, judge, after, catchUp };

async function begin({ world, run, task, settings }: SpecialRun) {
  const { db } = world.context.store;
  const known = await jobRow(db, { workstream: run.workstream, name: task.root ?? "" });
  await keepAll(world, known);
  const job = await jobRow(db, known.row);
  const state = await stepOfNode(db, task);
  const step = isStepName(task.step) ? task.step : "task";
  const kind = task.kind as NodeKind;
  const cwd = await placeOfRun(world, job, task.payload);
  const plan = state?.plan ?? stepPlanOf(null);
  const clash = kind === "build" && cwd !== job.root ? await bringUpToDate(world, job) : null;
  const prompt = await assemblePrompt({ world, db, settings, job, step, kind, plan, node: task, cwd, clash });
  const { round, index } = placeOf(task.payload);
  const isMaker = kind === STEPS[step].make;
  const path = round === 0 ? branchPath(job.folder, step, index) : artifactPath(job.folder, step);
  const before = isMaker ? await readFileOf(job.root, path) : undefined;
  if (prompt.revises !== undefined) await keepVersion(job.root, job.folder, prompt.revises);
  const { writes } = STEPS[step];
  const tree = isMaker && (writes === "docs" || writes === "rules") ? await treeOf(world, cwd) : null;
  const began: Began = { step, kind, round, index, cwd, sha256: before?.sha256 ?? null, tree };
  await writeWhole(beganPath(world, run), JSON.stringify(began));
  await writeWhole(promptPath(world, run), prompt.text);
  return { cwd, prompt: prompt.text, system: null };
}

/** Where a run works: in the checkout of the job, or in the project folder. */
async function placeOfRun(host: Host, job: JobRow, payload: string | null): Promise<string> {
  const { workspace } = runWishOf(payload);
  return workspace === undefined ? job.root : checkoutOf(host, job, workspace);
}

/** Reports that were asked for a proper first line already; one whose CLI cannot be asked is tried again once. */
const asked = new WeakSet<SpecialRun>();

async function judge(
  about: SpecialRun,
  cwd: string,
  judged: Parameters<Special["judge"]>[2],
): ReturnType<Special["judge"]> {
  const { world, run, task } = about;
  if (task.kind === "test") return { judged: await tested(about, cwd, judged) };
  const job = await jobRow(world.context.store.db, { workstream: run.workstream, name: task.root ?? "" });
  const step = isStepName(task.step) ? task.step : "task";
  if (task.kind !== STEPS[step].make || judged.verdict === "blocked") return { judged };
  if (job.plan.workspace && STEPS[step].writes !== null) {
    const dirty = await uncommittedIn(world, job);
    if (dirty > 0) {
      const why = `${counted(dirty, "file")} not committed`;
      return { refused: `Your work does not count yet: ${why} in ${cwd}. Commit all of it and stop.`, why };
    }
    // Before the run is settled: that can close the job, and then its work lands.
    await recordWork(world, job);
  }
  if (step === "report" && run.attempt === 1 && !asked.has(about)) {
    const text = (await readFileOf(job.root, artifactPath(job.folder, step)))?.text;
    const said = await answerOf(world, run);
    if (!isCommitMessage(said) && !isCommitMessage(text ?? "")) {
      asked.add(about);
      const why = "its first line is no conventional commit";
      return {
        refused: `The report does not count yet: ${why}. Answer with the whole report, beginning with such a line as \`feat(scope): subject\`.`,
        why,
      };
    }
  }
  return { judged };
}

const COMMIT = /^(?:feat|fix|docs|style|refactor|perf|test|build|ci|chore|revert)(?:\(.+\))?!?: .+/;
export const isCommitMessage = (text: string) => COMMIT.test(text.trimStart());

async function answerOf(host: Host, run: RunRow): Promise<string> {
  const kept = keptOf(host.stateDir, run);
  let last = "";
  for (let turn = 1; existsSync(outputPath({ ...kept, turn }, "stdout")); turn++) {
    const text = getAgentCli(run.cli).headless?.read({
      stdout: await readStream(outputPath({ ...kept, turn }, "stdout")),
      stderr: "",
      exitCode: 0,
    }).text;
    if (text != null && withoutMarker(text) !== "") last = text;
  }
  return withoutMarker(last);
}

async function after({ world, run }: Parameters<Special["after"]>[0]): Promise<void> {
  const { db } = world.context.store;
  const { root } = await taskRow(db, { workstream: run.workstream, name: run.task });
  if (root !== null) await keepAll(world, await jobRow(db, { workstream: run.workstream, name: root }));
}

async function catchUp(host: Host, workstream: string): Promise<void> {
  for (const job of await jobRows(host.context.store.db, workstream)) {
    if (!isArchived(job)) await keepAll(host, job);
  }
}

/**
 * Keeps what the runs of a job have made since the last call: artifacts with their versions, the modules that the router
 * chose, the logs. Can be cut off and called again at any point, by any process.
 */
export async function keepAll(host: Host, job: JobRow): Promise<void> {
  const { db } = host.context.store;
  const runs = await runsOfJob(db, job);
  // Also what has ended without having made anything is in the logs.
  if (!(await areLogsWhole(host, job))) await writeLogs(host, job);
  for (const run of runs) {
    if (existsSync(keptPath(host, run)) || !existsSync(beganPath(host, run))) continue;
    const began = await readBegan(host, run);
    if (began !== undefined && run.state === "done") await keepMade(host, job, run, began);
    if (began?.kind === "route") await keepRoute(host, job, run);
    await writeWhole(keptPath(host, run), JSON.stringify({ at: run.finished_at }));
  }
  if (job.plan.workspace) await recordWork(host, job);
}

async function readBegan(host: Host, run: RunRow): Promise<Began | undefined> {
  try {
    const found: unknown = JSON.parse(await readFile(beganPath(host, run), "utf8"));
    return isObject(found) && isStepName(found["step"]) ? (found as unknown as Began) : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps the file that a maker wrote; if it wrote none, its answer. */
async function keepMade(host: Host, job: JobRow, run: RunRow, began: Began): Promise<void> {
  const { step, kind, round, index } = began;
  if (kind !== STEPS[step].make) return;
  const path = round === 0 ? branchPath(job.folder, step, index) : artifactPath(job.folder, step);
  const now = await readFileOf(job.root, path);
  if ((now?.sha256 ?? null) === began.sha256) {
    const answer = await answerOf(host, run);
    // Another process may have kept a newer one while this one stood still.
    if (answer !== "" && !(await isOutdone(host, job, run, began))) {
      await writeWhole(join(job.root, path), `${answer}\n`, 0o644);
    }
  }
  const made = [
    ...(existsSync(join(job.root, path)) ? [join(job.root, path)] : []),
    ...(await touched(host, job, run, began)),
  ];
  const context = { ...host.context, actor: run.agent, incarnation: run.agent_id };
  for (const file of made) {
    const what = file === join(job.root, path) ? step : (STEPS[step].writes ?? step);
    await addAsset(context, run.workstream, { file, kind: what, task: run.task, run: run.id });
  }
}

/** Whether a later run has made the same artifact. */
async function isOutdone(host: Host, job: JobRow, run: RunRow, { step, kind, round }: Began): Promise<boolean> {
  if (round === 0) return false;
  for (const later of (await runsOfJob(host.context.store.db, job)).filter(({ id }) => id > run.id)) {
    const began = later.state === "done" ? await readBegan(host, later) : undefined;
    if (began?.step === step && began.kind === kind && began.round > 0) return true;
  }
  return false;
}

/** The files that a step changed which may only change some; what it should not have changed is noted. */
async function touched(host: Host, job: JobRow, run: RunRow, { step, cwd, tree }: Began): Promise<string[]> {
  if (tree === null) return [];
  const files = await changedFiles(host, cwd, tree);
  const isOwn = STEPS[step].writes === "docs" ? isDocument : isRule;
  const own = files.filter((file) => !file.startsWith(`${job.folder}/`));
  const wrong = own.filter((file) => !isOwn(file));
  if (wrong.length > 0) {
    const what = STEPS[step].writes === "docs" ? "documents of modules" : "rules";
    const text = `[${step}] These files were changed and are no ${what}: ${wrong.slice(0, 20).join(", ")}`;
    await addNote(
      host.context,
      { workstream: run.workstream, name: run.task },
      { person: host.context.actor },
      { text },
    );
  }
  return own.filter((file) => isOwn(file) && existsSync(join(cwd, file))).map((file) => join(cwd, file));
}

const isDocument = (path: string) => /(?:^|\/)_[^/]+\.md$/.test(path);
const isRule = (path: string) => /^\.(?:mu|mixer)\/rules\/.+\.md$/.test(path);

/** Sets the modules that the router chose; all of them where it failed. */
async function keepRoute(host: Host, job: JobRow, run: RunRow): Promise<void> {
  const { db } = host.context.store;
  const now = await jobRow(db, job.row);
  if (now.plan.modules !== null) return;
  const { modules } = await scanModules(host, job.root);
  const all = modules.map(({ name }) => name);
  const chosen = run.state === "done" ? chosenIn(await answerOf(host, run), all) : undefined;
  if (run.state !== "done" && (await taskRow(db, { workstream: run.workstream, name: run.task })).status === "OPEN")
    return;
  await setModules(host.context, now, chosen ?? all);
}

/** The last JSON list of an answer, as far as it names modules; undefined if there is none. */
function chosenIn(answer: string, all: readonly string[]): string[] | undefined {
  for (const found of (answer.match(/\[[^[\]]*\]/g) ?? []).reverse()) {
    try {
      const names: unknown = JSON.parse(found);
      if (Array.isArray(names) && names.every((name) => typeof name === "string")) {
        return all.filter((name) => names.includes(name));
      }
    } catch {}
  }
  return undefined;
}
