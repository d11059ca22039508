import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import type { TmuxHost } from "../agents/crew.js";
import { pollUntil } from "../clock.js";
import { connect } from "../db/sqlite/connect.js";
import type { Connection } from "../db/sqlite/connection.js";
import { asFileFault, isSqliteError } from "../db/sqlite/faults.js";
import { Fault } from "../errors.js";
import {
  endHolder,
  endProcessTrees,
  isHolderAlive,
  listEnvironments,
  newHolder,
  pidOf,
  unseenHostOf,
} from "../processes.js";
import type { Move } from "../vcs/lander.js";
import { interrupted } from "./checker.js";

/** The lock of all landings in one repository, whichever database, workstream or worktree they are for. */
export interface LandingLock {
  /** What a holder that died was moving. */
  readonly left: Move | null;
  /** Marks the programs of a move, so that a successor can end those that outlive this process. */
  readonly env: Readonly<Record<string, string>>;
  /** Records the move that begins now, or that none is under way. Faults `landing.lock_lost`. */
  note(move: Move | null): void;
}

export interface LockOptions {
  /** Whose landing of what it is, for those who wait. */
  purpose: string;
  signal?: AbortSignal | undefined;
  remark?: ((text: string) => void) | undefined;
}

/** How often the holder shows that it is alive, and how often those who wait look, in ms. */
const BEAT_MS = 5_000;
const POLL_MS = 100;
/** A holder that cannot be seen from here counts as dead after so long without a beat, in ms. */
const SILENT_MS = 60_000;
/** How long one access to the file waits for another one, in ms. */
const BUSY_MS = 5_000;
const MARK = "MU_LANDING";

interface Row {
  holder: string | null;
  /** Grows with every change, so that it is also the row's version. */
  beat: number;
  purpose: string;
  move: string | null;
}

/**
 * Runs `work` as the only landing of the repository. Waits for a living holder; takes over from a dead one, and from one
 * that cannot be seen from here and has been silent for a minute, with a remark. Faults `landing.interrupted`, `landing.lock_lost`, `db.*`.
 */
export async function withLandingLock<T>(
  crew: TmuxHost,
  file: string,
  { purpose, signal, remark }: LockOptions,
  work: (lock: LandingLock) => Promise<T>,
): Promise<T> {
  let seen: { beat: number; ms: number } | undefined;
  let hasRemarked = false;
  const once = async () => {
    const found = await tryToTake(crew, file, purpose, (seen?.ms ?? 0) >= SILENT_MS ? seen?.beat : undefined);
    if ("lock" in found) {
      if (found.unseen !== undefined) remark?.(`Taking over from a landing on ${found.unseen} that has been silent.`);
      return found;
    }
    // Counted in looks, as the clocks of two hosts, or one that was set, cannot be compared.
    seen = seen?.beat === found.beat ? { ...seen, ms: seen.ms + POLL_MS } : { beat: found.beat, ms: 0 };
    if (!hasRemarked && found.holder !== null) {
      remark?.(`Waiting for the landing of ${found.purpose} (process ${pidOf(found.holder)})…`);
      hasRemarked = true;
    }
    return undefined;
  };
  const timeoutMs = Number.POSITIVE_INFINITY;
  const taken = await pollUntil(crew.context.clock, once, { everyMs: POLL_MS, timeoutMs, ...(signal && { signal }) });
  if (taken === undefined) throw interrupted();
  return hold(file, taken, work);
}

/** Whether a holder that died has left a move. */
export async function hasLeftMove(crew: TmuxHost, file: string): Promise<boolean> {
  const { holder, move } = existsSync(file) ? onFile(file, read) : { holder: null, move: null };
  return move !== null && (holder === null || !(await isHolderAlive(crew, holder)));
}

/** Runs `work` with the lock if a move was left and its holder is dead. */
export async function withLeftMove(
  crew: TmuxHost,
  file: string,
  work: (lock: LandingLock) => Promise<void>,
): Promise<void> {
  if (!existsSync(file) || onFile(file, read).move === null) return;
  const found = await tryToTake(crew, file, "what was left of a landing");
  if ("lock" in found) await hold(file, found, work);
}

interface Taken {
  holder: string;
  /** The host of its silent holder before, which cannot be seen from here. */
  unseen: string | undefined;
  lock: LandingLock;
}

