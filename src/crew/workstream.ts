import { agentRows } from "../agents/agent.js";
import type { Crew } from "../agents/crew.js";
import { Fault } from "../errors.js";
import { settleLandings } from "../landing/settle.js";
import { checkWorkstreamName } from "../names.js";
import { sessionExists } from "../tmux/windows.js";
import { getBackend } from "../vcs/backends.js";
import { freeWorkspace } from "../workspaces/free.js";
import { standingsOf } from "../workspaces/inspect.js";
import { salvageWorkspace } from "../workspaces/salvage.js";
import { workspaceRows } from "../workspaces/workspace.js";
import {
  type Destruction,
  destroyWorkstream,
  getWorkstream,
  previewDestroy,
  renameWorkstream,
  sessionOf,
  type Workstream,
} from "../workstreams/workstream.js";
import { closeAgent } from "./close.js";

/** What goes with a workstream that is destroyed. */
export interface CrewDestruction extends Destruction {
  session: string;
  /** The session runs. */
  sessionAlive: boolean;
  /** The agents that are closed. */
  closing: string[];
  /** Panes of the session that are no agent's, with what runs in them. */
  strangers: { pane: string; command: string }[];
  /** The workspaces, with the work in them that is not landed; null where that cannot be told. */
  workspaces: { agent: string; path: string; commits: number | null; files: number | null }[];
  /** What was saved of them, by name. */
  salvages: string[];
}

/** What `destroyCrew` would end and remove. Faults `workstream.not_found`, `tmux.failed`. */
export async function previewCrewDestroy(crew: Crew, workstream: string): Promise<CrewDestruction> {
  const { db } = crew.context.store;
  const rows = await previewDestroy(db, workstream);
  const closing = await agentRows(db, workstream);
  const session = sessionOf(workstream);
  const panes = (await ifInstalled(crew.tmux.listPanes(), [])).filter((pane) => pane.session === session);
  const strangers = panes.filter((pane) => !closing.some((row) => row.pane === pane.id && row.server === pane.server));
  return {
    ...rows,
    session,
    sessionAlive: panes.length > 0,
    closing: closing.map((row) => row.name),
    strangers: strangers.map(({ id, command }) => ({ pane: id, command })),
    workspaces: await previewWorkspaces(crew, workstream),
    salvages: [],
  };
}

async function previewWorkspaces(crew: Crew, workstream: string): Promise<CrewDestruction["workspaces"]> {
  const rows = await workspaceRows(crew.context.store.db, workstream);
  const standings = await standingsOf(crew, rows);
  return rows.map(({ agent, path }) => {
    const { ahead = null, dirty = null } = standings.get(path) ?? {};
    return { agent, path, commits: ahead, files: dirty };
  });
}

/**
 * Saves the work in every workspace, closes every agent of the workstream, frees the workspaces, ends its session
 * (exactly that one) and removes its rows. A workspace that cannot be saved stops it before anything is ended.
 * Interrupted, it can be called again. Faults `workstream.not_found`, `agent.still_alive`, `tmux.failed`,
 * `workspace.in_progress`, and those of the backends.
 */
export async function destroyCrew(crew: Crew, workstream: string): Promise<CrewDestruction> {
  const { store } = crew.context;
  const gone = await previewCrewDestroy(crew, workstream);
  // Without its row nobody would find the scratch checkout of a landing that was cut off.
  await settleLandings(crew);
  const salvages = new Set(await salvageAll(crew, workstream));
  for (const row of await agentRows(store.db, workstream)) {
    await closeAgent(
      crew,
      { workstream, name: row.name },
      { incarnation: row.id, reason: "its workstream is destroyed" },
    );
  }
  for (const name of await freeAll(crew, workstream)) salvages.add(name);
  await ifInstalled(crew.tmux.killSession(gone.session), undefined);
  await letGoOfWork(crew, workstream);
  await destroyWorkstream(crew.context, workstream);
  return { ...gone, salvages: [...salvages] };
}

async function salvageAll(crew: Crew, workstream: string): Promise<string[]> {
  const names: string[] = [];
  for (const row of await workspaceRows(crew.context.store.db, workstream)) {
    const salvage = row.state === "creating" ? null : await salvageWorkspace(crew, row, "workstream destroy");
    if (salvage !== null) names.push(salvage.name);
  }
  return names;
}

async function freeAll(crew: Crew, workstream: string): Promise<string[]> {
  const names: string[] = [];
  for (const { agent } of await workspaceRows(crew.context.store.db, workstream)) {
    const ref = { workstream, name: agent };
    const { salvage } = await freeWorkspace(crew, ref, { whileBusy: "go on", reason: "workstream destroy" });
    if (salvage !== null) names.push(salvage.name);
  }
  return names;
}

/** What was kept alive for its tasks is let go, where something else has it. A repository out of reach keeps all. */
async function letGoOfWork(crew: Crew, workstream: string): Promise<void> {
  const tasks = await crew.context.store.db
    .selectFrom("tasks as t")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .select(["t.work_root", "t.work_to", "t.landed_commit"])
    .where("w.name", "=", workstream)
    .where("t.work_root", "is not", null)
    .execute();
  for (const root of new Set(tasks.flatMap(({ work_root }) => work_root ?? []))) {
    const landed = tasks.flatMap(({ work_root, work_to: work, landed_commit: commit }) =>
      work_root === root && work !== null && commit !== null ? [{ work, commit }] : [],
    );
    try {
      await getBackend("git").letGo?.(crew, root, workstream, landed);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
    }
  }
}

/** Where tmux is not installed there are no panes, and a plan of tasks alone can be renamed and removed. */
async function ifInstalled<T>(answer: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Fault && error.code === "tmux.not_installed") return otherwise;
    throw error;
  }
}

/**
 * Renames the workstream and its session; agents that live there keep their identity. Faults
 * `workstream.not_found`, `workstream.exists`, `workstream.invalid_name`, `session.exists`, `tmux.failed`.
 */
export async function renameCrew(crew: Crew, workstream: string, to: string): Promise<Workstream> {
  await getWorkstream(crew.context.store.db, workstream);
  checkWorkstreamName(to);
  const [from, target] = [sessionOf(workstream), sessionOf(to)];
  const runs = (session: string) => ifInstalled(crew.tmux.hasSession(session), false);
  if (workstream !== to && (await runs(from)) && (await runs(target))) throw sessionExists(target);
  const renamed = await renameWorkstream(crew.context, workstream, to);
  if (workstream !== to) await ifInstalled(crew.tmux.renameSession(from, target), false);
  return renamed;
}
