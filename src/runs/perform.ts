import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type AgentCli, variablesFor } from "../agents/clis/cli.js";
import { type Headless, type Report, unmetRestriction } from "../agents/clis/headless.js";
import { overrideName } from "../agents/clis/programs.js";
import { getAgentCli } from "../agents/clis/table.js";
import type { Crew } from "../agents/crew.js";
import { runProgram } from "../checks.js";
import { timestamp } from "../db/context.js";
import { write } from "../db/write.js";
import { asFault, Fault } from "../errors.js";
import { type AgentRef, qualifiedName } from "../names.js";
import { processIdentity } from "../processes.js";
import { authMode } from "../project/read.js";
import { type ProjectSettings, type Role, roleOf } from "../project/settings.js";
import { secretsIn } from "../redact.js";
import { type TaskToChange, taskToChange } from "../tasks/change.js";
import { beginWorkIn } from "../tasks/claim.js";
import { isNode } from "../tasks/flow/nodes.js";
import type { Finding } from "../tasks/lifecycle.js";
import { listNotes } from "../tasks/notes.js";
import { toTask } from "../tasks/task.js";
import { proveTask } from "../work/finish.js";
import { workBeforeClaim } from "../work/work.js";
import { createWorkspace } from "../workspaces/create.js";
import { recreateWorkspace } from "../workspaces/recreate.js";
import { refreshWorkspace } from "../workspaces/refresh.js";
import { workspaceEnv } from "../workspaces/setup/setup.js";
import { findWorkspaceRow } from "../workspaces/workspace.js";
import { getSettings, getWorkstream } from "../workstreams/workstream.js";
import { credentialsPath, isolateConfig, signInOf } from "./auth.js";
import { billOf } from "./bill.js";
import {
  type Ending,
  type Kept,
  keepStream,
  outputPath,
  prepareRunFolder,
  readStream,
  saveEnding,
  type Unkept,
} from "./files.js";
import { type Judged, judge } from "./judge.js";
import { askForVerdict, feedBack, promptFor } from "./prompt.js";
import { MICROS, type RunRow, runRow } from "./run.js";
import { type Settled, settleRun } from "./settle.js";
import type { RunWorld, Special, SpecialRun } from "./special.js";
import { leftOfDay, spentOnTask } from "./spend.js";

export const keptOf = (stateDir: string, { id, created_at }: RunRow): Kept => ({ stateDir, run: id, key: created_at });

/**
 * Carries out a reserved run to its end: prepares its folder, runs the agent CLI, proves the work and settles. Undefined
 * if the run was another's by then. Whatever fails settles the run as failed.
 */
export async function performRun(given: RunWorld, id: number): Promise<Settled | undefined> {
  const run = await takeOver(given, await runRow(given.context.store.db, id));
  if (run === undefined) return undefined;
  let world = given;
  try {
    const { settings, env } = await given.project();
    world = { ...given, env };
    return await carryOut(world, run, await begin(world, run, settings));
  } catch (error) {
    return settleFailure(world, run, error);
  }
}

interface Begun {
  role: Role;
  settings: ProjectSettings;
  cli: AgentCli & { headless: Headless };
  task: TaskToChange;
  cwd: string;
  prompt: string;
  system: string | null;
  /** Of a task of a job. */
  special: { how: Special; about: SpecialRun } | undefined;
}

const config = (reason: string) => new Fault("conflict", "run.config", reason);

async function begin(world: RunWorld, run: RunRow, settings: ProjectSettings): Promise<Begun> {
  const { db } = world.context.store;
  const ref = { workstream: run.workstream, name: run.task };
  const claimed = await taskToChange(db, ref);
  const role = roleOfRun(settings, run, isNode(claimed));
  const cli = getAgentCli(run.cli);
  if (cli.headless === undefined) throw config(`${run.cli} cannot run without a terminal`);
  const { refuse } = unmetRestriction(cli, role);
  if (refuse !== undefined) throw config(`the role ${run.role} ${refuse}`);
  const { root } = await getWorkstream(db, run.workstream);
  const folder = root ?? process.cwd();
  const common = { role, settings, cli: cli as Begun["cli"] };
  const own = role.prompt === null ? null : await readPrompt(join(folder, role.prompt));
  if (isNode(claimed)) {
    const about = { world, run, task: claimed, settings, root: folder };
    const how = await world.special();
    const { cwd, prompt, system } = await how.begin(about);
    return { ...common, task: claimed, cwd, prompt, system: system ?? own, special: { how, about } };
  }
  const slot = { workstream: run.workstream, name: run.agent };
  const cwd = role.workspace ? await prepareWorkspace(world, slot, folder) : folder;
  const task = await beginTask(world, run, cwd);
  const prompt = promptFor(toTask(task), await listNotes(db, task), { project: settings.projectName });
  return { ...common, task, cwd, prompt, system: own, special: undefined };
}