async function hold<T>(file: string, { holder, lock }: Taken, work: (lock: LandingLock) => Promise<T>): Promise<T> {
  const beat = () => void change(file, holder, {});
  const timer = setInterval(() => ignoreFaults(beat), BEAT_MS).unref();
  try {
    return await work(lock);
  } finally {
    clearInterval(timer);
    endHolder(holder);
    ignoreFaults(() => void change(file, holder, { holder: null }));
  }
}

/** A lock that cannot be written now counts as a dead holder's soon. */
function ignoreFaults(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
  }
}

/** Takes the lock if it is free, its holder is dead, or it still has the beat `silent`; else gives its row. */
async function tryToTake(crew: TmuxHost, file: string, purpose: string, silent?: number): Promise<Taken | Row> {
  const row = onFile(file, read);
  const { holder: other } = row;
  const isDead = other === null || !(await isHolderAlive(crew, other));
  if (!isDead && row.beat !== silent) return row;
  const holder = await newHolder(crew);
  const set = "update landing set holder = ?, purpose = ?, beat = beat + 1 where beat = ?";
  const taken = onFile(file, (db) => db.prepare(set).run([holder, purpose, row.beat]));
  if (Number(taken.changes) === 0) {
    endHolder(holder);
    return onFile(file, read);
  }
  if (other !== null) await endProgramsOf(crew, other);
  const note = (move: Move | null) => {
    if (!change(file, holder, { move: move && JSON.stringify(move) })) throw lockLost();
  };
  return {
    holder,
    unseen: unseenHostOf(other ?? holder),
    lock: { left: parseMove(row.move), env: { [MARK]: holder }, note },
  };
}

/** Ends the programs that a dead holder had started to move a checkout; git removes its own locks when it is ended. */
async function endProgramsOf(crew: TmuxHost, holder: string): Promise<void> {
  const programs = (await listEnvironments(crew)).filter(([, variables]) => variables.has(`${MARK}=${holder}`));
  await endProcessTrees(
    crew,
    programs.map(([one]) => one),
  );
}

function parseMove(text: string | null): Move | null {
  return text === null ? null : JSON.parse(text);
}

/** Changes the row if `holder` still has it. */
function change(file: string, holder: string, columns: Partial<Pick<Row, "holder" | "move">>): boolean {
  const names = Object.keys(columns);
  const set = ["beat = beat + 1", ...names.map((name) => `${name} = ?`)].join(", ");
  const values = [...Object.values(columns), holder];
  return onFile(file, (db) => db.prepare(`update landing set ${set} where holder = ?`).run(values).changes) > 0;
}

const TABLE = `create table if not exists landing (
  id integer primary key check (id = 1), holder text, boot text not null, beat integer not null,
  purpose text not null, move text) strict`;
const FIRST = "insert or ignore into landing (id, boot, beat, purpose) values (1, '', 0, '')";

function read(db: Connection): Row {
  const found = db.prepare("select holder, beat, purpose, move from landing").get();
  if (found !== undefined) return found as Row;
  db.exec(FIRST);
  return read(db);
}

/** Uses the file, which is open only meanwhile. A damaged one counts as no lock, and is put aside. */
function onFile<T>(file: string, use: (db: Connection) => T): T {
  try {
    mkdirSync(dirname(file), { recursive: true });
    let db = connect(file, { timeout: BUSY_MS });
    if (isDamaged(db)) {
      db.close();
      renameSync(file, `${file}.damaged`);
      db = connect(file, { timeout: BUSY_MS });
    }
    try {
      db.exec(TABLE);
      return use(db);
    } finally {
      db.close();
    }
  } catch (error) {
    throw asFileFault(error, file);
  }
}

function isDamaged(db: Connection): boolean {
  try {
    return db.pragma("quick_check", { simple: true }) !== "ok";
  } catch (error) {
    if (isSqliteError(error) && /^SQLITE_(NOTADB|CORRUPT)/.test(error.code)) return true;
    throw error;
  }
}

function lockLost(): Fault {
  return new Fault("unavailable", "landing.lock_lost", "Another process took over this landing. Nothing was moved.", [
    { intent: "Continue it", command: "mu land --continue" },
  ]);
}
