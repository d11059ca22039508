import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RowOf } from "../db/write.js";
import type { Layout } from "../tmux/look.js";
import { removeTranscript } from "./transcript.js";

type Incarnation = Pick<RowOf<"agents">, "id" | "spawned_at">;

/** What it takes to start an agent again as it was. It may hold secrets, so it is a file of its own, mode 0600. */
export interface LaunchRecord {
  /** Command line, as sh reads it. */
  command: string;
  /** Arguments of the user's behind the CLI's own. */
  args: readonly string[];
  /** What the user put into the environment. */
  env: Readonly<Record<string, string>>;
  cwd: string;
  /** The agent shares its window with others. */
  shared: boolean;
  layout?: Layout;
  model?: string;
}

/** The file that gets everything the agent's pane prints. */
export function transcriptPath(stateDir: string, agent: Incarnation): string {
  return `${join(stateDir, "transcripts", nameOf(agent))}.log`;
}

/** The file with what the pane showed when it was closed, scrollback and all, as plain text. */
export function lastScreenPath(stateDir: string, agent: Incarnation): string {
  return `${join(stateDir, "transcripts", nameOf(agent))}.txt`;
}

/** The folders of the files below, only for this user. */
export async function prepareFolders(stateDir: string): Promise<void> {
  for (const folder of ["transcripts", "launches"]) {
    await mkdir(join(stateDir, folder), { recursive: true, mode: 0o700 });
  }
}

export async function saveLaunch(stateDir: string, agent: Incarnation, launch: LaunchRecord): Promise<void> {
  await prepareFolders(stateDir);
  await writeFile(launchPath(stateDir, agent), JSON.stringify(launch), { mode: 0o600 });
}

/** How the agent was started; undefined when nobody wrote it down, as for one that was adopted. */
export async function readLaunch(stateDir: string, agent: Incarnation): Promise<LaunchRecord | undefined> {
  const text = await readFile(launchPath(stateDir, agent), "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as LaunchRecord);
}

/** Takes away every file of an incarnation that never lived. */
export async function removeFiles(stateDir: string, agent: Incarnation): Promise<void> {
  await removeTranscript(transcriptPath(stateDir, agent));
  for (const path of [launchPath, lastScreenPath]) await rm(path(stateDir, agent), { force: true });
}

function launchPath(stateDir: string, agent: Incarnation): string {
  return `${join(stateDir, "launches", nameOf(agent))}.json`;
}

/** Row ids begin again in every database, and two may share a state folder: the moment tells them apart. */
function nameOf({ id, spawned_at }: Incarnation): string {
  return `${id}-${Date.parse(spawned_at)}`;
}
