import { resolve, sep } from "node:path";
import type { Reader } from "../db/schema.js";
import type { AgentRef } from "../names.js";
import type { VcsBackend } from "../vcs/vcs.js";
import { findWorkspaceRow, type WorkspaceRow } from "../workspaces/workspace.js";
import { workstreamRow } from "../workstreams/workstream.js";

/** Where an agent or a person works: its workspace, or a checkout that it shares with others. */
export interface Workplace
  extends Pick<WorkspaceRow, "workstream" | "agent" | "root" | "path" | "backend" | "branch" | "base_ref"> {
  /** True for a checkout of the project that is nobody's workspace. */
  shared: boolean;
}

/**
 * The ready workspace of an agent. An agent that has none works in the repository around `cwd` if that is the
 * project's or in its folder, else in the project's. Undefined if there is no repository. Reads only files.
 */
export async function findWorkplace(db: Reader, agent: AgentRef, cwd?: string): Promise<Workplace | undefined> {
  const space = await findWorkspaceRow(db, agent);
  if (space !== undefined) return space.state === "ready" ? { ...space, shared: false } : undefined;
  const { root: project } = await workstreamRow(db, agent.workstream);
  const git = await backendOf({ backend: "git" });
  const around = (folder: string | null | undefined) => (folder ? git.checkoutAround?.(folder) : undefined);
  const [here, there] = await Promise.all([around(cwd), around(project)]);
  const isOfProject = here && (project === null || here.root === there?.root || isInside(project, here.path));
  const checkout = isOfProject ? here : there;
  if (!checkout) return undefined;
  return {
    workstream: agent.workstream,
    agent: agent.name,
    ...checkout,
    backend: git.key,
    branch: null,
    base_ref: null,
    shared: true,
  };
}

/** The backend of a workspace, loaded on demand. */
export async function backendOf({ backend }: { backend: string }): Promise<VcsBackend> {
  const { getBackend } = await import("../vcs/backends.js");
  return getBackend(backend as VcsBackend["key"]);
}

/** True if `path` is `folder` or below it. */
export function isInside(folder: string, path: string): boolean {
  return (resolve(path) + sep).startsWith(resolve(folder) + sep);
}

/** When the task was last claimed. */
export async function claimedAt(
  db: Reader,
  { workstream, name }: { workstream: string; name: string },
): Promise<string> {
  const claim = await db
    .selectFrom("events")
    .select("at")
    .where("scope", "=", workstream)
    .where("op", "in", ["task.claim", "run.reserve"])
    .where("subject", "=", `${workstream}/${name}`)
    .orderBy("n", "desc")
    .limit(1)
    .executeTakeFirst();
  return claim?.at ?? "";
}

/** True if the agent had a workspace after that time, which is gone now. */
export async function hadWorkspace(db: Reader, { workstream, agent }: Workplace, since: string): Promise<boolean> {
  const row = await db
    .selectFrom("workspaces as s")
    .innerJoin("workstreams as w", "w.id", "s.workstream_id")
    .select("s.id")
    .where("w.name", "=", workstream)
    .where("s.agent", "=", agent)
    .where("s.freed_at", ">=", since)
    .executeTakeFirst();
  return row !== undefined;
}
