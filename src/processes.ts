import { randomUUID } from "node:crypto";
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

/** What it takes to see processes and to end them; every `Host` is one. */
export interface ProcessHost {
  exec: Exec;
  context: { readonly clock: Clock };
  platform?: NodeJS.Platform;
}

/** Names one process. With `start`, another process that reuses the pid does not match. */
export interface ProcessRef {
  pid: number;
  start?: string;
}

export interface EndOptions {
  /** How long TERM may take before KILL; 3,000 ms without it. */
  graceMs?: number | undefined;
  /** How long to wait after KILL; 2,000 ms without it. */
  killMs?: number | undefined;
  /** Ends the wait after TERM. */
  signal?: AbortSignal | undefined;
}

interface ProcProcess extends Process {
  /** Device number of its terminal. */
  tty: number;
}

const EVERY_MS = 25;

/** All processes of this machine, from /proc on Linux and from `ps` elsewhere. */
export async function listProcesses(host: ProcessHost): Promise<Process[]> {
  return (host.platform ?? process.platform) === "linux" ? readProc() : readPs(host.exec);
}

/** The process, or undefined when it has ended or its pid belongs to another one now. */
export async function findProcess(host: ProcessHost, ref: ProcessRef): Promise<Process | undefined> {
  const isLinux = (host.platform ?? process.platform) === "linux";
  const found = isLinux ? await readProc([String(ref.pid)]) : await readPs(host.exec, ["-p", String(ref.pid)]);
  return found.find((one) => isSame(one, ref));
}

/**
 * Ends a process and its descendants: TERM, a bounded wait, KILL. Children that start meanwhile are ended too; the
 * calling process is spared. Gives what is still alive at the end: normally nothing.
 */
export async function endProcessTree(
  host: ProcessHost,
  ref: ProcessRef,
  { graceMs = 3_000, killMs = 2_000, signal: hurry }: EndOptions = {},
): Promise<Process[]> {
  if (!isEndable(ref.pid)) return [];
  const root = await findProcess(host, ref);
  const known: ProcessRef[] = [{ pid: ref.pid, start: ref.start ?? root?.start ?? "gone" }];
  const survivors = async () => {
    const tree = treeOf(await listProcesses(host), known).filter((one) => one.pid !== process.pid);
    known.push(...tree.filter((one) => !known.some((other) => isSame(one, other))));
    return tree;
  };
  const end = async (signal: "SIGTERM" | "SIGKILL", wait: { timeoutMs: number; signal?: AbortSignal | undefined }) => {
    const signalled = new Set<string>();
    const once = async () => {
      const alive = await survivors();
      for (const one of alive) {
        if (!signalled.has(keyOf(one))) sendSignal(one.pid, signal);
        signalled.add(keyOf(one));
      }
      return alive.length === 0 ? true : undefined;
    };
    return pollUntil(host.context.clock, once, { everyMs: EVERY_MS, ...wait });
  };
  const gentle = await end("SIGTERM", { timeoutMs: graceMs, signal: hurry });
  return (gentle ?? (await end("SIGKILL", { timeoutMs: killMs }))) ? [] : survivors();
}

/** Ends a process group: TERM, a bounded wait, KILL. Ended processes that nobody has reaped yet do not count. */
export async function endGroup(
  host: ProcessHost,
  group: number,
  { graceMs = 1_000, killMs = 2_000, signal: hurry }: EndOptions = {},
): Promise<void> {
  if (!signalGroup(group, "SIGTERM")) return;
  const once = async () =>
    (await listProcesses(host)).some((one) => one.group === group && !one.zombie) ? undefined : true;
  const wait = { everyMs: EVERY_MS, timeoutMs: graceMs, signal: hurry };
  if (await pollUntil(host.context.clock, once, wait)) return;
  signalGroup(group, "SIGKILL");
  await pollUntil(host.context.clock, once, { everyMs: EVERY_MS, timeoutMs: killMs });
}

/** The foreground process group of a terminal such as `/dev/pts/3`: what Ctrl-C would reach. */
export async function foregroundGroup(host: ProcessHost, tty: string): Promise<Process[]> {
  const processes = await processesOn(host, tty);
  const group = processes.find((one) => one.foreground !== undefined)?.foreground;
  return processes.filter((one) => one.group === group && !one.zombie);
}

/**
 * Whether the process was started with that variable in its environment, which outlives terminals and parents.
 * False for processes of other users.
 */
export async function hasEnvironment(
  { exec, platform }: ProcessHost,
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

/** Signals a process group. False when it is empty or belongs to another user. */
export function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  return isEndable(group) && sendSignal(-group, signal);
}