/** The role as this run has it: its task may ask for another CLI, and for less access. */
function roleOfRun(settings: ProjectSettings, run: RunRow, isNode: boolean): Role {
  const role = roleOf(settings, run.role, isNode);
  if (role === undefined) throw config(`there is no role ${run.role} in the settings`);
  const isOther = run.cli !== role.cli;
  return { ...role, access: run.access as Role["access"], ...(isOther && { command: null, allowedTools: null }) };
}

function readPrompt(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw config(`the prompt file ${path} cannot be read (${error.code})`);
  });
}

/** A checkout of the slot's own, on the newest state of the target; what an earlier run left there is saved first. */
async function prepareWorkspace(world: RunWorld, ref: AgentRef, projectRoot: string): Promise<string> {
  const known = await findWorkspaceRow(world.context.store.db, ref);
  const { signal } = world;
  if (known?.state !== "ready") return (await createWorkspace(world, ref, { projectRoot, signal })).path;
  try {
    return (await refreshWorkspace(world, ref)).workspace.path;
  } catch (error) {
    const { code } = asFault(error);
    if (!["workspace.dirty", "workspace.conflict", "workspace.in_use"].includes(code)) throw error;
    return (await recreateWorkspace(world, ref, { signal })).workspace.path;
  }
}

/** Takes the run over from its starter, and gives it; undefined if somebody else has settled it. */
export async function takeOver(world: Crew, { id, workstream, task }: RunRow): Promise<RunRow | undefined> {
  const process = await processIdentity(world);
  return write(world.context, aboutStart({ id, workstream, task }), async (tx) => {
    const { workstream: _, ...row } = await runRow(tx.db, id);
    if (row.state !== "reserved") return undefined;
    const taken = await tx.patch("runs", id, { state: "running", process, started_at: tx.now }, row);
    return { ...taken, workstream };
  });
}

const aboutStart = ({ id, workstream, task }: Pick<RunRow, "id" | "workstream" | "task">) => ({
  ...{ op: "run.start", scope: workstream, subject: qualifiedName({ workstream, name: task }), payload: { run: id } },
});

/** Records where the work of the task begins, and gives the task. */
async function beginTask(world: RunWorld, run: RunRow, cwd: string): Promise<TaskToChange> {
  const { workstream, agent, task: name } = run;
  const { db } = world.context.store;
  const begun = await workBeforeClaim(world, db, { workstream, name: agent }, name, cwd);
  return write(world.context, aboutStart(run), async (tx) => {
    if (begun !== undefined) await beginWorkIn(tx, await taskToChange(tx.db, { workstream, name }), begun);
    return taskToChange(tx.db, { workstream, name });
  });
}

/** How often an agent that did not say how its task ended is asked. */
const QUESTIONS = 1;

async function carryOut(world: RunWorld, run: RunRow, begun: Begun): Promise<Settled | undefined> {
  const { task, cli } = begun;
  const kept = keptOf(world.stateDir, run);
  prepareRunFolder(kept);
  const reports: Report[] = [];
  const left = { questions: QUESTIONS, checks: task.max_checks ?? begun.settings.dispatch.maxChecks };
  let { prompt } = begun;
  let room = await roomFor(world, run, begun, reports);
  for (let turn = 1; ; turn++) {
    const before = reports.at(-1)?.sessionRef ?? null;
    const maxUsd = room === null ? null : Math.max(LEAST_USD, room / MICROS);
    const given = { prompt, sessionRef: before, maxUsd, kept: { ...kept, turn } };
    const { ending, unkept, problem } = await takeTurn(world, run, begun, given);
    const report = await readReport(cli.headless, { ...kept, turn }, ending, unkept);
    reports.push(report);
    room = await roomFor(world, run, begun, reports);
    const judged = judge(report, ending, task.kind);
    const mayAsk = report.sessionRef !== null && !world.signal.aborted && (room === null || room > 0);
    if (judged.unsaid && mayAsk && left.questions-- > 0) {
      prompt = askForVerdict(task.kind);
      continue;
    }
    const proof = judged.state === "done" && judged.verdict !== "blocked" ? await prove(world, run, begun, judged) : {};
    if (proof.refused !== undefined && mayAsk && left.checks-- > 0) {
      prompt = proof.refused;
      continue;
    }
    const proved: Judged =
      proof.refused === undefined
        ? (proof.judged ?? judged)
        : { ...judged, state: "failed", failure: "check_failed", reason: proof.why ?? null };
    const outcome =
      problem === null
        ? proved
        : { ...proved, reason: [proved.reason, unkeptWord(problem)].filter(Boolean).join("; ") };
    const settled = await settleRun(
      world.context,
      run,
      {
        outcome,
        bill: await billOf(world, run, reports, {
          isBilled: run.cli === "claude" && signInFor(world, begun.settings).isBilled,
        }),
        ...{ exitCode: ending.exitCode, sessionRef: report.sessionRef, answer: report.text, finding: proof.finding },
      },
      { patience: patienceOf(world.env) },
    );
    const { special } = begun;
    // What is left undone here is done before the job's next run.
    await special?.how.after(special.about).catch((error) => world.echo(Buffer.from(`${asFault(error).message}\n`)));
    return settled;
  }
}

