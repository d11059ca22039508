import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isObject, shape, type TypeOf } from "../../shape.js";
import { writeWhole } from "../../whole-file.js";

/** What a caller chose last. A convenience: nothing else depends on it, and the file can be deleted. */
export const SESSION = shape({
  session_id: "string",
  client_name: "string | null",
  selected_workspace_id: "string | null",
  selected_mode: "string | null",
  recent_request_ids: "string[]",
  last_warning_codes: "string[]",
});
export type Session = TypeOf<typeof SESSION>;

export const DEFAULT_SESSION = "local";
const MOST_RECENT = 20;

const pathIn = (stateDir: string) => join(stateDir, "operator.json");

/** All sessions by id. What is no session in the file is left out, and a torn file has none. */
export async function readSessions(stateDir: string): Promise<Session[]> {
  let found: unknown;
  try {
    found = JSON.parse(await readFile(pathIn(stateDir), "utf8"));
  } catch {
    return [];
  }
  const sessions = isObject(found) && isObject(found["sessions"]) ? Object.values(found["sessions"]) : [];
  return sessions.flatMap(toSession).sort((a, b) => (a.session_id < b.session_id ? -1 : 1));
}

function toSession(value: unknown): Session[] {
  if (!isObject(value) || typeof value["session_id"] !== "string") return [];
  const text = (key: string) => (typeof value[key] === "string" ? (value[key] as string) : null);
  const texts = (key: string) =>
    Array.isArray(value[key]) ? (value[key] as unknown[]).filter((one) => typeof one === "string") : [];
  return [
    {
      session_id: value["session_id"],
      client_name: text("client_name"),
      selected_workspace_id: text("selected_workspace_id"),
      selected_mode: text("selected_mode"),
      recent_request_ids: texts("recent_request_ids").slice(-MOST_RECENT),
      last_warning_codes: texts("last_warning_codes"),
    },
  ];
}

export async function findSession(stateDir: string, id: string): Promise<Session | undefined> {
  return (await readSessions(stateDir)).find(({ session_id }) => session_id === id);
}

/** Changes a session, which is made where it is missing, and notes the request that did. */
export async function changeSession(
  stateDir: string,
  id: string,
  change: Partial<Session>,
  request: string,
): Promise<Session> {
  const sessions = await readSessions(stateDir);
  const before = sessions.find(({ session_id }) => session_id === id);
  const blank = { client_name: null, selected_workspace_id: null, selected_mode: null, last_warning_codes: [] };
  const recent = [...(before?.recent_request_ids ?? []).filter((one) => one !== request), request].slice(-MOST_RECENT);
  const after: Session = { ...blank, ...before, ...change, session_id: id, recent_request_ids: recent };
  const others = sessions.filter(({ session_id }) => session_id !== id);
  const all = Object.fromEntries([...others, after].map((one) => [one.session_id, one]));
  await writeWhole(pathIn(stateDir), `${JSON.stringify({ sessions: all }, null, 2)}\n`);
  return after;
}
