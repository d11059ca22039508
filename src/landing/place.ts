import type { TmuxHost } from "../agents/crew.js";
import type { Reader } from "../db/schema.js";
import { Fault } from "../errors.js";
import { enumerate, shellWord } from "../names.js";
import { detectBackend, getBackend, getLander } from "../vcs/backends.js";
import type { Lander } from "../vcs/lander.js";
import type { BackendKey } from "../vcs/vcs.js";
import type { WorkspaceRow } from "../workspaces/workspace.js";
import type { Settings } from "../workstreams/settings.js";
import { namingBranchSetting, workstreamRow } from "../workstreams/workstream.js";
import type { Candidate } from "./choose.js";

/** Where a batch lands. */
export interface Place {
  lander: Lander;
  root: string;
  branch: string;
}

/**
 * The one repository and branch for all these tasks: the branch that was asked for, else the workstream's, else the
 * one that their workspaces are for, else the repository's. Faults `landing.several_targets`, `landing.vcs_required`,
 * `landing.not_supported`, `vcs.no_target`, `vcs.unknown_ref`.
 */
export async function findPlace(
  crew: TmuxHost,
  workstream: string,
  candidates: readonly Candidate[],
  { onto, settings }: { onto?: string | undefined; settings: Settings },
): Promise<Place> {
  const { db } = crew.context.store;
  const spaces = await workspacesOf(db, candidates);
  const working = candidates.filter((candidate) => candidate.work !== null);
  const onlyRoot = theOnly("repositories", working, (candidate) => candidate.root);
  const { key, root } = await repository(crew, workstream, onlyRoot, spaces);
  const names = candidates.map(({ row }) => row.name);
  if (key === "none") throw await noVersionControl(db, workstream, names);
  const lander = getLander(key);
  if (onto !== undefined) return { lander, root, branch: onto };
  const { branch: configured } = settings;
  if (configured !== null) {
    await namingBranchSetting(workstream, configured, () => lander.target(crew, root, configured));
    return { lander, root, branch: configured };
  }

  const branchOf = ({ row }: Candidate) => spaces.get(row.work_agent ?? "")?.branch ?? null;
  const branch = theOnly("branches", working, branchOf) ?? (await getBackend(key).target(crew, root))?.branch;
  if (branch === undefined) throw new Error(`${key} names no branch for ${root}`);
  return { lander, root, branch };
}

type Space = Pick<WorkspaceRow, "agent" | "backend" | "root" | "branch">;

/** The newest workspace of each agent that did one of the tasks, freed ones included. */
async function workspacesOf(db: Reader, candidates: readonly Candidate[]): Promise<Map<string, Space>> {
  const agents = distinct(candidates.map((candidate) => candidate.row.work_agent));
  const [first] = candidates;
  if (first === undefined || agents.length === 0) return new Map();
  const rows = await db
    .selectFrom("workspaces")
    .select(["agent", "backend", "root", "branch"])
    .where("workstream_id", "=", first.row.workstream_id)
    .where("agent", "in", agents)
    .orderBy("id")
    .execute();
  return new Map(rows.map((row) => [row.agent, row]));
}

async function repository(
  crew: TmuxHost,
  workstream: string,
  root: string | undefined,
  spaces: ReadonlyMap<string, Space>,
): Promise<{ key: BackendKey; root: string }> {
  const space = [...spaces.values()].find((one) => one.root === root);
  if (root !== undefined && space !== undefined) return { key: space.backend as BackendKey, root };
  const folder = root ?? (await workstreamRow(crew.context.store.db, workstream)).root;
  if (folder === null) return { key: "none", root: "" };
  const found = await detectBackend(crew, folder);
  return { key: found.backend.key, root: found.root };
}

function distinct(values: readonly (string | null)[]): string[] {
  return [...new Set(values.filter((value) => value !== null))].sort();
}

/** The place that the candidates share, if they have one. Faults `landing.several_targets`. */
function theOnly(
  what: string,
  candidates: readonly Candidate[],
  placeOf: (candidate: Candidate) => string | null,
): string | undefined {
  const places = distinct(candidates.map(placeOf));
  if (places.length < 2) return places[0];
  const nextSteps = places.map((place) => {
    const names = candidates.filter((candidate) => placeOf(candidate) === place).map(({ row }) => row.name);
    const { workstream } = candidates[0]?.row ?? { workstream: "" };
    return { intent: `Land those of ${place}`, command: `mu land ${names.join(" ")} -w ${workstream}` };
  });
  throw new Fault(
    "conflict",
    "landing.several_targets",
    `These tasks belong to several ${what} (${enumerate(places)}). Land them one at a time.`,
    nextSteps,
    { places },
  );
}

/** How many of those tasks it names. */
const SHOWN_WAITS = 3;

/** The fault for work without version control; it names the tasks that would wait forever for one of `tasks` to land. */
export async function noVersionControl(db: Reader, workstream: string, tasks: readonly string[]): Promise<Fault> {
  const waits = await db
    .selectFrom("task_edges as e")
    .innerJoin("tasks as b", "b.id", "e.blocker_id")
    .innerJoin("tasks as t", "t.id", "e.blocked_id")
    .innerJoin("workstreams as w", "w.id", "t.workstream_id")
    .select(["b.name as blocker", "t.name as task"])
    .where("w.name", "=", workstream)
    .where("b.name", "in", tasks.length > 0 ? tasks : [""])
    .where("e.until", "=", "landed")
    .where("t.status", "in", ["OPEN", "IN_PROGRESS", "DEFERRED"])
    .orderBy("t.name")
    .limit(SHOWN_WAITS)
    .execute();
  const scope = shellWord(workstream);
  return new Fault(
    "usage",
    "landing.vcs_required",
    "There is no version control here, so there is no branch to land on. The work stays in the copies.",
    [
      ...waits.map(({ blocker, task }) => ({
        intent: `Let ${task} wait only until ${blocker} is closed`,
        command: `mu task block ${task} --by ${blocker} --until closed -w ${scope}`,
      })),
      { intent: "See what was changed", command: `mu workspace list -w ${scope}` },
    ],
  );
}
