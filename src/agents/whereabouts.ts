import type { RowOf } from "../db/write.js";
import { listProcesses } from "../processes.js";
import { type Pane, type ServerId, serverPid, serverStart } from "../tmux/panes.js";
import type { Crew } from "./crew.js";

/** Where an open agent is, as far as tmux and the processes tell. */
export type Whereabouts =
  | { at: "pane"; pane: Pane }
  /** It has no pane yet: its spawn is on the way, or was cut off. */
  | { at: "nowhere" }
  | { at: "gone"; why: string; lost: "pane" | "server" | "taken" }
  /** Out of our sight: on another host, or on a tmux server that is not the one we ask. */
  | { at: "elsewhere"; why: string };

/**
 * Finds the panes of agents among all panes of the server that we ask. A pane counts only on the server (pid and
 * start) where it was opened and while it carries the agent's incarnation: ids begin again at %0 with every server.
 */
export async function locate(
  crew: Crew,
  rows: readonly RowOf<"agents">[],
  panes: readonly Pane[],
): Promise<Map<number, Whereabouts>> {
  const found = new Map(rows.map((row) => [row.id, whereabouts(row, panes)]));
  const lost = rows.filter((row) => isServerLost(found.get(row.id)));
  const servers = [...new Set(lost.map((row) => row.server ?? ""))];
  if (servers.length === 0) return found;
  const living = await livingServers(crew, servers);
  for (const row of lost) {
    const why = `its tmux server (pid ${serverPid(row.server ?? "")}) is not the one that is asked here`;
    if (living.has(row.server ?? "")) found.set(row.id, { at: "elsewhere", why });
  }
  return found;
}

function whereabouts(row: RowOf<"agents">, panes: readonly Pane[]): Whereabouts {
  if (row.host !== null) return { at: "elsewhere", why: `it is on ${row.host}` };
  if (row.pane === null) return { at: "nowhere" };
  if (!panes.some((pane) => pane.server === row.server)) {
    return { at: "gone", why: `the tmux server of pane ${row.pane} has ended`, lost: "server" };
  }
  const pane = panes.find((one) => one.id === row.pane);
  if (pane === undefined) return { at: "gone", why: `pane ${row.pane} is gone`, lost: "pane" };
  if (pane.agentId === String(row.id)) return { at: "pane", pane };
  return { at: "gone", why: `pane ${row.pane} belongs to somebody else now`, lost: "taken" };
}

function isServerLost(place: Whereabouts | undefined): boolean {
  return place?.at === "gone" && place.lost === "server";
}

/** A server's start and its process's start are told by two clocks, which may have been set in between. */
const CLOCKS_MS = 60_000;

/** Those of the servers whose own process still runs: behind another socket, for example that of another user. */
async function livingServers(crew: Crew, servers: readonly ServerId[]): Promise<Set<ServerId>> {
  const processes = await listProcesses(crew);
  const isTmux = new Set(processes.filter((one) => !one.zombie && one.name.startsWith("tmux")).map((one) => one.pid));
  const living = new Set<ServerId>();
  for (const server of servers.filter((one) => isTmux.has(serverPid(one)))) {
    const start = await processStart(crew, serverPid(server));
    if (start === undefined || Math.abs(start - serverStart(server)) < CLOCKS_MS) living.add(server);
  }
  return living;
}

/** When a process started, in ms since the epoch; undefined where `ps` does not tell. */
async function processStart(crew: Crew, pid: number): Promise<number | undefined> {
  const env = { PATH: "/bin:/usr/bin:/usr/local/bin", LC_ALL: "C", TZ: "UTC" };
  const { stdout } = await crew.exec("ps", ["-o", "lstart=", "-p", String(pid)], { env, timeoutMs: 10_000 });
  const start = Date.parse(`${stdout.trim()} UTC`);
  return Number.isNaN(start) ? undefined : start;
}
