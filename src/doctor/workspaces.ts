import { existsSync } from "node:fs";
import { endInterruptedLandings, findInterruptedLandings } from "../landing/settle.js";
import { counted, duration, enumerate, shellWord } from "../names.js";
import { isHolderAlive, isProcessAlive, pidOf, unseenHostOf } from "../processes.js";
import { reapRuns } from "../runs/reap.js";
import { activeRuns } from "../runs/run.js";
import { getBackend } from "../vcs/backends.js";
import { withHold } from "../workspaces/hold.js";
import { findWorkspaceOrphans } from "../workspaces/orphans.js";
import { listSalvages } from "../workspaces/salvage.js";
import { type WorkspaceRow, workspaceRows } from "../workspaces/workspace.js";
import { listWorkstreams, workstreamRow } from "../workstreams/workstream.js";
import { RECONCILE, RECONCILE_STEP } from "./crew.js";
import { FIX_STEP, type Found, type Patient, type Probe } from "./finding.js";

/** The database against folders and repositories, and what was interrupted there. */
export const WORKSPACES: readonly Probe[] = [
  { name: "workspaces", needs: "database", run: probeWorkspaces },
  { name: "repositories", needs: "database", run: probeRepositories },
  { name: "landings", needs: "database", run: probeLandings },
  { name: "runs", needs: "database", run: probeRuns },
  { name: "salvage", needs: "database", run: probeSalvage },
];

const orOk = (found: readonly Found[], subject: string, detail: string): Found[] =>
  found.length > 0 ? [...found] : [{ severity: "ok", subject, detail }];

async function probeWorkspaces(patient: Patient): Promise<Found[]> {
  const { crew } = patient;
  const rows = await workspaceRows(crew.context.store.db);
  const held = await Promise.all(rows.map((row) => examineRow(patient, row)));
  const step = { intent: "Save and remove them", command: "mu workspace orphans --all --yes" };
  const orphans = (await findWorkspaceOrphans(crew)).map(({ kind, workstream, agent, path }): Found => {
    const detail =
      kind === "folder" ? `${path} belongs to no workspace of this database.` : `its folder ${path} is gone.`;
    return { severity: "warning", subject: `${workstream}/${agent}`, detail, step };
  });
  const all = [...(await missingProjects(patient)), ...held.flat(), ...orphans];
  return orOk(all, "workspaces", counted(rows.length, "workspace"));
}

/** Workstreams whose project folder is gone. */
async function missingProjects({ crew }: Patient): Promise<Found[]> {
  return (await listWorkstreams(crew.context.store.db)).flatMap(({ name, root, host }): Found[] => {
    if (root === null || host !== null || existsSync(root)) return [];
    const command = `mu workstream set root . -w ${name}`;
    const step = { intent: "If it was moved, run this in its new folder", command };
    return [{ severity: "warning", subject: name, detail: `its folder ${root} is gone.`, step }];
  });
}

/** A workspace that is half made or half gone, or locked by a process that has died. */
async function examineRow({ crew }: Patient, row: WorkspaceRow): Promise<Found[]> {
  const holds = crew.context.store.db.selectFrom("workspace_holds").selectAll();
  const hold = await holds.where("workspace_id", "=", row.id).executeTakeFirst();
  if (hold !== undefined && (unseenHostOf(hold.holder) || (await isHolderAlive(crew, hold.holder)))) return [];
  const subject = `${row.workstream}/${row.agent}`;
  if (row.state !== "ready") {
    const detail = `its workspace was left ${row.state === "creating" ? "half made" : "half freed"}.`;
    return [{ severity: "warning", subject, detail, step: RECONCILE_STEP, fix: RECONCILE }];
  }
  if (hold === undefined) return [];
  const detail = `its workspace is locked by process ${pidOf(hold.holder)}, which has died.`;
  const finish = { intent: "Finish the refresh that was cut off", command: `mu workspace refresh ${subject}` };
  if (hold.intent !== null) return [{ severity: "warning", subject, detail, step: finish }];
  const run = async () => withHold(crew, row, async () => `Removed the lock on the workspace of ${subject}.`);
  return [{ severity: "warning", subject, detail, step: FIX_STEP, fix: { key: `hold ${row.id}`, run } }];
}

