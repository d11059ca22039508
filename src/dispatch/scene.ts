import type { Host } from "../host.js";
import { readSettings, settingsOf } from "../project/read.js";
import { DEFAULT_SETTINGS } from "../project/settings.js";
import { workstreamRow } from "../workstreams/workstream.js";
import type { Scene } from "./facts.js";

/**
 * What a workstream is dispatched by: its folder, the settings there, and at most `max` runs at a time, of these roles;
 * without them all. Faults `workstream.not_found`, `settings.invalid`.
 */
export async function readScene(
  { context, stateDir }: Pick<Host, "context" | "stateDir">,
  workstream: string,
  { max = Number.POSITIVE_INFINITY, roles }: { max?: number | undefined; roles?: readonly string[] | undefined } = {},
): Promise<Scene> {
  const { id, name, root } = await workstreamRow(context.store.db, workstream);
  const settings = root === null ? DEFAULT_SETTINGS : await readSettings(root);
  return { workstream: { id, name, root }, settings, stateDir, max, ...(roles?.length && { roles: new Set(roles) }) };
}

/** The scene as the settings file says at each call; `say` is told when that breaks, and when it is good again. */
export function followScene(scene: Scene, say: (text: string) => void): () => Promise<Scene> {
  const { root } = scene.workstream;
  const held = root === null ? undefined : settingsOf(root);
  let problem: string | null = null;
  return async () => {
    const now = await held?.();
    if (now === undefined) return scene;
    if (now.problem !== problem) say(now.problem ?? "The settings are good again.");
    problem = now.problem;
    return { ...scene, settings: now.settings, isHeld: now.problem !== null };
  };
}
