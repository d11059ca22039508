import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { mulberry32 } from "../support/random.js";
import { BLOWS, type Random } from "./chaos.js";
import { linesOf, openStage, type Stage, WORKSTREAM } from "./stage.js";

export interface TortureOptions {
  seed: number;
  agents: number;
  tasks: number;
  /** Most blows; a round ends earlier when all work is done. */
  blows: number;
  /** Kinds of blows; all of them without it. */
  kinds?: readonly string[];
}

export interface Round {
  seed: number;
  seconds: number;
  blows: string[];
  /** What is not as it must be; `[]` after a good round. */
  losses: string[];
}

/** A wait for the crew to finish what it can, once nobody hurts it any more. */
const QUIET_MS = 240_000;

/** One round: a crew works through a graph while the chaos strikes, and then everything is counted. */
export async function playRound({
  seed,
  agents,
  tasks,
  blows,
  kinds = Object.keys(BLOWS),
}: TortureOptions): Promise<Round> {
  const random = mulberry32(seed);
  const began = process.uptime();
  const names = Array.from({ length: agents }, (_, n) => `a${n}`);
  const stage = await openStage(names, planOf(tasks, random), seed);
  const struck: string[] = [];
  const losses: string[] = [];
  try {
    await stage.ensure();
    while (struck.length < blows && !(await isDone(stage))) {
      const kind = kinds[Math.floor(random() * kinds.length)] as string;
      struck.push(kind);
      await BLOWS[kind]?.(stage, random);
      losses.push(...(await mend(stage)).map((fault) => `after "${kind}": ${fault}`));
      await stage.ensure();
      await landTheRest(stage);
      await pause(random() * 1_500);
    }
    await settle(stage);
    losses.push(...(await count(stage, tasks)));
    losses.push(...(await leave(stage)));
  } finally {
    await stage.close();
  }
  return { seed, seconds: Math.round(process.uptime() - began), blows: struck, losses };
}

/** A random graph: a task waits for up to two of the ten before it. */
function planOf(tasks: number, random: Random): object {
  const before = (n: number) => `t${Math.max(0, n - 1 - Math.floor(random() * 10))}`;
  const blockers = (n: number) => [...new Set([before(n), before(n)])].slice(0, Math.floor(random() * 3));
  return {
    tasks: Array.from({ length: tasks }, (_, n) => ({
      ...{ name: `t${n}`, title: `Task ${n}` },
      ...(n > 0 && { blockedBy: blockers(n) }),
    })),
  };
}

/** What a person does after a blow; gives what mu must not say then. */
async function mend(stage: Stage): Promise<string[]> {
  const recovered = await stage.shim("recover", "--yes", "-w", WORKSTREAM, "--json");
  const checked = await stage.shim("doctor", "--json");
  return [...bugsIn("recover", recovered.err), ...bugsIn("doctor", checked.err)];
}

/** A fault that is not one of mu's own is a bug, whatever was done to it. */
function bugsIn(what: string, stderr: string): string[] {
  return /internal\b|^\s+at .*:\d+:\d+\)?$/im.test(stderr) ? [`mu ${what}: ${stderr.slice(0, 600)}`] : [];
}

interface TaskLine {
  name: string;
  status: string;
  level: string | null;
}

const tasksOf = async (stage: Stage) =>
  (await stage.json<{ items: TaskLine[] }>("task", "list", "-w", WORKSTREAM)).items;

const isDone = async (stage: Stage) => (await tasksOf(stage)).every(({ level }) => level === "landed");

/** Nobody hurts the crew any more: it finishes, with the help that a person would give. */
async function settle(stage: Stage): Promise<void> {
  const until = performance.now() + QUIET_MS;
  while (performance.now() < until && !(await isDone(stage))) {
    await mend(stage);
    await stage.ensure();
    await pause(1_000);
    await landTheRest(stage);
  }
}

/** What an agent closed that died before it landed is landed by a person, once nobody works any more. */
async function landTheRest(stage: Stage): Promise<void> {
  const isOver = (await tasksOf(stage)).every(({ status }) => status === "CLOSED");
  if (isOver) await stage.shim("land", "--all", "-w", WORKSTREAM);
}

/** Every task is done once, nothing landed twice, nothing that was acknowledged is missing, the chain is whole. */
async function count(stage: Stage, tasks: number): Promise<string[]> {
  const losses: string[] = [];
  const rows = await tasksOf(stage);
  if (rows.some(({ level }) => level !== "landed")) losses.push(await stuck(stage));
  if (rows.length !== tasks) losses.push(`${rows.length} tasks, of ${tasks}`);
  const subjects = stage.git("log", "--format=%s", "main").split("\n");
  for (const { name, status, level } of rows) {
    if (status !== "CLOSED" || level !== "landed") losses.push(`${name} is ${status}, level ${level}`);
    const times = subjects.filter((subject) => subject === `work of ${name}`).length;
    if (times !== 1) losses.push(`${name} is ${times} times on main`);
  }
  if (subjects.length !== tasks + 1) losses.push(`main has ${subjects.length} commits`);
  losses.push(...(await unkept(stage)));
  for (const agent of stage.agents)
    for (const { words, stderr = "" } of linesOf(join(stage.round, "faults", `${agent}.jsonl`)))
      losses.push(...bugsIn(`${words} by ${agent}`, stderr));
  const audit = await stage.mu(["audit", "verify", "--tables"]);
  if (audit.code !== 0) losses.push(`audit: ${audit.out}${audit.err}`);
  const fsck = stage.git("fsck", "--no-dangling", "--no-progress");
  if (fsck !== "") losses.push(`fsck: ${fsck}`);
  return losses;
}

