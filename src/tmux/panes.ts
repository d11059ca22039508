import type { Exec } from "../exec.js";
import { type Command, createRun, type Environment, isServerGone, type Run, runUnlessGone, uniqueWord } from "./run.js";

/**
 * Which tmux server: `<pid>@<start, epoch seconds>`. Pane ids start again at %0 with every server, so a pane is
 * ours only where this is the same as when it was opened.
 */
export type ServerId = string;

const text = (printed: string) => printed;
const optionalText = (printed: string) => printed || undefined;
const flag = (printed: string) => Number(printed) > 0;
const time = (printed: string) => new Date(Number(printed) * 1000);

/** What mu knows of a pane: the tmux format of each fact, and how to read what it prints. */
const COLUMNS = {
  /** `%7`; unique on one server and never used twice by it. */
  id: ["#{pane_id}", text],
  server: ["#{pid}@#{start_time}", (printed: string): ServerId => printed],
  socket: ["#{socket_path}", text],
  /** A pane of a window that is linked into several sessions is listed once for each of them. */
  session: ["#{session_name}", text],
  /** `@3`. */
  window: ["#{window_id}", text],
  windowName: ["#{window_name}", text],
  title: ["#{pane_title}", text],
  /** When its incarnation was reserved: two databases may both have an agent of one name and id. */
  spawnedAt: ["#{@mu_spawned_at}", optionalText],
  /** Name of the program in the foreground. */
  command: ["#{pane_current_command}", text],
  /** The command line that the pane was started with, as tmux prints it. */
  startCommand: ["#{pane_start_command}", text],
  /** The first process of the pane; it leads the pane's process session. */
  pid: ["#{pane_pid}", Number],
  tty: ["#{pane_tty}", text],
  /** The program has ended and the pane stays for its last lines to be read. */
  dead: ["#{pane_dead}", flag],
  /** From the upper left corner, 0 first. */
  cursorX: ["#{cursor_x}", Number],
  cursorY: ["#{cursor_y}", Number],
  width: ["#{pane_width}", Number],
  height: ["#{pane_height}", Number],
  /** A full-screen program is drawing. */
  alternate: ["#{alternate_on}", flag],
  /** A person is scrolling, or another tmux mode covers the pane and eats its input. */
  inMode: ["#{pane_in_mode}", flag],
  agent: ["#{@mu_agent}", optionalText],
  agentId: ["#{@mu_agent_id}", optionalText],
  /** What the pane's border shows of its agent. */
  statusLabel: ["#{@mu_status}", text],
  taskLabel: ["#{@mu_task}", text],
  /** What the status line of its session says of those who wait for a person. */
  waitingLabel: ["#{@mu_waiting}", text],
  /** Rows of scrollback above the screen: with `cursorY`, where the cursor is in all that the pane printed. */
  historySize: ["#{history_size}", Number],
  /** Last output in the pane's window; whole seconds. */
  activityAt: ["#{window_activity}", time],
} as const;

export type Pane = { -readonly [Name in keyof typeof COLUMNS]: ReturnType<(typeof COLUMNS)[Name][1]> };

/** All panes of all sessions in one call; no server means no panes. Faults: `tmux.failed`. */
export async function listPanes(run: Run): Promise<Pane[]> {
  const listing = paneListing();
  const printed = await runUnlessGone(run, { what: "list the panes", isGone: isServerGone }, [listing.command]);
  return printed === undefined ? [] : listing.parse(printed);
}

/** The command that lists all panes, and how to read what it prints. */
export function paneListing(): { command: Command; parse(stdout: string): Pane[] } {
  const record = uniqueWord();
  const field = uniqueWord();
  const format =
    record +
    Object.values(COLUMNS)
      .map(([format]) => format)
      .join(field);
  const rows = (stdout: string) => stdout.split(record).slice(1);
  return {
    command: ["list-panes", "-a", "-F", format],
    parse: (stdout) => rows(stdout).map((row) => parsePane(row.replace(/\n$/, "").split(field))),
  };
}

/** The running server, or undefined when none runs. */
export async function findServer(run: Run): Promise<ServerId | undefined> {
  const list = ["list-sessions", "-F", "#{pid}@#{start_time}"];
  const printed = await runUnlessGone(run, { what: "identify the server", isGone: isServerGone }, [list]);
  return printed?.split("\n")[0] || undefined;
}

export function serverPid(server: ServerId): number {
  return Number.parseInt(server, 10);
}

/** When the server started, in ms since the epoch; tmux counts whole seconds. */
export function serverStart(server: ServerId): number {
  return Number(server.slice(server.indexOf("@") + 1)) * 1000;
}

/** The pane of the calling process, by its environment alone; undefined outside tmux. */
export function callerPane(env: Environment): { pane: string; serverPid: number; socket: string } | undefined {
  const [, socket, pid] = /^(.*),(\d+),\d*$/.exec(env.TMUX ?? "") ?? [];
  const pane = env.TMUX_PANE ?? "";
  if (socket === undefined || !/^%\d+$/.test(pane)) return undefined;
  return { pane, serverPid: Number(pid), socket };
}

function parsePane(values: readonly string[]): Pane {
  const columns = Object.entries(COLUMNS);
  return Object.fromEntries(columns.map(([name, [, read]], index) => [name, read(values[index] ?? "")])) as Pane;
}

/** Which agent a pane belongs to. `agent` and `agentId` are what mu stored; any program may set the title. */
export interface PaneIdentityFacts {
  pane: string;
  server: ServerId;
  session: string;
  title: string;
  agent: string;
  agentId: string;
  /** When its incarnation was reserved; empty for a pane without an agent. */
  spawnedAt: string;
  /** Name of the program in the foreground, and the command line that the pane was started with. */
  command: string;
  startCommand: string;
}

const MARKS = ["id", "server", "session", "title", "agent", "agentId", "spawnedAt"] as const;
const IDENTITY_COLUMNS = [...MARKS, "command", "startCommand"] as const;

/** Which agent one pane belongs to; undefined if the pane does not exist. Faults: `tmux.failed`, `tmux.unreachable`. */
export async function askPane(run: Run, pane: string): Promise<PaneIdentityFacts | undefined> {
  const mark = uniqueWord();
  const format = IDENTITY_COLUMNS.map((name) => COLUMNS[name][0]).join(mark);
  const ask = ["display-message", "-p", "-t", pane, format];
  const printed = (await runUnlessGone(run, { what: `identify pane ${pane}` }, [ask])) ?? "";
  const [found, ...values] = printed.replace(/\n$/, "").split(mark);
  if (found !== pane) return undefined;
  const [server = "", session = "", title = "", agent = "", agentId = "", spawnedAt = ""] = values;
  const [command = "", startCommand = ""] = values.slice(6);
  return { pane, server, session, title, agent, agentId, spawnedAt, command, startCommand };
}

/** As `askPane`, on the caller's own server whatever `MU_TMUX_SOCKET` says: `$TMUX_PANE` is a pane of it. */
export function askOwnServer({ exec, env }: { exec: Exec; env: Environment }) {
  const socket = callerPane(env)?.socket;
  const run = createRun({ exec, env: { ...env, MU_TMUX_SOCKET: socket } });
  return (pane: string) => askPane(run, pane);
}
