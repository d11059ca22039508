import { dirname } from "node:path";
import { type Disk, examineDisk } from "../db/examine.js";
import { rebuildIndex } from "../db/search/index-entries.js";
import { checkIndex } from "../db/search/search.js";
import { verifyChains } from "../journal/audit.js";
import { checkKeyframes, keyframeFolder } from "../journal/past/keyframes.js";
import { compareTables } from "../journal/replay.js";
import { counted, enumerate, shellWord } from "../names.js";
import { FIX_STEP, type Found, type Patient, type Probe } from "./finding.js";

/** The database, its file system, and with `deep` all that it says about itself. */
export const DATABASE: readonly Probe[] = [
  { name: "database", run: probeDatabase },
  { name: "disk", run: probeDisks },
  { name: "integrity", needs: "database", deep: true, run: (patient, signal) => damage(patient, "integrity", signal) },
  { name: "chain", needs: "database", deep: true, run: probeChain },
  { name: "tables", needs: "database", deep: true, run: probeTables },
  { name: "derived", needs: "database", deep: true, run: probeDerived },
];

async function probeDatabase(patient: Patient, signal: AbortSignal): Promise<Found[]> {
  const { crew, examined } = patient;
  const { dialect, location, db } = crew.context.store;
  const subject = "database";
  if (examined.fault !== undefined) {
    const { message, nextSteps } = examined.fault;
    return [{ severity: "error", subject, detail: message, step: nextSteps[0] }];
  }
  if (examined.file === "missing") return [{ severity: "ok", subject, detail: `${location}, made by the first write` }];
  if (examined.file === "empty") {
    const detail = `${location} is an empty file. If it held tasks, put a backup in its place.`;
    const step = { intent: "If it never held any, delete it", command: `rm ${shellWord(location)}` };
    return [{ severity: "error", subject, detail, step }];
  }
  const found = await damage(patient, "quick", signal);
  if (found.some(({ severity }) => severity !== "ok")) return found;
  const { n } = await db
    .selectFrom("tasks")
    .select(({ fn }) => fn.countAll().as("n"))
    .executeTakeFirstOrThrow();
  return [{ severity: "ok", subject, detail: `${location} (${dialect}), ${counted(Number(n), "task")}` }];
}

/** What SQLite's own check says of its file; a server answers for itself. */
async function damage({ crew, ask, examined }: Patient, check: "quick" | "integrity", signal: AbortSignal) {
  const { location } = crew.context.store;
  const subject = check === "quick" ? "database" : "integrity";
  if (examined.file === null) return [{ severity: "ok", subject, detail: "the server's own" } as Found];
  const name = `${check}_check`;
  const rows = examined.file === "present" ? await ask(`pragma ${name}(5)`, signal) : [];
  const problems = rows.map((row) => String(row[name])).filter((line) => line !== "ok");
  if (problems.length === 0) return [{ severity: "ok", subject, detail: "every page and index is whole" } as Found];
  const step = { intent: "Save what is left", command: `sqlite3 ${shellWord(location)} .recover` };
  return [{ severity: "error", subject, detail: `${location} is damaged: ${problems.join("; ")}.`, step } as Found];
}

async function probeDisks({ crew, examined }: Patient): Promise<Found[]> {
  const { stateDir, context } = crew;
  const folder = examined.file === null ? stateDir : dirname(context.store.location);
  const [own, state] = await Promise.all([examineDisk(folder), examineDisk(stateDir)]);
  const isSame = folder === stateDir || own.freeBytes === state.freeBytes;
  const of = (disk: Disk, path: string) => [...judgeRoom(disk.freeBytes, path), ...judgeNetwork(disk, path)];
  return [...of(own, folder), ...(isSame ? [] : of(state, stateDir))];
}

/** Below this a write can fail at any time, in MB. */
const DISK_FULL_MB = 16;
/** Below this it is time to tidy up, in MB. */
const DISK_LOW_MB = 256;

