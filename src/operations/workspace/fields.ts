import { resolve } from "node:path";
import * as z from "zod";
import type { WhileBusy } from "../../workspaces/busy.js";
import type { WorkspaceWishes } from "../../workspaces/create.js";
import { getWorkstream } from "../../workstreams/workstream.js";
import type { App } from "../define.js";
import { field, flag, optionalText } from "../fields.js";

export const backendField = (notes: { aliases?: string[] } = {}) =>
  field(
    z.enum(["git", "jj", "sl", "none"]).optional(),
    "Version control (default: detected: jj, sl, git or none)",
    notes,
  );

export const projectRootField = (notes: { aliases?: string[] } = {}) =>
  optionalText("Project folder (default: the workstream's, then this one)", { value: "folder", ...notes });

/** `--even-if-busy`. */
export const whileBusyField = (description = "Change its files even if the agent is busy") => flag(description);

/** The flag as the core takes it. */
export function whileBusyOf(evenIfBusy: boolean): { whileBusy: WhileBusy } {
  return { whileBusy: evenIfBusy ? "go on" : "refuse" };
}

/** The options of a new workspace, as the core takes them. */
export async function wishesOf(
  app: App,
  workstream: string,
  { projectRoot, ...wishes }: Omit<WorkspaceWishes, "projectRoot"> & { projectRoot?: string | undefined },
): Promise<WorkspaceWishes> {
  const { root } = await getWorkstream(app.context.store.db, workstream);
  const folder = resolve(app.request.cwd, projectRoot ?? root ?? ".");
  return { ...wishes, projectRoot: folder, signal: app.request.signal };
}
