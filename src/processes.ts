import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { constants } from "node:os";
import { type Clock, pollUntil } from "./clock.js";
import type { Exec } from "./exec.js";
import { placeHere, placeIn, placeText, sightOf } from "./place.js";

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
  /** As by Ctrl-Z. */
  stopped: boolean;
}

/** What it takes to see processes and to end them; every `Host` is one. */
export interface ProcessHost {
  exec: Exec;
  context: { readonly clock: Clock };
  platform?: NodeJS.Platform;
  /** Where these processes are not the operating system's: a simulation has its own. */
  life?: Life;
}

/** Who is alive, and who ends. */
export interface Life {
  /** Of the process that asks. */
  identity(): string;
  isAlive(identity: string): boolean;
  /** Ends all that were started with one of `marks` and all of `words` in their environment. */
  endMarked(marks: readonly string[], words: readonly string[]): Promise<void>;
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
  /** Leave the processes that the calling one descends from alone, but not their other children. */
  callers?: "spare" | undefined;
}

const EVERY_MS = 25;

/** All processes of this machine, from /proc on Linux and from `ps` elsewhere. */
export async function listProcesses(host: ProcessHost): Promise<Process[]> {
  return (host.platform ?? process.platform) === "linux" ? readProc() : readPs(host.exec);
}

/** The processes under each of these pids, itself first. On Linux only they and their terminals' foreground are read. */
export async function processTrees(host: ProcessHost, pids: readonly number[]): Promise<Map<number, Process[]>> {
  const isLinux = (host.platform ?? process.platform) === "linux";
  const all = isLinux || pids.length === 0 ? [] : await readPs(host.exec);
  return new Map(pids.map((pid) => [pid, isLinux ? readTree(pid) : treeOf(all, [{ pid }])]));
}

/** The command line of each process, as words; without those that have ended. Elsewhere than on Linux split at blanks. */
export async function commandLines(host: ProcessHost, pids: readonly number[]): Promise<Map<number, string[]>> {
  if ((host.platform ?? process.platform) === "linux") {
    return new Map(pids.map((pid) => [pid, readText(`/proc/${pid}/cmdline`).split("\0").filter(Boolean)]));
  }
  if (pids.length === 0) return new Map();
  const listed = await ps(host.exec, ["-ww", "-o", "pid=", "-o", "command=", "-p", pids.join(",")]);
  const words = listed.split("\n").map((line) => line.trim().split(/\s+/));
  return new Map(words.map(([pid, ...line]) => [Number(pid), line]));
}

/** The process, or undefined when it has ended or its pid belongs to another one now. */
export async function findProcess(host: ProcessHost, ref: ProcessRef): Promise<Process | undefined> {
  const isLinux = (host.platform ?? process.platform) === "linux";
  const found = isLinux ? await readProc([String(ref.pid)]) : await readPs(host.exec, ["-p", String(ref.pid)]);
  return found.find((one) => isSame(one, ref));
}

/**
 * Ends processes and their descendants: TERM, a bounded wait, KILL. Children that start meanwhile are ended too; the
 * calling process is spared. Gives what is still alive at the end: normally nothing.
 */
