import type { Claimant } from "../agents/agent.js";
import type { TmuxHost } from "../agents/crew.js";
import type { TaskRef } from "../names.js";
import { actingAgent, type TaskToChange, taskToChange } from "../tasks/change.js";
import { getLander } from "../vcs/backends.js";
import { type FinishOptions, finishTask } from "../work/finish.js";
import type { Warning } from "../work/requirements.js";
import { findWorkspaceRow } from "../workspaces/workspace.js";
import type { Settings } from "../workstreams/settings.js";
import { getSettings } from "../workstreams/workstream.js";
import { notClosed } from "./choose.js";

export interface CloseFirstOptions extends Pick<FinishOptions, "cwd" | "signal" | "onOutput"> {
  /** The branch that the work will land on; the workstream's own without it. */
  onto?: string | undefined;
}

/**
 * Closes those of the named tasks that the caller is working on, since it wants them landed; none before all are known
 * to be closable. The landing runs the check, so here only one that the workstream asks for runs. Faults as
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
  for (const row of open) if (!(await isAtIt(crew, row, claimant))) throw notClosed(row);
  const warnings: Warning[] = [];
  for (const row of open) {
    const settings = await getSettings(db, row.workstream);
    await requireClean(crew, row, onto ?? settings.branch);
    const finish = await finishTask(crew, row, claimant, { ...options, check: checkOf(settings), landsNext: true });
    warnings.push(...finish.warnings);
  }
  return { closed: open.map((row) => row.name), warnings };
}

async function isAtIt(crew: TmuxHost, row: TaskToChange, claimant: Claimant): Promise<boolean> {
  if (row.status !== "IN_PROGRESS") return false;
  if ("person" in claimant) return row.owner === claimant.person;
  return row.owner_id === (await actingAgent(crew.context.store.db, row, claimant));
}

const checkOf = ({ closeRequires }: Settings) => (closeRequires === "check" ? undefined : null);

/** What cannot land in any case is not closed for it. */
async function requireClean(crew: TmuxHost, row: TaskToChange, wanted: string | null): Promise<void> {
  if (row.owner === null) return;
  const ref = { workstream: row.workstream, name: row.owner };
  const space = await findWorkspaceRow(crew.context.store.db, ref);
  const branch = wanted ?? space?.branch ?? null;
  if (space === undefined || branch === null) return;
  const lander = getLander(space.backend);
  await lander.requireClean(crew, space.root, branch);
}
