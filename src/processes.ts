import { readdir, readFile, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { type Clock, pollUntil } from "./clock.js";
import type { Exec } from "./exec.js";

export interface Process {
  pid: number;
  parent: number;
  /** Its process group; a group is named by the pid of its leader. */
  group: number;
  /** The group that has the keyboard of this process's terminal; undefined without a terminal. */
  foreground?: number;
  /** Process session (on Linux). Children that outlive their parent keep it. */
  session?: number;
  /** When it started, in the system's own words; with the pid it names a process for good. */
  start: string;
  /** Name of the program. */
  name: string;
  /** It has ended and waits for its parent to notice. */
  zombie: boolean;
}

export interface ProcessWorld {
  exec: Exec;
  clock: Clock;
  platform?: NodeJS.Platform;
}

/** A process that must be the one that was meant: with `start`, a reused pid is nobody. */
export interface ProcessRef {
  pid: number;
  start?: string;
}

export interface EndOptions {
  /** How long TERM may take before KILL; 3,000 ms without it. */
  graceMs?: number;
  /** How long to wait for the killed to be gone; 2,000 ms without it. */
  killMs?: number;
}

interface ProcProcess extends Process {
  /** Device number of its terminal. */
  tty: number;
}

const EVERY_MS = 25;

/** All processes of this machine, from /proc on Linux and from `ps` elsewhere. */
export async function listProcesses(world: ProcessWorld): Promise<Process[]> {
  return (world.platform ?? process.platform) === "linux" ? readProc() : readPs(world.exec);
}

/** The process, or undefined when it has ended or its pid belongs to another one now. */
export async function findProcess(world: ProcessWorld, ref: ProcessRef): Promise<Process | undefined> {
  const isLinux = (world.platform ?? process.platform) === "linux";
  const found = isLinux ? await readProc([String(ref.pid)]) : await readPs(world.exec);
  return found.find((one) => isSame(one, ref));
}

/**
 * The process with all its descendants, parents first. Its process session belongs to it: that is how children
 * are found whose parent has ended. Empty when the process is gone and left nobody, or when its pid was reused.
 */
export async function processTree(world: ProcessWorld, ref: ProcessRef): Promise<Process[]> {
  return isEndable(ref.pid) ? treeOf(await listProcesses(world), [ref]) : [];
}

/**
 * Ends a process tree: TERM, a bounded wait, KILL. Children born on the way are taken along; the calling process
 * is spared. Gives what is still alive at the end: normally nobody.
 */
export async function endProcessTree(
  world: ProcessWorld,
  ref: ProcessRef,
  { graceMs = 3_000, killMs = 2_000 }: EndOptions = {},
): Promise<Process[]> {
  if (!isEndable(ref.pid)) return [];
  const root = await findProcess(world, ref);
  const known: ProcessRef[] = [{ pid: ref.pid, start: ref.start ?? root?.start ?? "gone" }];
  const survivors = async () => {
    const tree = treeOf(await listProcesses(world), known).filter((one) => one.pid !== process.pid);
    known.push(...tree.filter((one) => !known.some((other) => isSame(one, other))));
    return tree;
  };
  const end = async (signal: "SIGTERM" | "SIGKILL", timeoutMs: number) => {
    const signalled = new Set<string>();
    const once = async () => {
      const alive = await survivors();
      for (const one of alive) {
        if (!signalled.has(keyOf(one))) sendSignal(one.pid, signal);
        signalled.add(keyOf(one));
      }
      return alive.length === 0 ? true : undefined;
    };
    return pollUntil(world.clock, once, { everyMs: EVERY_MS, timeoutMs });
  };
  if ((await end("SIGTERM", graceMs)) ?? (await end("SIGKILL", killMs))) return [];
  return survivors();
}

/** The processes that have the keyboard of a terminal such as `/dev/pts/3`: what Ctrl-C would reach. */
export async function foregroundGroup(world: ProcessWorld, tty: string): Promise<Process[]> {
  const processes = await processesOn(world, tty);
  const group = processes.find((one) => one.foreground !== undefined)?.foreground;
  return processes.filter((one) => one.group === group && !one.zombie);
}

/**
 * Whether the process was started with that variable in its environment: a mark that outlives terminals and parents.
 * False for processes of other users.
 */
export async function hasEnvironment(
  { exec, platform }: ProcessWorld,
  pid: number,
  { name, value }: { name: string; value: string },
): Promise<boolean> {
  if (!isEndable(pid)) return false;
  if ((platform ?? process.platform) === "linux") {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    return environment.split("\0").includes(`${name}=${value}`);
  }
  const { stdout } = await exec("ps", ["-E", "-ww", "-o", "command=", "-p", String(pid)], { timeoutMs: 10_000 });
  return stdout.trimEnd().split(/\s/).includes(`${name}=${value}`);
}

/** Signals a whole process group. False when nobody is left in it, or it is not ours to signal. */
export function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  return isEndable(group) && sendSignal(-group, signal);
}

/** True while somebody is left in a process group of ours. */
export function isGroupAlive(group: number): boolean {
  return isEndable(group) && sendSignal(-group, 0);
}

/**
 * The name of a process for good, as `pid start host`: of this one, or of `pid`. Undefined when there is none. A row may
 * hold it to tell, later and from elsewhere, whether whoever wrote it still lives.
 */