export async function endProcessTrees(
  host: ProcessHost,
  refs: readonly ProcessRef[],
  { graceMs = 3_000, killMs = 2_000, signal: hurry, callers }: EndOptions = {},
): Promise<Process[]> {
  const before = await listProcesses(host);
  const known = refs
    .filter(({ pid }) => isEndable(pid))
    .map(({ pid, start }) => ({ pid, start: start ?? before.find((one) => one.pid === pid)?.start ?? "gone" }));
  if (known.length === 0) return [];
  const spared = callers === "spare" ? callersIn(before).map(({ pid }) => pid) : [process.pid];
  const survivors = async () => {
    const tree = treeOf(await listProcesses(host), known);
    known.push(...tree.filter((one) => !known.some((other) => isSame(one, other))));
    return tree.filter(({ pid }) => !spared.includes(pid));
  };
  const end = async (signal: "SIGTERM" | "SIGKILL", wait: { timeoutMs: number; signal?: AbortSignal | undefined }) => {
    const signalled = new Set<string>();
    const once = async () => {
      const alive = await survivors();
      for (const one of alive.filter((one) => !signalled.has(keyOf(one)))) {
        sendSignal(one.pid, signal);
        if (signal === "SIGTERM" && (await ignoresTerm(host, one))) sendSignal(one.pid, "SIGHUP");
        sendSignal(one.pid, "SIGCONT");
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

/** Interactive shells ignore TERM; a terminal that closes ends them with HUP. */
async function ignoresTerm({ platform }: ProcessHost, { pid, name }: Process): Promise<boolean> {
  if ((platform ?? process.platform) !== "linux") return /^-?(?:\S*\/)?(?:ba|da|z|k|fi|c|tc)?sh$/.test(name);
  const [, ignored = "0"] =
    /^SigIgn:\s*(\w+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8").catch(() => "")) ?? [];
  return ((BigInt(`0x${ignored}`) >> BigInt(constants.signals.SIGTERM - 1)) & 1n) === 1n;
}

/** Of these processes the calling one and those that it descends from. */
export function callersIn(processes: readonly Process[]): Process[] {
  const callers: Process[] = [];
  for (let pid = process.pid; ; pid = callers.at(-1)?.parent ?? 0) {
    const next = processes.find((one) => one.pid === pid);
    if (next === undefined) return callers;
    callers.push(next);
  }
}

/**
 * Whether the process was started with that variable in its environment, which outlives terminals and parents.
 * False for processes of other users.
 */
export async function hasEnvironment(
  host: ProcessHost,
  pid: number,
  { name, value }: { name: string; value: string },
): Promise<boolean> {
  return isEndable(pid) && ((await environments(host, [pid])).get(pid)?.has(`${name}=${value}`) ?? false);
}

/** What every process of this user was started with, as `NAME=value`. tmux servers are left out: they serve others, too. */
export async function listEnvironments(host: ProcessHost): Promise<[Process, ReadonlySet<string>][]> {
  const processes = (await listProcesses(host)).filter((one) => !one.zombie && !one.name.startsWith("tmux"));
  const found = await environments(
    host,
    processes.map(({ pid }) => pid),
  );
  return processes.map((one) => [one, found.get(one.pid) ?? new Set()]);
}

/** Ends what was started with one of `marks` and all of `words` in its environment, but not what this process descends from. */
export async function endMarked(host: ProcessHost, marks: readonly string[], words: readonly string[]): Promise<void> {
  if (host.life !== undefined) return host.life.endMarked(marks, words);
  const found = await listEnvironments(host);
  const left = found.filter(([, env]) => marks.some((mark) => env.has(mark)) && words.every((word) => env.has(word)));
  const refs = left.map(([{ pid, start }]) => ({ pid, start }));
  await endProcessTrees(host, refs, { callers: "spare" });
}

async function environments({ exec, platform }: ProcessHost, pids: readonly number[]) {
  if ((platform ?? process.platform) === "linux") {
    const texts = pids.map((pid) => readFile(`/proc/${pid}/environ`, "utf8").catch(() => ""));
    return new Map((await Promise.all(texts)).map((text, at) => [pids[at] ?? 0, new Set(text.split("\0"))]));
  }
  const args = ["-E", "-ww", "-o", "pid=", "-o", "command=", "-p", pids.join(",")];
  const { stdout } = await exec("ps", args, { timeoutMs: 10_000 });
  const lines = stdout.split("\n").map((line) => line.trim().split(/\s+/));
  return new Map(lines.map(([pid, ...words]) => [Number(pid), new Set(words)]));
}

/** Signals a process group. False when it is empty or belongs to another user. */
export function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  return isEndable(group) && sendSignal(-group, signal);
}

/**
 * The identity of this process, `pid start place`, for rows from which others find out whether their writer is still alive.
 * If the system does not say when the process started, one that counts as dead.
 */
export async function processIdentity(host: ProcessHost): Promise<string> {
  if (host.life !== undefined) return host.life.identity();
  const found = await findProcess(host, { pid: process.pid });
  return `${process.pid} ${found?.start ?? 0} ${placeText(placeHere())}`;
}

/** True while the process with that identity is alive. One that cannot be seen from here counts as alive. */
export async function isProcessAlive(host: ProcessHost, identity: string): Promise<boolean> {
  if (host.life !== undefined) return host.life.isAlive(identity);
  const [pid, end] = [pidOf(identity), identity.lastIndexOf(" ")];
  const sight = sightOf(placeIn(identity.slice(end + 1)));
  if (sight !== "all" || !isEndable(pid)) return sight === "none";
  const found = await findProcess(host, { pid });
  return found !== undefined && !found.zombie && keyOf(found) === identity.slice(0, end);
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

/** True while the holder's process is alive and has not ended the hold. One out of sight counts as alive. */
export async function isHolderAlive(host: ProcessHost, holder: string): Promise<boolean> {
  if (ownHolders.has(holder)) return true;
  const identity = identityIn(holder);
  if (identity === (await processIdentity(host))) return false;
  return isProcessAlive(host, identity);
}

/** The host of a holder that cannot be seen from here; undefined for any other. */
export function unseenHostOf(holder: string): string | undefined {
  const place = placeIn(identityIn(holder).split(" ").at(-1) ?? "");
  return sightOf(place) === "none" ? place.host : undefined;
}

const identityIn = (holder: string) => holder.slice(0, holder.lastIndexOf(" "));

/** The pid in an identity. */
export function pidOf(identity: string): number {
  return Number(identity.split(" ", 1)[0]);
}

/** Of these processes those that live, of the roots, their process sessions and all descendants. */
export function treeOf(processes: readonly Process[], roots: readonly ProcessRef[]): Process[] {
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

async function readProc(only?: readonly string[]): Promise<Process[]> {
  const pids = only ?? (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => parseStat(readText(`/proc/${pid}/stat`)) ?? []);
}

/** Parents come before their children. */
function readTree(root: number): Process[] {
  const found = new Map<number, Process>();
  for (const next = [root]; next.length > 0; ) {
    const pid = next.pop() ?? 0;
    const one = found.has(pid) ? undefined : parseStat(readText(`/proc/${pid}/stat`));
    if (one === undefined) continue;
    found.set(pid, one);
    next.push(...readText(`/proc/${pid}/task/${pid}/children`).split(" ").map(Number).reverse());
    if (pid === root && one.foreground !== undefined) next.unshift(one.foreground);
  }
  return [...found.values()];
}

/** Files of /proc are in memory: to wait for each would cost more than to read it. */
function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** proc(5): the name is in parentheses and may itself hold spaces and parentheses. */
export function parseStat(line: string): Process | undefined {
  const [, pid, name = ""] = /^(\d+) \((.*)\) /s.exec(line) ?? [];
  if (pid === undefined) return undefined;
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const [state, parent, group, session, , foreground] = fields;
  return {
    pid: Number(pid),
    name,
    zombie: state === "Z" || state === "X",
    stopped: state === "T" || state === "t",
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
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
    stopped: state.startsWith("T"),
  };
}
