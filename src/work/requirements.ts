import { Fault } from "../errors.js";
import { qualifiedName } from "../names.js";
import type { TaskRow } from "../tasks/task.js";
import type { CloseRequirement } from "../workstreams/settings.js";
import type { WorkDone } from "./work.js";

/** Something about a close that its owner should know. */
export interface Warning {
  code:
    | "blocked"
    | "uncommitted"
    | "no_commits"
    | "loose_commits"
    | "underway"
    | "no_workspace"
    | "workspace_gone"
    | "unknown_work"
    | "work_elsewhere"
    | "not_verified";
  message: string;
}

/**
 * Refuses a close that does not meet the workstream's requirement for agents. An agent without commits of its own gets a
 * warning instead; work that lands next need not have landed. Faults `task.commit_required`, `task.check_required`, `task.landing_required`.
 */
export function requireMet(
  wanted: CloseRequirement,
  row: TaskRow,
  work: WorkDone | undefined,
  { landsNext }: { landsNext?: boolean | undefined } = {},
): Warning[] {
  const name = qualifiedName(row);
  if (wanted === "check") {
    throw new Fault("conflict", "task.check_required", `${row.name} can only be closed with a green check.`, [
      { intent: "Run one", command: `mu task close ${name} --check '…'` },
      {
        intent: "Ask a person to set one for the workstream",
        command: `mu workstream set check '…' -w ${row.workstream}`,
      },
    ]);
  }
  if (work === undefined || work.space.backend === "none" || (work.space.shared && !work.commits)) {
    const doubt = `whether the work was ${wanted === "commit" ? "committed" : "landed"}`;
    const message = `${row.owner ?? "Nobody"} has no workspace with commits, so mu cannot tell ${doubt}.`;
    return [{ code: "no_workspace", message }];
  }
  const dirty = work.standing?.dirty ?? 0;
  if (dirty > 0 || work.commits === null || (wanted === "commit" && work.commits === 0))
    throw commitRequired(row, work);
  if (wanted === "landed" && !landsNext && work.commits > 0 && work.standing?.ahead !== 0)
    throw landingRequired(row, work);
  return [];
}

function commitRequired(row: TaskRow, { space, standing, commits }: WorkDone): Fault {
  const dirty = standing?.dirty ?? 0;
  const why =
    dirty > 0
      ? `${dirty} ${dirty === 1 ? "file is" : "files are"} not committed`
      : commits === null
        ? "its workspace cannot be read"
        : "nothing was committed since it was claimed";
  return new Fault(
    "conflict",
    "task.commit_required",
    `${row.name} can only be closed when its work is committed, and ${why}.`,
    [
      { intent: "Commit it", command: `git -C '${space.path.replaceAll("'", "'\\''")}' commit -a` },
      { intent: "Then close it", command: `mu task close ${qualifiedName(row)}` },
      { intent: "Release it if there is nothing to do", command: `mu task release ${qualifiedName(row)}` },
    ],
    { task: row.name, uncommitted: dirty, commits },
  );
}

function landingRequired(row: TaskRow, { space, standing, commits }: WorkDone): Fault {
  const branch = space.branch ?? "its branch";
  return new Fault(
    "conflict",
    "task.landing_required",
    `${row.name} can only be closed when its work is on ${branch}, which lacks ${standing?.ahead ?? commits} of its commits.`,
    [{ intent: "Close and land it", command: `mu land ${row.name} -w ${row.workstream}` }],
    { task: row.name, branch: space.branch, ahead: standing?.ahead ?? null },
  );
}