/** What the room on the disk of `path` means for the next writes. */
export function judgeRoom(freeBytes: number, path: string): Found[] {
  const megabytes = Math.floor(freeBytes / 2 ** 20);
  const step = { intent: "See what takes the room", command: `du -sh ${shellWord(path)}/*` };
  const left = `${megabytes} MB left for ${path}`;
  if (megabytes < DISK_FULL_MB)
    return [{ severity: "error", subject: "disk", detail: `${left}. Free some space.`, step }];
  if (megabytes < DISK_LOW_MB) return [{ severity: "warning", subject: "disk", detail: `only ${left}.`, step }];
  const detail = megabytes < 10_240 ? `${megabytes} MB left` : `${Math.floor(megabytes / 1024)} GB left`;
  return [{ severity: "ok", subject: "disk", detail }];
}

/** Over a network, locks and shared memory of a database work for one machine at most. */
export function judgeNetwork({ network }: Pick<Disk, "network">, path: string): Found[] {
  if (network === undefined) return [];
  const detail = `${path} is on a network file system (${network}): two machines that write at once would damage the database.`;
  const step = { intent: "Name a file on a disk of this machine", command: "export MU_DB_PATH=~/mu.db" };
  return [{ severity: "warning", subject: "disk", detail, step }];
}

async function probeChain({ crew }: Patient): Promise<Found[]> {
  const chains = await crew.context.store.read((db) => verifyChains(db, {}));
  const broken = chains.filter(({ ok }) => !ok);
  const step = { intent: "See all that is known of it", command: "mu audit verify" };
  const events = chains.reduce((sum, { n }) => sum + n, 0);
  if (broken.length === 0) return [{ severity: "ok", subject: "chain", detail: `${counted(events, "event")}, intact` }];
  return broken.map(({ scope, firstBad }) => {
    const detail = `${scope || "the machine's chain"}: event ${firstBad?.n} ${firstBad?.problem}.`;
    return { severity: "error", subject: "chain", detail, step };
  });
}

async function probeTables({ crew }: Patient): Promise<Found[]> {
  const differences = await crew.context.store.read(compareTables);
  if (differences.length === 0) return [{ severity: "ok", subject: "tables", detail: "as the events say" }];
  const names = differences.map(({ table, name, id, problem }) => `${table} ${name ?? id} is ${problem}`);
  const detail = `${counted(differences.length, "row")} changed outside mu: ${enumerate(names, 5)}.`;
  const step = { intent: "See the columns", command: "mu audit verify --tables" };
  return [{ severity: "error", subject: "tables", detail, step }];
}

/** What can be made anew from the rest: the index of the search, and the keyframes of looks at the past. */
async function probeDerived({ crew }: Patient): Promise<Found[]> {
  const { store } = crew.context;
  const { entries, wrong } = await checkIndex(store);
  const found: Found[] = [];
  if (wrong > 0) {
    const run = () => rebuildIndex(store).then(() => "Made the index of the search anew.");
    const detail = `${wrong} of ${counted(entries, "entry", "entries")} of the search are not what the tasks say.`;
    found.push({ severity: "warning", subject: "search", detail, step: FIX_STEP, fix: { key: "search", run } });
  }
  const look = (mend: boolean) =>
    store.read((db) => checkKeyframes(db, keyframeFolder(crew.stateDir), { deep: true, mend }));
  const keyframes = await look(false);
  const bad = keyframes.filter(({ problem }) => problem !== null);
  if (bad.length > 0) {
    const run = () => look(true).then(() => "Removed the keyframes, which are made anew when needed.");
    const detail = `${counted(bad.length, "keyframe")} of the past cannot be used: ${enumerate(
      bad.map(({ path }) => path),
      2,
    )}.`;
    found.push({ severity: "warning", subject: "keyframes", detail, step: FIX_STEP, fix: { key: "keyframes", run } });
  }
  const detail = `${counted(entries, "entry", "entries")} of the search, ${counted(keyframes.length, "keyframe")}`;
  return found.length > 0 ? found : [{ severity: "ok", subject: "derived", detail }];
}