/** A CLI may refuse to be given nothing to spend. */
const LEAST_USD = 0.01;

/**
 * What the task's budget, its role's cap and the project's ceiling leave this run after these turns, in millionths of a
 * dollar; null without any.
 */
async function roomFor(
  world: RunWorld,
  run: RunRow,
  { role, settings }: Begun,
  reports: readonly Report[],
): Promise<number | null> {
  const { db } = world.context.store;
  const caps = { cap: role.dailyCapUsd, ceiling: settings.budget.projectCeilingUsd };
  const ofTask = (await spentOnTask(db, run.task_id)).left;
  const rooms = [...(await leftOfDay(db, run, caps)), ...(ofTask === null ? [] : [ofTask])];
  if (rooms.length === 0) return null;
  const { cost_micros: cost } = await billOf(world, run, reports);
  return Math.min(...rooms) + run.reserved_micros - (cost ?? (reports.length === 0 ? 0 : run.reserved_micros));
}

const unkeptWord = (problem: string) => `not all of its output could be kept (${problem})`;

/** Reads what a CLI has printed in one turn: what is in its files, then what these could not take. */
export async function readReport(
  headless: Headless,
  kept: Kept,
  ending: Ending | undefined,
  unkept: Turn["unkept"] = {},
): Promise<Report> {
  const [stdout, stderr] = await Promise.all([
    readStream(outputPath(kept, "stdout")),
    readStream(outputPath(kept, "stderr")),
  ]);
  const texts = { stdout: stdout + (unkept.stdout?.text ?? ""), stderr: stderr + (unkept.stderr?.text ?? "") };
  return headless.read({ ...texts, exitCode: ending?.exitCode ?? null, ...endOf(ending) });
}

const endOf = (ending: Ending | undefined) =>
  ending?.endedAt === undefined ? {} : { endedAt: new Date(ending.endedAt) };

/** How a turn ended, and what the disk had no room for. */
interface Turn {
  ending: Ending;
  unkept?: { stdout?: Unkept | undefined; stderr?: Unkept | undefined } | undefined;
  /** Why not all was kept. */
  problem: string | null;
}

