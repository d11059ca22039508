import type { Crew } from "../agents/crew.js";
import { requireApproved } from "../workspaces/setup/approvals.js";
import { runSetupCommand } from "../workspaces/setup/command.js";
import { putFiles } from "../workspaces/setup/files.js";
import { planSetup } from "../workspaces/setup/plan.js";
import { REPOSITORY_FILE } from "../workspaces/setup/repository-file.js";
import type { SetupSettings } from "../workstreams/settings.js";
import type { Place } from "./place.js";

/** The scratch checkout of a batch, and what workspaces of its workstream get. */
export interface Scratch {
  path: string;
  workstream: string;
  setup: SetupSettings;
  signal?: AbortSignal | undefined;
}

/** Whose name the output of the setup is kept under. */
const LANDER = "landing";

/**
 * Brings the scratch checkout to commits one after the other, each time set up as a workspace is, so that the check
 * finds what it finds there: files each time, the command once. Faults `setup.not_approved`, `setup.failed`, `vcs.*`.
 */
export function scratchCheckout(crew: Crew, { lander, root }: Place, { path, workstream, setup, signal }: Scratch) {
  let isSetUp = false;
  return async (commit: string): Promise<void> => {
    const plan = await planSetup(root, setup);
    const theirs = plan.command?.from === REPOSITORY_FILE ? plan.command.command : undefined;
    if (theirs !== undefined) await requireApproved(crew.context.store.db, { root, command: theirs }, workstream);
    await lander.scratch(crew, root, path, commit);
    await putFiles(crew, { root, path, backend: "git" }, plan);
    if (isSetUp || plan.command === null) return;
    const env = { MU_WORKSTREAM: workstream, MU_WORKSPACE: path, MU_PROJECT_ROOT: root };
    const { command } = plan.command;
    const timeoutMs = plan.timeoutSeconds * 1000;
    await runSetupCommand(crew, { workstream, agent: LANDER, path, command, env, timeoutMs, signal });
    isSetUp = true;
  };
}
