import { join } from "node:path";
import { asObject, type Json } from "../clis/json.js";

/** One event that an agent's CLI reported. `at` is in ms since the epoch. */
export interface SpoolEvent {
  at: number;
  event: string;
  payload: Json;
}

/** What mu itself writes when an agent pulled a delivery at its turn boundary: `{text, delivery}`. */
export const DELIVERED_EVENT = "mu.delivered";

/** The spool file of one incarnation. */
export function spoolPath(stateDir: string, agentId: string | number): string {
  return join(stateDir, "spool", String(agentId));
}

/**
 * A record is `RS seconds SP event SP json LF`. RS (0x1e) stands in no JSON text, so a record that was torn by a
 * crash or a full disk spoils only itself: the next one begins at its own RS.
 */
export const RECORD_START = "\u001e";

export function encodeSpoolLine({ at, event, payload }: SpoolEvent): string {
  return `${RECORD_START}${(at / 1000).toFixed(3)} ${event} ${JSON.stringify(payload)}\n`;
}

/** Seconds with a point or, from a shell in another locale, a comma; a `date` without fractions leaves its `N`. */
const HEADER = /^(\d{9,11})(?:[.,](?:(\d{1,9})|N))? ([A-Za-z][\w.-]{0,63}) /;

/** The event of one record (without its RS and LF); undefined for anything else. */
export function decodeSpoolLine(record: string): SpoolEvent | undefined {
  const match = HEADER.exec(record);
  if (!match) return undefined;
  const [header, seconds, fraction = "0", event = ""] = match;
  try {
    const payload: unknown = JSON.parse(record.slice(header.length));
    if (typeof payload !== "object" || payload === null) return undefined;
    const at = Number(seconds) * 1000 + Math.floor(Number(`0.${fraction}`) * 1000);
    return { at, event, payload: asObject(payload) };
  } catch {
    return undefined;
  }
}

/** Marks everything that mu installs; the number is the version of the installed form. */
export const HOOK_MARK = "mu-hooks 1";
/** What all versions of the mark begin with. */
export const HOOK_MARK_STEM = "mu-hooks ";

/**
 * The hook: one line of POSIX sh that appends the JSON on its standard input to the caller's spool and exits 0,
 * whatever happens. Outside a mu pane, or where mu keeps no spool, it does nothing. `dd` collects the whole record
 * and writes it with a single `write` to a file opened for appending, which a local file system does atomically at
 * any size; a shell's own `printf` and `cat` write in pieces, which concurrent hooks would mix. Line breaks between
 * JSON tokens become blanks (inside JSON strings they are escaped anyway).
 */
export function hookLine(event: string): string {
  const record = `{ printf '\\036%s ${event} ' "\${EPOCHREALTIME:-$(date +%s.%N)}"; LC_ALL=C tr '\\n\\r' '  '; echo; }`;
  const write = `dd ibs=65536 obs=${MAX_RECORD} 2>/dev/null >>"$d/$MU_AGENT_ID"`;
  return [
    `: ${HOOK_MARK}`,
    `umask 077`,
    `d=\${MU_STATE_DIR:-\${XDG_STATE_HOME:-$HOME/.local/state}/mu}/spool`,
    `case \${MU_AGENT_ID:-} in ''|*[!A-Za-z0-9_-]*) ;; *) [ -d "$d" ] && ${record} 2>/dev/null | ${write};; esac`,
    `exit 0`,
  ].join("; ");
}

/** A record up to this size (bytes) is one write; a larger one may be torn, and is then skipped. */
const MAX_RECORD = 16 * 1024 * 1024;