/** `pid start host`, which no other process will ever have; undefined when the process has ended. */
async function identityOf(host: ProcessHost, pid: number = process.pid): Promise<string | undefined> {
  const found = await findProcess(host, { pid });
  return found === undefined || found.zombie ? undefined : `${keyOf(found)} ${hostname()}`;
}

/**
 * The identity of this process, for rows from which others find out whether their writer is still alive. If the system does
 * not say when the process started, one that counts as dead.
 */
export async function processIdentity(host: ProcessHost): Promise<string> {
  return (await identityOf(host)) ?? `${process.pid} 0 ${hostname()}`;
}

/** True while the process with that identity is alive. One on another host cannot be seen and counts as alive. */
export async function isProcessAlive(host: ProcessHost, identity: string): Promise<boolean> {
  if (!identity.endsWith(` ${hostname()}`)) return true;
  const pid = pidOf(identity);
  return isEndable(pid) && (await identityOf(host, pid)) === identity;
}

/** The identities in these rows whose processes are alive. */
export async function livingProcesses(
  host: ProcessHost,
  rows: readonly { readonly process: string }[],
): Promise<Set<string>> {
  const living = new Set<string>();
  for (const one of new Set(rows.map((row) => row.process))) if (await isProcessAlive(host, one)) living.add(one);
  return living;
}

/** The names of this process's holds: a pid does not tell two of its calls apart. */
const ownHolders = new Set<string>();

/** A new name for a lock of this process, alive until it is passed to `endHolder`. */
export async function newHolder(host: ProcessHost): Promise<string> {
  const holder = `${await processIdentity(host)} ${randomUUID().slice(0, 8)}`;
  ownHolders.add(holder);
  return holder;
}

/** After this the holder counts as dead, so a lock that could not be released is taken over. */
export function endHolder(holder: string): void {
  ownHolders.delete(holder);
}

/** True while the holder's process is alive and has not ended the hold. One on another host counts as alive. */
export async function isHolderAlive(host: ProcessHost, holder: string): Promise<boolean> {
  if (ownHolders.has(holder)) return true;
  const identity = identityIn(holder);
  if (identity === (await processIdentity(host))) return false;
  return isProcessAlive(host, identity);
}

/** The other host that the holder is on, or was: this one has that name no more if it got another one since. */
export function otherHostOf(holder: string): string | undefined {
  const name = identityIn(holder).split(" ").at(-1);
  return name === hostname() ? undefined : name;
}

const identityIn = (holder: string) => holder.slice(0, holder.lastIndexOf(" "));

/** Tells one start of this machine from the next; empty where a process's start time is absolute. */
export async function bootId(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "")).trim();
}

/** The pid in an identity. */
export function pidOf(identity: string): number {
  return Number(identity.split(" ", 1)[0]);
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

/** 0, 1 and -1 are the system, init and every process; a missing pid read as a number is 0. */
function isEndable(pid: number): boolean {
  return Number.isInteger(pid) && pid > 1;
}

function isSame(one: Process, ref: ProcessRef): boolean {
  return one.pid === ref.pid && (ref.start === undefined || one.start === ref.start);
}

function keyOf({ pid, start }: Process): string {
  return `${pid} ${start}`;
}

/** False when the process has ended meanwhile or belongs to another user: the next listing shows which. */
function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
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

/** When a process started, in ms since the epoch; undefined if `ps` does not show it. */
export async function processStart({ exec }: ProcessHost, pid: number): Promise<number | undefined> {
  const start = Date.parse(`${(await ps(exec, ["-o", "lstart=", "-p", String(pid)])).trim()} UTC`);
  return Number.isNaN(start) ? undefined : start;
}

async function ps(exec: Exec, args: readonly string[]): Promise<string> {
  const env = { PATH: "/bin:/usr/bin:/usr/local/bin", LC_ALL: "C", TZ: "UTC" };
  return (await exec("ps", args, { env, timeoutMs: 10_000 })).stdout;
}

async function readPs(exec: Exec, select: readonly string[] = ["-ax"]): Promise<Process[]> {
  const columns = ["pid", "ppid", "pgid", "tpgid", "stat", "lstart", "comm"].flatMap((name) => ["-o", `${name}=`]);
  const stdout = await ps(exec, [...select, ...columns]);
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

async function processesOn(host: ProcessHost, tty: string): Promise<Process[]> {
  if ((host.platform ?? process.platform) !== "linux") {
    return readPs(host.exec, ["-t", tty.replace(/^\/dev\//, "")]);
  }
  const device = await stat(tty).catch(() => undefined);
  if (device === undefined) return [];
  return (await readProc()).filter((one) => one.tty === device.rdev);
}
