import { readSettings } from "../project/read.js";
import type { ProjectSettings } from "../project/settings.js";
import { getWorkstream } from "../workstreams/workstream.js";
import type { App } from "./app.js";

/** The folder of a workstream's project, or where the caller is, and its settings. Faults `settings.invalid`. */
export async function projectOf(app: App, workstream: string): Promise<{ root: string; settings: ProjectSettings }> {
  const { root } = await getWorkstream(app.context.store.db, workstream);
  const folder = root ?? app.request.cwd;
  return { root: folder, settings: await readSettings(folder) };
}