async function takeTurn(
  world: RunWorld,
  run: RunRow,
  { role, settings, cli, cwd, system }: Begun,
  given: { prompt: string; sessionRef: string | null; maxUsd: number | null; kept: Kept },
): Promise<Turn> {
  const { model } = run;
  const { access, allowedTools } = role;
  const { kept, ...turn } = given;
  const launch = cli.headless.start({ ...turn, system, model, access, allowedTools });
  const command = role.command ?? (world.env[overrideName(cli.key)] || cli.command);
  const env = { ...(await environment(world, run, cwd, cli)), ...(await signIn(world, run, settings)), ...launch.env };
  const secrets = secretsIn({ ...world.env, ...env });
  const keep = (stream: "stdout" | "stderr") => keepStream(outputPath(kept, stream), secrets);
  const streams = { stdout: keep("stdout"), stderr: keep("stderr") };
  const close = () => ({ stdout: streams.stdout.close(), stderr: streams.stderr.close() });
  let unkept: ReturnType<typeof close> | undefined;
  const ended = await runProgram(world, {
    ...{ file: "/bin/sh", args: ["-c", `exec ${command} "$@"`, "sh", ...launch.args] },
    ...{ input: launch.stdin, cwd, signal: world.signal },
    env,
    timeoutMs: role.timeoutSeconds * 1000,
    onOutput(chunk, from) {
      streams[from].add(chunk);
      world.echo(chunk);
    },
  }).finally(() => {
    unkept = close();
  });
  const ending = { ...ended, endedAt: timestamp(world.context.clock) };
  const unsaved = await saveEnding(kept, ending).then(
    () => null,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
  return { ending, unkept, problem: unkept?.stdout?.problem ?? unkept?.stderr?.problem ?? unsaved };
}

/** What the agent's own calls of mu are known by; it has no pane, wherever its runner sits. */
async function environment(world: RunWorld, run: RunRow, cwd: string, cli: AgentCli) {
  const { workstream, agent, agent_id, task, id } = run;
  const slot = await world.context.store.db
    .selectFrom("agents")
    .select("spawned_at")
    .where("id", "=", agent_id)
    .executeTakeFirstOrThrow();
  return {
    ...variablesFor(cli, world.env),
    ...(await workspaceEnv(world, { workstream, name: agent }, cwd)),
    ...world.databaseEnv,
    ...{ MU_WORKSTREAM: workstream, MU_AGENT: agent, MU_AGENT_ID: String(agent_id), MU_AGENT_SINCE: slot.spawned_at },
    ...{ MU_TASK: task, MU_RUN_ID: String(id), MU_ROOT: cwd, GIT_TERMINAL_PROMPT: "0" },
    ...{ TMUX: undefined, TMUX_PANE: undefined, LINEAR_API_KEY: undefined },
  };
}

/** How Claude Code signs in; the other CLIs have their own ways. */
async function signIn(
  world: RunWorld,
  { cli, workstream }: RunRow,
  settings: ProjectSettings,
): Promise<Record<string, string | undefined>> {
  if (cli !== "claude") return {};
  const { env, credentials, warning } = signInFor(world, settings);
  if (warning !== null) world.echo(Buffer.from(`${warning}\n`));
  const own = credentials === null ? {} : await isolateConfig(join(world.stateDir, "sign-in", workstream), credentials);
  return { ...env, ...own };
}

const signInFor = ({ env }: RunWorld, settings: ProjectSettings) =>
  signInOf(authMode(settings, env), env, { hasCredentials: existsSync(credentialsPath(env)) });

/** Proves the work; `refused` is what the agent is told where the proof fails. */
async function prove(
  world: RunWorld,
  run: RunRow,
  { task, cwd, special }: Begun,
  judged: Judged,
): Promise<{ finding?: Finding; judged?: Judged; refused?: string; why?: string }> {
  if (special !== undefined) return special.how.judge(special.about, cwd, judged);
  const { db } = world.context.store;
  const now = await taskToChange(db, task);
  const isOwn = now.status === "IN_PROGRESS" && now.claim_generation === run.claim_generation;
  if (!isOwn) return {};
  const settings = await getSettings(db, run.workstream);
  try {
    const claimant = { agent: run.agent, incarnation: run.agent_id };
    const options = { cwd, settings, command: settings.check, landsNext: settings.closeRequires === "landed" };
    return { finding: (await proveTask(world, now, claimant, { ...options, signal: world.signal })).finding };
  } catch (error) {
    const { kind, message, details } = asFault(error);
    if (kind !== "negative" && kind !== "conflict") throw error;
    const tail = (details["check"] as { tail?: string } | undefined)?.tail ?? "";
    return { refused: feedBack(message, tail), why: message };
  }
}

/** What a person has to put right before another attempt can help. */
const CONFIG = ["run.config", "settings.invalid", "job.no_prompt", "file.outside", "file.not_readable"];

/** What a fault means for the run; null if somebody ended it. */
function failureOf(code: string): "auth" | "config" | "crash" | null {
  if (code === "request.interrupted") return null;
  if (code.startsWith("auth.")) return "auth";
  return CONFIG.includes(code) ? "config" : "crash";
}

/** Settles a run that never started, or whose end could not be dealt with. */
export async function settleFailure(world: Crew, run: RunRow, error: unknown): Promise<Settled | undefined> {
  // Also what mu did not foresee, such as a full disk: a run that its runner cannot settle would be begun again for ever.
  const code = error instanceof Fault ? error.code : "unforeseen";
  const message = error instanceof Error ? error.message : String(error);
  const failure = failureOf(code);
  const state = failure === null ? "cancelled" : "failed";
  const outcome = { state, failure, reason: message.slice(0, 2000), retryAt: null, verdict: null } as const;
  const bill = await billOf(world, run, []);
  const nothing = { bill, exitCode: null, sessionRef: null, answer: null };
  return settleRun(world.context, run, { outcome, ...nothing }, { patience: patienceOf(world.env) });
}

/** `MU_RETRY_BACKOFF` scales the back-off; 0 retries at once. */
export function patienceOf(env: Crew["env"]): number | undefined {
  const text = env["MU_RETRY_BACKOFF"];
  return text !== undefined && /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
}