/** What an agent was told of, by its ledger, and neither the database nor main has. */
async function unkept(stage: Stage): Promise<string[]> {
  const notes = await stage.json<{ name: string; text: string }[]>(
    ...["sql", "select t.name, n.text from task_notes n join tasks t on t.id = n.task_id"],
  );
  const events = await stage.json<{ op: string; actor: string; subject: string }[]>(
    ...["sql", "select op, actor, subject from events where op in ('task.claim', 'task.close')"],
  );
  const work = stage.git("log", "-p", "--format=", "main", "--", "work").matchAll(/^\+(t\d+)$/gm);
  const kept = new Set([
    ...notes.map(({ name, text }) => `note ${name} ${text}`),
    ...events.map(({ op, actor, subject }) => `${op.slice(5)} ${subject.replace(`${WORKSTREAM}/`, "")} ${actor}`),
    ...[...work].flatMap(([, task]) => [`commit ${task}`, `land ${task}`]),
  ]);
  return stage.agents.flatMap((agent) => {
    const lines = linesOf(join(stage.round, "ledger", `${agent}.jsonl`));
    const keyOf = ({ did, task, text }: (typeof lines)[number]) => {
      if (did === "note") return `note ${task} ${text}`;
      return `${did} ${task}${did === "claim" || did === "close" ? ` ${agent}` : ""}`;
    };
    const lost = lines.filter((line) => !kept.has(keyOf(line)));
    return lost.map((line) => `${agent} was told of what is not there: ${JSON.stringify(line)}`);
  });
}

/** Why it may be that the crew has not finished. */
async function stuck(stage: Stage): Promise<string> {
  const faults = stage.agents.map((agent) => {
    const [last] = linesOf(join(stage.round, "faults", `${agent}.jsonl`)).slice(-1);
    return `${agent}: ${JSON.stringify(last)}`;
  });
  const [agents, recovery] = [await stage.shim("agent", "list"), await stage.shim("recover", "-w", WORKSTREAM)];
  return [agents.out, agents.err, recovery.out, recovery.err, ...faults].join("\n");
}

/** The crew goes home; nothing may be left of it. */
async function leave(stage: Stage): Promise<string[]> {
  const losses: string[] = [];
  writeFileSync(join(stage.round, "stop"), "");
  const destroyed = await stage.mu(["workstream", "destroy", WORKSTREAM, "--yes", "--even-if-busy", "--json"]);
  if (destroyed.code !== 0) losses.push(`destroy ended with ${destroyed.code}: ${destroyed.err.slice(0, 600)}`);
  const orphans = await stage.mu(["workspace", "orphans", "--all", "--yes", "--json"]);
  if (orphans.code !== 0) losses.push(`orphans ended with ${orphans.code}: ${orphans.err.slice(0, 600)}`);
  const doctor = await stage.mu(["doctor", "--json"]);
  // The chaos tears files, of which those of closed agents are kept: doctor names them, and mends them when asked.
  losses.push(...wrongIn(doctor.out || doctor.err).filter((detail) => !detail.includes(" is torn: ")));
  await stage.mu(["doctor", "--fix", "--json"]);
  const mended = await stage.mu(["doctor", "--json"]);
  losses.push(...wrongIn(mended.out || mended.err));
  const panes = (await stage.server.raw("list-panes", "-a", "-F", "#{pane_id} #{pane_current_command}")).trim();
  if (panes !== "") losses.push(`panes are left: ${panes}`);
  const worktrees = stage.git("worktree", "list").split("\n");
  if (worktrees.length !== 1) losses.push(`worktrees are left: ${worktrees.join("; ")}`);
  for (const table of ["workspace_holds", "port_leases", "workspaces"]) {
    const where = table === "workspaces" ? " where freed_at is null" : "";
    const rows = await stage.json<object[]>("sql", `select * from ${table}${where}`);
    if (rows.length > 0) losses.push(`${table}: ${JSON.stringify(rows)}`);
  }
  const locks = readdirSync(join(stage.project, ".git"), { recursive: true, encoding: "utf8" });
  const left = locks.filter((path) => path.endsWith(".lock"));
  if (left.length > 0) losses.push(`locks are left: ${left.join(", ")}`);
  losses.push(...(await strays(stage)));
  return losses;
}

/** Processes that still have the round's folder in their environment; only Linux tells. */
async function strays(stage: Stage): Promise<string[]> {
  if (!existsSync("/proc/self/environ")) return [];
  const find = () =>
    readdirSync("/proc").flatMap((pid) => {
      if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
      const read = (file: string) => {
        try {
          return readFileSync(`/proc/${pid}/${file}`, "utf8").replaceAll("\0", " ").trim();
        } catch {
          return "";
        }
      };
      return read("environ").includes(`MU_STATE_DIR=${stage.stateDir}`) ? [`${pid} ${read("cmdline")}`] : [];
    });
  for (let n = 0; n < 50 && find().length > 0; n++) await pause(100);
  return find().map((line) => `a process is left: ${line}`);
}

/** What doctor says is wrong; that the disk of the torture is small is meant. */
function wrongIn(report: string): string[] {
  type Finding = { probe: string; severity: string; detail: string };
  const { findings = [] as Finding[], message }: { findings?: Finding[]; message?: string } = JSON.parse(report);
  const wrong = findings.filter(({ probe, severity }) => probe !== "disk" && /warning|error/.test(severity));
  return [...(message === undefined ? [] : [message]), ...wrong.map(({ detail }) => detail)].map(
    (detail) => `doctor: ${detail}`,
  );
}
