import { resolve } from "node:path";
import * as z from "zod";
import type { WhileBusy } from "../../workspaces/busy.js";
import type { WorkspaceWishes } from "../../workspaces/create.js";
import { getWorkstream } from "../../workstreams/workstream.js";
import type { App } from "../app.js";
import { about } from "../fields.js";

/** Whose workspace. */
export const ownerField = (description = "Whose workspace, as name or workstream/name") =>
  z
    .string()
    .min(1)
    .meta(about(description, { completes: "agent" }));

export const backendField = (notes: { aliases?: string[] } = {}) =>
  z
    .enum(["git", "jj", "sl", "none"])
    .optional()
    .meta(about("Which version control; else what the folder has: jj, sl, git, none", notes));

export const projectRootField = (notes: { aliases?: string[] } = {}) =>
  z
    .string()
    .min(1)
    .optional()
    .meta(about("The project's folder; else the workstream's, else this one", { value: "folder", ...notes }));

/** `--even-if-busy`. */
export const whileBusyField = (description = "Change its files although the agent is at work") =>
  z.boolean().default(false).meta(about(description));

/** The flag as the core takes it. */
export function whileBusyOf(evenIfBusy: boolean): { whileBusy: WhileBusy } {
  return { whileBusy: evenIfBusy ? "go on" : "refuse" };
}

/** What a new workspace shall be, as the core takes it. */
export async function wishesOf(
  app: App,
  workstream: string,
  input: {
    projectRoot?: string | undefined;
    backend?: WorkspaceWishes["backend"] | undefined;
    from?: string | undefined;
  },
): Promise<WorkspaceWishes> {
  const { root } = await getWorkstream(app.context.store.db, workstream);
  return {
    projectRoot: resolve(app.io.cwd, input.projectRoot ?? root ?? "."),
    ...(input.backend !== undefined && { backend: input.backend }),
    ...(input.from !== undefined && { from: input.from }),
    signal: app.io.signal,
  };
}