async function processMark(world: ProcessWorld, pid: number = process.pid): Promise<string | undefined> {
  const found = await findPid(world, pid);
  return found === undefined || found.zombie ? undefined : `${keyOf(found)} ${hostname()}`;
}

/** The mark of this process; where the system does not tell when it began, one that counts as dead. */
export async function ownMark(world: ProcessWorld): Promise<string> {
  return (await processMark(world)) ?? `${process.pid} 0 ${hostname()}`;
}

/** True while the process of a mark lives. One of another host cannot be seen, and counts as living. */
export async function isMarkAlive(world: ProcessWorld, mark: string): Promise<boolean> {
  if (!mark.endsWith(` ${hostname()}`)) return true;
  const pid = pidOfMark(mark);
  return isEndable(pid) && (await processMark(world, pid)) === mark;
}

/** Those of these marks whose processes live. */
export async function livingMarks(world: ProcessWorld, marks: Iterable<string>): Promise<Set<string>> {
  const living = new Set<string>();
  for (const mark of new Set(marks)) if (await isMarkAlive(world, mark)) living.add(mark);
  return living;
}

/** The pid in a mark. */
export function pidOfMark(mark: string): number {
  return Number(mark.split(" ", 1)[0]);
}

async function findPid(world: ProcessWorld, pid: number): Promise<Process | undefined> {
  if ((world.platform ?? process.platform) !== "linux") return (await readPs(world.exec, ["-p", String(pid)]))[0];
  return parseStat(await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""));
}

function treeOf(processes: readonly Process[], roots: readonly ProcessRef[]): Process[] {
  const alive = processes.filter((one) => !one.zombie);
  const byPid = new Map(alive.map((one) => [one.pid, one]));
  const isReused = (ref: ProcessRef) => byPid.has(ref.pid) && !alive.some((one) => isSame(one, ref));
  const sessions = new Set(roots.filter((ref) => !isReused(ref)).map((ref) => ref.pid));
  const found = new Map<number, Process>();
  let next = alive.filter(
    (one) => roots.some((ref) => isSame(one, ref)) || (one.session !== undefined && sessions.has(one.session)),
  );
  while (next.length > 0) {
    for (const one of next) found.set(one.pid, one);
    next = alive.filter((one) => found.has(one.parent) && !found.has(one.pid));
  }
  return [...found.values()];
}

/** 0, 1 and -1 name the system, init and everybody; a missing pid read as a number is 0. */
function isEndable(pid: number): boolean {
  return Number.isInteger(pid) && pid > 1;
}

function isSame(one: Process, ref: ProcessRef): boolean {
  return one.pid === ref.pid && (ref.start === undefined || one.start === ref.start);
}

function keyOf({ pid, start }: Process): string {
  return `${pid} ${start}`;
}

/** Gone between looking and signalling, or somebody else's: both show in the next look. */
function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

async function readProc(only?: readonly string[]): Promise<ProcProcess[]> {
  const pids = only ?? (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, "utf8").catch(() => "")));
  return found.flatMap((line) => parseStat(line) ?? []);
}

/** proc(5): the name is in parentheses and may itself hold spaces and parentheses. */
export function parseStat(line: string): ProcProcess | undefined {
  const [, pid, name = ""] = /^(\d+) \((.*)\) /s.exec(line) ?? [];
  if (pid === undefined) return undefined;
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const [state, parent, group, session, tty, foreground] = fields;
  return {
    pid: Number(pid),
    name,
    zombie: state === "Z" || state === "X",
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    tty: Number(tty),
    ...(Number(foreground) > 0 && { foreground: Number(foreground) }),
    start: fields[19] ?? "",
  };
}

async function readPs(exec: Exec, select: readonly string[] = ["-ax"]): Promise<Process[]> {
  const columns = ["pid", "ppid", "pgid", "tpgid", "stat", "lstart", "comm"].flatMap((name) => ["-o", `${name}=`]);
  const { stdout } = await exec("ps", [...select, ...columns], {
    env: { PATH: "/bin:/usr/bin:/usr/local/bin", LC_ALL: "C", TZ: "UTC" },
    timeoutMs: 10_000,
  });
  const processes = stdout.split("\n").flatMap((line) => parsePs(line) ?? []);
  return processes.filter((one) => !(one.parent === process.pid && /(^|\/)ps$/.test(one.name)));
}

/** `lstart` is five words: `Mon Nov 21 13:24:00 2026`. */
export function parsePs(line: string): Process | undefined {
  const words = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(-?\d+)\s+(\S+)\s+(\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+(.*)$/.exec(line);
  if (words === null) return undefined;
  const [, pid, parent, group, foreground, state = "", start = "", name = ""] = words;
  return {
    pid: Number(pid),
    parent: Number(parent),
    group: Number(group),
    ...(Number(foreground) > 0 && { foreground: Number(foreground) }),
    start: start.replace(/\s+/g, " "),
    name,
    zombie: state.startsWith("Z"),
  };
}

async function processesOn(world: ProcessWorld, tty: string): Promise<Process[]> {
  if ((world.platform ?? process.platform) !== "linux") {
    return readPs(world.exec, ["-t", tty.replace(/^\/dev\//, "")]);
  }
  const device = await stat(tty).catch(() => undefined);
  if (device === undefined) return [];
  return (await readProc()).filter((one) => one.tty === device.rdev);
}
