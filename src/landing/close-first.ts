import type { Claimant } from "../agents/agent.js";
import type { TmuxHost } from "../agents/crew.js";
import type { TaskRef } from "../names.js";
import { actingAgent, type TaskToChange, taskToChange } from "../tasks/change.js";
import { getLander } from "../vcs/backends.js";
import { type FinishOptions, finishTask } from "../work/finish.js";
import type { Warning } from "../work/requirements.js";
import { findWorkspaceRow } from "../workspaces/workspace.js";
import { getSettings } from "../workstreams/workstream.js";
import { notClosed } from "./choose.js";

export interface CloseFirstOptions extends Pick<FinishOptions, "cwd" | "signal" | "onOutput"> {
  /** The branch that the work will land on; the workstream's own without it. */
  onto?: string | undefined;
}

/**
 * Closes those of the named tasks that the caller is working on, so that they can land; none if one of them is not the
 * caller's. The landing runs the check, so only a check that `closeRequires` asks for runs here. Faults as
 * `finishTask`; `landing.not_closed`, `landing.checkout_dirty`.
 */
export async function closeOwnTasks(
  crew: TmuxHost,
  refs: readonly TaskRef[],
  claimant: Claimant,
  { onto, ...options }: CloseFirstOptions,
): Promise<{ closed: string[]; warnings: Warning[] }> {
  const { db } = crew.context.store;
  const rows = await Promise.all(refs.map((ref) => taskToChange(db, ref)));
  const open = rows.filter((row) => row.status !== "CLOSED");
  for (const row of open) if (!(await isOwnWork(crew, row, claimant))) throw notClosed(row);
  const warnings: Warning[] = [];
  for (const row of open) {
    const settings = await getSettings(db, row.workstream);
    await requireClean(crew, row, onto ?? settings.branch);
    const check = settings.closeRequires === "check" ? undefined : null;
    const finish = await finishTask(crew, row, claimant, { ...options, check, landsNext: true });
    warnings.push(...finish.warnings);
  }
  return { closed: open.map((row) => row.name), warnings };
}

async function isOwnWork(crew: TmuxHost, row: TaskToChange, claimant: Claimant): Promise<boolean> {
  if (row.status !== "IN_PROGRESS") return false;
  if ("person" in claimant) return row.owner === claimant.person;
  return row.owner_id === (await actingAgent(crew.context.store.db, row, claimant));
}

/** Refuses before the close what the landing would refuse. */
async function requireClean(crew: TmuxHost, row: TaskToChange, wanted: string | null): Promise<void> {
  if (row.owner === null) return;
  const ref = { workstream: row.workstream, name: row.owner };
  const space = await findWorkspaceRow(crew.context.store.db, ref);
  const branch = wanted ?? space?.branch ?? null;
  if (space === undefined || branch === null) return;
  await getLander(space.backend).requireClean(crew, space.root, branch);
}
