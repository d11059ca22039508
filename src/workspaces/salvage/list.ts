import type { Crew } from "../../agents/crew.js";
import type { Reader } from "../../db/schema.js";
import { Fault } from "../../errors.js";
import { didYouMean, quote } from "../../names.js";
import { getBackend } from "../../vcs/backends.js";
import type { BackendKey } from "../../vcs/vcs.js";
import { type Salvage, salvageName, toSalvage } from "./salvage.js";

/** A salvage as a list shows it. One without a row is what a crash left: saved, and not written down. */
export interface ListedSalvage extends Omit<Salvage, "commits" | "files" | "reason" | "createdAt"> {
  commits: number | null;
  files: number | null;
  reason: string | null;
  createdAt: string | null;
}

/** Everything that was saved and can be brought back, newest first; of one workstream or of all. */
export async function listSalvages(crew: Crew, workstream?: string): Promise<ListedSalvage[]> {
  const { db } = crew.context.store;
  let query = db.selectFrom("salvages").selectAll().orderBy("id", "desc");
  if (workstream !== undefined) query = query.where("workstream", "=", workstream);
  const known = (await query.execute()).map(toSalvage);
  const unknown = (await unrecorded(crew)).filter((one) => workstream === undefined || one.workstream === workstream);
  return [...unknown, ...known];
}

/** Saves in the repositories that mu knows, which no row tells of. */
async function unrecorded(crew: Crew): Promise<ListedSalvage[]> {
  const { db } = crew.context.store;
  const found: ListedSalvage[] = [];
  for (const { backend, root } of await knownRoots(db)) {
    const rows = await db.selectFrom("salvages").select("place").where("root", "=", root).execute();
    const saved = await getBackend(backend)
      .listSaved(crew, root)
      .catch(() => []);
    for (const { name, place, commit } of saved) {
      if (rows.some((row) => row.place === place)) continue;
      const [workstream = "", agent = "", n = "0"] = name.split("/");
      const is = { workstream, agent, n: Number(n) };
      found.push({ name: salvageName(is), ...is, backend, root, place, commit, ...NOT_WRITTEN });
    }
  }
  return found;
}

const NOT_WRITTEN = { commits: null, files: null, reason: null, createdAt: null };

async function knownRoots(db: Reader): Promise<{ backend: BackendKey; root: string }[]> {
  const roots = [
    ...(await db.selectFrom("workspaces").select(["backend", "root"]).distinct().execute()),
    ...(await db.selectFrom("salvages").select(["backend", "root"]).distinct().execute()),
  ];
  const distinct = new Map(roots.map((one) => [`${one.backend} ${one.root}`, one]));
  return [...distinct.values()].map(({ backend, root }) => ({ backend: backend as BackendKey, root }));
}

/**
 * The salvage by its name: `<workstream>/<agent>/<n>`, or `<agent>/<n>` in `workstream`. Faults `salvage.not_found`
 * with near names.
 */
export async function getSalvage(crew: Crew, name: string, workstream?: string): Promise<ListedSalvage> {
  const whole = name.split("/").length === 2 && workstream !== undefined ? `${workstream}/${name}` : name;
  const all = await listSalvages(crew);
  const found = all.find((one) => one.name === whole);
  if (found !== undefined) return found;
  const names = all.map((one) => one.name);
  throw new Fault("missing", "salvage.not_found", `There is no salvage ${quote(name)}.${didYouMean(whole, names)}`, [
    { intent: "See what was saved", command: "mu salvage list" },
  ]);
}

/** What a salvage holds, as text for people. Faults `salvage.not_found`, and those of the backend. */
export async function describeSalvage(crew: Crew, salvage: ListedSalvage): Promise<string> {
  return getBackend(salvage.backend).describe(crew, salvage.root, salvage.place);
}
