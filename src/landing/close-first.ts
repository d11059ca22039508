import type { Claimant } from "../agents/agent.js";
import type { TmuxHost } from "../agents/crew.js";
import type { TaskRef } from "../names.js";
import { actingAgent, type TaskToChange, taskToChange } from "../tasks/change.js";
import { type FinishOptions, finishTask, includeLoose } from "../work/finish.js";
import type { Warning } from "../work/requirements.js";
import { getSettings } from "../workstreams/workstream.js";
import { notClosed } from "./choose.js";

export type CloseFirstOptions = Pick<FinishOptions, "cwd" | "signal" | "onOutput" | "include">;

/**
 * Closes those of the named tasks that the caller is working on, so that they can land; none if one of them is not the
 * caller's. With `include` they all take in what is in their workspaces and belongs to no task. The landing runs the check, so only a check that `closeRequires` asks for runs here. Faults as
 * `finishTask`; `landing.not_closed`.
 */
export async function closeOwnTasks(
  crew: TmuxHost,
  refs: readonly TaskRef[],
  claimant: Claimant,
  options: CloseFirstOptions,
): Promise<{ closed: string[]; warnings: Warning[] }> {
  const { db } = crew.context.store;
  const rows = await Promise.all(refs.map((ref) => taskToChange(db, ref)));
  const open = rows.filter((row) => row.status !== "CLOSED");
  for (const row of open) if (!(await isOwnWork(crew, row, claimant))) throw notClosed(row);
  const warnings: Warning[] = [];
  for (const row of open) {
    const settings = await getSettings(db, row.workstream);
    const check = settings.closeRequires === "check" ? undefined : null;
    const finish = await finishTask(crew, row, claimant, { ...options, check, landsNext: true });
    warnings.push(...finish.warnings);
  }
  const closed = rows.filter((row) => row.status === "CLOSED");
  if (options.include) for (const row of closed) await includeLoose(crew, row, claimant);
  return { closed: open.map((row) => row.name), warnings };
}

async function isOwnWork(crew: TmuxHost, row: TaskToChange, claimant: Claimant): Promise<boolean> {
  if (row.status !== "IN_PROGRESS") return false;
  if ("person" in claimant) return row.owner === claimant.person;
  return row.owner_id === (await actingAgent(crew.context.store.db, row, claimant));
}
