import { join } from "node:path";
import { agentRows } from "../agents/agent.js";
import type { Crew, TmuxHost } from "../agents/crew.js";
import { addToArchive, getArchive } from "../archives.js";
import { writeBundle } from "../bundles/write.js";
import { timestamp } from "../db/context.js";
import { Fault, ignoreFault, insteadOfFault } from "../errors.js";
import type { Host } from "../host.js";
import { endInterruptedLandings } from "../landing/settle.js";
import { checkWorkstreamName } from "../names.js";
import { shape, type TypeOf } from "../shape.js";
import { readKept } from "../tasks/kept.js";
import { PLACEHOLDER_WINDOW, sessionExists } from "../tmux/windows.js";
import { getBackend } from "../vcs/backends.js";
import { busyAgents, type WhileBusy } from "../workspaces/busy.js";
import { freeWorkspace } from "../workspaces/free.js";
import { standingsOf } from "../workspaces/inspect.js";
import { salvageWorkspace } from "../workspaces/salvage.js";
import { workspaceRows } from "../workspaces/workspace.js";
import {
  DESTRUCTION,
  destroyWorkstream,
  getWorkstream,
  listWorkstreams,
  previewDestroy,
  renameWorkstream,
  sessionOf,
  WORKSTREAM_SUMMARY,
  type Workstream,
  workstreamOf,
  workstreamRow,
} from "../workstreams/workstream.js";
import { closeAgents } from "./close.js";

/** A workstream and its tmux session. */
export const LISTED_WORKSTREAM = shape({ ...WORKSTREAM_SUMMARY, session: "string", sessionAlive: "boolean" });

export type ListedWorkstream = TypeOf<typeof LISTED_WORKSTREAM>;

/** What goes with a workstream that is destroyed. */
export const CREW_DESTRUCTION = shape({
  ...DESTRUCTION,
  session: "string",
  /** The session runs. */
  sessionAlive: "boolean",
  /** The agents that are closed. */
  closing: "string[]",
  /** Those of them that are busy. */
  busy: "string[]",
  /** Panes of the session that are no agent's, with what runs in them. */
  strangers: [{ pane: "string", command: "string" }],
  /** The workspaces, with the work in them that is not landed; null if that is unknown. */
  workspaces: [{ agent: "string", path: "string", commits: "number | null", files: "number | null" }],
  /** What was saved of them, by name. */
  salvages: "string[]",
  /** The folder that its tasks are exported to; null if they are not, or if there are none. */
  exportedTo: "string | null",
  /** The archive that keeps them. */
  archivedTo: "string | null",
});

export type CrewDestruction = TypeOf<typeof CREW_DESTRUCTION>;

/** Creates the workstream's session unless it runs; true if it was created. Faults `workstream.not_found`, `tmux.*`. */
export async function openCrewSession({ tmux, env, context, databaseEnv }: Crew, workstream: string): Promise<boolean> {
  const { root } = await getWorkstream(context.store.db, workstream);
  return tmux.openSession(sessionOf(workstream), root ?? env["HOME"] ?? "/", databaseEnv);
}

/** Workstreams with their sessions, and mu's sessions that belong to none of them. */
export async function listCrewSessions(host: TmuxHost): Promise<{ items: ListedWorkstream[]; strays: string[] }> {
  const rows = await listWorkstreams(host.context.store.db);
  const running = await host.tmux.listSessions().catch(insteadOfFault<string[]>([]));
  const items = rows.map((row) => ({ ...row, session: sessionOf(row.name) }));
  const strays = running.filter(
    (name) => workstreamOf(name) !== undefined && !items.some((row) => row.session === name),
  );
  return { items: items.map((row) => ({ ...row, sessionAlive: running.includes(row.session) })), strays };
}

export interface DestroyOptions {
  whileBusy?: WhileBusy | undefined;
  /** `none`: its tasks are not exported first. */
  export?: "none" | undefined;
  /** The archive that its tasks are added to first. */
  archive?: string | undefined;
}