/** A program that has held a lock for this long has died, in ms. */
const LOCK_MS = 3_600_000;

/** What repositories know of checkouts that are gone, and locks that were left in them. */
async function probeRepositories({ crew }: Patient): Promise<Found[]> {
  const { context, stateDir } = crew;
  const rows = await context.store.db
    .selectFrom("workspaces")
    .select(["root", "backend", "path", "freed_at"])
    .execute();
  const open = new Set(rows.filter((row) => row.freed_at === null).map(({ path }) => path));
  const roots = new Map(rows.map(({ root, backend }) => [root, backend]));
  const found = [...roots].map(async ([root, key]): Promise<Found[]> => {
    const backend = getBackend(key);
    const left = (await backend.leftovers?.(root, stateDir)) ?? [];
    return left.flatMap(({ kind, path, changedAt }): Found[] => {
      const age = context.clock.now().getTime() - changedAt;
      if (age < (kind === "lock" ? LOCK_MS : 0) || open.has(path)) return [];
      if (kind === "lock") {
        const step = { intent: "If no git runs there, delete it", command: `rm ${shellWord(path)}` };
        return [{ severity: "warning", subject: root, detail: `${path} has been there for ${duration(age)}.`, step }];
      }
      const detail = `it still knows the checkout ${path}, which is gone.`;
      const run = async () => backend.remove(crew, { root, path }).then(() => `Made ${root} forget ${path}.`);
      return [{ severity: "warning", subject: root, detail, step: FIX_STEP, fix: { key: path, run } }];
    });
  });
  return orOk(
    (await Promise.all(found)).flat(),
    "repositories",
    `${counted(roots.size, "repository", "repositories")}`,
  );
}

async function probeLandings({ crew }: Patient): Promise<Found[]> {
  const roots = await findInterruptedLandings(crew);
  if (roots.length === 0) return [{ severity: "ok", subject: "landings", detail: "none was cut off" }];
  const detail = `${counted(roots.length, "landing")} cut off, in ${enumerate([...new Set(roots)], 4)}.`;
  const run = async () => `Ended ${counted((await endInterruptedLandings(crew)).length, "landing")}.`;
  return [{ severity: "warning", subject: "landings", detail, step: RECONCILE_STEP, fix: { key: "landings", run } }];
}

/** Runs whose process has died and that nobody has settled. */
async function probeRuns({ crew }: Patient): Promise<Found[]> {
  const { db } = crew.context.store;
  const found: Found[] = [];
  for (const { name } of await listWorkstreams(db)) {
    const { id } = await workstreamRow(db, name);
    const dead = [];
    for (const run of await activeRuns(db, id)) if (!(await isProcessAlive(crew, run.process))) dead.push(run);
    if (dead.length === 0) continue;
    const detail = `the process of run ${enumerate(dead.map((run) => `${run.id} (${run.task})`))} has died.`;
    const run = async () => `Settled ${counted((await reapRuns(crew, id)).length, "run")} of ${name}.`;
    found.push({ severity: "warning", subject: name, detail, step: FIX_STEP, fix: { key: `runs ${name}`, run } });
  }
  return orOk(found, "runs", "none has died");
}

/** mu never deletes saved work: it is there to be restored. */
async function probeSalvage({ crew }: Patient): Promise<Found[]> {
  const saves = await listSalvages(crew);
  if (saves.length === 0) return [{ severity: "ok", subject: "salvage", detail: "no saved work" }];
  const detail = `${counted(saves.length, "save")} of work that did not land.`;
  return [{ severity: "note", subject: "salvage", detail, step: { intent: "List them", command: "mu salvage list" } }];
}
