import type { Context } from "../db/context.js";
import { asFault } from "../errors.js";
import { readSettings } from "../project/read.js";
import { requireRoles } from "../project/roles.js";
import type { ProjectSettings } from "../project/settings.js";
import { getWorkstream } from "../workstreams/workstream.js";
import type { App } from "./app.js";

/** The folder of a workstream's project, or where the caller is, and its settings. Faults `settings.invalid`. */
export async function projectOf(app: App, workstream: string): Promise<{ root: string; settings: ProjectSettings }> {
  const { root } = await getWorkstream(app.context.store.db, workstream);
  const folder = root ?? app.request.cwd;
  return { root: folder, settings: await readSettings(folder) };
}

/**
 * The context in which the caller may add tasks for these roles to a workstream: an agent only for roles that the project
 * has, and a run no more than its limits. Faults `role.unknown`, `settings.invalid`.
 */
export async function addingContext(
  app: App,
  workstream: string,
  roles: readonly (string | null | undefined)[],
): Promise<Context> {
  const { caller, context } = app;
  if (caller.kind !== "agent") return context;
  const project = await projectOf(app, workstream).catch(async (error) => {
    if (asFault(error).code !== "workstream.not_found") throw error;
    // A plan may start its workstream in the folder of the caller.
    const root = app.request.cwd;
    return { root, settings: await readSettings(root) };
  });
  requireRoles(project, roles);
  const { maxChildrenPerRun: children, maxDepth: depth } = project.settings.dispatch;
  return { ...context, ...(context.run && { run: { ...context.run, limits: { children, depth } } }) };
}