/** What `destroyCrew` would end and remove. Faults `workstream.not_found`, `archive.not_found`, `tmux.failed`. */
export async function previewCrewDestroy(
  host: TmuxHost,
  workstream: string,
  options: Omit<DestroyOptions, "whileBusy"> = {},
): Promise<CrewDestruction> {
  const { db } = host.context.store;
  const rows = await previewDestroy(db, workstream);
  if (options.archive !== undefined) await getArchive(db, options.archive);
  const closing = await agentRows(db, workstream);
  const session = sessionOf(workstream);
  const panes = (await ifInstalled(host.tmux.listPanes(), [])).filter((pane) => pane.session === session);
  const strangers = panes.filter(
    (pane) =>
      pane.windowName !== PLACEHOLDER_WINDOW &&
      !closing.some((row) => row.pane === pane.id && row.server === pane.server),
  );
  return {
    ...rows,
    session,
    sessionAlive: panes.length > 0,
    closing: closing.map((row) => row.name),
    busy: await busyAgents(host, workstream),
    strangers: strangers.map(({ id, command }) => ({ pane: id, command })),
    workspaces: await previewWorkspaces(host, workstream),
    salvages: [],
    exportedTo: rows.tasks === 0 || options.export === "none" ? null : exportFolder(host, workstream),
    archivedTo: options.archive ?? null,
  };
}

async function previewWorkspaces(host: Host, workstream: string): Promise<CrewDestruction["workspaces"]> {
  const rows = await workspaceRows(host.context.store.db, workstream);
  const standings = await standingsOf(host, rows);
  return rows.map(({ agent, path }) => {
    const { ahead = null, dirty = null } = standings.get(path) ?? {};
    return { agent, path, commits: ahead, files: dirty };
  });
}

/** Named by the moment, so that an earlier one of that name keeps its own. */
function exportFolder({ stateDir, context }: Host, workstream: string): string {
  const moment = timestamp(context.clock).replace(/[-:]|\.\d+/g, "");
  return join(stateDir, "exports", `${workstream}-${moment}`);
}

/**
 * Exports its tasks to a folder of mu's and keeps them in an archive, saves the work in every workspace, closes every agent of the workstream, frees the workspaces, ends its session
 * (exactly that one) and removes its rows. An export or an archive that fails, or a workspace that cannot be saved, stops it before
 * anything is ended. Interrupted, it can be called again. `mu undo` brings the rows back, with closed agents and freed
 * workspaces. Faults `workstream.not_found`, `workstream.in_use`, `agent.still_alive`, `tmux.failed`,
 * `workspace.in_progress`, `file.not_writable`, and those of the backends.
 */
export async function destroyCrew(
  host: TmuxHost,
  workstream: string,
  { whileBusy = "refuse", ...options }: DestroyOptions = {},
): Promise<CrewDestruction> {
  const { store } = host.context;
  const gone = await previewCrewDestroy(host, workstream, options);
  if (gone.busy.length > 0 && whileBusy === "refuse") throw inUse(workstream, gone.busy);
  if (gone.exportedTo !== null) {
    const tasks = await readKept(store.db, (await workstreamRow(store.db, workstream)).id);
    await writeBundle(gone.exportedTo, [{ workstream, tasks }], timestamp(host.context.clock));
  }
  if (gone.archivedTo !== null) await addToArchive(host.context, gone.archivedTo, workstream);
  // Without its row nobody would find the scratch checkout of a landing that was cut off.
  await endInterruptedLandings(host);
  const salvages = new Set(await salvageAll(host, workstream));
  const closing = {
    reason: "its workstream is destroyed",
    ...(whileBusy === "go on" && { whileUnreachable: whileBusy }),
  };
  await closeAgents(host, await agentRows(store.db, workstream), closing);
  for (const name of await freeAll(host, workstream)) salvages.add(name);
  await ifInstalled(host.tmux.killSession(gone.session), undefined);
  await releaseKeptWork(host, workstream);
  await destroyWorkstream(host.context, workstream);
  return { ...gone, salvages: [...salvages] };
}

