import { existsSync, type FSWatcher, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Store } from "../store.js";
import { connect } from "./connect.js";
import type { Connection, Statement } from "./connection.js";
import { fileAt, isBeingReplaced, isReplaced } from "./gate.js";

/** How often the counter of commits is looked at when the operating system says nothing, in ms. */
const POLL_MS = 150;
/**
 * When to look after the system reported a write to the file, in ms: at once, and again, for a commit is only
 * visible after its last write to the file has reached the disk.
 */
const LOOKS_MS = [5, 25, 70];
/** How long its first look waits for another process's lock, in ms. */
const LOCK_MS = 15_000;

/**
 * Calls `onChange` after each commit (or several) of any other connection, and once another file stands at `file`. The
 * folder is watched for speed; `PRAGMA data_version` says whether there is news. A file that is being replaced is let go
 * of, and `open` gives a connection to the next one.
 */
export function watchFile(file: string, open: () => Promise<Connection>, onChange: () => void): () => void {
  let ended = false;
  let watched: Watched | undefined = watchedBy(connect(file, { timeout: LOCK_MS, readonly: true }), file);
  let looks: NodeJS.Timeout[] = [];
  const letGo = () => {
    watched?.connection.close();
    watched = undefined;
  };
  let opening = false;
  const follow = async () => {
    opening = true;
    const connection = await open().catch(() => undefined);
    opening = false;
    if (connection === undefined) return;
    if (ended) return connection.close();
    watched = watchedBy(connection, file);
    onChange();
  };
  const look = () => {
    if (watched !== undefined && (isReplaced(file, watched.file) || isBeingReplaced(file))) letGo();
    if (watched === undefined) return opening ? undefined : void follow();
    const current = versionOr(watched.version, watched.seen);
    if (current === watched.seen) return;
    watched.seen = current;
    onChange();
  };
  const lookSoon = () => {
    if (looks.length > 0) return;
    looks = LOOKS_MS.map((ms) => setTimeout(look, ms));
    looks.push(setTimeout(() => (looks = []), LOOKS_MS.at(-1)));
  };
  const watcher = watchFolder(file, lookSoon);
  const timer = setInterval(look, POLL_MS);
  return () => {
    ended = true;
    watcher?.close();
    clearInterval(timer);
    looks.forEach(clearTimeout);
    letGo();
  };
}

interface Watched {
  connection: Connection;
  file: string;
  version: Statement;
  seen: unknown;
}

function watchedBy(connection: Connection, file: string): Watched {
  const version = connection.prepare("pragma data_version").pluck();
  return { connection, file: fileAt(file) ?? "", version, seen: version.get() };
}

/** A file that cannot be read at this moment is looked at again a moment later. */
function versionOr(version: Statement, seen: unknown): unknown {
  try {
    return version.get();
  } catch {
    return seen;
  }
}

/** The system's watch on the file's folder; undefined where there is none to be had: then polling must do. */
function watchFolder(file: string, onWrite: () => void): FSWatcher | undefined {
  const name = basename(file);
  try {
    const watcher = watch(dirname(file), (_event, changed) => {
      if (changed === null || changed.startsWith(name)) onWrite();
    });
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}

/** Waits for `path` to come into being, opens it, and from then on watches what `open` gave. */
export function watchForFile(path: string, open: () => Promise<Store>, onChange: () => void): () => void {
  let end = () => clearInterval(timer);
  let ended = false;
  const look = async () => {
    if (!existsSync(path)) return;
    clearInterval(timer);
    const store = await open().catch(() => undefined);
    if (ended) return;
    if (store === undefined) {
      timer = setInterval(look, POLL_MS);
      return;
    }
    end = store.watch(onChange);
    onChange();
  };
  let timer = setInterval(look, POLL_MS);
  return () => {
    ended = true;
    end();
  };
}
