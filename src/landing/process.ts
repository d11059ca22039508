import { hostname } from "node:os";
import type { Crew } from "../agents/crew.js";
import { findProcess, listProcesses } from "../processes.js";

/** Names the calling process for good: `pid start host`. */
export async function thisProcess(crew: Crew): Promise<string> {
  const own = await findProcess(worldOf(crew), { pid: process.pid });
  return `${process.pid} ${own?.start ?? "0"} ${hostname()}`;
}

/** Which of these processes live. One of another machine cannot be seen from here, and counts as living. */
export async function livingProcesses(crew: Crew, names: readonly string[]): Promise<Set<string>> {
  if (names.length === 0) return new Set();
  const here = new Set((await listProcesses(worldOf(crew))).map(({ pid, start }) => `${pid} ${start} ${hostname()}`));
  return new Set(names.filter((name) => here.has(name) || !name.endsWith(` ${hostname()}`)));
}

/** The pid in a process's name. */
export function pidOf(name: string): number {
  return Number(name.split(" ", 1)[0]);
}

const worldOf = (crew: Crew) => ({ exec: crew.exec, clock: crew.context.clock });