/** Workstreams without tasks, agents, workspaces and panes, and mu's sessions of no workstream with nothing in them. */
export async function listEmpty(host: TmuxHost): Promise<{ workstreams: string[]; strays: string[] }> {
  const { items, strays } = await listCrewSessions(host);
  const panes = await ifInstalled(host.tmux.listPanes(), []);
  const isUsed = (name: string) =>
    panes.some(({ session, windowName }) => session === name && windowName !== PLACEHOLDER_WINDOW);
  const workstreams: string[] = [];
  for (const { name, session, tasks, agents } of items) {
    if (tasks + agents > 0 || isUsed(session)) continue;
    if ((await workspaceRows(host.context.store.db, name)).length === 0) workstreams.push(name);
  }
  return { workstreams, strays: strays.filter((name) => !isUsed(name)) };
}

/** Ends sessions of mu's that belong to no workstream. Faults `tmux.failed`. */
export async function endStrays({ tmux }: TmuxHost, sessions: readonly string[]): Promise<void> {
  for (const session of sessions) await tmux.killSession(session);
}

function inUse(workstream: string, busy: readonly string[]): Fault {
  return new Fault(
    "conflict",
    "workstream.in_use",
    `${busy.join(", ")} ${busy.length === 1 ? "is" : "are"} busy; nothing was destroyed.`,
    [
      { intent: "Wait for the agents", command: `mu agent wait ${workstream}/${busy[0]}` },
      { intent: "Destroy it anyway", command: `mu workstream destroy ${workstream} --yes --even-if-busy` },
    ],
    { busy },
  );
}

async function salvageAll(host: Host, workstream: string): Promise<string[]> {
  const names: string[] = [];
  for (const row of await workspaceRows(host.context.store.db, workstream)) {
    const salvage = row.state === "creating" ? null : await salvageWorkspace(host, row, "workstream destroy", "goes");
    if (salvage !== null) names.push(salvage.name);
  }
  return names;
}

async function freeAll(host: TmuxHost, workstream: string): Promise<string[]> {
  const names: string[] = [];
  for (const { agent } of await workspaceRows(host.context.store.db, workstream)) {
    const ref = { workstream, name: agent };
    const { salvage } = await freeWorkspace(host, ref, { whileBusy: "go on", reason: "workstream destroy" });
    if (salvage !== null) names.push(salvage.name);
  }
  return names;
}

/** What was kept alive for its tasks is let go, where something else has it. A repository out of reach keeps all. */
async function releaseKeptWork(host: Host, workstream: string): Promise<void> {
  const tasks = await host.context.store.db
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
    await getBackend("git").letGo?.(host, root, workstream, landed).catch(insteadOfFault(undefined));
  }
}

/** Where tmux is not installed there are no panes, and a plan of tasks alone can be renamed and removed. */
async function ifInstalled<T>(answer: Promise<T>, otherwise: T): Promise<T> {
  return (await answer.catch(ignoreFault("tmux.not_installed"))) ?? otherwise;
}

/**
 * Renames the workstream and its session; agents that live there keep their identity. Faults
 * `workstream.not_found`, `workstream.exists`, `workstream.invalid_name`, `session.exists`, `tmux.failed`.
 */
export async function renameCrew(host: TmuxHost, workstream: string, to: string): Promise<Workstream> {
  await getWorkstream(host.context.store.db, workstream);
  checkWorkstreamName(to);
  const [from, target] = [sessionOf(workstream), sessionOf(to)];
  const runs = (session: string) => ifInstalled(host.tmux.hasSession(session), false);
  if (workstream !== to && (await runs(from)) && (await runs(target))) throw sessionExists(target, host.env);
  const renamed = await renameWorkstream(host.context, workstream, to);
  if (workstream !== to) await ifInstalled(host.tmux.renameSession(from, target), false);
  return renamed;
}
