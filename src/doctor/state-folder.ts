import type { Dirent } from "node:fs";
import { readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { measureKept } from "../crew/kept.js";
import { counted, enumerate, shellWord } from "../names.js";
import { isProcessAlive } from "../processes.js";
import { FIX_STEP, type Found, type Patient, type Probe } from "./finding.js";

/** mu's own files beside the database. */
export const STATE_FOLDER: readonly Probe[] = [
  { name: "kept", needs: "database", run: probeKept },
  { name: "files", needs: "database", run: probeFiles },
];

/** What mu keeps in the state folder, at its top. What is put aside ends in `.torn`. */
const OWNED =
  /^(mu\.db(-wal|-shm|-journal)?|spool|transcripts|launches|hooks|drains|workspaces|salvage|logs|landing|runs|sign-in|skills|databases|operator\.json|operator-history|pricing\.json|kill_switch|errors\.log|exports|keyframes|mu\.db\.(snapshots|restoring|restored.*)|.*\.torn|mu\.db-wal\.aside)$/;

/** A file that is being written for this long belongs to a process that has died, in ms. */
const DRAFT_MS = 3_600_000;
/** The drafts of `writeWhole`, and of a new database. */
const DRAFT = /\.mu-[0-9a-f]{12}$|\.\d+\.[0-9a-z]+\.new(-wal|-shm)?$/;
/** The lock of a spool that is being cut, which takes less than a minute. */
const LOCK = /\.lock$/;
/** The folders that have files in which mu keeps JSON, or drafts. */
const FOLDERS = ["", "launches", "spool", "hooks", "drains"];

/** How much is kept of agents, kind by kind, and what bounds it. */
async function probeKept({ crew: { context, stateDir } }: Patient): Promise<Found[]> {
  const kept = await measureKept(context.store, stateDir);
  return kept.map(({ kind, count, bytes, foreign, limit }) => {
    const size = `${count}, ${(bytes / 2 ** 20).toFixed(1)} MiB; at most ${limit.split(";", 1)[0]}`;
    if (foreign === 0) return { severity: "ok", subject: kind, detail: size };
    const detail = `${size}. ${foreign} of them are of no agent in this database, and go last.`;
    return { severity: "note", subject: kind, detail };
  });
}

/** Files that are torn, left by a process that died, or nobody's. */
async function probeFiles(patient: Patient): Promise<Found[]> {
  const { stateDir, context } = patient.crew;
  const database = patient.examined.file === null ? stateDir : dirname(context.store.location);
  const runs = (await entriesOf(join(stateDir, "runs"))).map(({ name }) => join("runs", name));
  const folders = [...FOLDERS, ...runs].map((name) => join(stateDir, name));
  const files = (await Promise.all([...new Set([...folders, database])].map(filesOf))).flat();
  const found = await Promise.all(files.map((path) => examineFile(patient, path)));
  const all = [...found.flat(), ...(await strangers(stateDir)), ...(await ownerlessRuns(patient, runs))];
  return all.length > 0 ? all : [{ severity: "ok", subject: "files", detail: `${stateDir}, all whole and mu's own` }];
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch(() => []);
}

async function filesOf(folder: string): Promise<string[]> {
  return (await entriesOf(folder)).filter((one) => one.isFile()).map((one) => join(folder, one.name));
}

async function examineFile({ crew }: Patient, path: string): Promise<Found[]> {
  const [name, folder] = [basename(path), basename(dirname(path))];
  const age = async () =>
    crew.context.clock.now().getTime() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? 0);
  const isLock = folder === "spool" && LOCK.test(name);
  if (DRAFT.test(name) || isLock) return (await age()) > (isLock ? 60_000 : DRAFT_MS) ? [stale(path)] : [];
  if (folder === "drains") {
    const holder = await readFile(path, "utf8").catch(() => "");
    return holder !== "" && (await isProcessAlive(crew, holder)) ? [] : [stale(path)];
  }
  const isOwn = dirname(path) !== dirname(crew.context.store.location) || OWNED.test(name);
  return isOwn && name.endsWith(".json") && !(await isWhole(path)) ? [torn(path)] : [];
}

/** A file that is gone by now is none that is torn. */
async function isWhole(path: string): Promise<boolean> {
  const text = await readFile(path, "utf8").catch(() => "null");
  try {
    return JSON.parse(text) !== undefined;
  } catch {
    return false;
  }
}

function stale(path: string): Found {
  const fix = { key: path, run: async () => rm(path, { force: true }).then(() => `Deleted ${path}.`) };
  const detail = `${path} was left by a process that died.`;
  return { severity: "warning", subject: "files", detail, step: FIX_STEP, fix };
}

function torn(path: string): Found {
  const aside = `${path}.torn`;
  const fix = {
    key: path,
    run: async () => rename(path, aside).then(() => `Put ${path} aside as ${basename(aside)}.`),
  };
  const detail = `${path} is torn: it is no whole JSON. mu does without it.`;
  return { severity: "warning", subject: "files", detail, step: FIX_STEP, fix };
}

/** What lies at the top of the state folder and is not mu's. */
async function strangers(stateDir: string): Promise<Found[]> {
  const names = (await entriesOf(stateDir)).map(({ name }) => name).filter((name) => !OWNED.test(name));
  const unknown = names.filter((name) => !DRAFT.test(name));
  if (unknown.length === 0) return [];
  const detail = `${stateDir} has what is not mu's, or a newer mu's: ${enumerate(unknown)}.`;
  const step = { intent: "Look at it", command: `ls -la ${shellWord(stateDir)}` };
  return [{ severity: "note", subject: "files", detail, step }];
}

/** The kept output of runs that the database does not know; two databases may share a state folder. */
async function ownerlessRuns({ crew }: Patient, folders: readonly string[]): Promise<Found[]> {
  const rows = await crew.context.store.db.selectFrom("runs").select(["id", "created_at"]).execute();
  const known = new Set(rows.map(({ id, created_at }) => `${id}-${created_at.replace(/[^0-9]/g, "")}`));
  const unknown = folders.filter((folder) => !known.has(basename(folder)));
  if (unknown.length === 0) return [];
  const detail = `${counted(unknown.length, "folder")} with the output of runs that this database does not have: ${enumerate(unknown, 4)}.`;
  const step = { intent: "See what they take", command: `du -sh ${shellWord(join(crew.stateDir, "runs"))}` };
  return [{ severity: "note", subject: "files", detail, step }];
}
